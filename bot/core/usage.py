"""Who has, or has requested, a role or a system: the approved and open requests that limits count, and recent denials.

Values only; a request counts once for a role or system, however many of its roles are on it.
"""

from __future__ import annotations

import math
from typing import Literal

from bot.core.frozen import Frozen
from bot.core.request import LegState, Person, Request, State

DAY, WEEK = 86_400, 7 * 86_400
"""Seconds over which approvals are counted: any 24 hours, any 7 days."""
_LEG_LIVE = frozenset({LegState.WAITING, LegState.GRANTING, LegState.ACTIVE, LegState.REVOKING})
_DECIDED = frozenset({State.SCHEDULED, State.GRANTING, State.ACTIVE, State.REVOKING})


class UsageEntry(Frozen):
    """One request for a role or system. ``by``: the requester's Slack account. Times in Unix seconds, 0 for not yet.

    ``granting_at``: when granting began; ``opened``: whether access may have been granted; ``live``: see `is_live`.
    """

    id: str
    by: str
    identity: str = ""
    requested_at: float
    approved_at: float = 0
    granting_at: float = 0
    opened: bool = False
    live: bool = True

    def outranks(self, request: Request) -> bool:
        """Whether it counts before an approved request that is not granted yet."""
        if self.opened:
            return True
        mine = self.granting_at or math.inf, self.approved_at, self.id
        return bool(self.approved_at) and mine < (request.begun_at or math.inf, request.approved_at, request.id)


class PastDenial(Frozen):
    """A denied request of this person for a role or system."""

    id: str
    by: str
    identity: str = ""
    at: float


class Usage(Frozen):
    """What is counted for one role or system."""

    uses: tuple[UsageEntry, ...] = ()
    denials: tuple[PastDenial, ...] = ()

    def live(self) -> tuple[UsageEntry, ...]:
        """The approved requests that have, get or lose access, scheduled ones too."""
        return tuple(entry for entry in self.uses if entry.live and entry.approved_at)

    def of(self, person: Person) -> tuple[UsageEntry, ...]:
        """This person's, by identity or account."""
        return tuple(entry for entry in self.uses if is_of(entry, person))

    def approved_within(self, seconds: float, now: float) -> tuple[UsageEntry, ...]:
        """The requests approved within the last ``seconds``, in any state."""
        return tuple(entry for entry in self.uses if entry.approved_at > now - seconds)

    def without(self, id_: str) -> Usage:
        """The same without one request."""
        return self.model_copy(update={"uses": tuple(entry for entry in self.uses if entry.id != id_)})

    def with_entry(self, entry: UsageEntry) -> Usage:
        """The same with the current entry of one request."""
        return self.model_copy(update={"uses": (*self.without(entry.id).uses, entry)})


class LimitHit(Frozen):
    """The limit of ``scope`` (a role as ``system/role``, or a system) that leaves no room for one more.

    ``limit``: how many, or of a cooldown its seconds. ``until``: when there is room again, Unix seconds; 0 where nobody
    knows. ``personal``: the limit of each person.
    """

    scope: str
    kind: Literal["live", "per_day", "per_week", "cooldown"]
    limit: int
    until: float = 0
    personal: bool = False


class Conflict(Frozen):
    """``mine``: the side that is requested; ``other``: the side that the same person already has, or has requested.

    ``request``: the request by which they have it; empty where they have it without one, or ask for both in one.
    """

    mine: str
    other: str
    request: str = ""


def is_of(what: UsageEntry | PastDenial, person: Person) -> bool:
    """Whether two accounts are one human: by bound identity, or by account."""
    return what.by == person.id or (bool(what.identity) and what.identity == person.identity)


def usage_entry(request: Request, scope: str) -> UsageEntry:
    """The entry of a request for a role or system, as its record is."""
    who = request.requester
    return UsageEntry(
        id=request.id,
        by=who.id,
        identity=who.identity,
        requested_at=request.created_at,
        approved_at=request.approved_at,
        granting_at=request.begun_at,
        opened=bool(request.opened_at) or any(leg.attempts for leg in request.legs),
        live=is_live(request, scope),
    )


def is_live(request: Request, scope: str) -> bool:
    """Whether the request has, or may get, access to the role or system; a pending one may get it."""
    if request.state is State.PENDING:
        return concerns(request, scope)
    return request.state in _DECIDED and any(
        leg.state in _LEG_LIVE for leg in request.legs if scope in names(leg.role.system, leg.role.role)
    )


def concerns(request: Request, scope: str) -> bool:
    """Whether a role of the request is that role, or on that system."""
    return any(scope in names(leg.role.system, leg.role.role) for leg in request.legs)


def names(system: str, role: str) -> tuple[str, str]:
    """Under which names a role is counted: its own, and its system's."""
    return f"{system}/{role}", system
