"""What each event makes of a request; whether it has a place there is the table's to say (lifecycle.py)."""

from __future__ import annotations

from bot.core.break_glass import BreakGlass
from bot.core.break_glass_events import BreakGlassReviewed, BreakGlassUsed, ReviewOverdue, SwitchedToBreakGlass
from bot.core.deadlines import last_end, warning_at
from bot.core.events import (
    AccessExpired,
    Approved,
    ApprovedByRule,
    Cancelled,
    ClosedManually,
    Consented,
    Denied,
    Drafted,
    EndedEarly,
    Endorsed,
    Escalated,
    Event,
    Extended,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionEndorsed,
    ExtensionFailed,
    ExtensionRequested,
    ExtensionRetried,
    GrantAttempted,
    Granted,
    GrantRefused,
    GrantUncertain,
    QuestionAnswered,
    QuestionAsked,
    RecordRestored,
    Reminded,
    RequestExpired,
    Retried,
    Revealed,
    RevealRequested,
    Revoked,
    Started,
    Submitted,
    Warned,
)
from bot.core.extension_transitions import extend
from bot.core.illegal_event import IllegalEvent
from bot.core.question_transitions import answer, ask
from bot.core.request import (
    DraftWait,
    Ending,
    Leg,
    LegState,
    Request,
    State,
)

LEG_MAY_HAVE_ACCESS = frozenset({LegState.GRANTING, LegState.ACTIVE, LegState.REVOKING})
"""The leg states in which access may exist."""


def apply(request: Request, event: Event) -> Request:  # one line an event, to be read as the table's other half
    match event:
        case Consented():
            return _consent(request, event)
        case Reminded():
            # One that the requester gave leaves the clock's own to come.
            return _with(request, remind_at=0.0) if event.by == "clock" else request
        case Started():
            return _begun(request, event.at)
        case Warned():
            return _with(request, warn_at=0.0)
        case (
            ExtensionRequested()
            | ExtensionEndorsed()
            | ExtensionApproved()
            | ExtensionDenied()
            | ExtensionRetried()
            | ExtensionFailed()
            | Extended()
        ):
            return extend(request, event)
        case QuestionAsked():
            return ask(request, event)
        case QuestionAnswered():
            return answer(request, event)
        case Endorsed(review=review):
            return _with(request, reviews=(*request.reviews, review), escalations=event.escalations)
        case Escalated():
            return _escalate(request, event)
        case Approved():
            return _approve(request, event)
        case Denied(review=review):
            done = _closed(request, State.DENIED, review.at, review.by.id, review.reason)
            return _with(done, reviews=(*request.reviews, review))
        case Cancelled():
            return _closed(request, State.CANCELLED, event.at, event.by, event.reason)
        case RequestExpired():
            return _closed(request, State.EXPIRED, event.at, event.by, "")
        case GrantAttempted():
            return _attempt(request, event)
        case Retried():
            return _retry(request, event)
        case Granted():
            return _grant(request, event)
        case GrantRefused():
            return _refuse(request, event)
        case GrantUncertain():
            return _revoke_all(request, event.at, Ending.UNCERTAIN, event.by, event.error)
        case EndedEarly() if request.state is State.SCHEDULED:
            return _closed(request, State.CANCELLED, event.at, event.by, event.reason)
        case EndedEarly():
            return _revoke_all(request, event.at, event.ending, event.by, event.reason)
        case AccessExpired():
            return _revoke_all(request, event.at, Ending.EXPIRED, event.by, "")
        case RevealRequested():
            return _with(request, reveal=event.reveal)
        case Revealed():
            return _with(request, reveal=None)
        case Revoked():
            return _revoke(request, event)
        case ClosedManually():
            return _close_manually(request, event)
        case SwitchedToBreakGlass(break_glass=glass):
            taken = {"reason": event.reason, "duration": event.duration, "proof": event.proof or request.proof}
            return break_glass(_with(request, shortened=None, **taken), glass)
        case BreakGlassReviewed():
            return _reviewed(request, event)
        case ReviewOverdue():
            return _overdue(request, event)
        case RecordRestored():
            return request
        case Submitted() | ApprovedByRule() | Drafted() | BreakGlassUsed():
            raise IllegalEvent(f"{request.id} is submitted already")


def _consent(request: Request, event: Consented) -> Request:
    if request.waits_for is not DraftWait.CONSENT:
        raise IllegalEvent(f"{request.id} waits for nobody's consent")
    times = {"consented_at": event.at, "decide_by": event.decide_by, "remind_at": event.remind_at}
    seen = _with(request, state=State.PENDING, waits_for=None, waits_until=0.0, consent_proof=event.proof, **times)
    duration = event.shortened.duration if event.shortened else request.duration
    ruled = {"required_steps": event.required_steps, "shortened": event.shortened, "tickets": event.tickets}
    seen = _with(seen, duration=duration, escalations=() if event.rule else event.escalations, **ruled)
    return _approved(_with(seen, rule=event.rule), event.at) if event.rule else seen


def _escalate(request: Request, event: Escalated) -> Request:
    due = [e for e in request.escalations if (e.role, e.step, e.escalated_at) == (event.role, event.step, 0.0)]
    if not due:
        raise IllegalEvent(f"{request.id} has no step {event.step} of {event.role} that is to escalate")
    done = due[0].model_copy(update={"escalated_at": event.at})
    return _with(request, escalations=tuple(done if e is due[0] else e for e in request.escalations))


def _approve(request: Request, event: Approved) -> Request:
    request = _with(request, reviews=(*request.reviews, event.review), duration=event.duration)
    return _approved(request, event.at)


