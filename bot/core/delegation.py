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
    """One person's. ``at`` and ``until`` in Unix seconds of the store's clock."""

    id: str
    person: Person
    """The approver, whose right it is."""
    stand_in: Person
    at: float
    until: float

    def lasts(self, now: float) -> bool:
        """Whether it is in its span."""
        return self.at <= now < self.until


class Delegations(Frozen):
    """All delegations of a workspace; ``revision`` counts the changes, so that an older value is recognised."""

    revision: int = 0
    each: tuple[Delegation, ...] = ()

    def of(self, person: Person) -> Delegation | None:
        """The one that this person made."""
        return next((found for found in self.each if same(found.person, person)), None)

    def by_id(self, id_: str) -> Delegation | None:
        """The one of that id."""
        return next((found for found in self.each if found.id == id_), None)

    def about(self, person: Person) -> tuple[Delegation, ...]:
        """Those that this person made, or stands in by."""
        return tuple(d for d in self.each if same(d.person, person) or same(d.stand_in, person))

    def lasting(self, now: float) -> tuple[Delegation, ...]:
        """Those in their span."""
        return tuple(delegation for delegation in self.each if delegation.lasts(now))

    def made(self, delegation: Delegation) -> Delegations:
        """With one more, in place of another of the same person's."""
        others = (other for other in self.each if not same(other.person, delegation.person))
        return self._with((*others, delegation))

    def without(self, id_: str) -> Delegations:
        """Without the one of that id."""
        return self._with(delegation for delegation in self.each if delegation.id != id_)

    def _with(self, each: Iterable[Delegation]) -> Delegations:
        return Delegations(revision=self.revision + 1, each=tuple(each))


def same(one: Person, other: Person) -> bool:
    """Whether two accounts are one human: by bound identity, or by account (an address may change)."""
    return one.id == other.id or (bool(one.identity) and one.identity == other.identity)
