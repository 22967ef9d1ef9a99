"""What a rule approves at once is recorded as that, counted in the same step, and judged again before a later start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.access import lockdown, own_request, revoke, scheduled_start, submit
from bot.access.submit import RequestForm
from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail
from bot.core.errors import LimitReached, LockedDown, NotAllowed, PolicyMoved
from bot.core.events import EVENT
from bot.core.lifecycle import advance, fold
from bot.core.request import Request, State
from bot.core.verdict import Members
from bot.policy.rules import WINDOW
from bot.store.indexes.person_counters import KEPT, PersonLedgers
from bot.store.indexes.recent_decisions import Acknowledged
from bot.store.store import Store
from bot.store.types import Change, CommitOutcome
from bot.worker.recovery import Recovery
from tests.house import POLICY, House, catalog

RULES = """
rules:
  - {when: {sensitivity: low, requester_in: [dba], at_most: 1h}, then: approve, budget: 3/day}
"""
MANY = "".join(
    f"      n{n}: {{grants: {{door: n{n}}}, sensitivity: low, max: 1h, may_ask: [everyone]}}\n" for n in range(10)
)
WIDE = POLICY.replace("    roles:\n", f"    roles:\n{MANY}", 1).replace(
    "  mfa:", "  limits: {open: 50, submits: 100}\n  mfa:", 1
)


@pytest.fixture
async def house(store: Store) -> House:
    """An open house with a rule."""
    return await House(store, catalog(WIDE + RULES)).open()


async def entries(house: House, id_: str = "") -> list[Any]:
    """The audit events, of a request or of all."""
    found: Any = await house.store.redis.xrange(house.store.keys.audit)
    return [entry for _, entry in found if entry[b"version"] != b"0" and (not id_ or entry[b"id"].decode() == id_)]


async def rows(house: House, id_: str) -> set[str]:
    """Who is to be told of a request."""
    found: Any = await house.store.redis.hkeys(house.store.keys.rows)
    told = (row.decode().split("|") for row in found)
    return {audience.partition(":")[0] for request, audience in told if request == id_}


async def test_it_is_one_step_of_the_record_and_opens_without_a_person(house: House) -> None:
    request = await house.ask("dan")
    assert (request.state, request.version, request.reviews) == (State.GRANTING, 1, ())
    assert request.rule is not None
    assert (request.rule.n, request.rule.used, request.rule.budget) == (1, 1, 3)
    assert await rows(house, request.id) == {"card", "thread"}
    [entry] = await entries(house, request.id)
    assert entry[b"kind"] == b"approved_by_rule"
    event = EVENT.validate_json(entry[b"event"])
    assert (event.by, event.generation) == ("policy", house.policy.policy_hash)
    assert fold([event]) == await house.now(request.id)
    await house.work()
    active = await house.now(request.id)
    assert (active.state, active.ends_at - active.granted_at) == (State.ACTIVE, 1800)
    ended = await revoke.revoke(house.context, house.actor("eve"), request.id, "not now")
    assert ended.state is State.REVOKING
    assert (await house.until(request.id, State.ENDED)).closed_by == "UEVE"


async def test_whom_no_rule_speaks_of_waits_for_people(house: House) -> None:
    assert (await house.ask("mia")).state is State.PENDING
    assert (await house.ask("dan", duration=3601)).state is State.PENDING
    assert (await house.ask("dan", "vault/shared")).state is State.PENDING


async def test_a_rule_lets_nobody_ask_who_may_not(house: House) -> None:
    text = WIDE.replace(
        "sensitivity: low\n        max: 8h\n        may_ask: [everyone]", "max: 8h\n        may_ask: [dba]"
    )
    text = text.replace(
        "grants: {door: vault, secret: true}", "grants: {door: vault, secret: true}\n        sensitivity: low"
    )
    house.policy = catalog(
        text + "\nrules:\n  - {when: {sensitivity: low, at_most: 8h}, then: approve, budget: 20/day}\n"
    )
    await house.open()
    with pytest.raises(NotAllowed):
        await house.ask("mia")
    assert (await house.ask("dan")).state is State.GRANTING


async def test_of_ten_at_once_as_many_as_the_budget_are_approved(house: House) -> None:
    made = await asyncio.gather(*(house.ask("dan", f"vault/n{n}") for n in range(10)))
    by_rule = [request for request in made if request.rule]
    assert len(by_rule) == 3
    assert sorted(request.rule.used for request in by_rule if request.rule) == [1, 2, 3]
    assert {request.state for request in made if not request.rule} == {State.PENDING}
    kinds = [entry[b"kind"].decode() for entry in await entries(house)]
    assert (kinds.count("approved_by_rule"), kinds.count("submitted")) == (3, 7)


async def test_the_budget_is_a_persons_and_comes_back_after_a_day(house: House) -> None:
    for n in range(3):
        assert (await house.ask("dan", f"vault/n{n}")).rule
    assert not (await house.ask("dan", "vault/n3")).rule
    assert (await house.ask("eve", "vault/n3")).rule
    store, key = house.store, house.store.keys.ledger("UDAN")
    assert WINDOW < await store.redis.ttl(key) <= KEPT
    ledger = (await store.counters("UDAN")).ledger
    aged = ledger.ruled[0].model_copy(update={"at": await store.now() - WINDOW})
    later = ledger.model_copy(update={"ruled": (aged, *ledger.ruled[1:])})
    await store.redis.set(key, PersonLedgers(store.authorship, store.keys, store.forged_values).sealed("UDAN", later))
    again = await house.ask("dan", "vault/n4")
    assert again.rule is not None
    assert again.rule.used == 3


Mend = Callable[[Store, list[Any]], Awaitable[Any]]
LOST: dict[str, Mend] = {
    "deleted": lambda store, _: store.redis.delete(store.keys.ledger("UDAN")),
    "put back": lambda store, copies: store.redis.set(store.keys.ledger("UDAN"), copies[0]),
    "forged": lambda store, copies: store.redis.set(store.keys.ledger("UDAN"), copies[0].replace(b"1", b"2")),
    "of another person": lambda store, _: store.redis.copy(
        store.keys.ledger("UEVE"), store.keys.ledger("UDAN"), replace=True
    ),
    "of another kind": lambda store, _: store.redis.eval(
        "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", 1, store.keys.ledger("UDAN")
    ),
}


@pytest.mark.parametrize("how", LOST)
async def test_no_rule_approves_once_more_because_its_counter_is_not_what_it_was(house: House, how: str) -> None:
    store, copies = house.store, []
    await house.ask("eve", "vault/n0")
    for n in range(3):
        assert (await house.ask("dan", f"vault/n{n}")).rule
        copies.append(await store.redis.get(store.keys.ledger("UDAN")))
    for n in range(3, 6):
        await LOST[how](store, copies)
        assert (await house.ask("dan", f"vault/n{n}")).state is State.PENDING


async def test_what_no_process_remembers_is_counted_again_before_it_is_opened(store: Store, tmp_path: Path) -> None:
    def archive() -> Archive:
        return Archive.open("", tmp_path, create=True)

    policy = catalog(WIDE + RULES)
    house = await House(store, policy).open()
    for n in range(3):
        assert (await house.ask("dan", f"vault/n{n}")).rule
    sealer = Sealer(store, archive, tmp_path)
    await sealer.once()
    await store.redis.delete(store.keys.ledger("UDAN"))
    other = Store(store.redis, store.workspace, store.ring)
    again = House(other, policy, recovery=Recovery(other, Trail(other, archive)))
    made = await again.ask("dan", "vault/n3")
    assert made.rule
    honest = await again.ask("eve", "vault/n4")
    await again.work()
    failed = await again.now(made.id)
    assert (failed.state, failed.legs[0].attempts) == (State.FAILED, 0)
    assert "an approver decides" in failed.legs[0].error
    await again.until(honest.id, State.ACTIVE)
    assert sorted(str(door.order) for door in await again.sandbox.list_access()) == sorted(
        f"{loaded.request.id}.0" for loaded in await other.open_at_all() if loaded.request.state is State.ACTIVE
    )
    assert await rows(again, made.id) >= {"budget"}
    await sealer.close()
    assert again.recovery
    await again.recovery.trail.close()


async def test_limits_hold_whatever_becomes_of_the_indexes_that_they_are_counted_by(store: Store) -> None:
    policy = catalog(WIDE.replace("{open: 50, submits: 100}", "{open: 2, submits: 4}"))
    house = await House(store, policy).open()
    for n in range(2):
        await house.ask("dan", f"vault/n{n}")
        await store.redis.delete(store.keys.mine("UDAN"))
    with pytest.raises(LimitReached, match="open"):
        await house.ask("dan", "vault/n2")
    theirs = await house.ask("eve", "vault/n0")
    await store.redis.sadd(store.keys.mine("UKIM"), theirs.id, "J-2222", "x")
    assert await house.ask("kim", "vault/n0"), "what is somebody else's counts for nobody"
    for n in range(2, 5):
        for loaded in await store.open_at_all():
            if loaded.request.requester.id == "UDAN":
                await own_request.cancel(house.context, house.actor("dan"), loaded.request.id)
        await store.redis.delete(store.keys.submits("UDAN"))
        if n < 4:
            await house.ask("dan", f"vault/n{n}")
    with pytest.raises(LimitReached, match="submits"):
        await house.ask("dan", "vault/n5")


async def test_a_token_that_names_somebody_elses_request_shows_it_to_nobody(house: House) -> None:
    theirs = await house.ask("eve", "vault/shared")
    await house.store.redis.set(house.store.keys.once("t1"), theirs.id)
    made = await house.ask("kim", "vault/shared", token="t1")
    assert made.requester.id == "UKIM"


async def test_what_ended_early_is_used_up_all_the_same(house: House) -> None:
    for n in range(3):
        request = await house.ask("dan", f"vault/n{n}")
        await own_request.release(house.context, house.actor("dan"), request.id)
        await house.until(request.id, State.ENDED, State.FAILED)
    assert not (await house.ask("dan", "vault/n0")).rule


async def test_the_same_envelope_twice_is_one_and_counts_once(house: House) -> None:
    made = await asyncio.gather(house.ask("dan", token="t1"), house.ask("dan", token="t1"), return_exceptions=True)
    [id_] = {request.id for request in made if isinstance(request, Request)}
    counters = await house.store.counters("UDAN", [house.policy.rules[0].key])
    assert list(counters.rule_uses.values()) == [1]
    assert counters.open_ids == (id_,)


async def test_a_directory_that_does_not_tell_leaves_it_to_people(house: House) -> None:
    actor = house.actor("dan")
    dark = actor.model_copy(update={"roster": {**actor.roster, "dba": Members(known=False)}})
    house.policy = catalog((WIDE + RULES).replace("approvers: [dba]", "approvers: [platform]"))
    await house.open()
    made = await submit.submit(house.context, dark, RequestForm(what="vault/n1", duration=600, reason="INC-1 burns"))
    assert made.state is State.PENDING


async def test_a_lockdown_and_another_policy_stop_it_too(house: House) -> None:
    replica = House(house.store, catalog(WIDE))
    with pytest.raises(PolicyMoved):
        await replica.ask("dan")
    await lockdown.lock(house.context, house.actor("pat"), "vault", "an intruder")
    with pytest.raises(LockedDown):
        await house.ask("dan")
    assert await entries(house) == []


# a later start


async def scheduled(house: House) -> Request:
    request = await house.ask("dan", "vault/n1", starts_at=await house.store.now() + 3600)
    assert (request.state, request.rule is not None) == (State.SCHEDULED, True)
    return request


async def started(house: House, request: Request, dba: bool | None = True) -> Request | None:
    """Its start has come: judged by the groups as they are known, ``dba`` None for not at all."""
    members = Members(known=False) if dba is None else Members(users=frozenset({"UDAN", "UEVE"} if dba else {"UEVE"}))
    roster = {**house.actor("dan").roster, "dba": members}
    now = await house.store.now()
    judged = await scheduled_start.start_event(house.context, roster, request, now)
    if judged is None:
        return None
    await house.store.commit(Change(request, advance(request, judged[0]), judged[0], guards=judged[1]))
    return await house.now(request.id)


async def test_it_starts_later_while_its_rule_holds(house: House) -> None:
    opening = await started(house, await scheduled(house))
    assert opening is not None
    assert opening.state is State.GRANTING


async def test_it_waits_while_nobody_tells_who_is_in_the_group(house: House) -> None:
    assert await started(house, await scheduled(house), dba=None) is None


async def test_it_is_void_once_who_asked_has_left_the_group(house: House) -> None:
    void = await started(house, await scheduled(house), dba=False)
    assert void is not None
    assert (void.state, void.closed_by) == (State.CANCELLED, "policy")
    assert "the rule that approved it" in void.closed_reason


@pytest.mark.parametrize("rule", ["", RULES.replace("1h", "15m"), RULES.replace("[dba]", "[security]")])
async def test_it_is_void_once_the_policy_has_no_such_rule(house: House, rule: str) -> None:
    request = await scheduled(house)
    house.policy = catalog(WIDE + rule)
    await house.open()
    void = await started(house, request)
    assert void is not None
    assert void.state is State.CANCELLED


async def test_another_budget_takes_nothing_back(house: House) -> None:
    request = await scheduled(house)
    house.policy = catalog(WIDE + RULES.replace("3/day", "1/day"))
    await house.open()
    opening = await started(house, request)
    assert opening is not None
    assert opening.state is State.GRANTING


# what is told of it


async def test_what_a_store_forgets_of_it_is_told_as_the_askers(house: House) -> None:
    remembered = Acknowledged()
    heard: list[CommitOutcome] = []
    house.store.watch = heard.append
    request = await house.ask("dan")
    for answered in heard:
        remembered.heard(answered)
    assert [(d.request, d.kind, d.by) for d in remembered.latest()] == [(request.id, "approved_by_rule", "UDAN")]


def test_it_can_be_searched_for() -> None:
    assert "approved_by_rule" in projection.KINDS
