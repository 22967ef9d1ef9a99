"""All state change, in one table that can be read aloud; it has no clock and calls nobody.

`advance` folds one event into a request and raises `IllegalEvent`, changing nothing, when the table has no
place for it. Folding a request's events from the first rebuilds the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bot.core.events import (
    Approved,
    Attempted,
    Cancelled,
    ClosedByHand,
    Denied,
    Doubted,
    Endorsed,
    Event,
    Expired,
    Granted,
    Lapsed,
    Refused,
    Retried,
    RevealAsked,
    Revealed,
    Revoked,
    Submitted,
    Withdrawn,
)
from bot.core.model import Ending, Leg, LegState, Request, State

TRANSITIONS: Mapping[State, Mapping[str, tuple[State, ...]]] = MappingProxyType(
    {
        State.PENDING: {
            "endorsed": (State.PENDING,),
            "approved": (State.GRANTING,),
            "denied": (State.DENIED,),
            "cancelled": (State.CANCELLED,),
            "lapsed": (State.LAPSED,),
        },
        State.GRANTING: {
            "attempted": (State.GRANTING,),
            "retried": (State.GRANTING,),
            "granted": (State.GRANTING, State.ACTIVE),
            "refused": (State.FAILED, State.REVOKING),
            "doubted": (State.REVOKING,),
            "withdrawn": (State.REVOKING,),
        },
        State.ACTIVE: {
            "reveal_asked": (State.ACTIVE,),
            "revealed": (State.ACTIVE,),
            "withdrawn": (State.REVOKING,),
            "expired": (State.REVOKING,),
        },
        State.REVOKING: {
            "retried": (State.REVOKING,),
            "revoked": (State.REVOKING, State.ENDED),
            "closed_by_hand": (State.ENDED,),
        },
        State.DENIED: {},
        State.CANCELLED: {},
        State.LAPSED: {},
        State.FAILED: {},
        State.ENDED: {},
    }
)

OPEN = frozenset(state for state, events in TRANSITIONS.items() if events)
"""The states that something must still be done in: exactly those that have a due time."""

MAY_STAND = frozenset({LegState.GRANTING, LegState.ACTIVE, LegState.REVOKING})
"""The legs behind which access may stand."""


class IllegalEvent(ValueError):
    """An event that the request's state has no place for."""


def begin(event: Submitted) -> Request:
    """The request as it is first recorded."""
    return Request(
        id=event.id,
        version=1,
        workspace=event.asker.workspace,
        asker=event.asker,
        what=event.what,
        title=event.title,
        reason=event.reason,
        asked=event.duration,
        duration=event.duration,
        state=State.PENDING,
        legs=tuple(Leg(n=n, role=role) for n, role in enumerate(event.roles)),
        generation=event.generation,
        grant_budget=event.grant_budget,
        created_at=event.at,
        decide_by=event.decide_by,
    )


def advance(request: Request, event: Event) -> Request:
    """The request after ``event``. Raises `IllegalEvent` when the table or the leg has no place for it."""
    allowed = TRANSITIONS[request.state].get(event.kind)
    if allowed is None:
        raise IllegalEvent(f"{request.id} is {request.state}: {event.kind} has no place there")
    after = _apply(request, event)
    if after.state not in allowed:
        raise IllegalEvent(f"{request.id}: {event.kind} does not lead from {request.state} to {after.state}")
    return after.model_copy(update={"version": request.version + 1})


def fold(events: Iterable[Event]) -> Request:
    """The request that its events tell of, from the first (`Submitted`) to the last."""
    stream = iter(events)
    first = next(stream)
    if not isinstance(first, Submitted):
        raise IllegalEvent(f"a request begins with submitted, not with {first.kind}")
    request = begin(first)
    for event in stream:
        request = advance(request, event)
    return request


def due(request: Request) -> float | None:
    """When something must next be done, in Unix seconds; None exactly when the request is over."""
    match request.state:
        case State.PENDING:
            return request.decide_by
        case State.GRANTING:
            return min(_next_try(request), budget_ends(request))
        case State.ACTIVE:
            return min(request.ends_at, request.reveal.at) if request.reveal else request.ends_at
        case State.REVOKING:
            return _next_try(request)
        case _:
            return None


