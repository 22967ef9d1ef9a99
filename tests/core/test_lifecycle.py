"""The properties that the table of states must have, whatever happens in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import deadlines, lifecycle, notifications
from bot.core.break_glass import BreakGlass, BreakGlassReview
from bot.core.break_glass_events import (
    BreakGlassReviewed,
    BreakGlassUsed,
    ReviewOverdue,
    SwitchedToBreakGlass,
)
from bot.core.deadlines import due
from bot.core.escalation import Escalation
from bot.core.events import (
    EVENT,
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
from bot.core.happening import Requested
from bot.core.illegal_event import IllegalEvent
from bot.core.lifecycle import ANYWHERE, BEGINNINGS, OPEN, TRANSITIONS, advance, begin, fold
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import (
    ApproverQuestion,
    ByRule,
    DraftWait,
    Ending,
    Extension,
    LegState,
    Person,
    Request,
    Reveal,
    Review,
    State,
    Verb,
)
from bot.core.role_snapshot import RoleSnapshot
from bot.core.transitions import LEG_MAY_HAVE_ACCESS

MIA = Person(workspace="T1", id="UMIA", identity="mia@example.com", email="mia@example.com", name="Mia")
DAN = Person(workspace="T1", id="UDAN", identity="dan@example.com", email="dan@example.com", name="Dan")
KIM = Person(workspace="T1", id="UKIM", identity="kim@example.com", email="kim@example.com", name="Kim")
NEW = ("requested_by", "waits_for", "waits_until", "consented_at")
"""Fields that older records do not have."""
PRIOR = {"present": False, "facts": {}}


def role(name: str) -> RoleSnapshot:
    """A role of the vault."""
    return RoleSnapshot(
        system="vault",
        role=name,
        title=name,
        channel="C0VAULT01",
        provider="sandbox",
        params={"door": name},
        sensitivity="low",
        cap=3600,
        consequence="opens a door",
        digest="d",
    )


def submitted(legs: int = 1) -> Submitted:
    """A request of Mia's."""
    return Submitted(
        at=1000.0,
        by="UMIA",
        id="J-7K3Q",
        requester=MIA,
        what="debug",
        title="Debug",
        reason="INC-1",
        duration=1800,
        roles=tuple(role(f"r{n}") for n in range(legs)),
        generation="g",
        grant_budget=600,
        decide_by=2000.0,
    )


