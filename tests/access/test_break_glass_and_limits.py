"""Break-glass beside limits, rules, conflicts and stand-ins: what counts it, what stops it, and who reviews it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.access import break_glass, break_glass_review, own_request
from bot.access.break_glass_review import ReviewOutcome
from bot.access.submit import RequestForm
from bot.core import deadlines
from bot.core.errors import DelegationsChanged, NotAllowed
from bot.core.lifecycle import advance
from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.request import Request, Review, State, Verb
from bot.core.verdict import Actor, Code, Members
from bot.policy import authorization
from bot.policy.recount import approval_progress
from bot.store.store import Store
from bot.store.types import Change
from tests.access.limited import limited, live, policy
from tests.access.test_delegate import Standing
from tests.access.test_usage import SIDES, deny, outcomes
from tests.house import House, catalog
from tests.policy.test_stand_ins import DELEGATED

GLASS = "        break_glass: {who: [oncall], at_most: 30m}\n"
VAULT, BILLING = "vault/read-only", "billing/approve"
DENY = "rules:\n  - {when: {what: [vault/read-only]}, then: {deny: the vault is closed for an audit}}\n"
SHORTEN = "rules:\n  - {when: {what: [vault/read-only]}, then: {shorten: 10m}}\n"
REQUIRE = "rules:\n  - {when: {what: [vault/read-only]}, then: {require: {steps: [{any_of: [security]}]}}}\n"
YES = ReviewOutcome(justified=True)


def with_glass(text: str) -> str:
    """The policy, in which Mia may use break-glass for every role."""
    for grants in ("{door: vault, secret: true}", "{door: billing}", "{door: safe}"):
        text = text.replace(f"        grants: {grants}\n", f"        grants: {grants}\n{GLASS}")
    people = "[mia@example.com, sam@example.com, dan@example.com]"
    return text.replace("groups:\n", f"groups:\n  oncall: {{people: {people}}}\n", 1)


async def glass_house(store: Store, tmp_path: Any = None, **parts: str) -> House:
    """A house with limits and conflicts in which Mia and Sam may use break-glass."""
    house = await limited(store, tmp_path)
    house.policy = catalog(with_glass(policy(**parts)))
    return await house.open()


async def taken(house: House, name: str = "mia", what: str = VAULT) -> Request:
    """Somebody uses break-glass."""
    form = RequestForm(what=what, reason="the vault is on fire", duration=900)
    return await break_glass.use(house.context, house.actor(name), form)


async def switched(house: House, request: Request) -> Request:
    """The requester takes what waits."""
    actor = house.actor(request.requester.name.lower())
    return await break_glass.switch(house.context, actor, request.id, "the vault is on fire")


async def ended(house: House, request: Request) -> Request:
    """Its holder ends it: only the review is outstanding."""
    await own_request.release(house.context, house.actor(request.requester.name.lower()), request.id)
    return await house.until(request.id, State.AWAITING_REVIEW)


async def overdue(house: House, name: str = "mia") -> Request:
    """A use whose review is overdue, as the worker records it."""
    before = await ended(house, await house.attempted((await taken(house, name)).id))
    assert before.break_glass
    event = deadlines.due_event(before, before.break_glass.review_by)
    assert event
    await house.store.commit(Change(before, advance(before, event), event))
    return await house.now(before.id)


# limits


async def test_limits_do_not_stop_it_and_it_takes_a_place(store: Store) -> None:
    house = await glass_house(store, role="{live: 1, per_day: 2}")
    await house.granted("kim")
    request = await house.attempted((await taken(house)).id)
    assert request.state is State.ACTIVE, "the worker, which counts again, lets it pass as well"
    assert await live(store, house.policy, VAULT) == 2
    with pytest.raises(OverLimit):
        await house.ask("lee")
    request = await ended(house, request)
    assert await live(store, house.policy, VAULT) == 1, "what waits for its review has no place"


async def test_what_waits_for_its_review_has_no_place_and_counts_for_the_day(store: Store, tmp_path: Any) -> None:
    house = await glass_house(store, tmp_path, role="{live: 1, per_day: 1}")
    request = await ended(house, await house.attempted((await taken(house)).id))
    await store.redis.delete(store.keys.usage(VAULT))
    await house.counter.run_once()
    assert await live(store, house.policy, VAULT) == 0
    await break_glass_review.review(house.context, house.actor("dan"), request.id, YES)
    await store.redis.delete(store.keys.usage(VAULT))
    await house.counter.run_once()
    with pytest.raises(OverLimit) as refused:
        await house.ask("lee")
    assert refused.value.hit.kind == "per_day"


async def test_a_limit_of_a_role_with_a_conflict_does_not_stop_it_either(store: Store) -> None:
    house = await glass_house(store, role="{live: 1}", conflicts=SIDES)
    await house.granted("kim")
    assert (await house.attempted((await taken(house)).id)).state is State.ACTIVE


async def test_a_cooldown_does_not_stop_it(store: Store) -> None:
    house = await glass_house(store, role="{cooldown: 1d}")
    await deny(house, (await house.ask("sam")).id)
    with pytest.raises(OverLimit):
        await house.ask("sam")
    assert (await taken(house, "sam")).state is State.GRANTING


async def test_a_waiting_request_that_is_taken_counts_at_once(store: Store) -> None:
    house = await glass_house(store, role="{live: 1}")
    waiting = await house.ask()
    assert await live(store, house.policy, VAULT) == 0
    await house.granted("kim")
    request = await switched(house, waiting)
    assert await live(store, house.policy, VAULT) == 2
    assert (await house.attempted(request.id)).state is State.ACTIVE


async def test_a_count_of_limits_that_is_unknown_does_not_stop_it(store: Store) -> None:
    house = await glass_house(store, role="{live: 1}")
    await store.redis.set(store.keys.usage(VAULT), "forged")
    with pytest.raises(NotCounted):
        await house.ask("kim")
    assert (await taken(house)).state is State.GRANTING
    await house.counter.run_once()
    assert await live(store, house.policy, VAULT) == 1


# rules


@pytest.mark.parametrize("rules", [DENY, SHORTEN, REQUIRE])
async def test_no_rule_stops_shortens_or_delays_it(store: Store, rules: str) -> None:
    house = await glass_house(store, rules=rules)
    request = await taken(house)
    assert (request.state, request.duration, request.required_steps) == (State.GRANTING, 900, ())


async def test_one_that_waits_is_taken_for_as_long_as_break_glass_allows(store: Store) -> None:
    house = await glass_house(store, rules=SHORTEN)
    waiting = await house.ask()
    assert waiting.shortened
    request = await switched(house, waiting)
    assert (request.duration, request.shortened) == (1800, None)


# separation of duties


async def test_separation_of_duties_stops_it(store: Store) -> None:
    house = await glass_house(store, conflicts=SIDES)
    one = await house.granted("mia", BILLING)
    with pytest.raises(Conflicting) as refused:
        await taken(house)
    assert refused.value.conflict.request == one.id
    assert (await taken(house, "sam")).state is State.GRANTING, "another person"


async def test_separation_of_duties_stops_what_waits_from_being_taken(store: Store) -> None:
    house = await glass_house(store)
    waiting, other = await house.ask(), await house.ask("mia", BILLING)
    house.policy = catalog(with_glass(policy(conflicts=SIDES)))
    await house.open()
    await house.approve("dan", other.id)
    with pytest.raises(Conflicting):
        await break_glass.switchable(house.context, house.actor("mia"), waiting.id)
    with pytest.raises(Conflicting):
        await switched(house, waiting)


async def test_of_both_sides_taken_at_once_one_passes(store: Store) -> None:
    house = await glass_house(store, conflicts=SIDES)
    found = await outcomes([taken(house), taken(house, what=BILLING)])
    assert sorted(type(each).__name__ for each in found) == ["Conflicting", "Request"]


async def test_of_both_sides_taken_at_once_by_two_accounts_of_one_person_one_passes(store: Store) -> None:
    house = await glass_house(store, conflicts=SIDES)
    form = RequestForm(reason="the vault is on fire", duration=900)
    for n in range(10):
        mia = house.actor(f"mia{n}")
        roster = {**mia.roster, "oncall": Members(identities=frozenset({mia.person.identity}))}
        twin = mia.person.model_copy(update={"id": f"UTWIN{n}"})
        calls = [
            break_glass.use(house.context, Actor(person=who, roster=roster), form.model_copy(update={"what": what}))
            for who, what in ((mia.person, VAULT), (twin, BILLING))
        ]
        found = await outcomes(calls)
        assert sorted(type(each).__name__ for each in found) == ["Conflicting", "Request"], n


async def test_a_count_of_the_other_side_that_is_unknown_stops_it(store: Store) -> None:
    house = await glass_house(store, conflicts=SIDES)
    await store.redis.set(store.keys.usage("billing"), "forged")
    with pytest.raises(NotCounted):
        await taken(house)
    await house.counter.run_once()
    assert (await taken(house)).state is State.GRANTING


async def test_a_worker_grants_nothing_beside_the_other_side(store: Store, tmp_path: Any) -> None:
    house = await glass_house(store, tmp_path, conflicts=SIDES)
    other = await house.granted("mia", BILLING)
    both = house.policy
    house.policy = catalog(with_glass(policy()))
    await store.policy.adopt(house.policy.policy_hash)
    request = await taken(house)
    house.policy = both
    await store.policy.adopt(both.policy_hash)
    failed = await house.attempted(request.id)
    assert failed.state is State.FAILED
    assert f"by {other.id}" in failed.closed_reason


# an owner in place of the role's own steps


async def test_an_owners_step_has_no_order_and_escalates_to_nobody(store: Store) -> None:
    text = with_glass(policy()).replace(
        "          steps: [{any_of: [dba]}, {any_of: [security]}]\n",
        "          ordered: true\n          steps:\n"
        "            - {any_of: [security], escalate: {after: 10m, to: [platform]}}\n            - {any_of: [dba]}\n",
    )
    house = await House(store, policy=catalog(text)).open()
    await overdue(house)
    request = await taken(house, what="vault/admin")
    assert (request.state, request.only_required, request.escalations) == (State.PENDING, True, ())
    found = approval_progress(house.policy, house.actor("mia").roster, request, request.created_at)
    assert [(step.step.any_of, step.step.ordered, step.waits) for step in found.steps] == [(("dba",), False, False)]
    assert (await house.approve("eve", request.id)).state is State.GRANTING


async def test_limits_hold_for_what_an_owner_has_to_approve(store: Store) -> None:
    house = await glass_house(store, role="{live: 1}")
    await overdue(house)
    await house.counter.run_once()
    await store.redis.delete(store.keys.usage(VAULT))
    await house.counter.run_once()
    await house.granted("kim")
    with pytest.raises(OverLimit):
        await taken(house)


async def test_a_stand_in_gives_an_owners_approval_and_who_joined_lately_does_not(store: Store) -> None:
    house = Standing(store, policy=catalog(with_glass(DELEGATED)))
    await house.open()
    await overdue(house, "sam")
    request = await taken(house, "sam", "vault/admin")
    assert request.only_required
    await house.delegated("dan", "lee")
    roster = (await house.who("dan")).roster
    now = await store.now()
    since = {"eve@example.com": now - 60, "UEVE": now - 60}
    fresh = {**roster, "dba": roster["dba"].model_copy(update={"since": since})}
    yes = Review(verb=Verb.APPROVE, by=house.actor("eve").person, at=now, duration=900)
    assert not authorization.counts_yet(house.policy, fresh, request, yes, now).allowed
    assert (await house.reviewed("lee", request.id)).state is State.GRANTING


# the review


async def test_a_stand_in_of_the_requester_and_whom_they_stand_in_for_do_not_review_it(store: Store) -> None:
    text = with_glass(DELEGATED).replace("may_stand_in: [helpers]", "may_stand_in: [helpers, dba]")
    house = Standing(store, policy=catalog(text))
    await house.open()
    request = await taken(house, "dan")
    await house.delegated("dan", "eve")
    for name in ("dan", "eve"):
        with pytest.raises(NotAllowed) as refused:
            await break_glass_review.review(house.context, await house.who(name), request.id, YES)
        assert refused.value.verdict.reasons[0].code in {Code.OWN_BREAK_GLASS, Code.LINKED_BREAK_GLASS}
        assert not await break_glass_review.may_review(house.context, await house.who(name), request)
    # Nobody else owns the system, so an operator may.
    done = await break_glass_review.review(house.context, await house.who("pat"), request.id, YES)
    assert not done.lacks_review


async def test_whoever_is_stood_in_for_by_the_requester_does_not_review_it(store: Store) -> None:
    house = Standing(store, policy=catalog(with_glass(DELEGATED)))
    await house.open()
    request = await taken(house, "mia")
    await house.delegated("dan", "mia")
    with pytest.raises(NotAllowed) as refused:
        await break_glass_review.review(house.context, await house.who("dan"), request.id, YES)
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.LINKED_BREAK_GLASS]
    done = await break_glass_review.review(house.context, await house.who("eve"), request.id, YES)
    assert not done.lacks_review


async def test_a_review_counts_only_by_the_delegations_that_it_was_judged_by(store: Store) -> None:
    house = Standing(store, policy=catalog(with_glass(DELEGATED)))
    await house.open()
    request = await taken(house, "mia")
    dan = await house.who("dan")
    await house.delegated("dan", "mia")
    with pytest.raises(DelegationsChanged):
        await break_glass_review.review(house.context, dan, request.id, YES)
