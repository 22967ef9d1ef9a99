"""What a peer that proves nothing can hold of a server: places, seconds, bytes. It reads no HTTP, that is uvicorn's.

Whoever comes gets a place while somebody who has proven nothing has one: of the address with the most of them, the
one that has waited longest goes. A flood of silent connections so costs a peer nothing that sends its request at once.
An address may have half of all places: behind a proxy, all come from one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from bot.dropped_connections import DropLog

KEPT = 75
"""Seconds for which an idle connection stays open: longer than a balancer in front keeps it (most do for 60 s).

Whoever closes first may close while a request is on its way, and Slack sends a command only once.
"""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SHARE = 8
"""The share of all places that is given before the loop has its turn again.

So whoever has one keeps it for several turns, in which what was sent is read, however many come after.
"""
_SOME = 32
_AGAIN = 0.5
_LINGER = 5.0
_KEY = "connection"


@dataclass(frozen=True)
class Bounds:
    """``most``: places. Seconds: ``head`` to a whole head, ``answer`` from there to an answer that the peer has taken.

    ``held``: bytes of bodies that are not proven yet, of all connections.
    """

    most: int
    head: float = 10.0
    answer: float = 30.0
    kept: float = KEPT
    held: int = 32 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One peer, in front of the protocol that reads and answers it. Its time is always running."""

    def __init__(self, all_: Connections, address: str, inner: Callable[[Connection], asyncio.Protocol]) -> None:
        """It has its place; nothing is read yet."""
        self._all, self.address, self._inner = all_, address, inner(self)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_hand, self._idle = 0, False
        self.known = False
        """Whether a request of this connection was proven to be from whom we serve."""
        self._proven = False
        self.dropped = False
        self.rank: int | None = None

    # what is between us and the peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        self._within(self._all.bounds.head)
        self._inner.connection_made(transport)
        if self.dropped:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """The first byte of the next request starts the time of its head; no later one extends it."""
        if self._idle:
            self._idle = False
            self._within(self._all.bounds.head)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer says no more."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        if self._timer:
            self._timer.cancel()
        self._all.forget(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has read."""
        self._inner.resume_writing()

    # what the application says of it

    def begins(self) -> None:
        """A whole head is here."""
        self._in_hand, self._idle, self._proven = self._in_hand + 1, False, False
        self._within(self._all.bounds.answer)
        self._all.place(self)

    def waits(self, held: int) -> None:
        """A body is awaited, of which so many bytes are here."""
        self._all.hold(self, held)
        self._all.place(self, 1 if self.known else 0)

    def authenticated(self) -> None:
        """The whole request is from whom we serve."""
        self.known = self._proven = True
        self._all.hold(self, 0)
        self._all.place(self)

    def answered(self) -> None:
        """The answer is given; the peer may not have read it."""
        self._in_hand -= 1
        self._proven = False
        self._all.hold(self, 0)
        if self._in_hand == 0 and self._transport:
            self._idle = True
            self._within(_LINGER if self._transport.is_closing() else self._all.bounds.kept + _LINGER)
            self._all.place(self)

    def worth(self) -> int | None:
        """How soon it goes when a place is needed, 0 first; None: never, it is being served."""
        if not self._in_hand:
            return 1 if self.known else 0
        return None if self._proven else 2

    def drop(self) -> None:
        """Have it gone now, whatever it has not read."""
        self.dropped = True
        if self._transport:
            self._transport.abort()

    def _within(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        self._all.dropping(self, "slow")


class Connections:
    """All connections of one listening socket. ``inner`` makes what reads and answers; ``told`` hears of each drop."""

    def __init__(
        self,
        listening: socket.socket,
        bounds: Bounds,
        inner: Callable[[Connection], asyncio.Protocol],
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nobody is let in before `open`."""
        self.bounds, self._listening, self._inner = bounds, listening, inner
        self._drops = DropLog(listening.getsockname()[1], told)
        self._ranks: tuple[dict[str, dict[Connection, None]], ...] = ({}, {}, {})
        self._count: Counter[str] = Counter()
        self._holding: dict[Connection, int] = {}
        self._held = 0
        self._coming: set[asyncio.Task[Any]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        """How many have a place."""
        return len(self._open)

    def open(self) -> None:
        """Let them in."""
        self._again = None
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    async def close(self) -> None:
        """Let nobody in any more; who is not being served goes."""
        loop = asyncio.get_running_loop()
        if self._again:
            self._again.cancel()
        if self._listening.fileno() >= 0:
            loop.remove_reader(self._listening.fileno())
            self._listening.close()
        for connection in list(self._open):
            if connection.rank in {0, 1}:
                connection.drop()
        if self._coming:
            await asyncio.wait(self._coming, timeout=_LINGER)
        await asyncio.sleep(0)

    # places

    def _accept(self) -> None:
        for _ in range(max(1, self.bounds.most // _SHARE)):
            try:
                peer, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            self._welcome(peer, _network(str(address[0])))

    def _cannot_accept(self, error: OSError) -> None:
        """Out of descriptors or memory: some go. Whatever it is, it is tried again in a while, not at once."""
        if error.errno not in _EXHAUSTED:
            self._drops.count("error")
        elif not sum(self._make_room("descriptors") for _ in range(_SOME)):
            self._drops.count("descriptors")
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening.fileno())
        self._again = loop.call_later(_AGAIN, self.open)

    def _welcome(self, peer: socket.socket, address: str) -> None:
        room = True
        if self._count[address] >= max(1, self.bounds.most // 2):
            room = self._make_room("address", address)
        elif len(self) >= self.bounds.most:
            room = self._make_room("full")
        if not room:  # all that are here are being served
            self._drops.count("full")
            peer.close()
            return
        peer.setblocking(False)
        connection = Connection(self, address, self._inner)
        self._open.add(connection)
        self._count[address] += 1
        self.place(connection)
        coming = asyncio.create_task(self._come(connection, peer), name="coming")
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def _come(self, connection: Connection, peer: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, peer)
        except OSError:  # it is gone again
            self.forget(connection)
            peer.close()

    def _make_room(self, reason: str, address: str | None = None) -> bool:
        """Drop the one that has waited longest, of the address that has the most of them."""
        for rank in self._ranks:
            if not rank or (address is not None and address not in rank):
                continue
            greediest = max(rank, key=lambda each: len(rank[each])) if address is None else address
            self.dropping(next(iter(rank[greediest])), reason)
            return True
        return False

    def place(self, connection: Connection, rank: int | None = -1) -> None:
        """Remember how soon it goes, and since when."""
        if connection not in self._open or connection.dropped:
            return
        rank = connection.worth() if rank == -1 else rank
        if rank == connection.rank and rank is not None and connection in self._ranks[rank].get(connection.address, ()):
            return
        self._displace(connection)
        connection.rank = rank
        if rank is not None:
            self._ranks[rank].setdefault(connection.address, {})[connection] = None

    def _displace(self, connection: Connection) -> None:
        if connection.rank is None:
            return
        rank = self._ranks[connection.rank]
        mates = rank.get(connection.address, {})
        mates.pop(connection, None)
        if not mates:
            rank.pop(connection.address, None)
        connection.rank = None

    def dropping(self, connection: Connection, reason: str) -> None:
        """Have it gone."""
        if connection not in self._open:
            return
        connection.drop()
        self.forget(connection)
        self._drops.count(reason)

    def forget(self, connection: Connection) -> None:
        """It has no place any more."""
        self._displace(connection)
        self._held -= self._holding.pop(connection, 0)
        if connection in self._open:
            self._open.discard(connection)
            self._count[connection.address] -= 1
            if not self._count[connection.address]:
                del self._count[connection.address]

    # bytes

    def hold(self, connection: Connection, held: int) -> None:
        """So many bytes of it are in memory; where those of all are too many, who has most goes."""
        self._held -= self._holding.pop(connection, 0)
        if held and connection in self._open:
            self._holding[connection] = held
            self._held += held
        while self._held > self.bounds.held:
            self.dropping(max(self._holding, key=self._holding.__getitem__), "bytes")


def _network(address: str) -> str:
    """What counts as one address: in IPv6, a host has a whole /64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4 or found.ipv4_mapped:
        return str(found)
    return str(int(found) >> 64)


def handed(inner: Connection, state: MutableMapping[str, Any]) -> dict[str, Any]:
    """The state that a request's scope gets, so that the application knows the connection."""
    return {**state, _KEY: inner}


def of(scope: MutableMapping[str, Any]) -> Connection | None:
    """The connection of a request; None where something else serves it."""
    found = scope.get("state", {}).get(_KEY)
    return found if isinstance(found, Connection) else None
