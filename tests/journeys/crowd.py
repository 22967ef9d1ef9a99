"""Peers that prove nothing, by the thousand: silent ones, and slow ones; who is dropped comes again.

`python -m tests.journeys.crowd PORT COUNT [PORT COUNT…]`, a process of its own, until it is killed. It says when so
many have come.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from dataclasses import dataclass, field

from bot import descriptors, http_server

HEAD = f"POST {http_server.PATH} HTTP/1.1\r\nHost: jit\r\n"
WAYS = (
    "",  # silent
    HEAD,  # half a head, the rest byte by byte
    # A head that could be Slack's, and half a body.
    HEAD + f"X-Slack-Request-Timestamp: @NOW@\r\nX-Slack-Signature: v0={'0' * 64}\r\nContent-Length: 500\r\n\r\nhalf",
    # Many requests in one go, whose answers are not read.
    (HEAD + "Content-Length: 0\r\n\r\n") * 40,
)


class Peer(asyncio.Protocol):
    """One of them."""

    def __init__(self, crowd: Crowd, way: str) -> None:
        """Not connected yet."""
        self._crowd, self._way = crowd, way
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what is to be said."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._crowd.here.add(self)
        if self._way == WAYS[-1]:
            transport.pause_reading()
        transport.write(self._way.replace("@NOW@", str(int(time.time()))).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Dropped."""
        self._crowd.here.discard(self)

    def trickle(self) -> None:
        """One byte more; whoever was dropped learns it from this."""
        if self.transport and self._way:
            self.transport.write(b"a")


@dataclass
class Crowd:
    """``count`` of them, in every way, at one port, from several addresses, of which none is that of the tests."""

    port: int
    count: int
    here: set[Peer] = field(default_factory=set)
    came: int = 0

    async def gather(self) -> None:
        """Come, trickle, and come again, a hundred a second: the test is of what they hold, not of the machine."""
        ways, hosts, told = itertools.cycle(WAYS), itertools.cycle(range(2, 7)), False
        for turn in itertools.count():
            missing = min(self.count - len(self.here), 10 if told else 100)
            await asyncio.gather(*(self._come(next(ways), f"127.0.0.{next(hosts)}") for _ in range(missing)))
            for peer in list(self.here) if turn % 10 == 0 else ():
                peer.trickle()  # a byte a second, or less
            if self.came >= self.count and not told:
                print(f"{self.port}: {self.count} have come", flush=True)
                told = True
            await asyncio.sleep(0.1)

    async def _come(self, way: str, host: str) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            coming = loop.create_connection(lambda: Peer(self, way), "127.0.0.1", self.port, local_addr=(host, 0))
            await asyncio.wait_for(coming, 30)
            self.came += 1


async def main() -> None:
    """Come."""
    descriptors.raise_limit()
    words = iter(sys.argv[1:])
    await asyncio.gather(*(Crowd(int(port), int(count)).gather() for port, count in zip(words, words, strict=True)))


if __name__ == "__main__":
    asyncio.run(main())
