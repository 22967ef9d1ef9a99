"""Recovery codes: ten codes on paper or in a safe, each of which proves once, for when the other factor is lost.

Only salted hashes are kept. A code has 50 random bits, so no word list helps, and a fast hash is enough: the hashes are
kept encrypted, and who can decrypt them can read the seeds of authenticator apps beside them, which are not hashed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import ClassVar, Final

from pydantic import SecretStr

from providers.factors.base import FactorCapabilities, FactorEnrolment, FactorLine, Frozen, Refused

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 letters, 5 bits each, without 0, O, 1 and I."""
_LETTERS: Final = 10
_CODES: Final = 10
_LONGEST: Final = 24
_SALT_BYTES: Final = 16
_CODE: Final = re.compile(rf"[{_ALPHABET}]{{{_LETTERS}}}")
_SECRET: Final = re.compile(r"[0-9a-f]{32}(:[0-9a-f]{64}){1,20}")
_SPENT: Final = re.compile(r"([0-9]{1,2}(,[0-9]{1,2}){0,19})?")


class RecoveryConfig(Frozen):
    """There is nothing to choose."""


class RecoveryCodes:
    """See the module."""

    Config: ClassVar[type[Frozen]] = RecoveryConfig

    def __init__(self, config: RecoveryConfig) -> None:
        """Take it."""

    @classmethod
    def capabilities(cls) -> FactorCapabilities:
        """Codes that the person keeps."""
        return FactorCapabilities(
            label="recovery code", code="one of your recovery codes", longest=_LONGEST, shown_once=True
        )

    def enrol(self, account: str, issuer: str) -> FactorEnrolment:  # noqa: ARG002 -- no app shows whose they are
        """Ten new codes."""
        salt = secrets.token_bytes(_SALT_BYTES)
        codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS)) for _ in range(_CODES)]
        kept = ":".join((salt.hex(), *(_hashed(salt, code) for code in codes)))
        lines = (FactorLine(label=f"Code {n}", text=SecretStr(f"{c[:5]}-{c[5:]}")) for n, c in enumerate(codes, 1))
        return FactorEnrolment(secret=SecretStr(kept), lines=tuple(lines))

    def prove(self, secret: str, spent: str, code: str, now: float) -> str | None:  # noqa: ARG002 -- they do not age
        """Which codes were used, this one among them, by their places; None for a wrong or used one."""
        if not _SECRET.fullmatch(secret) or not _SPENT.fullmatch(spent):
            raise Refused("these recovery codes cannot be read")
        # Only ASCII: upper() turns other letters into some of ours.
        read = code if len(code) <= _LONGEST and code.isascii() else ""
        typed = "".join(read.upper().replace("-", "").split())
        if not _CODE.fullmatch(typed):
            return None
        salt, *hashes = secret.split(":")
        hashed = _hashed(bytes.fromhex(salt), typed)
        # All are compared, whichever fits: the time that it takes tells nothing of them.
        fits = [place for place, kept in enumerate(hashes) if hmac.compare_digest(kept, hashed)]
        used = {int(place) for place in spent.split(",") if place}
        if not fits or fits[0] in used:
            return None
        return ",".join(map(str, sorted({*used, fits[0]})))

    def left(self, secret: str, spent: str) -> int | None:
        """Those that were not used."""
        if not _SECRET.fullmatch(secret) or not _SPENT.fullmatch(spent):
            raise Refused("these recovery codes cannot be read")
        return secret.count(":") - len({place for place in spent.split(",") if place})


def _hashed(salt: bytes, code: str) -> str:
    return hmac.digest(salt, code.encode(), hashlib.sha256).hex()
