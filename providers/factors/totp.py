"""Codes of an authenticator app: TOTP (RFC 6238) with SHA-1, 6 digits and 30 seconds, which every app can do.

Each time step proves once. A clock that is one step off either way still proves (RFC 6238, 5.2).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from typing import ClassVar, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from pydantic import SecretStr

from providers.factors.base import FactorCapabilities, FactorEnrolment, FactorLine, Frozen, Refused

_DIGITS: Final = 6
_STEP: Final = 30
_SEED_BYTES: Final = 20
"""160 bits, the length of SHA-1's output (RFC 4226, 4, R6)."""
_DRIFT: Final = 1
_LONGEST: Final = 12
_CODE: Final = re.compile(r"[0-9]{6}")
_SPENT: Final = re.compile(r"[0-9]{1,15}")


class TotpConfig(Frozen):
    """There is nothing to choose: apps disagree on everything but these figures."""


class Totp:
    """See the module."""

    Config: ClassVar[type[Frozen]] = TotpConfig

    def __init__(self, config: TotpConfig) -> None:
        """Take it."""

    @classmethod
    def capabilities(cls) -> FactorCapabilities:
        """An app that shows six digits."""
        return FactorCapabilities(
            label="authenticator app", code="the 6 digits that your app shows", longest=_LONGEST, shown_once=False
        )

    def enrol(self, account: str, issuer: str) -> FactorEnrolment:
        """A new seed, to be typed into an app or handed to it as an address."""
        seed = base64.b32encode(secrets.token_bytes(_SEED_BYTES)).decode()
        grouped = " ".join(seed[at : at + 4] for at in range(0, len(seed), 4))
        lines = (
            FactorLine(label="Key", text=SecretStr(grouped)),
            FactorLine(label="Address", text=SecretStr(_address(seed, account, issuer))),
        )
        return FactorEnrolment(secret=SecretStr(seed), lines=lines)

    def prove(self, secret: str, spent: str, code: str, now: float) -> str | None:
        """The time step whose code it is, the last that is spent from then on; None for a wrong or spent one."""
        hotp = _hotp(secret)
        if spent and not _SPENT.fullmatch(spent):
            raise Refused("the last time step of this authenticator app cannot be read")
        typed = "".join(code.split()) if len(code) <= _LONGEST else ""
        if not _CODE.fullmatch(typed):
            return None
        last, current, proved = int(spent or "-1"), int(now // _STEP), None
        # All are compared, whichever fits: the time that it takes tells nothing of them.
        for step in range(current - _DRIFT, current + _DRIFT + 1):
            same = hmac.compare_digest(hotp.generate(max(step, 0)), typed.encode())
            # Two steps can have one code: the later one is spent, and with it the earlier.
            proved = step if same and step > last else proved
        return None if proved is None else str(proved)

    def left(self, secret: str, spent: str) -> int | None:  # noqa: ARG002 -- an app makes codes for ever
        """They do not run out."""
        return None


def _hotp(secret: str) -> HOTP:
    try:
        seed = base64.b32decode(secret)
    except (binascii.Error, ValueError):
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise Refused("the key of this authenticator app cannot be read")
    return HOTP(seed, _DIGITS, SHA1())  # noqa: S303 -- HMAC-SHA-1, which RFC 6238 asks for, is not broken


def _address(seed: str, account: str, issuer: str) -> str:
    # Spaces as %20: apps show the + of a form's encoding. A colon parts the issuer from the account.
    name, who = quote(issuer.replace(":", " "), safe=""), quote(account.replace(":", " "), safe="@")
    figures = f"algorithm=SHA1&digits={_DIGITS}&period={_STEP}"
    return f"otpauth://totp/{name}:{who}?secret={seed}&issuer={name}&{figures}"
