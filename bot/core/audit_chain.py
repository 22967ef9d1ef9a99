"""The chain under which audit events lie: what an event hashes to, and the signed head of each range; it does no I/O.

A seal holds the SHA-256 of every event of its range, names the head before it, and is signed (Ed25519): the last
head stands for all that went before. A range without hashes is a recorded loss: its numbers were never seen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PURPOSE = "audit heads"
"""What the key ring's subkey for signing heads is called."""
MOST = 1000
"""Events under one seal."""
GENESIS = "0" * 64
"""The head before the first."""
SIZE = 32
_HEAD = re.compile(r"^(\d{1,18})-([0-9a-f]{64})$")


class BadHead(ValueError):
    """Not a head as it is printed."""


class AuditEntry(NamedTuple):
    """One audit event as it was written. ``at`` in Unix seconds, 0 where unknown; ``id`` the request's, or ''."""

    seq: int
    at: float
    id: str
    version: int
    kind: str
    event: str

    def digest(self) -> bytes:
        """SHA-256 over all of it; the lengths keep one field from flowing into the next."""
        seq, at, id_, version, kind, event = self
        text = f"{seq}|{at:.6f}|{version}|{len(id_)}|{len(kind)}|{id_}{kind}{event}"
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Head:
    """Where a chain ends: the number of its last event, and the hash that stands for all of them."""

    last: int
    hash: str

    def __str__(self) -> str:
        """As the digest prints it."""
        return f"{self.last}-{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """A head as it was printed. Raises `BadHead`."""
        found = _HEAD.match(text.strip().lower())
        if not found:
            raise BadHead(f"{text[:80]!r} is no head: it looks like 1234-0a1b…, a number and 64 hex digits")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Seal:
    """One signed range of numbers, ``first`` to ``last``; ``digests`` has 32 bytes an event, or none for a loss."""

    workspace: str
    n: int
    first: int
    last: int
    at: float
    previous: str
    digests: bytes
    key: bytes
    signature: bytes = b""

    @property
    def lost(self) -> bool:
        """Whether its numbers were never seen."""
        return not self.digests

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all but the signature."""
        inner = hashlib.sha256(self.digests).hexdigest()
        words = (self.workspace, self.n, self.first, self.last, f"{self.at:.6f}", self.previous, inner, self.key.hex())
        return hashlib.sha256("\n".join(("jit audit seal 1", *map(str, words))).encode()).hexdigest()

    @property
    def head(self) -> Head:
        """The head that this seal makes."""
        return Head(self.last, self.hash)

    def digest(self, seq: int) -> bytes:
        """The hash that it holds of an event; empty for a loss."""
        at = (seq - self.first) * SIZE
        return self.digests[at : at + SIZE]

    def signed(self) -> bool:
        """Whether the key that it names signed it, and its size is right."""
        if self.digests and len(self.digests) != (self.last - self.first + 1) * SIZE:
            return False
        return attests(self.key, bytes.fromhex(self.hash), self.signature)


class Signer:
    """Signs heads, by a key that is made from the current key of the ring and is not in Redis."""

    def __init__(self, subkeys: Mapping[str, bytes]) -> None:
        """Take the ring's subkeys for `PURPOSE`, the current one first."""
        keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in subkeys.values()]
        self._key = keys[0]
        self.trusted = frozenset(key.public_key().public_bytes_raw() for key in keys)
        """The public keys of the whole ring: a head signed before a rotation is still ours."""
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def seal(self, workspace: str, before: Seal | None, entries: Sequence[AuditEntry], at: float) -> Seal:
        """The next seal of a chain, over entries without a gap between them."""
        digests = b"".join(entry.digest() for entry in entries)
        return self._sealed(workspace, before, entries[0].seq, entries[-1].seq, at, digests)

    def loss(self, workspace: str, before: Seal | None, first: int, last: int, at: float) -> Seal:
        """A seal that says: of these numbers nothing was there."""
        return self._sealed(workspace, before, first, last, at, b"")

    def _sealed(self, workspace: str, before: Seal | None, first: int, last: int, at: float, digests: bytes) -> Seal:
        n, previous = (before.n + 1, before.hash) if before else (1, GENESIS)
        bare = Seal(workspace, n, first, last, at, previous, digests, self.public)
        signature = self.sign(bytes.fromhex(bare.hash))
        return Seal(workspace, n, first, last, at, previous, digests, self.public, signature)


def attests(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a public key of 32 bytes signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
