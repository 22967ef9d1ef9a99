"""One connection to an LDAP server: TLS first, then the bind, then searches; each answer is bounded in time and size.

It follows no referral.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from providers.directories.base import NoAnswer, Refused
from providers.directories.ldap import messages
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.messages import Garbled, LdapEntry, LdapOutcome, Search, SearchAnswer
from providers.http_client import connection_error

_LARGEST = 5_000_000
"""Bytes that one connection may receive: it serves for one look."""
_AT_ONCE = 10
"""Requests that wait for their answers at the same time."""
_GOODBYE = 1.0
_UNBIND = b"\x30\x05\x02\x01\x7f\x42\x00"
_LONGEST_HEADER = 6
_NONSENSE = "it answers something else than LDAP"
_BIND_HINTS = {
    messages.INVALID_CREDENTIALS: "it does not accept the password: see `bind_dn` and `bind_password`",
    messages.INAPPROPRIATE_AUTHENTICATION: "it does not let the account in: see `bind_dn` and `bind_password`",
    messages.INVALID_NAME: "it does not take `bind_dn` for a name of an account",
    messages.NO_SUCH_OBJECT: "it has no such account: see `bind_dn`",
    messages.INSUFFICIENT_ACCESS: "the account may not sign in: see `bind_dn`, and the server's access rules",
    messages.UNWILLING: "it does not let the account in: see `bind_dn` and `bind_password`",
    messages.STRONGER_AUTH_REQUIRED: "it wants TLS: write `ldaps://`, or `start_tls: true`",
    messages.CONFIDENTIALITY_REQUIRED: "it wants TLS: write `ldaps://`, or `start_tls: true`",
}


@dataclass
class _Pending:
    """A request that was sent."""

    answer: asyncio.Future[LdapOutcome]
    entries: list[LdapEntry] = field(default_factory=list)


class LdapConnection(asyncio.Protocol):
    """Requests out, answers in. After the first that is wrong with it, each request ends with that."""

    def __init__(self, codec: ModuleType, timeout: float) -> None:
        """Not connected yet. ``timeout``: seconds for each answer."""
        self._codec, self._timeout = codec, timeout
        self._buffer, self._received, self._id = bytearray(), 0, 0
        self._pending: dict[int, _Pending] = {}
        self._broken: NoAnswer | None = None
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.get_running_loop().create_future()

    # asyncio's part.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Also called when TLS begins on it."""
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self._break(NoAnswer(connection_error(exc) if exc else "it closed the connection"))
        if not self._lost.done():
            self._lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take it apart into messages."""
        self._received += len(data)
        if self._broken:
            return
        if self._received > _LARGEST:
            self._break(NoAnswer(f"it sends more than {_LARGEST // 1_000_000} MB"))
            return
        self._buffer += data
        try:
            while (length := _length(self._buffer)) and len(self._buffer) >= length:
                content = bytes(self._buffer[:length])
                del self._buffer[:length]
                self._take(content)
        except Garbled:
            self._break(NoAnswer(_NONSENSE))

    def _take(self, content: bytes) -> None:
        message = self._codec.decoded(content)
        pending = self._pending.get(message.id)
        if pending is None:
            # 0 is a notice that it is about to close the connection (RFC 4511, 4.4.1).
            self._break(NoAnswer("it ended the session" if message.id == 0 else _NONSENSE))
        elif message.entry is not None:
            pending.entries.append(message.entry)
        elif message.outcome is not None:
            del self._pending[message.id]
            if not pending.answer.done():
                pending.answer.set_result(message.outcome)

    def _break(self, error: NoAnswer) -> None:
        if self._broken is None:
            self._broken = error
        for each in self._pending.values():
            if not each.answer.done():
                each.answer.set_exception(self._broken)
                each.answer.exception()  # Whether anybody still waits for it or not.
        self._pending.clear()
        if self._transport is not None:
            self._transport.abort()

    # What is asked.

    async def bind(self, name: str, password: SecretStr) -> None:
        """Sign in. Raises `Refused`, `NoAnswer`."""
        code = (await self._answer(self._ask("bind", name, password.get_secret_value()))).code
        if code in _BIND_HINTS:
            raise Refused(_BIND_HINTS[code])
        if code != messages.SUCCESS:
            raise NoAnswer(f"it does not let the account in now (LDAP result {code})")

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS, or not at all. Raises `Refused`, `NoAnswer`."""
        code = (await self._answer(self._ask("start_tls"))).code
        if code in {messages.BUSY, messages.UNAVAILABLE}:
            raise NoAnswer(f"it does not begin TLS now (LDAP result {code})")
        if code != messages.SUCCESS:
            raise Refused(f"it does not begin TLS (LDAP result {code}): see `start_tls`, or write `ldaps://`")
        if self._buffer or self._transport is None:
            # What came in plain behind that answer would be read as if TLS had protected it.
            raise NoAnswer(_NONSENSE)
        try:
            transport = await asyncio.get_running_loop().start_tls(self._transport, self, context, server_hostname=host)
        except BaseException:
            # Nothing more is told of a connection on which TLS failed.
            self.connection_lost(None)
            raise
        if transport is None or self._broken:
            raise self._broken or NoAnswer("it closed the connection")
        self._transport = transport

    async def search(self, asked: Sequence[Search]) -> list[SearchAnswer]:
        """What each search finds, in order; some are under way at the same time. Raises `NoAnswer`."""
        found: list[SearchAnswer] = []
        seconds = max(1, round(self._timeout))
        for first in range(0, len(asked), _AT_ONCE):
            sent = [self._ask("search", each, seconds) for each in asked[first : first + _AT_ONCE]]
            for pending in sent:
                outcome = await self._answer(pending)
                found.append(SearchAnswer(outcome.code, pending.entries, outcome.cookie))
        return found

    def _ask(self, request: str, *words: object) -> _Pending:
        if self._broken or self._transport is None:
            raise self._broken or NoAnswer("it is not connected")
        self._id += 1
        content = getattr(self._codec, request)(self._id, *words)
        pending = self._pending[self._id] = _Pending(asyncio.get_running_loop().create_future())
        self._transport.write(content)
        return pending

    async def _answer(self, pending: _Pending) -> LdapOutcome:
        async with asyncio.timeout(self._timeout):
            return await pending.answer

    async def close(self) -> None:
        """Say goodbye, and hang up."""
        if self._transport is None:
            return
        if self._broken is None:
            self._broken = NoAnswer("it is closed")
            self._transport.write(_UNBIND)
            self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await asyncio.shield(self._lost)
        self._transport.abort()