def budget_ends(request: Request) -> float:
    """When a request that is being granted has run out of its budget, in Unix seconds.

    A door that is open already stays open no longer than its cap, however long another one is waited for.
    """
    budget = request.approved_at + request.grant_budget
    return min(budget, request.opened_at + _cap(request)) if request.opened_at else budget


def woken(request: Request, now: float) -> Lapsed | Expired | None:
    """The event that the passing of time alone brings about, if it is due at ``now``."""
    if request.state is State.PENDING and now >= request.decide_by:
        return Lapsed(at=now)
    if request.state is State.ACTIVE and now >= request.ends_at:
        return Expired(at=now)
    return None


def next_leg(request: Request, now: float) -> Leg | None:
    """The leg to be worked on at ``now``: the longest overdue, None when none is due."""
    ready = [leg for leg in request.legs if leg.state in _AT_WORK and leg.retry_at <= now]
    return min(ready, key=lambda leg: (leg.retry_at, leg.n), default=None)


def diagram() -> str:
    """The table as a Mermaid state diagram, for the README."""
    lines = ["stateDiagram-v2", "    [*] --> PENDING: submitted"]
    for state, events in TRANSITIONS.items():
        for kind, targets in events.items():
            lines += [f"    {state.name} --> {target.name}: {kind}" for target in targets]
        if not events:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join(lines)


_AT_WORK = frozenset({LegState.GRANTING, LegState.REVOKING})


def _cap(request: Request) -> int:
    """The least of the roles' caps, in seconds."""
    return min(leg.role.cap for leg in request.legs)


def _next_try(request: Request) -> float:
    return min(leg.retry_at for leg in request.legs if leg.state in _AT_WORK)


def _apply(request: Request, event: Event) -> Request:  # one line an event, to be read as the table's other half
    match event:
        case Endorsed(review=review):
            return _with(request, reviews=(*request.reviews, review))
        case Approved():
            return _approve(request, event)
        case Denied(review=review):
            done = _closed(request, State.DENIED, review.at, review.by.id, review.reason)
            return _with(done, reviews=(*request.reviews, review))
        case Cancelled():
            return _closed(request, State.CANCELLED, event.at, event.by, event.reason)
        case Lapsed():
            return _closed(request, State.LAPSED, event.at, event.by, "")
        case Attempted():
            return _attempt(request, event)
        case Retried():
            return _retry(request, event)
        case Granted():
            return _grant(request, event)
        case Refused():
            return _refuse(request, event)
        case Doubted():
            return _close_all(request, event.at, Ending.DOUBTED, event.by, event.error)
        case Withdrawn():
            return _close_all(request, event.at, event.ending, event.by, event.reason)
        case Expired():
            return _close_all(request, event.at, Ending.EXPIRED, event.by, "")
        case RevealAsked():
            return _with(request, reveal=event.reveal)
        case Revealed():
            return _with(request, reveal=None)
        case Revoked():
            return _revoke(request, event)
        case ClosedByHand():
            return _by_hand(request, event)
        case Submitted():
            raise IllegalEvent(f"{request.id} is submitted already")


def _approve(request: Request, event: Approved) -> Request:
    ready = {"state": LegState.GRANTING, "retry_at": event.at}
    return _with(
        request,
        state=State.GRANTING,
        reviews=(*request.reviews, event.review),
        duration=event.duration,
        approved_at=event.at,
        not_after=event.at + request.grant_budget + event.duration,
        legs=tuple(leg.model_copy(update=ready) for leg in request.legs),
    )


def _attempt(request: Request, event: Attempted) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING)
    if leg.prior is not None and leg.prior != event.prior:
        raise IllegalEvent(f"{request.order_id(leg.n)}: what stood before is seen once, never again")
    return _put(
        request,
        leg,
        subject=event.subject,
        target=event.target,
        prior=event.prior,
        holds=event.holds,
        attempts=leg.attempts + 1,
        in_flight_until=max(leg.in_flight_until, event.in_flight_until),
        retry_at=event.in_flight_until,
    )


def _retry(request: Request, event: Retried) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING, LegState.REVOKING)
    tries = leg.tries + 1 if event.failed else leg.tries
    return _put(request, leg, tries=tries, retry_at=event.retry_at, error=event.error)


