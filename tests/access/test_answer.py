"""With an answer the requester may give a better reason and ask for less; nobody needs fewer approvals for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bot.access import answer, ask, consent, own_request, review
from bot.access.answer import AnswerForm
from bot.access.review import ReviewDecision, UnderReview
from bot.core.durations import SHORTEST
from bot.core.errors import (
    BadDuration,
    BadQuestion,
    BadReason,
    JitError,
    Late,
    NotAllowed,
    Overtaken,
    PolicyMoved,
)
from bot.core.events import EVENT, Approved, QuestionAnswered
from bot.core.lifecycle import fold
from bot.core.question_errors import NoSuchQuestion, ReasonChanged, ReasonFixed
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import Request, State, Verb
from bot.policy.approval_progress import ApprovalProgress
from bot.store.store import Store
from bot.store.types import Change
from tests.access.test_rule_outcomes import TICKET, World, ruled
from tests.access.test_rules import entries
from tests.house import POLICY, House, catalog, person
from tests.policy.test_on_behalf import FOR_OTHERS

BETTER = "INC-2 the disk of orders is full"


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def asked(house: House, who: str = "mia", what: str = "debug", by: str = "dan", **more: Any) -> Request:
    """A request about which an approver has asked."""
    request = await house.ask(who, what, **more)
    return await ask.ask(house.context, house.actor(by), request.id, "Which table?")


async def answered(house: House, id_: str, text: str = "", *, who: str = "mia", n: int = 1, **changes: Any) -> Request:
    """The requester answers, perhaps with changes."""
    return await answer.answer(house.context, house.actor(who), id_, n, AnswerForm(text=text, **changes))


async def approved(house: House, id_: str, *, who: str = "dan", reason_changes: int = 0, **more: Any) -> Request:
    """An approver approves the reason that they read."""
    decision = ReviewDecision(verb=Verb.APPROVE, reason_changes=reason_changes, **more)
    return await review.review(house.context, house.actor(who), id_, decision)


async def events_of(house: House, id_: str) -> list[Any]:
    return [EVENT.validate_json(entry[b"event"]) for entry in await entries(house, id_) if entry[b"version"] != b"0"]


async def test_reason_and_time_change_in_the_record_and_in_the_audit_log(house: House) -> None:
    request = await asked(house, duration=3600)
    after = await answered(house, request.id, "orders", reason=f" {BETTER}\n", duration=1800)
    assert (after.reason, after.asked, after.duration) == (BETTER, 1800, 1800)
    assert (after.reason_changes, after.state) == (1, State.PENDING)
    kept = {"reason", "asked", "duration", "questions", "version", "lineage"}
    assert after.model_dump(exclude=kept) == request.model_dump(exclude=kept), "no deadline, reminder or step moves"
    last = (await events_of(house, request.id))[-1]
    assert isinstance(last, QuestionAnswered)
    assert (last.by, last.answer) == ("UMIA", "orders")
    assert last.reason_change == ReasonChange(before="INC-1 is on fire", after=BETTER)
    assert last.duration_change == DurationChange(before=3600, after=1800)
    assert fold(await events_of(house, request.id)) == after == await house.now(request.id)
    await approved(house, request.id, reason_changes=1)
    active = await house.until(request.id, State.ACTIVE)
    assert active.ends_at - active.granted_at == pytest.approx(1800)


@pytest.mark.parametrize("changes", [{"reason": BETTER}, {"duration": 900}])
async def test_a_change_alone_is_an_answer(house: House, changes: dict[str, Any]) -> None:
    request = await asked(house)
    [question] = (await answered(house, request.id, **changes)).questions
    assert question.answered
    assert question.answer == ""
    with pytest.raises(NoSuchQuestion):
        await answered(house, request.id, "orders")


@pytest.mark.parametrize("changes", [{}, {"reason": "INC-1  is on fire "}, {"duration": 1800}, {"reason": " \n"}])
async def test_nothing_said_and_nothing_changed_is_no_answer(house: House, changes: dict[str, Any]) -> None:
    request = await asked(house)
    with pytest.raises(BadQuestion):
        await answered(house, request.id, **changes)
    after = await answered(house, request.id, "orders", **changes)
    assert (after.reason_changes, after.questions[0].duration_change) == (0, None)


@pytest.mark.parametrize("seconds", [1801, 3600, 10**9, SHORTEST - 1, 0, -900])
async def test_the_time_only_becomes_shorter(house: House, seconds: int) -> None:
    request = await asked(house)
    with pytest.raises(BadDuration):
        await answered(house, request.id, "orders", duration=seconds)
    assert await house.now(request.id) == request


@pytest.mark.parametrize("reason", ["the disk is full", ".", "INC-2 " + "x" * 500])
async def test_a_new_reason_is_checked_as_that_of_a_request(house: House, reason: str) -> None:
    request = await asked(house)
    with pytest.raises(BadReason):
        await answered(house, request.id, "orders", reason=reason)
    assert await house.now(request.id) == request


async def test_a_reason_that_somebody_has_approved_stays_and_the_time_may_still_be_shorter(house: House) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam", duration=3600)
    await approved(house, request.id)
    found = await answer.answerable(house.context, house.actor("eve"), request.id, 1)
    assert found.choice is None
    with pytest.raises(ReasonFixed):
        await answered(house, request.id, "orders", who="eve", reason=BETTER)
    after = await answered(house, request.id, "orders", who="eve", duration=1800)
    assert [each.duration for each in after.reviews] == [3600], "what was approved stays approved"
    done = await approved(house, request.id, who="sam")
    assert (done.state, done.duration, done.reason) == (State.GRANTING, 1800, "INC-1 is on fire")


@pytest.mark.parametrize(("less", "shorter", "lasts"), [(900, 1200, 900), (1200, 900, 900)])
async def test_what_was_approved_for_less_stays_the_bound(house: House, less: int, shorter: int, lasts: int) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam", duration=3600)
    await approved(house, request.id, duration=less)
    await answered(house, request.id, who="eve", duration=shorter)
    with pytest.raises(BadDuration):
        await approved(house, request.id, who="sam", duration=3600)
    assert (await approved(house, request.id, who="sam")).duration == lasts


async def test_no_more_is_granted_than_is_asked_for_whatever_counts_by_then(house: House) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam", duration=3600)
    [earlier] = (await approved(house, request.id)).reviews
    after = await answered(house, request.id, who="eve", duration=900)
    event = UnderReview(after, earlier.at, None).approved(earlier, ApprovalProgress(counted=(earlier,)))
    assert isinstance(event, Approved)
    assert event.duration == 900


@pytest.mark.parametrize("number", [0, 2, -1])
async def test_an_approval_counts_for_the_reason_that_was_read(house: House, number: int) -> None:
    request = await asked(house)
    changed = await answered(house, request.id, reason=BETTER)
    with pytest.raises(ReasonChanged):
        await approved(house, request.id, reason_changes=number)
    assert await house.now(request.id) == changed
    assert (await approved(house, request.id, reason_changes=1)).state is State.GRANTING


async def test_a_denial_counts_whichever_reason_was_read(house: House) -> None:
    request = await asked(house)
    await answered(house, request.id, reason=BETTER)
    no = ReviewDecision(verb=Verb.DENY, reason="not now")
    assert (await review.review(house.context, house.actor("dan"), request.id, no)).state is State.DENIED


async def test_a_shorter_time_refuses_no_press_on_an_older_card(house: House) -> None:
    request = await asked(house)
    await answered(house, request.id, duration=900)
    assert (await house.approve("dan", request.id)).duration == 900


async def test_nobody_but_the_person_whom_it_is_for_changes_it(store: Store) -> None:
    house = await House(store, catalog(FOR_OTHERS)).open()
    made = await house.ask("pat", "vault/read-only", requested_for=person(store.workspace, "mia"))
    await consent.accept(house.context, house.actor("mia"), made.id)
    await ask.ask(house.context, house.actor("dan"), made.id, "Which table?")
    for who in ("pat", "dan", "eve"):
        with pytest.raises(NotAllowed):
            await answered(house, made.id, "orders", who=who, reason=BETTER, duration=900)
    after = await answered(house, made.id, reason=BETTER, duration=900)
    assert (after.reason, after.duration, after.requester.id) == (BETTER, 900, "UMIA")


async def test_a_decided_request_changes_no_more(house: House) -> None:
    request = await asked(house)
    await approved(house, request.id)
    with pytest.raises(Overtaken):
        await answered(house, request.id, reason=BETTER, duration=900)


@pytest.mark.parametrize(("reason", "stays"), [("INC-1 of orders", False), ("INC-2 of orders", True), ("orders", True)])
async def test_a_ticket_on_which_rules_were_judged_stays_in_the_reason(store: Store, reason: str, stays: bool) -> None:
    without = f"{{unless: {{{TICKET}}}, then: {{require: {{steps: [{{any_of: [security]}}]}}}}}}"
    house = await ruled(store, World(tickets={"INC-1": True}), without)
    request = await asked(house, what="vault/shared")
    assert request.required_steps == (), "since its ticket exists"
    if stays:
        with pytest.raises(ReasonFixed):
            await answered(house, request.id, reason=reason)
    else:
        assert (await answered(house, request.id, reason=reason)).reason == reason


async def test_a_shorter_time_needs_no_fewer_approvals(store: Store) -> None:
    rule = "{unless: {at_most: 15m}, then: {require: {steps: [{any_of: [security]}]}}}"
    house = await ruled(store, World(), rule)
    request = await asked(house, what="vault/shared", duration=3600)
    assert len(request.required_steps) == 1
    after = await answered(house, request.id, duration=600)
    assert after.required_steps == request.required_steps
    half = await approved(house, request.id)
    assert half.state is State.PENDING
    assert (await approved(house, request.id, who="sam")).state is State.GRANTING


async def test_a_new_reason_is_judged_by_the_policy_of_the_workspace(house: House) -> None:
    request = await asked(house)
    house.policy = catalog(POLICY.replace('pattern: "[A-Z]', 'pattern: "^[A-Z]'))
    with pytest.raises(PolicyMoved):
        await answered(house, request.id, reason=BETTER)
    house.policy = catalog(POLICY.partition("templates:")[0])
    with pytest.raises(ReasonFixed):
        await answered(house, request.id, reason=BETTER)
    assert (await answered(house, request.id, "orders")).questions[0].answer == "orders"


async def test_the_same_answer_twice_changes_once(house: House) -> None:
    request = await asked(house, duration=3600)
    form: dict[str, Any] = {"text": "orders", "reason": BETTER, "duration": 900}
    both = await asyncio.gather(answered(house, request.id, **form), answered(house, request.id, **form))
    assert both[0] == both[1]
    assert [event.kind for event in await events_of(house, request.id)].count("question_answered") == 1
    await approved(house, request.id, reason_changes=1)
    assert (await answered(house, request.id, **form)).state is not State.PENDING, "delivered once more, and recorded"


# races


async def outcome(*did: Coroutine[Any, Any, Request]) -> list[JitError | None]:
    """What each of those at once was refused with; None for who won."""
    found = await asyncio.gather(*did, return_exceptions=True)
    assert all(isinstance(each, Request | JitError) for each in found), found
    return [each if isinstance(each, JitError) else None for each in found]


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_answers_at_once_one_counts(house: House, first: int) -> None:
    request = await asked(house)
    both = [answered(house, request.id, reason=BETTER), answered(house, request.id, "orders", duration=900)]
    refused = await outcome(both[first], both[1 - first])
    assert [type(each) for each in refused if each] == [NoSuchQuestion]
    after = await house.now(request.id)
    assert (after.reason_changes, after.duration) in {(1, 1800), (0, 900)}
    assert after.version == request.version + 1


def overtaking(monkeypatch: pytest.MonkeyPatch, store: Store, did: Coroutine[Any, Any, Request]) -> None:
    """The next commit comes only after this: it was judged on what was there before."""
    commit = store.commit

    async def late(change: Change) -> None:
        monkeypatch.setattr(store, "commit", commit)
        await did
        await commit(change)

    monkeypatch.setattr(store, "commit", late)


async def test_a_reason_that_changes_while_it_is_approved_is_approved_by_nobody_who_did_not_read_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam")
    overtaking(monkeypatch, house.store, answered(house, request.id, who="eve", reason=BETTER))
    with pytest.raises(ReasonChanged):
        await approved(house, request.id)
    after = await house.now(request.id)
    assert (after.reviews, after.reason) == ((), BETTER)


async def test_a_reason_that_is_approved_while_it_changes_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam")
    overtaking(monkeypatch, house.store, approved(house, request.id))
    with pytest.raises(ReasonFixed):
        await answered(house, request.id, who="eve", reason=BETTER)
    after = await house.now(request.id)
    assert [each.by.id for each in after.reviews] == ["UDAN"]
    assert after.reason == request.reason


async def test_a_time_that_becomes_shorter_while_it_is_approved_is_what_is_granted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await asked(house)
    overtaking(monkeypatch, house.store, answered(house, request.id, duration=900))
    assert (await approved(house, request.id)).duration == 900


async def test_both_at_once_leave_one_of_the_two(house: House) -> None:
    request = await asked(house, "eve", "vault/admin", by="sam")
    refused = await outcome(approved(house, request.id), answered(house, request.id, who="eve", reason=BETTER))
    after = await house.now(request.id)
    assert [type(each) for each in refused] in ([type(None), ReasonFixed], [ReasonChanged, type(None)])
    assert bool(after.reviews) is (after.reason_changes == 0)


@pytest.mark.parametrize("how", ["approve", "deny", "cancel"])
async def test_an_answer_and_what_decides_it_at_once(house: House, how: str) -> None:
    request = await asked(house)
    no = ReviewDecision(verb=Verb.DENY, reason="not now")
    decides: dict[str, Callable[[], Coroutine[Any, Any, Request]]] = {
        "approve": lambda: approved(house, request.id),
        "deny": lambda: review.review(house.context, house.actor("dan"), request.id, no),
        "cancel": lambda: own_request.cancel(house.context, house.actor("mia"), request.id),
    }
    refused = await outcome(decides[how](), answered(house, request.id, duration=900))
    assert refused[0] is None, "a shorter time keeps nobody from deciding"
    after = await house.now(request.id)
    assert after.state is not State.PENDING
    assert isinstance(refused[1], Overtaken) is (after.duration == 1800)
    assert fold(await events_of(house, request.id)) == after


async def test_after_the_time_to_decide_an_answer_is_too_late(house: House) -> None:
    workspace = house.policy.workspace.model_copy(update={"pending": 1})
    house.policy = house.policy.model_copy(update={"workspace": workspace})
    request = await asked(house)
    async with asyncio.timeout(30):
        while True:
            if await house.store.now() > request.decide_by:
                break
            await asyncio.sleep(0.02)
    with pytest.raises(Late):
        await answered(house, request.id, reason=BETTER, duration=900)
    await house.until(request.id, State.EXPIRED)
    with pytest.raises(Overtaken):
        await answered(house, request.id, reason=BETTER, duration=900)
    assert (await house.now(request.id)).reason == request.reason
