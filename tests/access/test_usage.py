"""Limits, cooldowns and separation of duties: judged at the request, the approval and the start, and never passed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any

import pytest

from bot.access import own_request, review
from bot.access.review import ReviewDecision
from bot.core.errors import JitError
from bot.core.lifecycle import advance
from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.request import Request, State, Verb
from bot.store.store import Store
from bot.store.types import Change, CommitOutcome, GuardFailed
from bot.worker.reconcile import Reconciler
from handlers.views.ended import why
from tests.access.limited import limited, live, policy
from tests.house import House, catalog

LIVE = frozenset({State.SCHEDULED, State.GRANTING, State.ACTIVE, State.REVOKING})
RULES = "rules:\n  - {when: {sensitivity: low, at_most: 1h}, then: approve, budget: 20/day}\n"


async def deny(house: House, id_: str, by: str = "dan") -> Request:
    """Say no."""
    decision = ReviewDecision(verb=Verb.DENY, reason="not today")
    return await review.review(house.context, house.actor(by), id_, decision)


async def end(house: House, request: Request) -> None:
    """The requester ends it, and it is revoked."""
    await own_request.release(house.context, house.actor(request.requester.name.lower()), request.id)
    await house.until(request.id, State.ENDED)


async def outcomes(calls: Sequence[Awaitable[Any]]) -> list[Any]:
    """What becomes of calls that are made at once; only refusals are expected."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [each for each in found if isinstance(each, Exception) and not isinstance(each, JitError)] == []
    return found


# what is live


async def test_what_is_full_is_refused_and_free_again_once_one_has_ended(store: Store) -> None:
    house = await limited(store, role="{live: 2}")
    first = await house.granted("mia")
    await house.granted("sam")
    with pytest.raises(OverLimit) as refused:
        await house.ask("kim")
    ends = (await house.now(first.id)).ends_at
    assert (refused.value.hit.kind, refused.value.hit.until) == ("live", ends)
    await end(house, first)
    assert (await house.granted("kim")).state is State.ACTIVE


async def test_a_request_that_waits_takes_no_place_and_is_refused_at_its_approval_when_all_are_taken(
    store: Store,
) -> None:
    house = await limited(store, role="{live: 1}")
    one, other = await house.ask("mia"), await house.ask("sam")
    await house.approve("dan", one.id)
    with pytest.raises(OverLimit):
        await house.approve("dan", other.id)
    assert (await house.now(other.id)).state is State.PENDING
    assert (await deny(house, other.id)).state is State.DENIED, "a denial is never refused"


async def test_a_start_later_on_takes_a_place_from_its_approval(store: Store) -> None:
    house = await limited(store, role="{live: 1}")
    later = await house.ask("mia", starts_at=await store.now() + 3600)
    await house.approve("dan", later.id)
    with pytest.raises(OverLimit):
        await house.ask("sam")
    await own_request.cancel(house.context, house.actor("mia"), later.id)
    assert (await house.ask("sam")).state is State.PENDING


async def test_a_system_counts_a_request_for_two_of_its_roles_once(store: Store) -> None:
    house = await limited(store, system="{live: 2}")
    both = await house.ask("mia", "both")
    await house.approved(both.id)
    await house.ask("sam", "vault/shared")


async def test_of_many_approvals_at_once_no_more_than_the_limit_pass(store: Store) -> None:
    house = await limited(store, role="{live: 3}")
    names = [f"p{n}" for n in range(10)]
    requests = [await house.ask(name) for name in names]
    other = House(Store(store.redis, store.workspace, store.ring), policy=house.policy)
    found = await outcomes([(house, other)[n % 2].approve("dan", each.id) for n, each in enumerate(requests)])
    assert sum(isinstance(each, Request) for each in found) == 3
    assert {type(each) for each in found} == {Request, OverLimit}


async def test_of_many_that_a_rule_approves_at_once_no_more_than_the_limit_pass(store: Store) -> None:
    house = await limited(store, role="{live: 3}", rules=RULES)
    found = await outcomes([house.ask(f"p{n}") for n in range(10)])
    assert sum(isinstance(each, Request) for each in found) == 3
    assert {type(each) for each in found} == {Request, OverLimit}


# a day, a week, each person


async def test_what_was_approved_in_a_day_counts_though_it_has_ended(store: Store) -> None:
    house = await limited(store, role="{per_day: 1}")
    request = await house.granted("mia")
    await end(house, request)
    with pytest.raises(OverLimit) as refused:
        await house.ask("sam")
    approved = (await house.now(request.id)).approved_at
    assert (refused.value.hit.kind, refused.value.hit.until) == ("per_day", approved + 86_400)


