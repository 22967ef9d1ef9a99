"""Counts the events of a span of days: decisions, grants, trouble, and what still waits for somebody; pure.

An event that does not fit its request counts as unread, and changes nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bot.core import lifecycle
from bot.core.audit_chain import AuditEntry
from bot.core.events import EVENT, ClosedManually, Consented, Event, Granted, Revoked
from bot.core.given_inputs import spelled
from bot.core.happening import Requested
from bot.core.illegal_event import IllegalEvent
from bot.core.request import Ending, Leg, LegState, Request, State
from bot.core.transitions import LEG_MAY_HAVE_ACCESS

LATE = 60.0
"""Seconds after which a revocation is late: a minute for the call, the read-back, and a busy moment."""
RANKS = ("critical", "high", "medium", "low")
"""Sensitivities, the most harmful first."""
_DECIDED = frozenset({"approved", "denied"})
_LONGEST = 200


@dataclass(frozen=True)
class DecisionTime:
    """How long one decision took, in seconds from the request."""

    id: str
    who: str
    what: str
    by: str
    seconds: float


@dataclass(frozen=True)
class Grant:
    """Access of one person by one request. ``ends_at``: when it ended, or will; Unix seconds.

    ``sensitivity``: of its most sensitive role. ``unconfirmed``: the system did not confirm that it was granted.
    ``over``: it was open when the span ended, and has ended since.
    """

    id: str
    who: str
    roles: tuple[str, ...]
    sensitivity: str
    opened_at: float
    ends_at: float
    closed: bool
    unconfirmed: bool = False
    over: bool = False
    given: str = ""
    """What the requester gave for the roles' inputs."""


@dataclass(frozen=True)
class Trouble:
    """A revocation that was ``late``, is ``stuck``, or is ``unverified``; ``seconds`` after it was due.

    ``over``: it was stuck when the span ended, and was revoked since.
    """

    kind: str
    id: str
    who: str
    roles: tuple[str, ...]
    seconds: float
    said: str
    over: bool = False


@dataclass(frozen=True)
class WaitingRequest:
    """A request that nobody has decided yet. ``decide_by`` in Unix seconds."""

    id: str
    who: str
    what: str
    sensitivity: str
    decide_by: float


@dataclass(frozen=True)
class UnreviewedAccess:
    """Break-glass access that nobody has reviewed yet. ``review_by`` in Unix seconds; ``overdue``: it is past."""

    id: str
    who: str
    what: str
    review_by: float
    overdue: bool


@dataclass
class SystemCounts:
    """The activity of one system: requests, roles granted and revoked."""

    asked: int = 0
    opened: int = 0
    closed: int = 0


@dataclass
class DayCounts:
    """Counts over [``since``, ``until``), as known at ``now``; Unix seconds.

    ``kinds`` counts the events of requests, ``notes`` all others. What happened from ``until`` to ``now`` is not
    counted: it only tells what needs nobody any more.
    """

    since: float
    until: float
    now: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    policies: list[tuple[str, str]] = field(default_factory=list)
    decisions: list[DecisionTime] = field(default_factory=list)
    opened: list[Grant] = field(default_factory=list)
    standing: list[Grant] = field(default_factory=list)
    trouble: list[Trouble] = field(default_factory=list)
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    systems: dict[str, SystemCounts] = field(default_factory=dict)
    waiting: list[WaitingRequest] = field(default_factory=list)
    unreviewed: list[UnreviewedAccess] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    """Requested roles, as system/role."""
    requesters: set[str] = field(default_factory=set)
    approvers: set[str] = field(default_factory=set)
    """Bound identities."""
    accepted_by_rule: int = 0
    """What a rule approved when the person accepted it whom it was requested for."""
    unread: int = 0
    _due: float = field(default=0.0, init=False)

    def count(self, entry: AuditEntry) -> None:
        """One event of the span, whatever it is about."""
        (self.kinds if entry.version else self.notes)[entry.kind] += 1
        if entry.version:
            return
        facts = _facts(entry)
        match entry.kind:
            case "refused":
                self.refused[_text(facts, "by"), _text(facts, "verb"), _text(facts, "about")] += 1
            case "found":
                self.found[_text(facts, "found")] += 1
            case "policy":
                self.policies.append((_text(facts, "was"), _text(facts, "now")))

    def replay(self, entries: Iterable[AuditEntry]) -> None:
        """All events of one request until ``now``, in order."""
        request: Request | None = None
        at_end: Request | None = None
        for entry in entries:
            if not entry.version:
                continue
            try:
                event = EVENT.validate_json(entry.event)
                after = lifecycle.begin(event) if isinstance(event, Requested) else _advanced(request, event)
            except (ValidationError, IllegalEvent):
                self.unread += self.since <= entry.at < self.until
                continue
            if entry.at < self.until:
                self._step(None if isinstance(event, Requested) else request, after, event, entry.at)
                at_end = after
            request = after
        if at_end and request:
            self._ended(at_end, request)
        if request and request.state is State.PENDING and request.decide_by > self.now:
            self.waiting.append(_waiting(request))
        if request and request.break_glass and request.lacks_review:
            due = request.break_glass.review_by
            who, what = request.requester.email, _title(request)
            self.unreviewed.append(UnreviewedAccess(request.id, who, what, due, due <= self.now))

    def _step(self, before: Request | None, after: Request, event: Event, at: float) -> None:
        self._due = _should_close(before, after, event, self._due)
        if self.since <= at:
            self._saw(before, after, event)

    def _saw(self, before: Request | None, after: Request, event: Event) -> None:
        if isinstance(event, Requested):
            self.requesters.add(after.requester.identity)
            self.roles |= {leg.role.name for leg in after.legs}
            for system in {leg.role.system for leg in after.legs}:
                self._busy(system).asked += 1
        self.accepted_by_rule += isinstance(event, Consented) and event.rule is not None
        if isinstance(event, Granted):
            self._busy(after.legs[event.leg].role.system).opened += 1
        if isinstance(event, Revoked):
            self._busy(after.legs[event.leg].role.system).closed += 1
        if event.kind in _DECIDED:
            self.decisions.append(_decision(after, event))
            self.approvers |= {review.by.identity for review in after.reviews}
        if event.by == "policy" and event.kind in {"ended_early", "cancelled"}:
            self.taken.append((after.id, after.requester.email, after.closed_reason))
        if before and before.is_closing and after.is_over:
            self._closed(before, after, event)

    def _closed(self, before: Request, after: Request, event: Event) -> None:
        late = event.at - self._due
        if isinstance(event, ClosedManually):
            stood = [leg for leg in before.legs if leg.state in LEG_MAY_HAVE_ACCESS]
            self.trouble.append(_trouble("unverified", after, stood, late, f"by {event.by}: {event.reason}"))
        elif late > LATE:
            self.trouble.append(_trouble("late", after, after.legs, late, _errors(before)))

    def _ended(self, request: Request, later: Request) -> None:
        """What is open when the span ends. ``later``: the same request as it is known now."""
        open_ = [leg for leg in request.legs if leg.state in LEG_MAY_HAVE_ACCESS and leg.attempts]
        over = not any(leg.state in LEG_MAY_HAVE_ACCESS for leg in later.legs)
        if request.granted_at and self.since <= request.granted_at < self.until:
            self.opened.append(_grant(request, request.legs))
        if open_:
            self.standing.append(_grant(request, open_, over=over))
            due = self._due if request.state is State.REVOKING else request.ends_at
            if due and self.until - due > LATE:
                late = self.until - due
                self.trouble.append(_trouble("stuck", request, open_, late, _errors(request), over=over))

    def _busy(self, system: str) -> SystemCounts:
        return self.systems.setdefault(system, SystemCounts())


