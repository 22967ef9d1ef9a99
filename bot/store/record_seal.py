"""HMAC-authenticated records, events and values in Redis; a wrong MAC raises `Tampered`, or makes a value foreign."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.errors import Tampered
from bot.core.request import Request
from bot.store.encoding import text
from bot.store.keyring import KeyRing

SEAL = "request"
"""What the key ring's subkey for bodies is called."""
EVENT = "audit event"
"""What the key ring's subkey for audit events is called."""
MARK = "mark"
"""What the key ring's subkey for marks is called: that something was done, or posted, already."""
VALUE = "value"
"""What the key ring's subkey for single values is called."""
_BOUND = (b"id", b"version", b"kind", b"at", b"due", b"rows", b"event")
_QUICK = 1
"""The level at which a body is packed: half its size for some 20 µs."""


@dataclass(frozen=True)
class Sealing:
    """The MAC of one workspace's request records, by a key that is not in Redis."""

    workspace: str
    ring: KeyRing

    def pack(self, request: Request) -> tuple[bytes, str]:
        """The body to be stored, and its tag."""
        body = zlib.compress(request.model_dump_json(exclude_defaults=True).encode(), _QUICK)
        return body, self.ring.mac(SEAL, self._bound(request.id, str(request.version), body))

    def open(self, id_: str, version: bytes | None, body: bytes | None, seal: bytes | None) -> Request:
        """What was packed. Raises `Tampered` when the tag does not fit the workspace, id, version and body."""
        bound = self._bound(id_, text(version), body or b"")
        if body is None or seal is None or not self.ring.verify(SEAL, bound, text(seal)):
            raise Tampered(id_)
        # Unpacked only now that it is known to be ours.
        return Request.model_validate_json(zlib.decompress(body))

    def _bound(self, id_: str, version: str, body: bytes) -> bytes:
        return f"{self.workspace}\0{id_}\0{version}\0".encode() + body


@dataclass(frozen=True)
class Authorship:
    """The tag of one workspace's audit events: it binds whose, which version, what kind, when, and every word.

    It does not bind the event's number, which the store gives out: an event that stands there twice is found by
    being the same.
    """

    workspace: str
    ring: KeyRing

    def mac(self, id_: str, version: str, kind: str, event: str, *, at: str = "", due: str = "", rows: str = "") -> str:
        """The tag. ``at``: of an event that changes no request; ``due``: when its request is to be worked on next.

        ``rows``: the messages that it asks for, on lines.
        """
        return self.ring.mac(EVENT, self._bound(id_, version, kind, at, due, rows, event))

    def ours(self, fields: Mapping[bytes, bytes]) -> bool:
        """Whether an entry of the stream has our MAC."""
        try:
            words = [fields.get(name, b"").decode() for name in _BOUND]
        except UnicodeDecodeError:
            return False
        return self.ring.verify(EVENT, self._bound(*words), text(fields.get(b"mac")))

    def _bound(self, *words: str) -> bytes:
        """The lengths keep one field from flowing into the next."""
        lengths = ",".join(str(len(word)) for word in words)
        return f"{self.workspace}\0{lengths}\0{''.join(words)}".encode()

    def mark(self, key: str, at: float) -> str:
        """What says in a key of ours that something was done at a time."""
        when = f"{at:.6f}"
        return f"{when} {self.ring.mac(MARK, self._bound(key, when))}"

    def marked(self, key: str, value: str, now: float, window: float) -> bool:
        """Whether it was done within so many seconds; what somebody else put there, or put back, says nothing."""
        when, _, tag = value.partition(" ")
        if not self.ring.verify(MARK, self._bound(key, when), tag):
            return False
        return now - window < float(when) <= now + window

    def sign(self, what: str, *words: str) -> str:
        """The tag of a value of ours: ``what`` is the sort of value, so that none passes for one of another sort."""
        return self.ring.mac(VALUE, self._bound(what, *words))

    def signed(self, tag: str, what: str, *words: str) -> bool:
        """Whether that value has our MAC."""
        return self.ring.verify(VALUE, self._bound(what, *words), tag)

    def wrapped(self, what: str, body: str) -> str:
        """A text as it lies in Redis, under our tag."""
        return f"{body}|{self.sign(what, body)}"

    def unwrapped(self, what: str, value: str) -> str:
        """The text; empty for what is not ours."""
        body, _, tag = value.rpartition("|")
        return body if self.signed(tag, what, body) else ""