async def test_a_denied_or_expired_request_uses_nothing_up(store: Store) -> None:
    house = await limited(store, role="{per_day: 1, per_week: 1, live: 1}")
    await deny(house, (await house.ask("mia")).id)
    assert (await house.granted("mia")).state is State.ACTIVE


async def test_each_person_has_a_limit_of_their_own_by_identity(store: Store) -> None:
    house = await limited(store, role="{per_person: {live: 1}}")
    await house.granted("mia")
    with pytest.raises(OverLimit) as refused:
        await house.ask("mia")
    assert refused.value.hit.personal
    mia = house.actor("mia")
    twin = mia.model_copy(update={"person": mia.person.model_copy(update={"id": "UMIA2"})})
    house.actor = lambda name: twin if name == "twin" else House.actor(house, name)  # type: ignore[method-assign]
    with pytest.raises(OverLimit):
        await house.ask("twin")
    assert (await house.granted("sam")).state is State.ACTIVE


# cooldowns


async def test_after_a_denial_that_person_cannot_request_it_for_a_while(store: Store) -> None:
    house = await limited(store, role="{cooldown: 1h}")
    denied = await deny(house, (await house.ask("mia")).id)
    with pytest.raises(OverLimit) as refused:
        await house.ask("mia")
    assert (refused.value.hit.kind, refused.value.hit.until) == ("cooldown", denied.closed_at + 3600)
    assert (await house.ask("sam")).state is State.PENDING
    assert (await house.ask("mia", "vault/shared")).state is State.PENDING, "another role"


# separation of duties

SIDES = "[[vault/read-only, billing]]"


@pytest.mark.parametrize(
    ("first", "second"), [("vault/read-only", "billing/approve"), ("billing/approve", "vault/read-only")]
)
async def test_nobody_requests_both_sides_of_a_conflict(store: Store, first: str, second: str) -> None:
    house = await limited(store, conflicts=SIDES)
    one = await house.ask("mia", first)
    with pytest.raises(Conflicting) as refused:
        await house.ask("mia", second)
    assert refused.value.conflict.request == one.id
    await house.approve("dan", one.id)
    await house.attempted(one.id)
    with pytest.raises(Conflicting):
        await house.ask("mia", second)
    assert (await house.ask("sam", second)).state is State.PENDING
    await end(house, one)
    assert (await house.ask("mia", second)).state is State.PENDING


async def test_nobody_requests_both_sides_in_one_request(store: Store) -> None:
    house = await limited(store, conflicts=SIDES)
    with pytest.raises(Conflicting):
        await house.ask("mia", "vault/read-only + billing/approve")


async def test_of_both_sides_requested_at_once_by_two_accounts_of_one_person_one_passes(store: Store) -> None:
    house = await limited(store, conflicts=SIDES)
    other = House(Store(store.redis, store.workspace, store.ring), policy=house.policy)
    for n in range(20):
        mia = house.actor(f"mia{n}")
        twin = mia.model_copy(update={"person": mia.person.model_copy(update={"id": f"UTWIN{n}"})})
        other.actor = lambda name, twin=twin: twin  # type: ignore[method-assign,misc]
        found = await outcomes([house.ask(f"mia{n}"), other.ask("twin", "billing/approve")])
        assert sorted(type(each).__name__ for each in found) == ["Conflicting", "Request"], n


async def test_of_both_sides_that_wait_under_a_policy_that_changed_one_approval_passes(store: Store) -> None:
    house = await limited(store)
    one, other = await house.ask("mia"), await house.ask("mia", "billing/approve")
    house = await limited(store, conflicts=SIDES)
    found = await outcomes([house.approve("dan", one.id), house.approve("eve", other.id)])
    assert sorted(type(each).__name__ for each in found) == ["Conflicting", "Request"]


async def test_what_was_approved_before_the_policy_changed_is_not_granted_beside_the_other_side(store: Store) -> None:
    house = await limited(store)
    one = await house.granted("mia")
    other = await house.ask("mia", "billing/approve")
    await house.approve("dan", other.id)
    house = await limited(store, conflicts=SIDES)
    failed = await house.attempted(other.id)
    assert failed.state is State.FAILED
    assert "the requester has billing" not in failed.closed_reason
    assert f"has vault/read-only by {one.id}, which conflicts with billing" in failed.closed_reason
    assert (await house.now(one.id)).state is State.ACTIVE


