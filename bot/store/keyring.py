"""The keys that seal and encrypt: a ring whose first key does it and whose others still can undo it; it shows none."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_TAG = re.compile(r"[A-Za-z0-9_-]{1,16}:[0-9a-f]{64}")
_LINE = re.compile(r"^([A-Za-z0-9_-]{1,16}):([A-Za-z0-9+/=_-]{43,44})$")
_READABLE_BY_OTHERS = 0o077
_MOST_BYTES = 65_536
_NONCE = 12
"""Bytes of an AES-GCM nonce; random ones are safe for 2^32 messages a key (NIST SP 800-38D, 8.3)."""


class BadKeys(ValueError):
    """A key ring that cannot be used; the message says how to mend it and shows no key."""


class CannotDecrypt(Exception):
    """A text that no key of the ring encrypted for this purpose and place; the message shows nothing of it."""


class KeyRing:
    """Keys by id. ``mac`` uses the first, ``verify`` any; each purpose has a subkey of its own (HKDF, RFC 5869)."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take at least one key of 32 bytes."""
        if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise BadKeys(f"a key ring has at least one key, and each has {KEY_BYTES} bytes")
        self._keys = dict(keys)
        self._current = next(iter(keys))
        self._subkeys: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        """Only which keys there are."""
        return f"KeyRing({', '.join(self._keys)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """Which keys there are, the current one first."""
        return tuple(self._keys)

    @classmethod
    def generate(cls, id_: str = "k1") -> KeyRing:
        """A ring of one new key."""
        return cls({id_: secrets.token_bytes(KEY_BYTES)})

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """``id:base64`` parts, separated by commas or lines; the first is the current one. Raises `BadKeys`."""
        keys: dict[str, bytes] = {}
        for number, part in enumerate(re.split(r"[,\s]+", text.strip(", \t\r\n")), start=1):
            found = _LINE.match(part)
            if not found:
                raise BadKeys(f"key {number} is not of the form `id:base64 of {KEY_BYTES} bytes`; `jit keys` makes one")
            if found[1] in keys:
                raise BadKeys(f"the key id {found[1]} is there twice")
            try:
                keys[found[1]] = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_")
            except binascii.Error:
                raise BadKeys(f"key {number} is not base64; `jit keys` makes one") from None
        return cls(keys)

    @classmethod
    def load_or_create(cls, path: Path) -> KeyRing:
        """The ring of a file, made on first use. Raises `BadKeys` when others may read it."""
        if path.exists():
            return cls.parse(_private_text(path))
        ring = cls.generate()
        # Written aside and linked whole: whoever comes second, or after a crash, finds a complete ring or none.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(ring.spelled() + "\n")
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(draft)
        except FileExistsError:
            return cls.parse(_private_text(path))
        finally:
            draft.unlink()
        return ring

    def spelled(self) -> str:
        """The ring as `parse` reads it: for the file it is kept in, and for nothing else."""
        return "\n".join(f"{id_}:{base64.b64encode(key).decode()}" for id_, key in self._keys.items())

    def mac(self, purpose: str, message: bytes) -> str:
        """``keyid:hex``, HMAC-SHA256 (RFC 2104) with the purpose's subkey of the current key."""
        return f"{self._current}:{self._digest(self._current, purpose, message).hex()}"

    def verify(self, purpose: str, message: bytes, tag: str) -> bool:
        """Whether a key of this ring made the tag; compared in constant time."""
        id_, _, given = tag.partition(":")
        if id_ not in self._keys:
            return False
        expected = self._digest(id_, purpose, message).hex()
        return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))

    def may_lack_key_of(self, tag: str) -> bool:
        """Whether a tag has the form of one by a key that is not in this ring, as before and after a rotation."""
        return bool(_TAG.fullmatch(tag)) and tag.partition(":")[0] not in self._keys

    def encrypt(self, purpose: str, plain: bytes, bound: bytes) -> str:
        """``keyid:base64url`` of nonce and ciphertext, AES-256-GCM under the current key.

        ``bound``: where it belongs; in another place it cannot be decrypted.
        """
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher(self._current, purpose).encrypt(nonce, plain, bound)
        return f"{self._current}:{base64.urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, purpose: str, text: str, bound: bytes) -> bytes:
        """What was encrypted for this purpose and place, by any key of the ring. Raises `CannotDecrypt`."""
        id_, _, encoded = text.partition(":")
        if id_ not in self._keys:
            raise CannotDecrypt("the key that encrypted it is not among JIT_KEYS here")
        try:
            sealed = base64.b64decode(encoded.encode("ascii"), altchars=b"-_", validate=True)
            return self._cipher(id_, purpose).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (ValueError, InvalidTag):
            # Without a cause: a decoder's error would show part of the text.
            raise CannotDecrypt("it was not encrypted by us for this place") from None

    def is_current(self, text: str) -> bool:
        """Whether a tag or an encrypted text is of the key that is current now."""
        return text.partition(":")[0] == self._current

    def subkeys(self, purpose: str) -> Mapping[str, bytes]:
        """Each key's subkey of 32 bytes, by id, the current first: the seed of what is made from it, never shown."""
        return {id_: self._subkey(id_, purpose) for id_ in self._keys}

    def _cipher(self, id_: str, purpose: str) -> AESGCM:
        # A name that no MAC's purpose has: one key never serves two algorithms.
        return AESGCM(self._subkey(id_, f"encrypt {purpose}"))

    def _digest(self, id_: str, purpose: str, message: bytes) -> bytes:
        return hmac.digest(self._subkey(id_, purpose), message, hashlib.sha256)

    def _subkey(self, id_: str, purpose: str) -> bytes:
        subkey = self._subkeys.get((id_, purpose))
        if subkey is None:
            info = f"jit {purpose}".encode()
            subkey = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._keys[id_])
            self._subkeys[id_, purpose] = subkey
        return subkey


def _private_text(path: Path) -> str:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _READABLE_BY_OTHERS:
            raise BadKeys(f"{path} can be read by others; run `chmod 600 {path}`")
        content = file.read(_MOST_BYTES)
    # Anything else than ASCII becomes a sign that no key has; the error of a decoder would show the content.
    return content.decode("ascii", errors="replace")
