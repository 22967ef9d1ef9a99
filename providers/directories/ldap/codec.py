"""LDAP's messages as bytes, by ldap3: three requests, and what comes back. It opens nothing, and is slow to import.

What a server sends is taken apart by ldap3's quick decoder, which trusts it; so each piece is looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.bind import bind_operation
from ldap3.operation.extended import extended_operation
from ldap3.operation.search import search_operation
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import decode_message_fast, decode_sequence, encode  # type: ignore[attr-defined]  # untold

from providers.directories.base import Refused
from providers.directories.ldap.messages import Garbled, LdapEntry, LdapOutcome, Search

_START_TLS = "1.3.6.1.4.1.1466.20037"
_PAGED = b"1.2.840.113556.1.4.319"
_BIND, _ENTRY, _DONE, _REFERENCE, _EXTENDED = 1, 4, 5, 19, 24


@dataclass(frozen=True)
class LdapReceived:
    """What a server sent. ``id`` is that of the request, 0 for none; without an outcome it is not the last for it."""

    id: int
    entry: LdapEntry | None = None
    outcome: LdapOutcome | None = None


def bind(id_: int, name: str, password: str) -> bytes:
    """A simple bind. Raises `Refused` for a password that cannot be one (RFC 4013)."""
    try:
        return _encoded(id_, "bindRequest", bind_operation(3, "SIMPLE", name, password))
    except LDAPExceptionError:
        raise Refused("`bind_password` has a character that no password may have in LDAP") from None


def start_tls(id_: int) -> bytes:
    """To go on under TLS."""
    return _encoded(id_, "extendedReq", extended_operation(_START_TLS))


def search(id_: int, asked: Search, seconds: int) -> bytes:
    """A search that follows no alias. ``seconds``: how long the server may take over it."""
    scope = "SUBTREE" if asked.below else "BASE"
    request = search_operation(
        asked.base, asked.filter, scope, "NEVER", [*asked.attributes], 0, seconds, False, False, False
    )
    controls = [paged_search_control(True, asked.page, asked.cookie)] if asked.page else None
    return _encoded(id_, "searchRequest", request, controls)


def _encoded(id_: int, kind: str, request: Any, controls: Any = None) -> bytes:
    message = LDAPMessage()
    message["messageID"] = MessageID(id_)
    message["protocolOp"] = ProtocolOp().setComponentByName(kind, request)
    if controls:
        message["controls"] = build_controls_list(controls)
    return bytes(encode(message))


def decoded(content: bytes) -> LdapReceived:
    """One whole message. Raises `Garbled`."""
    try:
        return _message(decode_message_fast(content))  # type: ignore[no-untyped-call]  # untold
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError, LDAPExceptionError):
        raise Garbled from None


def _message(found: Mapping[str, Any]) -> LdapReceived:
    id_, kind, payload = found["messageID"], found["protocolOp"], found["payload"]
    if not isinstance(id_, int) or not isinstance(payload, list):
        raise Garbled
    if kind == _ENTRY:
        return LdapReceived(id_, entry=_entry(payload))
    if kind == _REFERENCE:
        return LdapReceived(id_)
    if kind not in {_BIND, _DONE, _EXTENDED} or not isinstance(code := payload[0][3], int):
        raise Garbled
    return LdapReceived(id_, outcome=LdapOutcome(code, _cookie(found["controls"] or [])))


def _entry(payload: list[Any]) -> LdapEntry:
    attributes: dict[str, tuple[bytes, ...]] = {}
    for each in payload[1][3]:
        (_, _, _, name), (_, _, _, values) = each[3]
        attributes[_text(name).lower()] = tuple(_bytes(value[3]) for value in values)
    return LdapEntry(_text(payload[0][3]), attributes)


def _cookie(controls: list[Any]) -> bytes:
    for control in controls:
        parts = [part[3] for part in control[3]]
        if parts[0] == _PAGED:
            # RFC 2696: an estimate of how many there are, and the cookie.
            [(_, _, _, about)] = decode_sequence(value := _bytes(parts[-1]), 0, len(value))
            (_, (_, _, _, cookie)) = about
            return _bytes(cookie)
    return b""


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Garbled
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode()
