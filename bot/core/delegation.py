"""A delegation: who answers in whose place, and until when; it gives nobody a right that the policy does not.

Whether a stand-in counts is judged at each decision (bot/policy/stand_ins.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.frozen import Frozen
from bot.core.request import Person

MOST = 500
"""How many delegations a workspace has at a time."""


class Delegation(Frozen):
    """Who stands in for an approver, and when. ``at`` and ``until`` in Unix seconds of the store's clock."""

    id: str
    person: Person
    """The approver, whose right it is."""
    stand_in: Person
    at: float
    until: float

    def is_active(self, now: float) -> bool:
        """Whether it has begun and not ended."""
        return self.at <= now < self.until


class Delegations(Frozen):
    """All delegations of a workspace; ``revision`` counts the changes, so that an older value is recognised."""

    revision: int = 0
    each: tuple[Delegation, ...] = ()

    def made_by(self, person: Person) -> Delegation | None:
        """The delegation that this person made."""
        return next((found for found in self.each if same_person(found.person, person)), None)

    def by_id(self, id_: str) -> Delegation | None:
        """The one of that id."""
        return next((found for found in self.each if found.id == id_), None)

    def concerning(self, person: Person) -> tuple[Delegation, ...]:
        """The delegations that this person made, or by which they stand in."""
        return tuple(d for d in self.each if same_person(d.person, person) or same_person(d.stand_in, person))

    def active(self, now: float) -> tuple[Delegation, ...]:
        """The delegations that have begun and not ended."""
        return tuple(delegation for delegation in self.each if delegation.is_active(now))

    def with_delegation(self, delegation: Delegation) -> Delegations:
        """With one more; it replaces an earlier one of the same person."""
        others = (other for other in self.each if not same_person(other.person, delegation.person))
        return self._with((*others, delegation))

    def without(self, id_: str) -> Delegations:
        """Without the one of that id."""
        return self._with(delegation for delegation in self.each if delegation.id != id_)

    def _with(self, each: Iterable[Delegation]) -> Delegations:
        return Delegations(revision=self.revision + 1, each=tuple(each))


def same_person(one: Person, other: Person) -> bool:
    """Whether two accounts are one human: by bound identity, or by account (an address may change)."""
    return one.id == other.id or (bool(one.identity) and one.identity == other.identity)
