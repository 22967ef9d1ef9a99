"""A lockdown: what it forbids while it is in force, who called it, and who has voted to lift it; it has no clock.

Two operators lift it. They are distinguished by bound identity: a terminal counts as the person to whom its account is
bound, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.delegation import same_person
from bot.core.frozen import Frozen
from bot.core.request import Person

NEEDED = 2
"""How many operators lift it."""
VOTE_FOR = 3600
"""Seconds for which the first vote counts, so that an old one that everybody has forgotten lifts nothing."""
BEGINS = frozenset(
    {
        "submitted",
        "approved_by_rule",
        "drafted",
        "consented",
        "break_glass_used",
        "switched_to_break_glass",
        "endorsed",
        "approved",
        "started",
        "grant_attempted",
        "reveal_requested",
        "extension_requested",
        "extension_endorsed",
        "extension_approved",
    }
)
"""The events that request, advance or prolong access: refused while a lockdown covers a system of theirs. An event that
only says what has happened (granted, extended) is recorded as always, and the access is ended."""


class Operator(Frozen):
    """Who acts. ``by`` is a Slack user id or ``cli:<user>@<host>``.

    ``person`` is None for a terminal that is bound to nobody: it can lock down, and cannot vote.
    """

    by: str
    name: str
    person: Person | None = None

    @property
    def counts_as(self) -> str:
        """The identity that counts as one vote; empty for one who cannot vote."""
        return self.person.identity if self.person else ""

    def is_one_with(self, other: Operator) -> bool:
        """Whether both are one human, by bound identity or by account: a terminal keeps the address of before."""
        return bool(self.person and other.person and same_person(self.person, other.person))


class Vote(Frozen):
    """One operator's vote to lift it. ``at`` in Unix seconds."""

    operator: Operator
    at: float


class Lock(Frozen):
    """One lockdown: of a system, or of everything (``system`` is empty)."""

    system: str
    operator: Operator
    reason: str
    at: float
    votes: tuple[Vote, ...] = ()


class Lockdowns(Frozen):
    """All lockdowns of a workspace; ``revision`` counts the changes, so that an older value is recognised."""

    revision: int = 0
    locks: tuple[Lock, ...] = ()

    def over(self, systems: Iterable[str]) -> tuple[Lock, ...]:
        """Those that cover any of the systems, that of everything first."""
        wanted = {"", *systems}
        return tuple(sorted((lock for lock in self.locks if lock.system in wanted), key=lambda lock: lock.system))

    def of(self, system: str) -> Lock | None:
        """That of this very system, or of everything."""
        return next((lock for lock in self.locks if lock.system == system), None)

    def locked(self, lock: Lock) -> Lockdowns:
        """With one more, or another of the same system; its votes are its own."""
        return self._with(*self._others(lock.system), lock)

    def voted(self, lock: Lock, votes: tuple[Vote, ...]) -> Lockdowns:
        """With the votes that count."""
        return self._with(*self._others(lock.system), lock.model_copy(update={"votes": votes}))

    def lifted(self, system: str) -> Lockdowns:
        """Without it."""
        return self._with(*self._others(system))

    def _others(self, system: str) -> tuple[Lock, ...]:
        return tuple(lock for lock in self.locks if lock.system != system)

    def _with(self, *locks: Lock) -> Lockdowns:
        return Lockdowns(revision=self.revision + 1, locks=locks)