def approve_by_rule(request: Request, event: ApprovedByRule) -> Request:
    """The request that nobody is asked about."""
    return _approved(_with(request, rule=event.rule, escalations=()), event.at)


def break_glass(request: Request, glass: BreakGlass) -> Request:
    """The request whose access is taken at once; a later start does not count any more."""
    dropped = {"remind_at": 0.0, "starts_at": 0.0, "start_grace": 0, "escalations": ()}
    return _begun(_with(request, break_glass=glass, approved_at=glass.at, **dropped), glass.at)


def _unreviewed(request: Request) -> BreakGlass:
    if request.break_glass is None or request.break_glass.review:
        raise IllegalEvent(f"{request.id} has no review that is outstanding")
    return request.break_glass


def _reviewed(request: Request, event: BreakGlassReviewed) -> Request:
    glass = _unreviewed(request).model_copy(update={"review": event.review})
    done = {"state": State.ENDED} if request.state is State.AWAITING_REVIEW else {}
    return _with(request, break_glass=glass, **done)


def _overdue(request: Request, event: ReviewOverdue) -> Request:
    glass = _unreviewed(request)
    if event.days <= glass.overdue:
        raise IllegalEvent(f"{request.id}: day {event.days} of its overdue review is recorded already")
    return _with(request, break_glass=glass.model_copy(update={"overdue": event.days}))


def _approved(request: Request, at: float) -> Request:
    request = _with(request, approved_at=at, remind_at=0.0)
    if request.starts_at > at:
        return _with(request, state=State.SCHEDULED)
    return _begun(request, at)


def _begun(request: Request, at: float) -> Request:
    ready = {"state": LegState.GRANTING, "retry_at": at}
    return _with(
        request,
        state=State.GRANTING,
        begun_at=at,
        not_after=at + request.grant_budget + request.duration,
        legs=tuple(leg.model_copy(update=ready) for leg in request.legs),
    )


def _attempt(request: Request, event: GrantAttempted) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING)
    if leg.prior is not None and leg.prior != event.prior:
        raise IllegalEvent(f"{request.order_id(leg.n)}: the prior state is inspected once, never again")
    return _put(
        request,
        leg,
        subject=event.subject,
        target=event.target,
        prior=event.prior,
        entitlements=event.entitlements,
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
    after = _put(request, leg, state=LegState.ACTIVE, receipt=event.receipt, connect=event.connect, **done)
    after = _with(after, opened_at=request.opened_at or event.at)
    if any(leg.state is not LegState.ACTIVE for leg in after.legs):
        return after
    ends_at = min(event.at + request.duration, request.not_after, last_end(after))
    warn_at = warning_at(after, ends_at, event.at)
    return _with(after, state=State.ACTIVE, granted_at=event.at, ends_at=ends_at, warn_at=warn_at)


def _refuse(request: Request, event: GrantRefused) -> Request:
    leg = _leg(request, event.leg, LegState.GRANTING).model_copy(update={"refused": event.error})
    request = _put(request, leg)
    # Refused on the only attempt: no access. After several, an unanswered one may have taken effect; and a leg that
    # shares an entitlement may by now be the last that needs it, so it has to be revoked.
    if leg.attempts <= 1 and not leg.entitlements:
        unopened = {"state": LegState.UNOPENED, "error": event.error, "in_flight_until": 0.0}
        request = _put(request, leg, retry_at=0.0, **unopened)
    return _revoke_all(request, event.at, Ending.REFUSED, event.by, event.error)


def _revoke_all(request: Request, at: float, ending: Ending, by: str, reason: str) -> Request:
    """Every leg behind which something may stand is to be closed, even one whose first attempt is not seen."""
    legs = tuple(_revoking(leg, at, ending) for leg in request.legs)
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
        warn_at=0.0,
        **done,
    )


def _revoking(leg: Leg, at: float, ending: Ending) -> Leg:
    if leg.state not in LEG_MAY_HAVE_ACCESS:
        return leg
    if ending is Ending.REFUSED and leg.state is LegState.GRANTING and not leg.attempts:
        return leg.model_copy(update={"state": LegState.UNOPENED, "retry_at": 0.0})
    return leg.model_copy(update={"state": LegState.REVOKING, "tries": 0, "retry_at": at})


def _revoke(request: Request, event: Revoked) -> Request:
    leg = _leg(request, event.leg, LegState.REVOKING)
    if event.at < leg.in_flight_until:
        raise IllegalEvent(f"{request.order_id(leg.n)}: a slow grant may still take effect; not revoked yet")
    closed = {"state": LegState.CLOSED, "outcome": event.outcome, "error": "", "entitlements": ()}
    after = _put(request, leg, **closed)
    if any(leg.state in LEG_MAY_HAVE_ACCESS for leg in after.legs):
        return after
    return _with(after, state=_final(after), closed_at=event.at)


def _final(request: Request) -> State:
    """The state of what is verified as revoked: a review that is outstanding is still to be given."""
    return State.AWAITING_REVIEW if request.lacks_review else State.ENDED


def _close_manually(request: Request, event: ClosedManually) -> Request:
    """Ended in our records; the outcome says that nothing was verified in the system."""
    outcome = {"presence": "unverified", "kept": f"closed manually by {event.by}, not verified: {event.reason}"}
    closed = {"state": LegState.CLOSED, "outcome": outcome, "entitlements": ()}
    legs = tuple(leg.model_copy(update=closed) if leg.state in LEG_MAY_HAVE_ACCESS else leg for leg in request.legs)
    return _with(request, state=_final(request), legs=legs, closed_at=event.at)


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
