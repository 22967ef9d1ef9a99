"""The store API's value types and conflict errors. They decide nothing, and know nothing of Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.events import Event, GrantAttempted
from bot.core.request import Request
from bot.store.indexes.person_counters import SUBMIT_WINDOW, PersonLedger


class Superseded(Exception):
    """Compare-and-set failed: the record has another version or fence since it was read. Read and judge again."""


class GuardFailed(Exception):
    """A counter that a verdict relied on has changed: judge again. ``guard``: which."""

    def __init__(self, guard: CommitGuard) -> None:
        """Keep which guard it was."""
        super().__init__(guard.kind)
        self.guard = guard


class NotSafe(Exception):
    """No provider may be called on this record; the sentence says why, and how to fix it."""


class OtherStore(NotSafe):
    """This is another store than the one that the process began with; nothing was written."""


class Unreplicated(NotSafe):
    """The commit is written, and could be lost with the primary that took it."""


@dataclass(frozen=True)
class CommitGuard:
    """A condition that the commit script checks in Redis; the kinds are explained in commit.lua."""

    kind: str
    key: str
    a: str = ""
    b: str = ""


@dataclass(frozen=True)
class ExtraWrite:
    """One more write in the commit script, on a key that it declares."""

    command: str
    key: str
    words: tuple[str, ...]


CommitParts = tuple[tuple[CommitGuard, ...], tuple[ExtraWrite, ...]]
"""The guards and extra writes that something adds to a commit."""


@dataclass(frozen=True)
class Loaded:
    """A request as it was read at ``now``, Redis' time. ``rolled_back``: it is older than its high-water mark."""

    request: Request
    now: float
    rolled_back: bool = False


@dataclass(frozen=True)
class ClaimedRequest:
    """A due request under a lease: ``fence`` proves that it is still ours. ``request`` is None when it is missing.

    ``read_at``: when ``now`` was told, by this process' steady clock. ``rolled_back``: see `Loaded`.
    """

    id: str
    fence: str
    request: Request | None
    now: float
    read_at: float = field(default_factory=time.monotonic)
    rolled_back: bool = False


@dataclass(frozen=True)
class Change:
    """One event on its way into the record. ``before`` is None for a new request.

    ``deadline``: the commit is refused when Redis' clock has reached it. ``lease_until``: keep the claim until
    then; without it, a commit under a fence gives the claim back.
    """

    before: Request | None
    after: Request
    event: Event
    deadline: float | None = None
    fence: str = ""
    lease_until: float | None = None
    guards: tuple[CommitGuard, ...] = ()
    extra_writes: tuple[ExtraWrite, ...] = ()

    @property
    def durable(self) -> bool:
        """Whether a provider is called next, so that the commit must survive its server (see durability.py)."""
        return isinstance(self.event, GrantAttempted)


@dataclass(frozen=True)
class CommitOutcome:
    """The outcome of a commit, for observers. ``at``: Redis' time, 0 where it did not answer.

    ``status``: OK, SUPERSEDED, LATE, GUARD (see commit.lua); AWAY for no answer, UNSAFE for too few replicas.
    ``seconds``: seconds from the call to the answer.
    """

    change: Change
    status: str
    at: float
    seconds: float


@dataclass(frozen=True)
class PersonCounters:
    """A person's recent submissions and open requests. ``ledger``: as parsed; ``ledger_raw``: as stored, for the guard.

    ``open_ids``: what may be open, by the ledger or by the index; records say whether it is. ``rule_uses``: how many
    requests each rule approved, by rule key; a rule without an entry was not counted.
    """

    ledger: PersonLedger
    ledger_raw: str
    open_ids: tuple[str, ...]
    submits: int
    now: float
    rule_uses: Mapping[str, int] = field(default_factory=dict)

    def after(self, request: Request, person: str) -> PersonLedger:
        """The ledger of ``person`` with a new request."""
        return self.ledger.after(request, SUBMIT_WINDOW, person)


@dataclass(frozen=True)
class Due:
    """What is due now, oldest first, and when the next is (None when nothing waits)."""

    ids: tuple[str, ...]
    next_at: float | None
    now: float
