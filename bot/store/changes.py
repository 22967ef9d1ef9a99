"""What passes between the store and those who decide: changes on their way in, records and claims on their way out.

Plain values, which know nothing of Redis; they decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.events import Attempted, Event
from bot.core.model import Request


class Superseded(Exception):
    """The record moved on since it was read, or another worker holds it: read again and judge again."""


class GuardFailed(Exception):
    """A counter that a verdict relied on has changed: judge again. ``guard`` is the one that failed."""

    def __init__(self, guard: Guard) -> None:
        """Keep which guard it was."""
        super().__init__(guard.word)
        self.guard = guard


class NotSafe(Exception):
    """On this record no provider may be called; the sentence says why, and how to mend it."""


class OtherStore(NotSafe):
    """This is another store than the one that the process began with; nothing was written."""


class Unreplicated(NotSafe):
    """It is written, and might be lost with the server that took it."""


@dataclass(frozen=True)
class Guard:
    """A condition that the commit checks in Redis; the words are explained in commit.lua."""

    word: str
    key: str
    a: str = ""
    b: str = ""


@dataclass(frozen=True)
class Op:
    """One more write in the same script, on a key that it declares."""

    command: str
    key: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """A request as it was read, and when, by the store's clock."""

    request: Request
    now: float


@dataclass(frozen=True)
class Claimed:
    """A due request under a lease: ``fence`` proves that it is still ours. ``request`` is None when it is missing.

    ``taken``: when ``now`` was told, by this process' steady clock.
    """

    id: str
    fence: str
    request: Request | None
    now: float
    taken: float = field(default_factory=time.monotonic)


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
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()

    @property
    def durable(self) -> bool:
        """Whether a provider acts on it next: the record must then be where it survives, at a price (see barrier)."""
        return isinstance(self.event, Attempted)


@dataclass(frozen=True)
class Answered:
    """What became of a change, for whoever watches. ``at``: by the store's clock, 0 where it did not say.

    ``word``: OK, SUPERSEDED, LATE, GUARD (see commit.lua); AWAY for no answer, UNSAFE for too few replicas.
    ``took``: seconds from the call to the answer.
    """

    change: Change
    word: str
    at: float
    took: float


@dataclass(frozen=True)
class Counters:
    """What a person has open and asked lately, at ``revision``; ``ruled``: what each rule approved, by its key."""

    revision: str
    open_ids: tuple[str, ...]
    submits: int
    now: float
    ruled: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """What is due now, oldest first, and when the next is (None when nothing waits)."""

    ids: tuple[str, ...]
    next_at: float | None
    now: float