async def test_access_without_a_request_that_a_comparison_found_forbids_the_other_side(store: Store) -> None:
    house = await limited(store, conflicts="[[billing, vault/shared]]")
    house.sandbox.open_by_hand("hall", "mia@example.com")
    unknown = await house.granted("mia", "billing/approve")
    assert unknown.state is State.ACTIVE, "nothing has compared the system yet"
    await end(house, unknown)
    await Reconciler(store, house.worker.gateways, lambda: house.policy, margin=0.05).reconcile("vault")
    failed = await house.granted("mia", "billing/approve")
    assert failed.state is State.FAILED
    assert "the requester has vault/shared without a request, which conflicts with billing" in failed.closed_reason
    guide = files("bot").joinpath("guides", "policy.md").read_text(encoding="utf-8")
    example = why(failed).replace("with billing;", "with prod-db/admin;").replace("vault/shared", "billing/approve")
    assert f'"{example}"' in guide
    assert (await house.granted("sam", "billing/approve")).state is State.ACTIVE, "another person's access"


# a later start


async def scheduled(house: House, name: str, what: str = "vault/read-only") -> Request:
    """Requested for in an hour, and approved."""
    request = await house.ask(name, what, starts_at=await house.store.now() + 3600)
    return await house.approve("dan", request.id)


async def started(house: House, request: Request) -> Request:
    """Its start has come: the worker judges it, as if the hour had passed."""
    judged = await house.judge(await house.now(request.id), await house.store.now())
    assert judged
    before = await house.now(request.id)
    await house.store.commit(Change(before, advance(before, judged[0]), judged[0], guards=judged[1]))
    return await house.now(request.id)


async def test_a_start_is_judged_again_by_the_limit_of_that_time(store: Store) -> None:
    house = await limited(store, role="{live: 3}")
    first, second = await scheduled(house, "mia"), await scheduled(house, "sam")
    house = await limited(store, role="{live: 1}")
    assert (await started(house, second)).state is State.CANCELLED, "one that was approved before it has the place"
    assert (await started(house, first)).state is State.GRANTING


async def test_a_start_is_judged_again_by_the_conflicts_of_that_time(store: Store) -> None:
    house = await limited(store)
    later = await scheduled(house, "mia", "billing/approve")
    held = await house.granted("mia")
    house = await limited(store, conflicts=SIDES)
    cancelled = await started(house, later)
    assert cancelled.state is State.CANCELLED
    assert f"has vault/read-only by {held.id}" in cancelled.closed_reason, "what is granted goes before it"


async def test_a_start_waits_while_it_cannot_be_counted_and_its_guards_fail_where_the_count_has_changed(
    store: Store,
) -> None:
    house = await limited(store, role="{live: 2}")
    later, other = await scheduled(house, "mia"), await house.ask("sam")
    judged = await house.judge(later, await store.now())
    assert judged
    await house.approve("dan", other.id)
    before = await house.now(later.id)
    with pytest.raises(GuardFailed):
        await store.commit(Change(before, advance(before, judged[0]), judged[0], guards=judged[1]))
    await store.redis.delete(store.keys.usage("vault/read-only"))
    assert await house.judge(later, await store.now()) is None


# what is not known


async def test_a_count_by_another_policy_is_unknown_until_it_is_counted_again(store: Store) -> None:
    house = await limited(store, role="{live: 1}")
    unlimited = await limited(store)
    await unlimited.granted("mia")
    await store.policy.adopt(house.policy.policy_hash)
    # The worker of the other policy has deleted nothing: it never ran.
    again = House(store, policy=catalog(policy(role="{live: 1, per_day: 9}")))
    await store.policy.adopt(again.policy.policy_hash)
    with pytest.raises(NotCounted):
        await again.ask("sam")
    await again.counter.run_once()
    with pytest.raises(OverLimit):
        await again.ask("sam")


async def test_a_worker_deletes_the_counts_that_another_policy_does_not_keep(store: Store) -> None:
    house = await limited(store, role="{live: 1}")
    limits, without = house.policy, catalog(policy())
    house.policy = without
    await store.policy.adopt(without.policy_hash)
    await house.counter.run_once()
    await house.granted("mia")
    house.policy = limits
    await store.policy.adopt(limits.policy_hash)
    with pytest.raises(NotCounted):
        await house.ask("sam")
    await house.counter.run_once()
    with pytest.raises(OverLimit):
        await house.ask("sam")


async def test_a_count_that_was_made_while_somebody_approved_is_not_written(store: Store) -> None:
    house = await limited(store, role="{live: 1}")
    waiting = await house.ask("mia")
    [read] = (await store.usage.read(["vault/read-only"], house.policy.policy_hash)).values()
    found = (await house.counter.count(house.policy, ["vault/read-only"], {}))["vault/read-only"]
    await house.approve("dan", waiting.id)
    assert not await store.usage.replace(read, found, house.policy.policy_hash, await store.now())
    assert await live(store, house.policy, "vault/read-only") == 1


