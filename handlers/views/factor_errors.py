"""What a person reads who did not prove who they are, or whose second factor cannot be set up or reset; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.core.enrolment_errors import (
    EnrolmentLocked,
    EnrolmentOver,
    FactorsUnreadable,
    NobodyBound,
    NoEnrolmentCode,
    NothingInstalled,
    NothingToReset,
    OtherReason,
    OwnReset,
    TooManyFactors,
    WrongEnrolmentCode,
    WrongFirstCode,
)
from bot.core.factor_errors import FactorLocked, FactorsDoubted, FactorTooNew, NotEnrolled, ProofRequired, WrongProof
from handlers.views.text import clock, code, safe, when

_KINDS: Mapping[str, str] = {"totp": "the 6 digits that your authenticator app shows", "recovery": "a recovery code"}


def kinds(factors: tuple[str, ...]) -> str:
    """What can be typed as a proof, by the kinds of factors."""
    return " or ".join(_KINDS.get(kind, f"a code of {code(kind, 40)}") for kind in factors) or "a code"


def _tries(left: int) -> str:
    return "1 more try" if left == 1 else f"{left} more tries"


def _no_code(error: NoEnrolmentCode) -> str:
    if error.void:
        return "That was the fifth wrong code, so the operator's code serves no more. Ask an operator for a new one."
    return "No operator's code waits for you: it was used, is over a day old, or was never issued. Ask for a new one."


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
    NobodyBound: lambda e: (
        f"No account is bound to {code(e.address, 80)}, so there is nobody to do this for. Have that person use the "
        "bot once in Slack (`/jit`), and check the spelling."
    ),
    NoEnrolmentCode: _no_code,
    WrongEnrolmentCode: lambda e: (
        f"This is not the code that the operator issued for you. {_tries(e.tries_left).capitalize()}, "
        "then it serves no more."
    ),
    WrongFirstCode: lambda e: (
        f"Your app shows another code. Check the key and the phone's clock, and type the next code: "
        f"{_tries(e.tries_left)} before a pause."
    ),
    EnrolmentLocked: lambda e: f"Too many wrong codes in a row. You can try again at {clock(e.until)}.",
    EnrolmentOver: lambda _: (
        "This was begun again elsewhere, or the operator's code was used or is too old. Type `/jit mfa` to start again."
    ),
    FactorsUnreadable: lambda e: (
        f"The record of these second factors failed its integrity check ({safe(e.why, 60)}). "
        "Two operators can reset them: `jit people reset-factors`."
    ),
    TooManyFactors: lambda e: (
        f"You have {e.most} authenticator apps, the maximum. Two operators can reset them: `jit people reset-factors`."
    ),
    NothingInstalled: lambda e: f"The factor {code(e.kind, 40)} is not installed here. Please tell an operator.",
    OwnReset: lambda _: "You can't reset your own second factors. Two other operators have to.",
    NothingToReset: lambda e: f"{code(e.address, 80)} has no second factor and no code, so there is nothing to reset.",
    OtherReason: lambda e: (
        f"{safe(e.by, 100)} proposed this reset for another reason: {safe(e.reason, 200)}. "
        "To carry it out, give exactly that reason."
    ),
}
"""A sentence for each of them."""