def _advanced(request: Request | None, event: Event) -> Request:
    if request is None:
        raise IllegalEvent(f"{event.kind} of a request that was never submitted")
    return lifecycle.advance(request, event)


def _should_close(before: Request | None, after: Request, event: Event, due: float) -> float:
    """When it has to be revoked: at its end, or when somebody ended it."""
    if before is None:
        return 0.0
    if after.state is not State.REVOKING or before.state is State.REVOKING:
        return due
    return after.ends_at if after.ending is Ending.EXPIRED else event.at


def _decision(after: Request, event: Event) -> DecisionTime:
    by = after.reviews[-1].by.email if after.reviews else event.by
    since = after.consented_at or after.created_at
    return DecisionTime(after.id, _who(after), _title(after), by, max(0.0, event.at - since))


def _waiting(request: Request) -> WaitingRequest:
    most = min((leg.role.sensitivity for leg in request.legs), key=_rank)
    return WaitingRequest(request.id, _who(request), _title(request), most, request.decide_by)


def _who(request: Request) -> str:
    """Whose access it is, and who requested it for them."""
    requested_by = request.requested_by
    return f"{request.requester.email} (requested by {requested_by.email})" if requested_by else request.requester.email


def _title(request: Request) -> str:
    given = spelled(request)
    return f"{request.title} ({given})" if given else request.title


def _grant(request: Request, legs: Sequence[Leg], *, over: bool = False) -> Grant:
    closed = request.closed_at > 0
    return Grant(
        id=request.id,
        who=_who(request),
        roles=tuple(leg.role.name for leg in legs),
        sensitivity=min((leg.role.sensitivity for leg in legs), key=_rank),
        opened_at=request.granted_at or request.begun_at,
        ends_at=request.closed_at if closed else request.ends_at or request.not_after,
        closed=closed,
        unconfirmed=not closed and any(leg.receipt is None for leg in legs),
        over=over,
        given=spelled(request),
    )


def _trouble(
    kind: str, request: Request, legs: Sequence[Leg], seconds: float, said: str, *, over: bool = False
) -> Trouble:
    roles = tuple(leg.role.name for leg in legs)
    return Trouble(kind, request.id, _who(request), roles, max(0.0, seconds), said[:_LONGEST], over)


def _errors(request: Request) -> str:
    return "; ".join(leg.error for leg in request.legs if leg.error and leg.state is not LegState.CLOSED)


def _rank(sensitivity: str) -> int:
    return RANKS.index(sensitivity) if sensitivity in RANKS else 0


def rank(grant: Grant) -> int:
    """0 for the most sensitive."""
    return _rank(grant.sensitivity)


def _facts(entry: AuditEntry) -> dict[str, Any]:
    try:
        found = json.loads(entry.event)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(facts: dict[str, Any], name: str) -> str:
    return str(facts.get(name, ""))[:_LONGEST]
