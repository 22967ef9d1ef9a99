"""Approval steps at the store: in order, escalated by the clock, and recounted whatever changes meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import extend, review
from bot.access.review import ReviewDecision
from bot.core.errors import AlreadyAnswered, CouldNotCheck, NotAllowed, NotFound
from bot.core.request import Request, State, Verb
from bot.core.verdict import Actor, Code, Members
from bot.policy import authorization
from bot.store.store import Store
from tests.house import POLICY, House, catalog

OLD = "steps: [{any_of: [dba]}, {any_of: [security]}]"
ORDERED = f"ordered: true\n          {OLD}"
ESCALATES = (
    "ordered: true\n          steps: [{any_of: [dba]}, {any_of: [security], escalate: {after: 5s, to: [platform]}}]"
)
SKIPS = "steps: [{any_of: [dba]}, {any_of: [security], skip_if_requester_in: [platform]}]"


def policy(written: str) -> str:
    return POLICY.replace(OLD, written).replace("may_ask: [dba]", "may_ask: [everyone]")


async def opened(store: Store, written: str) -> House:
    return await House(store, policy=catalog(policy(written))).open()


async def refused(house: House, who: str, id_: str) -> Code:
    """Why somebody's approval is refused."""
    with pytest.raises(NotAllowed) as raised:
        await house.approve(who, id_)
    return raised.value.verdict.reasons[0].code


async def deny(house: House, who: str, id_: str) -> Request:
    decision = ReviewDecision(verb=Verb.DENY, reason="not now")
    return await review.review(house.context, house.actor(who), id_, decision)


async def escalated(house: House, id_: str) -> Request:
    """Work until a step has escalated."""
    async with asyncio.timeout(30):
        while True:
            request = await house.now(id_)
            if any(each.escalated_at for each in request.escalations):
                return request
            await house.work()
            await asyncio.sleep(0.05)


async def kinds(house: House) -> list[str]:
    """The kinds of all audit events."""
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    return [fields[b"kind"].decode() for _, fields in entries]


async def test_the_second_step_is_answered_only_after_the_first_with_yes_and_with_no(store: Store) -> None:
    house = await opened(store, ORDERED)
    request = await house.ask(what="vault/admin")
    assert await refused(house, "sam", request.id) is Code.NOT_YET_OPEN
    with pytest.raises(NotAllowed):
        await deny(house, "sam", request.id)
    half = await house.approve("dan", request.id)
    assert half.state is State.PENDING
    assert await refused(house, "eve", request.id) is Code.ALREADY_FILLED
    assert (await house.approve("sam", request.id)).state is State.GRANTING


async def test_a_denial_of_an_open_step_ends_it(store: Store) -> None:
    house = await opened(store, ORDERED)
    first = await house.ask(what="vault/admin")
    assert (await deny(house, "dan", first.id)).state is State.DENIED
    second = await house.ask(what="vault/admin")
    await house.approve("dan", second.id)
    assert (await deny(house, "sam", second.id)).state is State.DENIED


async def test_the_answers_of_two_at_once_are_counted_one_after_the_other(store: Store) -> None:
    house = await opened(store, ORDERED)
    request = await house.ask(what="vault/admin")
    answers = (house.approve(who, request.id) for who in ("dan", "eve", "sam", "kim"))
    await asyncio.gather(*answers, return_exceptions=True)
    after = await house.now(request.id)
    given = [review.by.name for review in after.reviews]
    assert given[0] in {"Dan", "Eve"}
    assert given[1:] in ([], ["Sam"], ["Kim"])
    assert after.state is (State.GRANTING if len(given) == 2 else State.PENDING)


async def test_a_policy_that_orders_its_steps_later_counts_no_answer_that_came_too_early(store: Store) -> None:
    house = await opened(store, OLD)
    request = await house.ask(what="vault/admin")
    await house.approve("sam", request.id)
    house.policy = catalog(policy(ORDERED))
    await house.open()
    assert (await house.approve("dan", request.id)).state is State.PENDING
    with pytest.raises(AlreadyAnswered):
        await house.approve("sam", request.id)
    assert (await house.approve("kim", request.id)).state is State.GRANTING


async def test_a_step_escalates_by_the_clock_once_and_another_process_counts_it(store: Store) -> None:
    house = await opened(store, ESCALATES)
    request = await house.ask(what="vault/admin")
    assert request.escalations == (), "the second step is not open yet"
    half = await house.approve("dan", request.id)
    assert [each.escalate_at for each in half.escalations] == [half.reviews[0].at + 5]
    assert await refused(house, "pat", request.id) is Code.NOT_AN_APPROVER
    after = await escalated(house, request.id)
    assert after.escalations[0].escalated_at >= half.escalations[0].escalate_at
    await house.work()
    assert (await kinds(house)).count("escalated") == 1
    restarted = await House(Store(store.redis, store.workspace, store.ring), policy=house.policy).open()
    assert (await restarted.approve("pat", request.id)).state is State.GRANTING


