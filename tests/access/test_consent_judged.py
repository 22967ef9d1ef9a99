"""What somebody requests for another is judged for that person by limits, conflicts and rules, twice; each counts once.

Once where it is requested, and again where they accept: only then steps open, and a rule may approve.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import consent, own_request, review
from bot.access.review import ReviewDecision
from bot.audit.archive.archive import Archive
from bot.audit.trail import Trail
from bot.core.errors import JitError, NotAllowed
from bot.core.events import EVENT
from bot.core.lifecycle import fold
from bot.core.limit_errors import Conflicting, OverLimit
from bot.core.request import Request, State, Verb
from bot.core.verdict import Code
from bot.store.store import Store
from bot.worker.recovery import Recovery
from handlers.error_messages import sentence
from tests.access.limited import policy
from tests.access.test_rules import entries
from tests.access.test_usage import RULES
from tests.house import House, catalog, person

OTHERS = "may_ask: [everyone]\n        may_ask_for: [platform]\n"
BOTH = "[[vault/read-only, billing/approve]]"
DENY = "  - {when: {what: [vault/read-only]}, then: {deny: The release runs}}\n"
REQUIRE = "  - {when: {what: [vault/read-only]}, then: {require: {steps: [{any_of: [security]}]}}}\n"
SHORTEN = "  - {when: {what: [vault/read-only]}, then: {shorten: 10m}}\n"


async def house_of(store: Store, audit_log: Any = None, *, text: str = "", **parts: str) -> House:
    """An open house where Pat may request each role for others; with a path, its worker has an audit log there."""
    text = (text or policy(**parts)).replace("may_ask: [everyone]\n", OTHERS)
    trail = Trail(store, lambda: Archive.open("", audit_log, create=True)) if audit_log else None
    house = House(store, policy=catalog(text), recovery=Recovery(store, trail) if trail else None)
    house.systems = {"vault": house.sandbox, "billing": house.sandbox}
    house.__post_init__()
    return await house.open()


async def filed(house: House, what: str = "vault/read-only", whom: str = "mia", **more: Any) -> Request:
    """Pat requests it for somebody."""
    return await house.ask("pat", what, requested_for=person(house.store.workspace, whom), **more)


async def accept(house: House, request: Request) -> Request:
    """The requester accepts it."""
    return await consent.accept(house.context, house.actor(request.requester.name.lower()), request.id)


# limits


async def test_the_limit_is_the_requesters_when_it_is_requested_and_when_they_accept(store: Store) -> None:
    house = await house_of(store, role="{per_person: {live: 1}}")
    first = await filed(house, "both")
    await house.granted("mia")
    with pytest.raises(OverLimit):
        await accept(house, first)
    assert (await house.now(first.id)).state is State.DRAFT
    with pytest.raises(OverLimit) as refused:
        await filed(house, duration=3600)
    assert "Mia already has as many requests for `vault/read-only` approved as one person may" in sentence(
        refused.value
    )
    assert (await filed(house, whom="sam")).state is State.DRAFT


async def test_a_cooldown_is_the_requesters_and_the_filer_reads_of_no_denial(store: Store) -> None:
    house = await house_of(store, role="{cooldown: 1h}")
    request = await house.ask("mia")
    no = ReviewDecision(verb=Verb.DENY, reason="not today")
    await review.review(house.context, house.actor("dan"), request.id, no)
    with pytest.raises(OverLimit) as refused:
        await filed(house)
    assert "Nobody can request `vault/read-only` for Mia now" in sentence(refused.value)
    assert "denied" not in sentence(refused.value)


async def test_of_many_that_a_rule_approves_at_their_consent_no_more_than_the_limit_pass(store: Store) -> None:
    house = await house_of(store, role="{live: 3}", rules=RULES)
    made = [await filed(house, whom=f"p{n}") for n in range(5)]
    found = await asyncio.gather(*(accept(house, each) for each in made), return_exceptions=True)
    assert sum(isinstance(each, Request) and each.state is State.GRANTING for each in found) == 3
    assert {type(each) for each in found} == {Request, OverLimit}


async def test_an_approval_by_a_rule_at_the_consent_is_counted_again_from_the_audit_log(
    store: Store, tmp_path: Any
) -> None:
    house = await house_of(store, tmp_path, role="{per_day: 1}", rules=RULES)
    request = await accept(house, await filed(house))
    await house.until(request.id, State.ACTIVE)
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    await store.redis.delete(store.keys.usage("vault/read-only"))
    await house.counter.run_once()
    with pytest.raises(OverLimit):
        await filed(house, whom="sam")


# conflicts


async def test_a_draft_has_no_place_in_a_conflict_and_one_that_was_accepted_has(store: Store) -> None:
    house = await house_of(store, conflicts=BOTH)
    first, other = await filed(house), await filed(house, "billing/approve")
    assert (await accept(house, first)).state is State.PENDING
    with pytest.raises(Conflicting) as refused:
        await accept(house, other)
    assert refused.value.conflict.request == first.id
    assert f"your request {first.id}" in sentence(refused.value)


async def test_of_both_sides_that_are_accepted_at_once_one_passes(store: Store) -> None:
    house = await house_of(store, conflicts=BOTH)
    made = [await filed(house), await filed(house, "billing/approve")]
    found = await asyncio.gather(*(accept(house, each) for each in made), return_exceptions=True)
    assert {type(each) for each in found} == {Request, Conflicting}


async def test_who_requests_for_others_does_not_learn_what_they_have(store: Store) -> None:
    house = await house_of(store, conflicts=BOTH)
    held = await house.ask("mia", "billing/approve")
    with pytest.raises(Conflicting) as refused:
        await filed(house)
    said = sentence(refused.value)
    assert "Mia has, or has requested, access that nobody may hold together with `vault/read-only`" in said
    assert "billing" not in said
    assert held.id not in said
    assert (await filed(house, whom="sam")).state is State.DRAFT


# rules


async def test_a_rule_denies_it_at_the_request_and_at_the_consent(store: Store) -> None:
    house = await house_of(store)
    request = await filed(house)
    denying = await house_of(store, rules=f"rules:\n{DENY}")
    for late in (accept(denying, request), filed(denying, whom="sam")):
        with pytest.raises(NotAllowed) as refused:
            await late
        assert [reason.code for reason in refused.value.verdict.reasons] == [Code.DENIED_BY_RULE]
    assert (await denying.now(request.id)).state is State.DRAFT


async def test_what_rules_require_and_shorten_takes_effect_at_the_consent(store: Store) -> None:
    house = await house_of(store, rules=f"rules:\n{REQUIRE}{SHORTEN}")
    draft = await filed(house)
    assert (draft.required_steps, draft.shortened, draft.duration) == ((), None, 1800)
    request = await accept(house, draft)
    assert [(step.any_of, step.rule) for step in request.required_steps] == [(("security",), 1)]
    assert (request.shortened and request.shortened.rule, request.asked, request.duration) == (2, 1800, 600)
    await house.approve("dan", request.id)
    assert (await house.now(request.id)).state is State.PENDING
    assert (await house.approve("sam", request.id)).state is State.GRANTING
    active = await house.until(request.id, State.ACTIVE)
    assert fold(EVENT.validate_json(entry[b"event"]) for entry in await entries(house, request.id)) == active


async def test_a_step_that_a_rule_requires_is_filled_by_neither_of_the_two(store: Store) -> None:
    house = await house_of(store, rules=f"rules:\n{REQUIRE.replace('[security]', '[platform]')}")
    draft = await filed(house)
    with pytest.raises(NotAllowed) as refused:
        await accept(house, draft)
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.NOBODY_TO_APPROVE]


# steps that escalate


async def test_a_step_escalates_counted_from_the_consent(store: Store) -> None:
    steps = "        approval:\n          steps: [{any_of: [dba], escalate: {after: 30m, to: [security]}}]\n"
    house = await house_of(store, text=policy().replace("may_ask: [everyone]\n", f"may_ask: [everyone]\n{steps}", 1))
    draft = await filed(house)
    assert draft.escalations == ()
    request = await accept(house, draft)
    [escalation] = request.escalations
    assert (escalation.any_of, escalation.to) == (("dba",), ("security",))
    assert escalation.escalate_at == pytest.approx(request.consented_at + 1800)


async def test_what_is_refused_at_the_consent_is_in_the_audit_log(store: Store) -> None:
    house = await house_of(store, conflicts=BOTH)
    first, other = await filed(house), await filed(house, "billing/approve")
    await accept(house, first)
    with pytest.raises(JitError):
        await accept(house, other)
    found: Any = await store.redis.xrange(store.keys.audit)
    assert [e[b"event"].count(b'"consent"') for _, e in found if e[b"kind"] == b"refused"] == [1]
