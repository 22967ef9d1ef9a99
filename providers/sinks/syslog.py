"""Syslog (RFC 5424) in octet-counted frames (RFC 6587) over TLS (RFC 5425); never in the clear, and never in UDP.

The protocol has no answers. So a batch is a connection: after its last message we say that we are done
(close_notify), and it counts as taken when the receiver, having read to that point, ends the connection in order
too. One that ends it without a word (rsyslog over GnuTLS does) must be found alive right after it. After a connection
that breaks the batch is sent again: the receiver may then have some of it twice, under the same numbers.

What a receiver loses of its own memory afterwards nobody can tell: give it a queue on its disk.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import ClassVar, Literal

from pydantic import Field

from providers.base import Frozen, Health
from providers.http_client import connection_error
from providers.sinks.base import NotDelivered, Record, RecordRefused, SinkCapabilities
from providers.sinks.tls import Tls
from providers.sinks.tls_stream import TlsStream

_FACILITIES = {"auth": 4, "authpriv": 10, "audit": 13} | {f"local{n}": 16 + n for n in range(8)}
_CALLS = 8
"""Steps of a batch, each of which may take the whole timeout: two connections, their handshakes, writes and ends."""


class SyslogConfig(Tls):
    """The receiver, and what each message says of its sender."""

    host: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")
    port: int = Field(default=6514, ge=1, le=65_535)
    server_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]{1,253}$")
    """The name in the receiver's certificate, when it is not ``host``."""
    facility: Literal[
        "auth", "authpriv", "audit", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"
    ] = "audit"
    hostname: str = Field(default_factory=lambda: _printable(socket.gethostname(), 255), pattern=r"^[!-~]{1,255}$")
    app: str = Field(default="jit", pattern=r"^[!-~]{1,48}$")
    enterprise: int = Field(default=32_473, ge=1, le=2**31 - 1)
    """The enterprise number after ``jit@`` in the structured data; without your own, the one kept for examples."""
    longest: int = Field(default=8_192, ge=2_048, le=1_000_000)
    """Bytes that the receiver takes in a message (rsyslog: maxMessageSize); it would cut a longer one short."""
    timeout: float = Field(default=10.0, gt=0, le=120)


class Syslog:
    """One receiver."""

    Config: ClassVar[type[Frozen]] = SyslogConfig

    def __init__(self, config: SyslogConfig) -> None:
        """Open nothing."""
        self._config = config
        self._thread = ThreadPoolExecutor(1, "syslog sink")

    def __repr__(self) -> str:
        """Where it is."""
        return f"Syslog({self._config.host}:{self._config.port})"

    @property
    def settles_within(self) -> float:
        """By the timeouts of the socket."""
        return self._config.timeout * _CALLS

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """A connection a batch."""
        return SinkCapabilities(most=500, answer="the receiver read the batch to its end and closed the connection")

    async def send(self, batch: Sequence[Record]) -> None:
        """The batch over a connection of its own. Raises `RecordRefused`, `NotDelivered`."""
        if not batch:
            return
        frames = []
        for taken, record in enumerate(batch):
            message = self._message(record)
            if len(message) > self._config.longest:
                if not taken:
                    raise RecordRefused(
                        f"it has {len(message):,} bytes, and the receiver takes {self._config.longest:,}"
                    )
                break  # what stands before it goes first
            frames.append(b"%d %b" % (len(message), message))
        await self._in_thread(b"".join(frames))
        if len(frames) < len(batch):
            raise RecordRefused("the next one is too long", taken=len(frames))

    async def check(self) -> Health:
        """A connection with no message in it. Raises `NotDelivered`."""
        await self._in_thread(b"")
        return Health(target=f"{self._config.host}:{self._config.port}", detail="its certificate is right")

    async def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False)

    def _message(self, record: Record) -> bytes:
        priority = _FACILITIES[self._config.facility] * 8 + record.severity.syslog
        at = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        about = {"number": str(record.number), "workspace": record.workspace, "request": record.request}
        data = "".join(f' {name}="{_escaped(value)}"' for name, value in about.items() if value)
        config = self._config
        head = f"<{priority}>1 {at} {config.hostname} {config.app} - {_printable(record.kind, 32)}"
        return f"{head} [jit@{config.enterprise}{data}] {record.text}".encode()

    async def _in_thread(self, frames: bytes) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, frames)
        except OSError as error:
            raise NotDelivered(connection_error(error)) from None

    # in the thread

    def _deliver(self, frames: bytes) -> None:
        with closing(self._connected()) as stream:
            stream.send(frames)
            if stream.ended() and stream.acknowledged():
                return
            # It ended without a word, as a process does that is killed: so it is looked whether it still lives.
            with closing(self._connected()) as again:
                again.ended()
            stream.raise_reset()

    def _connected(self) -> TlsStream:
        config = self._config
        context, name = config.context(), config.server_name or config.host
        plain = socket.create_connection((config.host, config.port), config.timeout)
        stream = TlsStream(plain, context, name)
        try:
            stream.shake_hands()
        except BaseException:
            stream.close()
            raise
        return stream


def _printable(text: str, longest: int) -> str:
    return re.sub(r"[^!-~]", "_", text)[:longest] or "-"


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", re.sub(r"[\x00-\x1f\x7f]", "_", value))