async def test_an_escalation_that_the_policy_dropped_adds_nobody(store: Store) -> None:
    house = await opened(store, ESCALATES)
    request = await house.ask(what="vault/admin")
    await house.approve("dan", request.id)
    await escalated(house, request.id)
    house.policy = catalog(policy(ORDERED))
    await house.open()
    assert await refused(house, "pat", request.id) is Code.NOT_AN_APPROVER
    assert (await house.approve("sam", request.id)).state is State.GRANTING


async def test_a_step_that_was_filled_in_time_does_not_escalate(store: Store) -> None:
    first = "steps: [{any_of: [dba], escalate: {after: 5s, to: [platform]}}, {any_of: [security]}]"
    house = await opened(store, first)
    request = await house.ask(what="vault/admin")
    assert [each.step for each in request.escalations] == [1]
    half = await house.approve("dan", request.id)
    assert half.escalations == ()


async def test_a_forged_escalation_adds_nobody(store: Store) -> None:
    house = await opened(store, ESCALATES)
    request = await house.ask(what="vault/admin")
    half = await house.approve("dan", request.id)
    done = tuple(each.model_copy(update={"escalated_at": 1.0}) for each in half.escalations)
    body = half.model_copy(update={"escalations": done}).model_dump_json()
    await store.redis.hset(store.keys.record(request.id), "body", body)
    with pytest.raises(NotFound):
        await house.approve("pat", request.id)


async def test_what_escalated_is_recounted_at_a_scheduled_start(store: Store) -> None:
    house = await opened(store, ESCALATES)
    request = await house.ask(what="vault/admin", starts_at=await store.now() + 3600)
    await house.approve("dan", request.id)
    await escalated(house, request.id)
    scheduled = await house.approve("pat", request.id)
    assert scheduled.state is State.SCHEDULED
    at = scheduled.starts_at
    judged = await house.judge(scheduled, at)
    assert judged
    assert judged[0].kind == "started"
    house.policy = catalog(policy(ORDERED))
    judged = await house.judge(scheduled, at)
    assert judged
    assert judged[0].kind == "cancelled"


async def test_an_extension_needs_the_same_steps_in_order_and_does_not_escalate(store: Store) -> None:
    house = await opened(store, ESCALATES)
    request = await house.ask(what="vault/admin")
    await house.approve("dan", request.id)
    await house.approve("sam", request.id)
    active = await house.attempted(request.id)
    assert active.state is State.ACTIVE
    wanted = await extend.extend(house.context, house.actor("mia"), request.id, 600, "not done")
    assert wanted.extension
    yes = ReviewDecision(verb=Verb.APPROVE)
    for who in ("sam", "pat"):
        with pytest.raises(NotAllowed):
            await review.review(house.context, house.actor(who), request.id, yes, extension=1)
    half = await review.review(house.context, house.actor("eve"), request.id, yes, extension=1)
    assert half.extension
    assert half.extension.state.value == "pending"
    done = await review.review(house.context, house.actor("kim"), request.id, yes, extension=1)
    assert done.extension
    assert done.extension.state.value == "extending"


def with_platform(actor: Actor, members: Members) -> Actor:
    return actor.model_copy(update={"roster": {**actor.roster, "platform": members}})


async def test_a_step_is_skipped_for_who_is_in_the_group_and_waits_while_nobody_can_tell(store: Store) -> None:
    house = await opened(store, SKIPS)
    mia_is_in = Members(identities=frozenset({"mia@example.com"}))
    request = await house.ask(what="vault/admin")
    yes = ReviewDecision(verb=Verb.APPROVE)
    dark = with_platform(house.actor("dan"), mia_is_in.model_copy(update={"known": False}))
    with pytest.raises(CouldNotCheck):
        await review.review(house.context, dark, request.id, yes)
    known = with_platform(house.actor("dan"), mia_is_in)
    assert (await review.review(house.context, known, request.id, yes)).state is State.GRANTING


async def test_a_scheduled_start_waits_while_nobody_can_tell_whether_a_step_is_skipped(store: Store) -> None:
    house = await opened(store, SKIPS)
    mia_is_in = Members(identities=frozenset({"mia@example.com"}))
    request = await house.ask(what="vault/admin", starts_at=await store.now() + 3600)
    known = with_platform(house.actor("dan"), mia_is_in)
    scheduled = await review.review(house.context, known, request.id, ReviewDecision(verb=Verb.APPROVE))
    assert scheduled.state is State.SCHEDULED
    dark = with_platform(house.actor("dan"), mia_is_in.model_copy(update={"known": False})).roster
    progress = authorization.approval_progress(house.policy, dark, scheduled, scheduled.starts_at)
    assert not progress.complete
    assert authorization.in_doubt(house.policy, dark, scheduled, progress) == ("platform",)
