"""When something must next be done with a request, and what the passing of time alone brings about; it has no clock."""

from __future__ import annotations

from bot.core.break_glass_events import ReviewOverdue
from bot.core.escalation import upcoming
from bot.core.events import AccessExpired, Escalated, Reminded, RequestExpired, Warned
from bot.core.request import ExtensionState, Leg, LegState, Request, State

_IN_PROGRESS = frozenset({LegState.GRANTING, LegState.REVOKING})
_DAY = 86_400
_SHORTEST_WARNING = 15
"""Seconds: a warning that comes later than this before the end helps nobody."""


def due(request: Request) -> float | None:
    """When something must next be done, in Unix seconds; None exactly when the request is over."""
    match request.state:
        case State.DRAFT:
            return request.waits_until
        case State.PENDING:
            return min(_pending_dues(request))
        case State.SCHEDULED:
            return request.starts_at
        case State.GRANTING:
            return min(_next_try(request), budget_ends(request), *_review_due(request))
        case State.ACTIVE:
            return min(_dues(request))
        case State.REVOKING:
            return min([_next_try(request), *_review_due(request)])
        case State.AWAITING_REVIEW:
            return min(_review_due(request))
        case _:
            return None


def budget_ends(request: Request) -> float:
    """When a request that is being granted has run out of its budget, in Unix seconds.

    A door that is open already stays open no longer than its cap, however long another one is waited for.
    """
    budget = request.begun_at + request.grant_budget
    return min(budget, request.opened_at + _cap(request)) if request.opened_at else budget


def due_event(
    request: Request, now: float
) -> RequestExpired | Reminded | Escalated | Warned | AccessExpired | ReviewOverdue | None:
    """The event that the passing of time alone brings about, if it is due at ``now``."""
    match request.state:
        case State.DRAFT if now >= request.waits_until:
            return RequestExpired(at=now)
        case State.PENDING if now >= request.decide_by:
            return RequestExpired(at=now)
        case State.PENDING if request.remind_at and now >= request.remind_at:
            return Reminded(at=now)
        case State.PENDING if (next_ := upcoming(request.escalations)) and now >= next_.escalate_at:
            return Escalated(at=now, role=next_.role, step=next_.step)
        case State.SCHEDULED if now >= request.starts_at + request.start_grace:
            return RequestExpired(at=now)
        case State.ACTIVE if now >= request.ends_at:
            return AccessExpired(at=now)
        case State.ACTIVE if request.warn_at and now >= request.warn_at:
            return Warned(at=now)
        case _:
            return _review_overdue(request, now)


def last_end(request: Request) -> float:
    """The latest end that the cap allows: it counts from the first grant, extensions included. Unix seconds."""
    return request.opened_at + _cap(request)


def warning_at(request: Request, ends_at: float, now: float) -> float:
    """When the requester is warned of that end, at most a quarter of the time before it; 0 where that is too short."""
    lead = min(request.warn_before, (ends_at - now) / 4)
    return ends_at - lead if lead >= _SHORTEST_WARNING else 0.0


def next_leg(request: Request, now: float) -> Leg | None:
    """The leg to be worked on at ``now``; None when none is due.

    They are granted in the order of the request, each once those before it are granted. They are revoked in the
    reverse order, except that one that cannot be revoked yet keeps no other waiting.
    """
    return next((leg for leg in _queue(request) if leg.retry_at <= now), None)


def _cap(request: Request) -> int:
    """The least of the roles' caps, in seconds."""
    return min(leg.role.cap for leg in request.legs)


def _pending_dues(request: Request) -> list[float]:
    """All that waits to be done before a decision."""
    dues = [request.decide_by]
    if request.remind_at:
        dues.append(request.remind_at)
    if next_ := upcoming(request.escalations):
        dues.append(next_.escalate_at)
    return dues


def _dues(request: Request) -> list[float]:
    """All that waits to be done while access is open."""
    dues = [request.ends_at, *_review_due(request)]
    if request.warn_at:
        dues.append(request.warn_at)
    if request.reveal:
        dues.append(request.reveal.at)
    if request.extension and request.extension.state is ExtensionState.EXTENDING:
        dues.append(request.extension.retry_at)
    return dues


def _review_due(request: Request) -> list[float]:
    """When the review of a break-glass access is overdue by one more day; nothing where none is outstanding."""
    glass = request.break_glass
    return [glass.review_by + glass.overdue * _DAY] if glass and request.lacks_review else []


def _review_overdue(request: Request, now: float) -> ReviewOverdue | None:
    glass, dues = request.break_glass, _review_due(request)
    if glass is None or not dues or now < dues[0]:
        return None
    return ReviewOverdue(at=now, days=max(glass.overdue, int((now - glass.review_by) // _DAY)) + 1)


def _next_try(request: Request) -> float:
    return min(leg.retry_at for leg in _queue(request))


def _queue(request: Request) -> list[Leg]:
    """The legs that may be worked on, in order."""
    at_work = [leg for leg in request.legs if leg.state in _IN_PROGRESS]
    if request.state is State.GRANTING:
        return at_work[:1]
    return sorted(at_work, key=lambda leg: (leg.retry_at, -leg.n))
