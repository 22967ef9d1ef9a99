"""Bodies as they lie in Redis: packed, and under a tag that a thief of the store cannot make; no tag, no request."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from bot.core.errors import Tampered
from bot.core.model import Request
from bot.keyring import KeyRing
from bot.store.wire import text

SEAL = "request"
"""What the key ring's subkey for bodies is called."""
_QUICK = 1
"""The level at which a body is packed: half its size for some 20 µs."""


@dataclass(frozen=True)
class Sealing:
    """The seal of one workspace's requests, by a key that is not in Redis."""

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
