"""A lockdown: what is begun nowhere while it stands, who stands behind it, and who wants it lifted; it has no clock.

Two operators lift it. They are told apart by bound identity: a terminal is the person whose account types there, or it
does not count.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.request import Frozen, Person

NEEDED = 2
"""How many operators lift it."""
VOTE_FOR = 3600
"""Seconds for which the first one's word stands: half a lift that lies about for a week is forgotten about."""
BEGINS = frozenset(
    {
        "submitted",
        "approved_by_rule",
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
"""The events that ask for access, bring it nearer, or make it last: refused while a lockdown stands over a system of
theirs. What says only what has happened (granted, extended) is recorded as always, and ended."""


class Operator(Frozen):
    """Who says so. ``by`` is a Slack user id or ``cli:<user>@<host>``.

    ``person`` is None for a terminal that is nobody's: it can lock down, and counts for nothing else.
    """

    by: str
    name: str
    person: Person | None = None

    @property
    def counts_as(self) -> str:
        """What tells one operator from another; empty for one who does not count."""
        return self.person.identity if self.person else ""


class Vote(Frozen):
    """One operator's word that it be lifted. ``at`` in Unix seconds."""

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
    """All the lockdowns of a workspace; ``revision`` counts the changes, so that an older one is known for older."""

    revision: int = 0
    locks: tuple[Lock, ...] = ()

    def over(self, systems: Iterable[str]) -> tuple[Lock, ...]:
        """Those that stand over any of the systems, that of everything first."""
        wanted = {"", *systems}
        return tuple(sorted((lock for lock in self.locks if lock.system in wanted), key=lambda lock: lock.system))

    def of(self, system: str) -> Lock | None:
        """That of this very system, or of everything."""
        return next((lock for lock in self.locks if lock.system == system), None)

    def locked(self, lock: Lock) -> Lockdowns:
        """With one more, or another of the same system; its votes are its own."""
        return self._with(*self._others(lock.system), lock)

    def voted(self, lock: Lock, votes: tuple[Vote, ...]) -> Lockdowns:
        """With the words for its being lifted that count."""
        return self._with(*self._others(lock.system), lock.model_copy(update={"votes": votes}))

    def lifted(self, system: str) -> Lockdowns:
        """Without it."""
        return self._with(*self._others(system))

    def _others(self, system: str) -> tuple[Lock, ...]:
        return tuple(lock for lock in self.locks if lock.system != system)

    def _with(self, *locks: Lock) -> Lockdowns:
        return Lockdowns(revision=self.revision + 1, locks=locks)
