"""Refusals for want of a proof by a second factor, as types with facts; it words nothing for people.

::

    JitError (errors.py)
    └── NotProved
        ├── ProofRequired   no code was given: a form asks for it
        ├── NotEnrolled     the person has no factor that counts here
        ├── WrongProof      the code does not prove it, or was used already
        ├── FactorLocked    too many wrong codes in a row: none is read before a time
        ├── FactorTooNew    the factor was enrolled too lately for a critical role
        └── FactorsDoubted  what is stored of the person's factors cannot be trusted
"""

from __future__ import annotations

from bot.core.errors import JitError
from bot.core.proof import ProofUse


class NotProved(JitError):
    """Nothing was done: the policy asks for a proof. ``use``: what for."""

    def __init__(self, use: ProofUse, about: str = "") -> None:
        """Keep what it is asked for."""
        super().__init__(about or str(use))
        self.use = use


class ProofRequired(NotProved):
    """A code is needed. ``factors``: the kinds of the person's factors that count here."""

    def __init__(self, use: ProofUse, factors: tuple[str, ...]) -> None:
        """Keep which factors there are."""
        super().__init__(use, f"{use}: {', '.join(factors)}")
        self.factors = factors


class NotEnrolled(NotProved):
    """The person has no factor of these kinds."""

    def __init__(self, use: ProofUse, factors: tuple[str, ...]) -> None:
        """Keep which would do."""
        super().__init__(use, f"{use}: none of {', '.join(factors)}")
        self.factors = factors


class WrongProof(NotProved):
    """The code is wrong, too old, or was used already. ``tries_left``: before a pause."""

    def __init__(self, use: ProofUse, tries_left: int) -> None:
        """Keep how many more tries there are."""
        super().__init__(use, f"{use}: {tries_left} left")
        self.tries_left = tries_left


class FactorLocked(NotProved):
    """No code of this person is read before ``until``, Unix seconds."""

    def __init__(self, use: ProofUse, until: float) -> None:
        """Keep until when."""
        super().__init__(use, f"{use}: until {until:.0f}")
        self.until = until


class FactorTooNew(NotProved):
    """The person's factors are too new for a critical role; the first one is old enough at ``trusted_from``."""

    def __init__(self, use: ProofUse, trusted_from: float) -> None:
        """Keep from when it will do."""
        super().__init__(use, f"{use}: from {trusted_from:.0f}")
        self.trusted_from = trusted_from


class FactorsDoubted(NotProved):
    """What is stored of the person's factors cannot be trusted, so none of them counts. ``why``: in words."""

    def __init__(self, use: ProofUse, why: str) -> None:
        """Keep why."""
        super().__init__(use, f"{use}: {why}")
        self.why = why
