"""An e-mail address → the identity that tells people apart; addresses that only look alike stay different people.

An identity is the ASCII-lowercase of an ASCII address. Unicode's own foldings (casefold, NFKC) make one address of
two: ``ſam@``, the Kelvin sign, ``ß``, fullwidth letters. So any other address is refused and never folded.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[!-~]{1,64}@[!-~]{1,190}")
_BARRED = re.compile(r"[<>|]|@.*@")
"""What Slack's own markup is made of, and a second ``@``."""


class NotAnIdentity(ValueError):
    """Nobody can be told apart by this. ``foreign``: the first sign that is not ASCII, empty where there is none."""

    def __init__(self, foreign: str = "") -> None:
        """Word it for whoever wrote the address."""
        super().__init__(_not_ascii(foreign) if foreign else "people are written by e-mail address")
        self.foreign = foreign


def identity_of(address: str) -> str:
    """The identity behind an address. Raises `NotAnIdentity`."""
    if foreign := next((sign for sign in address if not sign.isascii()), ""):
        raise NotAnIdentity(foreign)
    if not _ADDRESS.fullmatch(address) or _BARRED.search(address):
        raise NotAnIdentity
    return address.lower()


def identity_or_none(address: str) -> str | None:
    """The same for a search: None fits nobody."""
    try:
        return identity_of(address)
    except NotAnIdentity:
        return None


def _not_ascii(sign: str) -> str:
    """The sign by its code point, so that one that looks like another is told from it."""
    named = f"{sign} (U+{ord(sign):04X})" if sign.isprintable() else f"U+{ord(sign):04X}"
    fix = "write the address in ASCII (a domain in its xn-- form), or give the person an ASCII address"
    return f"{named} is not an ASCII letter, and can pass for one; {fix}"