def by_rule(legs: int = 1) -> ApprovedByRule:
    """The same, approved by a rule."""
    facts = {name: getattr(submitted(legs), name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    rule = ByRule(n=1, key="k", sensitivity="low", at_most=3600, used=1, budget=3)
    return ApprovedByRule(rule=rule, **facts)


def drafted(legs: int = 1) -> Drafted:
    """The same, requested by Kim for Mia, who has until 1030 to accept it."""
    facts = {name: getattr(submitted(legs), name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    more = {"waits_for": DraftWait.CONSENT, "waits_until": 1030.0, "requested_by": KIM}
    return Drafted(by="UKIM", **{**facts, **more})


GLASS = BreakGlass(at=1000.0, review_by=3000.0)


def by_break_glass(legs: int = 1) -> BreakGlassUsed:
    """The same, taken without approval."""
    facts = {name: getattr(submitted(legs), name) for name in Submitted.model_fields if name != "kind"}
    return BreakGlassUsed(break_glass=GLASS, **facts)


def reviewed(at: float) -> BreakGlassReviewed:
    """Dan's review of it."""
    return BreakGlassReviewed(at=at, by="UDAN", review=BreakGlassReview(justified=True, by=DAN, at=at))


def review(verb: Verb = Verb.APPROVE, at: float = 1001.0) -> Review:
    """Dan's answer."""
    return Review(verb=verb, by=DAN, at=at, duration=1800, reason="because")


def escalation(at: float, step: int = 1) -> Escalation:
    """A step that escalates then."""
    return Escalation(role="vault/r0", step=step, any_of=("dba",), to=("managers",), escalate_at=at)


def attempted(leg: int, at: float) -> GrantAttempted:
    """A call that may land for five seconds."""
    return GrantAttempted(
        at=at, leg=leg, subject={"native": "a", "own": True}, target="t", prior=PRIOR, in_flight_until=at + 5
    )


REASON = ReasonChange(before="INC-1", after="INC-2")
SHORTER = DurationChange(before=1800, after=900)


def answered(
    at: float, n: int = 1, reason: ReasonChange | None = REASON, duration: DurationChange | None = SHORTER
) -> QuestionAnswered:
    """Mia's answer, with what she changes."""
    return QuestionAnswered(at=at, by="UMIA", n=n, answer="", reason_change=reason, duration_change=duration)


def any_event(at: float, leg: int) -> st.SearchStrategy[Event]:
    """Any event at all, fitting or not."""
    rule = by_rule().rule
    events: list[Event] = [
        submitted(),
        by_rule(),
        drafted(),
        Consented(at=at, by="UMIA", decide_by=at + 1000, remind_at=at + 500),
        Consented(at=at, by="UMIA", decide_by=at + 1000, rule=rule),
        by_break_glass(),
        SwitchedToBreakGlass(
            at=at, by="UMIA", reason="INC-1", duration=900, break_glass=BreakGlass(at=at, review_by=at + 50)
        ),
        reviewed(at),
        ReviewOverdue(at=at, days=1),
        Endorsed(at=at, review=review(at=at)),
        Approved(at=at, review=review(at=at), duration=1800),
        Denied(at=at, review=review(Verb.DENY, at)),
        Cancelled(at=at, by="UMIA"),
        RequestExpired(at=at),
        attempted(leg, at),
        Retried(at=at, leg=leg, error="no answer", retry_at=at + 1),
        Granted(at=at, leg=leg, receipt={"native": "a"}),
        GrantRefused(at=at, leg=leg, error="no"),
        GrantUncertain(at=at, error="too late"),
        EndedEarly(at=at, by="UMIA", ending=Ending.RELEASED),
        AccessExpired(at=at),
        RevealRequested(at=at, reveal=Reveal(view="V1", at=at)),
        Revealed(at=at),
        Revoked(at=at, leg=leg, outcome={"presence": "absent"}),
        ClosedManually(at=at, by="cli:pat@host", reason="the server is gone"),
        Reminded(at=at),
        Escalated(at=at, role="vault/r0", step=1),
        Endorsed(at=at, review=review(at=at), opened=("vault/r0",), escalations=(escalation(at + 3, step=2),)),
        QuestionAsked(at=at, by="UDAN", question=ApproverQuestion(n=1, by=DAN, text="Which table?", at=at)),
        QuestionAsked(at=at, by="UDAN", question=ApproverQuestion(n=2, by=DAN, text="Only that one?", at=at)),
        QuestionAnswered(at=at, by="UMIA", n=1, answer="orders"),
        answered(at),
        answered(at, n=2, reason=None),
        answered(at, n=2, duration=DurationChange(before=900, after=60)),
        Started(at=at),
        Warned(at=at),
        ExtensionRequested(at=at, by="UMIA", extension=Extension(n=1, until=at + 2500, reason="still burns", at=at)),
        ExtensionRequested(at=at, by="UMIA", extension=Extension(n=1, until=at + 99_999, reason="for ever", at=at)),
        ExtensionEndorsed(at=at, review=review(at=at)),
        ExtensionApproved(at=at, review=review(at=at), until=at + 2400),
        ExtensionDenied(at=at, review=review(Verb.DENY, at)),
        ExtensionRetried(at=at, error="no answer", retry_at=at + 1),
        ExtensionFailed(at=at, error="no"),
        Extended(at=at, receipts=tuple({"native": "a"} for _ in range(leg + 1))),
    ]
    return st.sampled_from(events)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Request, list[Event]]:
    """A request after a run of events, the illegal ones left out; and the events that took effect."""
    legs = draw(st.integers(1, 3))
    beginnings: list[Submitted | ApprovedByRule | Drafted | BreakGlassUsed] = [
        submitted(legs),
        by_rule(legs),
        drafted(legs),
        by_break_glass(legs),
    ]
    plan: dict[str, Any] = {
        "starts_at": draw(st.sampled_from([0.0, 1005.0, 1100.0])),
        "remind_at": 1500.0,
        "warn_before": 600,
    }
    plan |= {"escalations": draw(st.sampled_from([(), (escalation(1002.0),), (escalation(1600.0),)]))}
    first = draw(st.sampled_from(beginnings)).model_copy(update={**plan, "start_grace": 60})
    request, events, at = begin(first), [first], 1000.0
    taken: list[Event] = [*events]
    for _ in range(draw(st.integers(0, 25))):
        at += draw(st.floats(0, 10))
        event = draw(any_event(at, draw(st.integers(0, 2))))
        try:
            request = advance(request, event)
        except IllegalEvent:
            continue
        taken.append(event)
    return request, taken


@given(histories())
def test_folding_the_events_rebuilds_the_request(history: tuple[Request, list[Event]]) -> None:
    request, events = history
    assert fold(events) == request
    assert request.version == len(events)
    assert Request.model_validate_json(request.model_dump_json()) == request


@given(histories())
def test_an_end_is_only_ever_made_later_and_never_past_the_cap(history: tuple[Request, list[Event]]) -> None:
    _, events = history
    first = events[0]
    assert isinstance(first, Requested)
    request = begin(first)
    for event in events[1:]:
        after = advance(request, event)
        if request.state is State.ACTIVE and after.state is State.ACTIVE:
            assert after.ends_at >= request.ends_at
            assert after.ends_at == request.ends_at or isinstance(event, Extended)
        if after.ends_at:
            assert after.ends_at <= deadlines.last_end(after)
        request = after


@given(histories())
def test_an_answer_only_shortens_and_changes_no_reason_that_somebody_has_approved(
    history: tuple[Request, list[Event]],
) -> None:
    _, events = history
    for n in range(2, len(events) + 1):
        event = events[n - 1]
        if not isinstance(event, QuestionAnswered):
            continue
        before, after = fold(events[: n - 1]), fold(events[:n])
        assert before.state is after.state is State.PENDING
        assert after.duration <= before.duration
        assert after.asked <= before.asked
        assert after.reason == before.reason or not before.reviews
        changes = {"reason", "asked", "duration", "questions", "version", "lineage"}
        assert after.model_dump(exclude=changes) == before.model_dump(exclude=changes)
        assert due(after) == due(before)


def asked_about(*events: Event) -> Request:
    """Mia's request, about which Dan has asked, after more events."""
    question = ApproverQuestion(n=1, by=DAN, text="Which table?", at=1001.0)
    return fold([submitted(), QuestionAsked(at=1001.0, by="UDAN", question=question), *events])


def test_an_answer_changes_the_reason_and_the_time_and_says_so() -> None:
    after = asked_about(answered(1002.0))
    assert (after.reason, after.asked, after.duration, after.reason_changes) == ("INC-2", 900, 900, 1)
    assert (after.questions[0].reason_change, after.questions[0].duration_change) == (REASON, SHORTER)
    assert after.questions[0].answered


@pytest.mark.parametrize(
    ("before", "event", "why"),
    [
        ([], answered(1003.0, duration=DurationChange(before=1800, after=1801)), "only shortens"),
        ([], answered(1003.0, duration=DurationChange(before=1800, after=1800)), "only shortens"),
        ([], answered(1003.0, duration=DurationChange(before=1800, after=0)), "only shortens"),
        ([], answered(1003.0, duration=DurationChange(before=3600, after=1800)), "only shortens"),
        ([], answered(1003.0, reason=ReasonChange(before="INC-9", after="INC-2")), "another reason"),
        ([], answered(1003.0, reason=ReasonChange(before="INC-1", after="INC-1")), "another reason"),
        ([], answered(1003.0, reason=None, duration=None), "says something"),
        ([], answered(1003.0, n=2), "no question 2"),
        ([answered(1002.0)], answered(1003.0, duration=None), "no question 1"),
        ([Endorsed(at=1002.0, review=review())], answered(1003.0), "was approved"),
        ([Approved(at=1002.0, review=review(), duration=1800)], answered(1003.0), "not allowed"),
        ([Denied(at=1002.0, review=review(Verb.DENY))], answered(1003.0), "not allowed"),
    ],
)
def test_an_answer_that_may_not_change_it_changes_nothing(
    before: list[Event], event: QuestionAnswered, why: str
) -> None:
    request = asked_about(*before)
    with pytest.raises(IllegalEvent, match=why):
        advance(request, event)


def test_what_was_approved_stays_approved_for_a_shorter_time() -> None:
    after = asked_about(Endorsed(at=1002.0, review=review()), answered(1003.0, reason=None))
    assert [each.duration for each in after.reviews] == [1800]
    assert (after.duration, after.reason) == (900, "INC-1")


@given(histories())
def test_open_exactly_when_due(history: tuple[Request, list[Event]]) -> None:
    request, _ = history
    assert (request.state in OPEN) == (due(request) is not None)


@given(histories())
def test_what_may_stand_is_never_over(history: tuple[Request, list[Event]]) -> None:
    request, _ = history
    if request.state not in OPEN:
        assert not any(leg.state in LEG_MAY_HAVE_ACCESS for leg in request.legs)
        closed = [leg for leg in request.legs if leg.state is LegState.CLOSED]
        assert all(leg.outcome is not None for leg in closed)


@given(histories())
def test_what_was_opened_ended_through_revoking(history: tuple[Request, list[Event]]) -> None:
    request, events = history
    opened = any(isinstance(event, Granted) for event in events)
    if opened and request.state not in OPEN:
        assert request.state is State.ENDED
        assert not request.lacks_review
        assert any(isinstance(event, Revoked | ClosedManually) for event in events)


@given(histories())
def test_none_keeps_break_glass_without_its_review(history: tuple[Request, list[Event]]) -> None:
    request, events = history
    if request.break_glass is None:
        return
    asked = [event for event in events if isinstance(event, BreakGlassUsed | SwitchedToBreakGlass)]
    assert len(asked) == 1
    if request.state is State.ENDED:
        assert request.break_glass.review is not None
        assert any(isinstance(event, BreakGlassReviewed) for event in events)
    elif request.state is State.FAILED:
        assert not any(isinstance(event, Granted) for event in events)
    else:
        assert request.state in OPEN
        assert request.lacks_review is (request.break_glass.review is None)


@given(histories())
def test_a_review_is_given_once(history: tuple[Request, list[Event]]) -> None:
    _, events = history
    assert sum(isinstance(event, BreakGlassReviewed) for event in events) <= 1


def ended() -> Request:
    """Mia's break-glass access, of which only the review is outstanding."""
    request = fold([by_break_glass(), attempted(0, 1001.0), Granted(at=1002.0, leg=0, receipt={})])
    request = advance(request, EndedEarly(at=1010.0, by="UMIA", ending=Ending.RELEASED))
    return advance(request, Revoked(at=1011.0, leg=0, outcome={"presence": "absent"}))


def test_verified_as_revoked_it_waits_for_its_review_and_then_it_is_over() -> None:
    request = ended()
    assert request.state is State.AWAITING_REVIEW
    assert request.is_over, "nobody has access by it"
    assert due(request) == 3000.0
    done = advance(request, reviewed(2000.0))
    assert done.state is State.ENDED
    assert done.closed_at == 1011.0, "a review moves no end"
    assert due(done) is None


def test_an_early_review_leaves_nothing_to_wait_for() -> None:
    request = fold([by_break_glass(), attempted(0, 1001.0), Granted(at=1002.0, leg=0, receipt={}), reviewed(1005.0)])
    assert request.state is State.ACTIVE
    request = advance(request, AccessExpired(at=request.ends_at))
    assert advance(request, Revoked(at=9000.0, leg=0, outcome={})).state is State.ENDED


def test_what_was_never_granted_needs_no_review() -> None:
    request = fold([by_break_glass(), attempted(0, 1001.0), GrantRefused(at=1002.0, leg=0, error="no")])
    assert request.state is State.FAILED
    assert not request.lacks_review


def test_closed_manually_it_waits_for_its_review() -> None:
    request = fold([by_break_glass(), attempted(0, 1001.0), GrantUncertain(at=1600.0, error="too late")])
    closed = advance(request, ClosedManually(at=1700.0, by="cli:pat@host", reason="the server is gone"))
    assert closed.state is State.AWAITING_REVIEW


def test_an_overdue_review_is_recorded_once_a_day() -> None:
    request = ended()
    assert deadlines.due_event(request, 2999.0) is None
    for days, at in ((1, 3000.0), (2, 3000.0 + 86_400), (5, 3000.0 + 4.5 * 86_400)):
        event = deadlines.due_event(request, at)
        assert event == ReviewOverdue(at=at, days=days)
        request = advance(request, event)
        assert due(request) == 3000.0 + days * 86_400
    with pytest.raises(IllegalEvent, match="recorded already"):
        advance(request, ReviewOverdue(at=9e5, days=5))


def test_a_later_start_does_not_count_for_break_glass() -> None:
    request = begin(submitted().model_copy(update={"starts_at": 1900.0, "start_grace": 60}))
    glass = BreakGlass(at=1200.0, review_by=9000.0)
    taken = advance(
        request, SwitchedToBreakGlass(at=1200.0, by="UMIA", reason="INC-1", duration=900, break_glass=glass)
    )
    assert (taken.state, taken.begun_at, taken.duration) == (State.GRANTING, 1200.0, 900)
    assert due(taken) == 1200.0


@given(histories(), st.data())
def test_an_illegal_event_changes_nothing(history: tuple[Request, list[Event]], data: st.DataObject) -> None:
    request, _ = history
    before = request.model_dump_json()
    event = data.draw(any_event(5000.0, 0))
    if event.kind not in TRANSITIONS[request.state]:
        with pytest.raises(IllegalEvent):
            advance(request, event)
    assert request.model_dump_json() == before


@given(histories())
@settings(max_examples=200)
def test_left_alone_with_a_provider_that_answers_every_request_ends(history: tuple[Request, list[Event]]) -> None:
    request, _ = history
    for _ in range(40):
        if request.state not in OPEN or request.state is State.AWAITING_REVIEW:
            break
        request = advance(request, _answering(request))
    # A review is given by people: it waits for them however long that takes, and nobody has access meanwhile.
    assert request.state not in OPEN or request.state is State.AWAITING_REVIEW


def _answering(request: Request) -> Event:
    """What time and a provider that answers bring about next."""
    now = due(request)
    assert now is not None
    now = max(now, 10_000.0)
    if event := deadlines.due_event(request, now):
        return event
    leg = deadlines.next_leg(request, now)
    if request.state is State.SCHEDULED:
        return Started(at=now)
    if request.state is State.GRANTING:
        return GrantUncertain(at=now, error="out of budget")
    assert leg is not None
    return Revoked(at=now, leg=leg.n, outcome={"presence": "absent"})


def test_a_step_escalates_once_when_its_time_has_come_and_the_request_waits_on() -> None:
    first = submitted().model_copy(update={"escalations": (escalation(1300.0), escalation(1200.0, step=2))})
    request = begin(first)
    assert due(request) == 1200.0
    assert deadlines.due_event(request, 1199.0) is None
    for at, step in ((1200.0, 2), (1300.0, 1)):
        event = deadlines.due_event(request, 1300.0)
        assert isinstance(event, Escalated)
        assert event.step == step
        request = advance(request, event.model_copy(update={"at": at}))
        with pytest.raises(IllegalEvent, match="is to escalate"):
            advance(request, event)
    assert [each.escalated_at for each in request.escalations] == [1300.0, 1200.0]
    assert (request.state, due(request)) == (State.PENDING, request.decide_by)
    assert deadlines.due_event(request, request.decide_by - 1) is None


def test_silence_never_approves_whatever_escalates() -> None:
    request = begin(submitted().model_copy(update={"escalations": (escalation(1200.0),)}))
    while request.state in OPEN:
        event = deadlines.due_event(request, due(request) or 0.0)
        assert event is not None
        request = advance(request, event)
    assert request.state is State.EXPIRED


def test_an_answer_replaces_what_is_to_escalate() -> None:
    request = begin(submitted().model_copy(update={"escalations": (escalation(1200.0),)}))
    request = advance(request, Endorsed(at=1100.0, review=review(), escalations=(escalation(1500.0, step=2),)))
    assert [(each.step, each.escalate_at) for each in request.escalations] == [(2, 1500.0)]
    assert advance(request, Endorsed(at=1101.0, review=review())).escalations == ()


@given(histories())
def test_approvers_see_nothing_of_a_draft_and_it_leads_nowhere_without_consent(
    history: tuple[Request, list[Event]],
) -> None:
    request, events = history
    consented = any(isinstance(event, Consented) for event in events)
    drafted_ = isinstance(events[0], Drafted)
    assert request.unseen == (drafted_ and not consented)
    if request.unseen:
        assert request.state in {State.DRAFT, State.CANCELLED, State.EXPIRED}
        told = {audience for event in events for audience in notifications.notices(request, event)}
        assert told <= {notifications.CONSENT, notifications.REQUESTED_BY}
        assert not request.reviews
        assert not request.questions
    assert request.requested_by == (KIM if drafted_ else None)


def test_the_time_to_decide_counts_from_the_consent() -> None:
    request = fold([drafted(), Consented(at=1020.0, by="UMIA", decide_by=5000.0, remind_at=3000.0)])
    assert (request.state, request.decide_by, request.remind_at) == (State.PENDING, 5000.0, 3000.0)
    assert (request.created_at, request.consented_at, due(request)) == (1000.0, 1020.0, 3000.0)


def test_a_draft_that_nobody_accepts_expires_on_time_and_is_not_accepted_after_that() -> None:
    request = begin(drafted())
    assert (due(request), deadlines.due_event(request, 1029.9)) == (1030.0, None)
    expired = advance(request, RequestExpired(at=1030.0))
    assert (deadlines.due_event(request, 1030.0), expired.state) == (RequestExpired(at=1030.0), State.EXPIRED)
    with pytest.raises(IllegalEvent):
        advance(expired, Consented(at=1031.0, by="UMIA", decide_by=5000.0))


def test_a_rule_may_approve_what_was_accepted_at_once_or_for_later() -> None:
    accepted = Consented(at=1020.0, by="UMIA", decide_by=5000.0, rule=by_rule().rule)
    now = fold([drafted(), accepted])
    assert (now.state, now.approved_at, now.begun_at) == (State.GRANTING, 1020.0, 1020.0)
    later = fold([drafted().model_copy(update={"starts_at": 4000.0}), accepted])
    assert (later.state, due(later)) == (State.SCHEDULED, 4000.0)


def test_a_record_of_before_there_were_drafts_still_loads() -> None:
    old = {k: v for k, v in begin(submitted()).model_dump(mode="json").items() if k not in NEW}
    assert Request.model_validate(old) == begin(submitted())
    event = {k: v for k, v in submitted().model_dump(mode="json").items() if k != "requested_by"}
    assert EVENT.validate_python(event) == submitted()
    assert begin(submitted()).lineage == "ca58d2744ee0aebeb2211f2f"


def test_the_end_is_within_the_cap_and_not_after_the_record_said_so() -> None:
    request = fold([submitted(2), Approved(at=1100.0, review=review(), duration=3600)])
    for leg, at in ((0, 1200.0), (1, 1700.0)):
        request = advance(advance(request, attempted(leg, at - 1)), Granted(at=at, leg=leg, receipt={}))
    assert request.granted_at == 1700.0
    # The cap of an hour counts from the first door that opened.
    assert request.ends_at == 1200.0 + 3600
    assert request.ends_at <= request.not_after == 1100.0 + 600 + 3600


def test_a_revoke_is_not_final_while_a_slow_grant_may_land() -> None:
    request = fold([submitted(), Approved(at=1100.0, review=review(), duration=1800), attempted(0, 1101.0)])
    request = advance(request, EndedEarly(at=1102.0, by="UMIA", ending=Ending.RELEASED))
    with pytest.raises(IllegalEvent, match="may still take effect"):
        advance(request, Revoked(at=1103.0, leg=0, outcome={}))
    assert advance(request, Revoked(at=1106.0, leg=0, outcome={})).state is State.ENDED


def test_what_stood_before_is_seen_once() -> None:
    request = fold([submitted(), Approved(at=1100.0, review=review(), duration=1800), attempted(0, 1101.0)])
    again = attempted(0, 1107.0).model_copy(update={"prior": {"present": True, "facts": {}}})
    with pytest.raises(IllegalEvent, match="inspected once"):
        advance(request, again)


def test_a_refused_first_attempt_fails_and_a_later_one_is_revoked() -> None:
    request = fold([submitted(), Approved(at=1100.0, review=review(), duration=1800), attempted(0, 1101.0)])
    assert advance(request, GrantRefused(at=1102.0, leg=0, error="no")).state is State.FAILED
    request = advance(request, attempted(0, 1107.0))
    assert advance(request, GrantRefused(at=1108.0, leg=0, error="no")).state is State.REVOKING


def test_a_refused_attempt_that_holds_a_shared_entitlement_leaves_it_by_a_revoke() -> None:
    joined = attempted(0, 1101.0).model_copy(update={"entitlements": ("hall/mia",)})
    request = fold([submitted(), Approved(at=1100.0, review=review(), duration=1800), joined])
    assert advance(request, GrantRefused(at=1102.0, leg=0, error="no")).state is State.REVOKING


def test_the_guide_shows_the_table() -> None:
    from pathlib import Path

    guide = (Path(__file__).parents[2] / "bot" / "guides" / "architecture.md").read_text(encoding="utf-8")
    assert lifecycle.diagram() in guide, "run `python -m tests.readme` to write what is generated into the guides"


def test_terminal_states_are_written_empty() -> None:
    assert {state for state, events in TRANSITIONS.items() if not events} == set(State) - OPEN


def test_every_event_kind_has_a_place() -> None:
    placed: set[str] = {kind for events in TRANSITIONS.values() for kind in events} | set(BEGINNINGS) | ANYWHERE
    kinds: set[Any] = {event.model_fields["kind"].default for event in Event.__origin__.__args__}  # type: ignore[attr-defined]  # typing's own
    assert placed == kinds


def test_what_a_rule_approved_has_nothing_that_escalates() -> None:
    request = begin(by_rule().model_copy(update={"escalations": (escalation(1200.0),)}))
    assert (request.state, request.escalations) == (State.GRANTING, ())
