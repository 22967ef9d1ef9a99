"""What a person reads who did not prove who they are, or whose second factor cannot be set up or reset; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.core.factor_errors import FactorLocked, FactorsDoubted, FactorTooNew, NotEnrolled, ProofRequired, WrongProof
from handlers.views.text import clock, code, safe, when

_KINDS: Mapping[str, str] = {"totp": "the 6 digits that your authenticator app shows", "recovery": "a recovery code"}


def kinds(factors: tuple[str, ...]) -> str:
    """What can be typed as a proof, by the kinds of factors."""
    return " or ".join(_KINDS.get(kind, f"a code of {code(kind, 40)}") for kind in factors) or "a code"


def _tries(left: int) -> str:
    return "1 more try" if left == 1 else f"{left} more tries"


def _doubted(why: str) -> str:
    said = "What is stored of your second factors failed its integrity check"
    return f"{said} ({safe(why, 100)}). The operators were notified; ask them to reset your factors."


WORDS: Mapping[type[Exception], Callable[[Any], str]] = {
    ProofRequired: lambda e: f"This needs a second factor: type {kinds(e.factors)}.",
    NotEnrolled: lambda _: (
        "You have no second factor yet. Ask an operator for a code (`jit people enrol-code`), then type `/jit mfa`."
    ),
    WrongProof: lambda e: (
        f"This code is wrong, too old or already used. {_tries(e.tries_left).capitalize()} before a pause; "
        "wait for your app's next code."
    ),
    FactorLocked: lambda e: f"Too many wrong codes in a row. You can try again at {clock(e.until)}.",
    FactorTooNew: lambda e: (
        f"Your second factor is new: it counts for critical roles from {when(e.trusted_from)}. "
        "Until then, ask somebody else, or choose a role that is less critical."
    ),
    FactorsDoubted: lambda e: _doubted(e.why),
}
"""A sentence for each of them."""