def _grant(request: Request, event: Granted) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING)
    # The answer settles this attempt; an earlier one that was never answered may still land.
    flying = leg.in_flight_until if leg.attempts > 1 else 0.0
    done = {"in_flight_until": flying, "tries": 0, "error": ""}
    after = _put(request, leg, state=LegState.ACTIVE, receipt=event.receipt, **done)
    after = _with(after, opened_at=request.opened_at or event.at)
    if any(leg.state is not LegState.ACTIVE for leg in after.legs):
        return after
    ends_at = min(event.at + request.duration, request.not_after, after.opened_at + _cap(after))
    return _with(after, state=State.ACTIVE, granted_at=event.at, ends_at=ends_at)


def _refuse(request: Request, event: Refused) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING)
    # A definite no to the only attempt. After more than one, an unanswered one may have opened something; and who
    # holds a shared entitlement may be the last to do so by now, and has to leave it by a revoke.
    if leg.attempts <= 1 and not leg.holds:
        unopened = {"state": LegState.UNOPENED, "error": event.error, "in_flight_until": 0.0}
        request = _put(request, leg, retry_at=0.0, **unopened)
    return _close_all(request, event.at, Ending.REFUSED, event.by, event.error)


def _close_all(request: Request, at: float, ending: Ending, by: str, reason: str) -> Request:
    """Every leg behind which something may stand is to be closed, even one whose first attempt is not seen."""
    legs = tuple(_closing(leg, at, ending) for leg in request.legs)
    stands = any(leg.state is LegState.REVOKING for leg in legs)
    done = {} if stands else {"closed_at": at}
    return _with(
        request,
        state=State.REVOKING if stands else State.FAILED,
        legs=legs,
        ending=ending,
        closed_by=by,
        closed_reason=reason,
        reveal=None,
        **done,
    )


def _closing(leg: Leg, at: float, ending: Ending) -> Leg:
    if leg.state not in MAY_STAND:
        return leg
    if ending is Ending.REFUSED and leg.state is LegState.GRANTING and not leg.attempts:
        return leg.model_copy(update={"state": LegState.UNOPENED, "retry_at": 0.0})
    return leg.model_copy(update={"state": LegState.REVOKING, "tries": 0, "retry_at": at})


def _revoke(request: Request, event: Revoked) -> Request:
    leg = _leg(request, event.leg, LegState.REVOKING)
    if event.at < leg.in_flight_until:
        raise IllegalEvent(f"{request.order_id(leg.n)}: a slow grant may still land; not closed yet")
    closed = {"state": LegState.CLOSED, "outcome": event.outcome, "error": "", "holds": ()}
    after = _put(request, leg, **closed)
    if any(leg.state in MAY_STAND for leg in after.legs):
        return after
    return _with(after, state=State.ENDED, closed_at=event.at)


def _by_hand(request: Request, event: ClosedByHand) -> Request:
    """Over in the books; the outcome says that nobody read it back."""
    outcome = {"presence": "unverified", "kept": f"closed by hand by {event.by}, not read back: {event.reason}"}
    closed = {"state": LegState.CLOSED, "outcome": outcome, "holds": ()}
    legs = tuple(leg.model_copy(update=closed) if leg.state in MAY_STAND else leg for leg in request.legs)
    return _with(request, state=State.ENDED, legs=legs, closed_at=event.at)


def _leg(request: Request, n: int, *states: LegState) -> Leg:
    if not 0 <= n < len(request.legs) or request.legs[n].state not in states:
        raise IllegalEvent(f"{request.id} has no leg {n} that is {' or '.join(states)}")
    return request.legs[n]


def _put(request: Request, leg: Leg, **changes: object) -> Request:
    legs = list(request.legs)
    legs[leg.n] = leg.model_copy(update=changes)
    return _with(request, legs=tuple(legs))


def _closed(request: Request, state: State, at: float, by: str, reason: str) -> Request:
    return _with(request, state=state, closed_at=at, closed_by=by, closed_reason=reason)


def _with(request: Request, **changes: object) -> Request:
    return request.model_copy(update=changes)
