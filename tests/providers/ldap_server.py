"""A small LDAP server of the tests, for what a real one does not do on demand: it hangs, sends nonsense, or parts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ldap3.protocol.rfc4511 import LDAPMessage
from pyasn1.codec.ber import decoder

from tests import servers

Attributes = Mapping[str, Sequence[str]]
Entries = Sequence[tuple[str, Attributes]]
_BIND, _ENTRY, _DONE, _EXTENDED = 0x61, 0x64, 0x65, 0x78
_EVENTS = {"bindRequest": _BIND, "searchRequest": _DONE, "extendedReq": _EXTENDED}


def tlv(tag: int, *parts: bytes) -> bytes:
    """A value in BER."""
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else b"\x84" + len(content).to_bytes(4)
    return bytes([tag]) + length + content


def text(value: str) -> bytes:
    """An octet string."""
    return tlv(4, value.encode())


def message(id_: int, *parts: bytes) -> bytes:
    """Whatever is sent has an id before it."""
    return tlv(0x30, tlv(2, id_.to_bytes(4)), *parts)


def entry(id_: int, name: str, attributes: Attributes) -> bytes:
    """One that was found."""
    lists = (tlv(0x30, text(key), tlv(0x31, *map(text, values))) for key, values in attributes.items())
    return message(id_, tlv(_ENTRY, text(name), tlv(0x30, *lists)))


def result(id_: int, kind: int, code: int) -> bytes:
    """How a request ended."""
    return message(id_, tlv(kind, bytes([10, 1, code]), text(""), text("")))


@dataclass
class LdapServer:
    """``codes``: how each kind of request ends, 0 where it is not said; ``found``: what a search finds."""

    codes: dict[str, int] = field(default_factory=dict)
    found: Callable[[str, list[str]], tuple[Entries, int]] = lambda _, __: ((), 0)
    raw: bytes = b""
    """Sent in place of an answer to a search."""
    garbles: bytes = b""
    """Sent in place of any answer."""
    behind: bytes = b""
    """Sent at once behind the answer to StartTLS."""
    hangs_at: str = ""
    """The kind of request that is never answered, or ``connection`` or ``TLS`` for what begins with it."""
    under_tls: ssl.SSLContext | None = None
    port: int = field(default_factory=servers.free_port)
    asked: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """In plain, which is for this machine."""
        return f"ldap://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.under_tls)

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.hangs_at != "connection" and (content := await _message(reader.readexactly)):
            asked, _ = decoder.decode(content, asn1Spec=LDAPMessage())
            kind = asked["protocolOp"].getName()
            self.asked.append(kind)
            if kind == "unbindRequest":
                return
            if kind == self.hangs_at:
                break
            if self.garbles:
                writer.write(self.garbles)
                break
            writer.write(self._answer(int(asked["messageID"]), kind, asked["protocolOp"].getComponent()))
            await writer.drain()
            if kind == "extendedReq" and self.hangs_at == "TLS":
                break
        await reader.read()

    def _answer(self, id_: int, kind: str, request: Any) -> bytes:
        code = self.codes.get(kind, 0)
        if kind != "searchRequest":
            return result(id_, _EVENTS[kind], code) + (self.behind if kind == "extendedReq" else b"")
        if self.raw:
            return self.raw
        entries, told = self.found(str(request["baseObject"]), [str(each) for each in request["attributes"]])
        return b"".join(entry(id_, *each) for each in entries) + result(id_, _DONE, code or told)


async def _message(exactly: Callable[[int], Awaitable[bytes]]) -> bytes:
    head = await exactly(2)
    more = await exactly(head[1] & 0x7F) if head[1] & 0x80 else b""
    return head + more + await exactly(int.from_bytes(more) if more else head[1])
