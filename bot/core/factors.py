"""A person's factors (MFA) as they are kept, and how the record of them moves on; it judges no code and does no I/O.

Each change makes the next revision. A record without factors is not the same as no record: who had factors once has a
record for ever, so that one that is deleted or put back is told from one that never was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from bot.core.frozen import Frozen

TRUSTED_AFTER: Final = 86_400
"""Seconds after which a factor that is new counts for critical roles."""
FREE_TRIES: Final = 2
"""Failures in a row that lock nothing; each one after them does."""
FIRST_LOCK: Final = 60
"""Seconds of the first lock; each failure after it doubles them."""
LONGEST_LOCK: Final = 3_600
"""Seconds that no lock exceeds."""
MOST_FACTORS: Final = 10
"""Factors that a person has at most."""
MOST_OFFER_TRIES: Final = 5
"""Wrong tries that void an enrolment code."""
RESET_STEP: Final = 1_000_000_000
"""By how much a reset moves the revision on: past all that others have seen, of which whoever resets may know less."""
OFFERED_FOR: Final = 86_400
"""Seconds within which an enrolment code serves."""


class EnrolledFactor(Frozen):
    """One factor. ``secret``: encrypted, ``keyid:base64``; ``spent``: what its provider accepted last, see `prove`.

    ``trusted_from``: when it begins to count for critical roles. ``confirmed``: whether a first code proved it.
    """

    id: str
    kind: str
    secret: str = Field(repr=False)
    spent: str = Field("", repr=False)
    enrolled_at: float
    trusted_from: float
    confirmed: bool = False


class EnrolmentOffer(Frozen):
    """An enrolment code that an operator gave out. ``mac``: of the code; ``tries``: how many were wrong."""

    mac: str = Field(repr=False)
    by: str
    until: float
    tries: int = 0


class FactorRegister(Frozen):
    """The revision of each person's record, by identity, when their factors were last enrolled, offered or reset."""

    revision: int = 0
    people: dict[str, int] = Field(default_factory=dict)


class FactorRecord(Frozen):
    """All of one person's factors. ``failures``: in a row; ``proved_at`` and ``proved_with``: the last proof."""

    revision: int = 0
    factors: tuple[EnrolledFactor, ...] = ()
    failures: int = 0
    locked_until: float = 0
    proved_at: float = 0
    proved_with: str = ""
    offer: EnrolmentOffer | None = None

    # what it says

    @property
    def usable(self) -> tuple[EnrolledFactor, ...]:
        """Those that can prove something."""
        return tuple(factor for factor in self.factors if factor.confirmed)

    @property
    def enrolment(self) -> tuple[object, ...]:
        """What only an enrolment, an offer of one or a reset changes; a proof or a failure does not."""
        return (*((each.id, each.kind, each.confirmed) for each in self.factors), self.offer)

    def factor(self, factor_id: str) -> EnrolledFactor:
        """The one with this id. Raises `KeyError`."""
        return {factor.id: factor for factor in self.factors}[factor_id]

    @property
    def tries_left(self) -> int:
        """After how many more wrong codes in a row no further one is read for a while."""
        return max(0, FREE_TRIES + 1 - self.failures)

    # how it moves on

    def with_proof(self, factor_id: str, spent: str, now: float) -> FactorRecord:
        """A code of this factor proved it, and is spent."""
        proved = self.factor(factor_id).model_copy(update={"spent": spent})
        return self._next({"factors": self._replaced(proved), **_proved(proved.kind, now)})

    def with_failure(self, now: float) -> FactorRecord:
        """A wrong code: from the third in a row on it locks, each time for longer."""
        failures = self.failures + 1
        locking = failures > FREE_TRIES
        # The exponent is bounded: 2 ** failures of a long attack would be a number of thousands of digits.
        seconds = min(FIRST_LOCK * 2 ** min(failures - FREE_TRIES - 1, 10), LONGEST_LOCK) if locking else 0
        return self._next({"failures": failures, "locked_until": now + seconds if locking else self.locked_until})

    def with_factor(
        self, factor_id: str, kind: str, secret: str, now: float, *, confirmed: bool = False, alone: bool = False
    ) -> FactorRecord:
        """With a new factor, in place of those of its kind that were never confirmed; ``alone``: of all of its kind.

        Raises `ValueError` where there would be more than `MOST_FACTORS`.
        """
        kept = [each for each in self.factors if each.kind != kind or (each.confirmed and not alone)]
        if len(kept) >= MOST_FACTORS or any(each.id == factor_id for each in kept):
            raise ValueError("too many factors, or one of this id")
        new = EnrolledFactor(
            id=factor_id,
            kind=kind,
            secret=secret,
            enrolled_at=now,
            trusted_from=now + TRUSTED_AFTER,
            confirmed=confirmed,
        )
        return self._next({"factors": (*kept, new)})

    def with_confirmed(self, factor_id: str, spent: str, now: float) -> FactorRecord:
        """The first code of a new factor proved it, and is spent; it is trusted a while from now."""
        first = {"spent": spent, "confirmed": True, "trusted_from": now + TRUSTED_AFTER}
        confirmed = self.factor(factor_id).model_copy(update=first)
        return self._next({"factors": self._replaced(confirmed), **_proved(confirmed.kind, now)})

    def without_factor(self, factor_id: str) -> FactorRecord:
        """One factor less. Raises `KeyError`."""
        gone = self.factor(factor_id)
        return self._next({"factors": tuple(each for each in self.factors if each.id != gone.id)})

    def without_factors(self) -> FactorRecord:
        """Reset: no factor, no lock, no enrolment code that still serves, and no proof that is fresh.

        Its revision is above all that any process has seen, also where the newest records are lost.
        """
        return FactorRecord(revision=self.revision + RESET_STEP)

    def with_offer(self, offer: EnrolmentOffer) -> FactorRecord:
        """With an enrolment code, in place of one that was given out before, and of what was begun with that one."""
        return self._next({"offer": offer, "factors": self.usable})

    def with_offer_tried(self) -> FactorRecord:
        """A wrong enrolment code: one try less, and none after the last."""
        offer = self.offer
        if offer is None:
            return self
        tried = offer.model_copy(update={"tries": offer.tries + 1})
        return self._next({"offer": tried if tried.tries < MOST_OFFER_TRIES else None})

    def without_offer(self) -> FactorRecord:
        """Without the enrolment code, which was used or counts no more."""
        return self._next({"offer": None})

    def with_secrets(self, secrets: Mapping[str, str]) -> FactorRecord:
        """The same factors, their secrets encrypted under another key."""
        factors = (each.model_copy(update={"secret": secrets[each.id]}) for each in self.factors)
        return self._next({"factors": tuple(factors)})

    def _replaced(self, factor: EnrolledFactor) -> tuple[EnrolledFactor, ...]:
        return tuple(factor if each.id == factor.id else each for each in self.factors)

    def _next(self, update: Mapping[str, Any]) -> FactorRecord:
        return self.model_copy(update={**update, "revision": self.revision + 1})


def _proved(kind: str, now: float) -> dict[str, Any]:
    return {"failures": 0, "locked_until": 0, "proved_at": now, "proved_with": kind}
