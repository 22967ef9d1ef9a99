"""The contract between the bot and a factor, which proves a person's presence by a code that they type.

A factor is one class. It keeps nothing and connects to nothing: the two texts that it has to remember are kept by the
bot, the secret one encrypted, and handed back at each code. It knows nothing of Slack, Redis or requests; it counts no
failures and locks nobody out. How to write one, and the tests that it must pass: `providers.factors.conformance`.

A code that proves nothing is no error. `Refused` means that what was kept cannot be read, so that no code could prove
anything; its text never carries a secret or a code.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import SecretStr

from providers.base import Frozen, ProviderError, Refused

__all__ = [
    "CodeFactor",
    "FactorCapabilities",
    "FactorEnrolment",
    "FactorLine",
    "Frozen",
    "ProviderError",
    "Refused",
]


class FactorCapabilities(Frozen):
    """What a factor is, told beforehand."""

    label: str
    """What people call it: "authenticator app"."""
    code: str
    """In words, what is typed: "the 6 digits that your app shows"."""
    longest: int
    """Characters of a code that are read at most; a longer text proves nothing."""
    shown_once: bool
    """Whether enrolling shows the codes themselves, for the person to keep. Else it shows the key of an app, and counts
    only once a first code has confirmed that the app has it."""


class FactorLine(Frozen):
    """One thing that the person is shown at enrolment, and what it is called."""

    label: str
    text: SecretStr


class FactorEnrolment(Frozen):
    """A new factor. ``secret``: all of it that has to be kept; ``lines``: what the person is shown, once."""

    secret: SecretStr
    lines: tuple[FactorLine, ...]


@runtime_checkable
class CodeFactor(Protocol):
    """What the bot needs of a factor whose codes are typed."""

    Config: ClassVar[type[Frozen]]
    """How it is set up; secret fields are `SecretStr`, resolved from references before it is built."""

    def __init__(self, config: Any) -> None:
        """Take a valid `Config`."""

    @classmethod
    def capabilities(cls) -> FactorCapabilities:
        """What this factor is. Asked of the class."""

    def enrol(self, account: str, issuer: str) -> FactorEnrolment:
        """A new, random one. ``account`` and ``issuer``: whose it is and where, as an app may show it."""

    def prove(self, secret: str, spent: str, code: str, now: float) -> str | None:
        """None where the code proves nothing; else the next ``spent``, '' at first, by which it proves nothing again.

        ``now``: Unix seconds of a clock that everybody shares. Every candidate is compared, each in constant time.
        Raises `Refused`.
        """

    def left(self, secret: str, spent: str) -> int | None:
        """How many codes can still prove something; None where they do not run out. Raises `Refused`."""