async def test_a_count_after_everything_was_lost_is_trusted_by_those_who_remember_more(store: Store) -> None:
    house = await limited(store, role="{live: 9}")
    for n in range(3):
        await house.approve("dan", (await house.ask(f"p{n}")).id)
    await store.redis.delete(store.keys.usage("vault/read-only"))
    fresh = House(Store(store.redis, store.workspace, store.ring), policy=house.policy)
    await fresh.counter.run_once()
    assert await live(store, house.policy, "vault/read-only") == 3


Break = Callable[[Store, str, bytes], Awaitable[Any]]
WAYS: dict[str, Break] = {
    "gone": lambda store, key, _: store.redis.delete(key),
    "forged": lambda store, key, _: store.redis.set(key, '{"n":9,"at":1,"generation":"x"}|no'),
    "restored": lambda store, key, old: store.redis.set(key, old),
    "of another kind": lambda store, key, _: store.redis.eval(
        "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", 1, key
    ),
    "no text": lambda store, key, _: store.redis.set(key, b"\xff\n?|x"),
    "another's": lambda store, key, _: store.redis.copy(store.keys.usage("vault"), key, replace=True),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_ledger_that_somebody_changed_refuses_what_is_new_until_it_is_counted_again(
    store: Store, way: str, tmp_path: Any
) -> None:
    house = await limited(store, tmp_path, role="{live: 1, per_day: 5, cooldown: 1h}", system="{live: 9}")
    key = store.keys.usage("vault/read-only")
    old: Any = await store.redis.get(key)
    waiting = await house.ask("sam")
    denied = await house.ask("kim")
    await house.granted("mia")
    await WAYS[way](store, key, old)
    with pytest.raises(NotCounted):
        await house.ask("eve")
    with pytest.raises(NotCounted):
        await house.approve("dan", waiting.id)
    await deny(house, denied.id)
    assert await live(store, house.policy, "vault/read-only") is None
    await house.counter.run_once()
    assert await live(store, house.policy, "vault/read-only") == 1
    with pytest.raises(OverLimit):
        await house.approve("dan", waiting.id)
    with pytest.raises(OverLimit) as refused:
        await house.ask("kim")
    assert refused.value.hit.kind == "cooldown", "the denial is counted from the audit log"


async def test_a_ledger_restored_while_nobody_remembers_lets_nothing_be_granted(store: Store, tmp_path: Any) -> None:
    house = await limited(store, tmp_path, role="{live: 1, per_week: 1}")
    key = store.keys.usage("vault/read-only")
    old: Any = await store.redis.get(key)
    first = await house.granted("mia")
    await store.redis.set(key, old)
    # A process that has just started remembers no ledger, and no worker has compared it yet.
    fresh = House(Store(store.redis, store.workspace, store.ring), policy=house.policy)
    second = await fresh.ask("sam")
    await fresh.approve("dan", second.id)
    failed = await house.attempted(second.id)
    assert failed.state is State.FAILED
    assert "vault/read-only has reached its limit" in failed.closed_reason
    assert (await house.now(first.id)).state is State.ACTIVE


async def test_a_record_that_is_gone_keeps_its_place(store: Store) -> None:
    house = await limited(store, role="{live: 1}")
    request = await house.granted("mia")
    await store.redis.delete(store.keys.record(request.id))
    with pytest.raises(OverLimit):
        await house.ask("sam")


# who pays


NOTHING: Any = None
"""In place of a connection: whoever sends anything fails."""


def touched(change: Change) -> list[str]:
    """The keys that a commit declares beyond those of its record."""
    return [*(guard.key for guard in change.guards), *(each.key for each in change.extra_writes)]


async def test_a_workspace_without_limits_reads_guards_and_writes_nothing_more(store: Store) -> None:
    house, seen = await limited(store), list[CommitOutcome]()
    assert house.policy.counted_scopes == frozenset()
    store.watch = seen.append
    store.usage.redis = NOTHING
    request = await house.granted("mia")
    await deny(house, (await house.ask("sam")).id)
    await house.counter.run_once()
    assert request.state is State.ACTIVE
    keys = [key for outcome in seen for key in touched(outcome.change)]
    assert len(seen) > 4
    assert [key for key in keys if ":usage:" in key] == []
    sent = [(outcome.change.event.kind, len(outcome.change.guards)) for outcome in seen]
    assert ("submitted", 3) in sent, "the policy, the person's ledger, and the lockdowns"
    assert ("approved", 2) in sent, "the policy and the lockdowns"


async def test_a_role_without_limits_beside_a_limited_one_reads_guards_and_writes_nothing_more(store: Store) -> None:
    house, seen = await limited(store, role="{live: 1}"), list[CommitOutcome]()
    store.watch = seen.append
    store.usage.redis = NOTHING
    assert (await house.granted("mia", "vault/shared")).state is State.ACTIVE
    keys = [key for outcome in seen for key in touched(outcome.change)]
    assert [key for key in keys if ":usage:" in key] == []