def _length(buffer: bytearray) -> int:
    """Bytes of the message that begins there; 0 while that is not known. Raises `Garbled`."""
    if not buffer:
        return 0
    if buffer[0] != 0x30:
        raise Garbled
    if len(buffer) < 2:
        return 0
    if buffer[1] < 0x80:
        return 2 + buffer[1]
    count = buffer[1] & 0x7F
    if not 0 < count <= _LONGEST_HEADER - 2:
        raise Garbled
    if len(buffer) < 2 + count:
        return 0
    length = 2 + count + int.from_bytes(buffer[2 : 2 + count])
    if length > _LARGEST:
        raise Garbled
    return length


@contextlib.asynccontextmanager
async def connected(config: LdapConfig) -> AsyncIterator[LdapConnection]:
    """A connection that is signed in, for one look. Raises `Refused`, `NoAnswer`."""
    # With the extra only, and not before it is needed.
    from providers.directories.ldap import codec  # noqa: PLC0415

    scheme, host, port = config.at
    under_tls = scheme == "ldaps" or config.start_tls
    context = trusted(config.ca) if under_tls else None
    connection = LdapConnection(codec, config.timeout)
    try:
        async with asyncio.timeout(config.timeout):
            await asyncio.get_running_loop().create_connection(
                lambda: connection, host, port, ssl=None if config.start_tls else context
            )
        if config.start_tls and context:
            async with asyncio.timeout(config.timeout):
                await connection.start_tls(context, host)
        await connection.bind(config.bind_dn, config.bind_password)
        yield connection
    except (OSError, UnicodeError) as error:
        told = connection_error(error)
        if not isinstance(error, TimeoutError | ssl.SSLError):
            told = f"it cannot be reached: {told}"
        raise NoAnswer(told) from None
    finally:
        await connection.close()


def trusted(ca: Path | None) -> ssl.SSLContext:
    """What verifies a server's certificate and its name. Raises `NoAnswer`."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise NoAnswer(f"the file `ca` ({ca}) cannot be used: {connection_error(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
