"""A lockdown: once it is written nothing begins on any replica, what is live is ended, and two operators lift it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from bot.access import extend, lockdown, own_request, review, revoke
from bot.access.lockdown import at_terminal
from bot.access.review import ReviewDecision
from bot.access.revoke import RevokeTarget
from bot.audit.archive.archive import Archive
from bot.core.audit_chain import AuditEntry
from bot.core.errors import (
    CouldNotCheck,
    LockedDown,
    NotAllowed,
    NotLockedDown,
    TerminalDoesNotCount,
    UnknownSystem,
)
from bot.core.lockdown import NEEDED, VOTE_FOR, Operator, Vote
from bot.core.request import State, Verb
from bot.core.verdict import Members
from bot.store.keyring import KeyRing
from bot.store.lockdowns import AUDIT, UNCERTAIN, LockdownStore
from bot.store.store import Store
from bot.worker.key_rotation import KeyRotation
from bot.worker.lockdown_enforcer import LockdownEnforcer
from bot.worker.lockdown_high_water import LockdownHighWater
from providers.systems.base import Order, Prior, Receipt
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY, House, catalog
from tests.servers import RedisServer

RULES = POLICY.replace("people: [pat@example.com]", "people: [pat@example.com, kim@example.com]")
SHED = POLICY[POLICY.index("  vault:\n") : POLICY.index("templates:")].replace("  vault:", "  shed:")
CLI = at_terminal("cli:pat@host")


@pytest.fixture
async def house(store: Store) -> House:
    """Pat and Kim are the operators; there are two systems."""
    rules = catalog(RULES.replace("templates:", f"{SHED}templates:").replace("C0VAULT01", "C0SHED001", 0))
    systems = {name: Sandbox(SandboxConfig(id=name)) for name in ("vault", "shed")}
    return await House(store, policy=rules, systems=systems).open()


@pytest.fixture
async def replica(house: House, redis: RedisServer) -> AsyncIterator[House]:
    """Another process over the same store, with a memory of its own."""
    client = Redis.from_pool(BlockingConnectionPool.from_url(redis.socket_url, max_connections=16, timeout=30))
    yield House(Store(client, house.store.workspace, house.store.ring), policy=house.policy, systems=house.systems)
    await client.aclose()


def enforcing(house: House) -> LockdownEnforcer:
    return LockdownEnforcer(house.context, asyncio.sleep)


async def locked(house: House, system: str = "", name: str = "pat") -> None:
    await lockdown.lock(house.context, house.actor(name), system, "INC-9 a key leaked")


async def trail(store: Store, kind: str) -> list[dict[str, Any]]:
    """The audit events of a kind."""
    entries: Any = await store.redis.xrange(store.keys.audit)
    return [json.loads(entry[b"event"]) for _, entry in entries if entry[b"kind"].decode() == kind]


# nothing begins


async def test_nothing_that_begins_or_lengthens_access_is_recorded_while_it_stands(
    house: House, replica: House
) -> None:
    waits, live = await house.ask("mia"), await house.granted("eve", "vault/shared")
    starts = await house.ask("ned", starts_at=await house.store.now() + 3600)
    await house.approve("dan", starts.id)
    await locked(house)
    for other in (house, replica):
        with pytest.raises(LockedDown) as refused:
            await other.ask("kim")
        lock = refused.value.lock
        assert (lock.operator.by, lock.reason) == ("UPAT", "INC-9 a key leaked")
        assert lock.at == pytest.approx(await house.store.now(), abs=60)
        with pytest.raises(LockedDown):
            await other.approve("dan", waits.id)
        with pytest.raises(LockedDown):
            await own_request.reveal(other.context, other.actor("eve"), live.id, "V1")
        with pytest.raises(LockedDown):
            await extend.extend(other.context, other.actor("eve"), live.id, 600, "still at it")
    denied = await review.review(
        replica.context, replica.actor("dan"), waits.id, ReviewDecision(verb=Verb.DENY, reason="not now")
    )
    assert denied.state is State.DENIED
    cancelled = await own_request.cancel(house.context, house.actor("ned"), starts.id)
    assert cancelled.state is State.CANCELLED


async def test_a_lockdown_of_one_system_leaves_the_others_alone(house: House) -> None:
    await locked(house, "vault")
    with pytest.raises(LockedDown):
        await house.ask(what="vault/shared")
    assert (await house.granted("mia", "shed/shared")).state is State.ACTIVE
    await locked(house)
    with pytest.raises(LockedDown):
        await house.ask("eve", what="shed/shared")


async def test_what_was_approved_before_is_not_attempted_by_a_replica_that_has_not_heard_of_it(
    house: House, replica: House
) -> None:
    await replica.ask("sam")  # it believes that nothing is locked down
    request = await house.ask()
    await house.approve("dan", request.id)
    await locked(house)
    await _handled(replica)
    assert await replica.sandbox.list_access() == []
    assert (await house.now(request.id)).state is State.GRANTING
    assert await enforcing(replica).enforce() == 1
    ended = await house.until(request.id, State.ENDED)
    assert not any(leg.attempts for leg in ended.legs)


async def test_a_start_that_comes_while_it_stands_is_not_begun(house: House) -> None:
    request = await house.ask(starts_at=await house.store.now() + 3600)
    await house.approve("dan", request.id)
    await locked(house)
    early = (await house.now(request.id)).model_copy(update={"starts_at": 1.0, "start_grace": 2_000_000_000})
    event = await house.judge(early, await house.store.now())
    assert event
    from bot.core.lifecycle import advance
    from bot.store.types import Change

    before = await house.now(request.id)
    with pytest.raises(LockedDown):
        await house.store.commit(Change(before, advance(before, event[0]), event[0], guards=event[1]))
    assert (await house.now(request.id)).state is State.SCHEDULED


async def _handled(house: House) -> None:
    """One round of the worker over what is due."""
    from bot.store.due_set import new_fence

    due = await house.store.due_set.read(64)
    claimed = await house.store.due_set.claim(due.ids, house.worker.lease, new_fence())
    await asyncio.gather(*(house.worker.handle(one) for one in claimed))


async def test_a_secret_that_was_asked_for_before_it_is_not_made_any_more(house: House) -> None:
    request = await house.granted()
    await own_request.reveal(house.context, house.actor("mia"), request.id, "V1")
    await locked(house)
    await house.work()
    assert house.shown == [(request.id, "V1", "a lockdown is in force, so no new secret is created")]
    assert (await house.now(request.id)).reveal is None


# races


class Gated(Sandbox):
    """A sandbox in which a grant waits, after it is recorded and before it is opened."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self.gate, self.under_way = asyncio.Event(), asyncio.Event()

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        self.under_way.set()
        await self.gate.wait()
        return await super().grant(order, prior)


async def test_a_grant_that_is_in_flight_when_it_lands_is_closed(store: Store) -> None:
    vault = Gated(SandboxConfig(settles_within=2))
    house = await House(store, systems={"vault": vault}).open()
    request = await house.ask(what="vault/shared")
    await house.approve("dan", request.id)
    working = asyncio.create_task(_handled(house))
    await asyncio.wait_for(vault.under_way.wait(), 30)
    await locked(house)
    assert await enforcing(house).enforce() == 1
    assert (await house.now(request.id)).state is State.REVOKING
    vault.gate.set()
    await working
    assert len(await vault.list_access()) == 1, "it had gone out before, and was opened"
    ended = await house.until(request.id, State.ENDED)
    assert await vault.list_access() == []
    assert ended.closed_by == "worker"
    assert ended.closed_reason == "lockdown by Pat: INC-9 a key leaked"


async def test_a_grant_that_is_answered_after_it_is_ended_by_the_next_look(store: Store) -> None:
    vault = Gated(SandboxConfig(settles_within=2))
    house = await House(store, systems={"vault": vault}).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    working = asyncio.create_task(_handled(house))
    await asyncio.wait_for(vault.under_way.wait(), 30)
    await locked(house)
    vault.gate.set()
    await working
    assert (await house.now(request.id)).state is State.ACTIVE, "what has happened is recorded, with its receipt"
    assert await enforcing(house).enforce() == 1
    assert (await house.until(request.id, State.ENDED)).legs[0].receipt is not None
    assert await vault.list_access() == []


async def test_of_many_that_race_with_it_each_was_attempted_before_it_or_never(house: House, replica: House) -> None:
    requests = [await house.ask(f"n{n}", "vault/shared") for n in range(40)]

    async def approved(n: int, id_: str) -> None:
        other = (house, replica)[n % 2]
        try:
            await other.approve("dan", id_)
            await _handled(other)
        except LockedDown:
            return

    async def stop() -> int:
        async with asyncio.timeout(30):
            while not await house.sandbox.list_access():  # noqa: ASYNC110  # the others are tasks of this loop
                await asyncio.sleep(0)
        await locked(house)
        return int(await house.store.redis.get(house.store.keys.seq) or 0)

    work = [approved(n, request.id) for n, request in enumerate(requests)]
    seq, *_ = await asyncio.gather(stop(), *work)
    entries: Any = await house.store.redis.xrange(house.store.keys.audit, f"{seq}-0")
    begun = {"submitted", "endorsed", "approved", "started", "grant_attempted"}
    assert [entry[b"kind"] for _, entry in entries if entry[b"kind"].decode() in begun] == []
    settled = {State.PENDING, State.ENDED}
    async with asyncio.timeout(30):
        while not {(await house.now(request.id)).state for request in requests} <= settled:
            await enforcing(replica).enforce()
            await house.work()
            await asyncio.sleep(0.01)
    assert await house.sandbox.list_access() == []


async def test_two_that_are_declared_at_once_both_stand(house: House, replica: House) -> None:
    await asyncio.gather(locked(house, "vault"), locked(replica, "shed", "kim"))
    assert {lock.system for lock in (await house.store.lockdowns.read()).locks} == {"vault", "shed"}


# what is live is ended


async def test_what_is_live_under_it_is_ended_and_nothing_else(house: House) -> None:
    inside, outside = await house.granted("mia", "vault/shared"), await house.granted("eve", "shed/shared")
    waits = await house.ask("sam")
    await locked(house, "vault")
    assert await enforcing(house).enforce() == 1
    assert await enforcing(house).enforce() == 0, "looking again ends nothing twice"
    assert (await house.until(inside.id, State.ENDED)).ending == "revoked"
    assert (await house.now(outside.id)).state is State.ACTIVE
    assert (await house.now(waits.id)).state is State.PENDING


async def test_whoever_dies_after_declaring_it_leaves_the_ending_to_any_worker(house: House, replica: House) -> None:
    request = await house.granted()
    await locked(house)
    stop = asyncio.Event()
    other = LockdownEnforcer(replica.context, lambda _: asyncio.sleep(0.01))
    running = asyncio.create_task(other.run(stop))
    assert (await replica.until(request.id, State.ENDED)).closed_reason.startswith("lockdown by Pat")
    stop.set()
    await running


# two operators lift it


async def test_two_operators_lift_it_and_the_first_is_not_enough(house: House, replica: House) -> None:
    await locked(house)
    first = await lockdown.lift(house.context, house.actor("pat"), "")
    assert (first.lifted, len(first.lock.votes)) == (False, 1)
    with pytest.raises(LockedDown):
        await replica.ask()
    second = await lockdown.lift(replica.context, replica.actor("kim"), "")
    assert second.lifted
    assert [vote.operator.by for vote in second.lock.votes] == ["UPAT", "UKIM"]
    for other in (house, replica):
        assert (await other.ask("mia" if other is house else "eve")).state is State.PENDING
    said = [(await trail(house.store, kind))[-1] for kind in ("locked_down", "lift_voted", "lifted")]
    assert [each["by"] for each in said] == ["UPAT", "UPAT", "UKIM"]
    assert said[2]["votes"] == ["Pat", "Kim"]


async def test_the_same_operator_counts_once_by_whatever_account(house: House) -> None:
    await locked(house)
    await lockdown.lift(house.context, house.actor("pat"), "")
    again = await lockdown.lift(house.context, house.actor("pat"), "")
    assert (again.lifted, again.repeated, len(again.lock.votes)) == (False, True, 1)
    actor = house.actor("pat")
    other_account = actor.model_copy(update={"person": actor.person.model_copy(update={"id": "UOTHER"})})
    assert not (await lockdown.lift(house.context, other_account, "")).lifted
    assert len(await trail(house.store, "lift_voted")) == 1


async def test_an_operator_whose_address_changed_is_no_second_one(house: House) -> None:
    actor = house.actor("pat")
    moved = actor.person.model_copy(update={"identity": "patricia@example.com", "email": "patricia@example.com"})
    # By account, as a user group of Slack has them, they are an operator under both addresses.
    roster = {**actor.roster, "platform": Members(users=frozenset({"UPAT", "UKIM"}))}
    before = actor.model_copy(update={"roster": roster})
    await locked(house)
    await lockdown.lift(house.context, before, "")
    again = await lockdown.lift(house.context, before.model_copy(update={"person": moved}), "")
    assert (again.lifted, again.repeated) == (False, True)


async def test_a_terminal_that_is_nobodys_locks_down_and_lifts_nothing(house: House) -> None:
    await lockdown.lock_as(house.context, CLI, "", "Slack is down")
    roster = house.actor("pat").roster
    with pytest.raises(TerminalDoesNotCount):
        await lockdown.lift_as(house.context, CLI, roster, "")
    standing = await house.store.lockdowns.read()
    [lock] = standing.locks
    older = lock.model_copy(update={"votes": (Vote(operator=CLI, at=await house.store.now()),)})
    facts = {"by": "", "what": "", "name": "", "system": "", "reason": ""}
    await house.store.lockdowns.write(standing, standing.voted(lock, older.votes), "lift_voted", facts, ())
    assert not (await lockdown.lift(house.context, house.actor("kim"), "")).lifted, (
        "a word of an older version counts as none"
    )


@pytest.mark.parametrize("first", ["slack", "terminal", "another terminal"])
async def test_a_human_counts_once_in_slack_and_at_whatever_terminal(house: House, first: str) -> None:
    pat = house.actor("pat")
    one, other = (Operator(by=f"cli:{name}@host", name=name, person=pat.person) for name in ("pat", "root"))
    await locked(house)
    await (
        lockdown.lift(house.context, pat, "")
        if first == "slack"
        else lockdown.lift_as(house.context, one, pat.roster, "")
    )
    again = await lockdown.lift_as(house.context, one if first == "slack" else other, pat.roster, "")
    assert (again.lifted, again.repeated, len(again.lock.votes)) == (False, True, 1)
    if first != "slack":
        assert (await lockdown.lift(house.context, pat, "")).repeated
    assert (await lockdown.lift(house.context, house.actor("kim"), "")).lifted


@pytest.mark.parametrize("name", ["mia", "dan"])
async def test_only_operators_declare_and_lift_it(house: House, name: str) -> None:
    with pytest.raises(NotAllowed):
        await locked(house, name=name)
    assert (await house.store.lockdowns.read()).locks == ()
    await locked(house)
    with pytest.raises(NotAllowed):
        await lockdown.lift(house.context, house.actor(name), "")
    refused = await trail(house.store, "refused")
    assert {each["by"] for each in refused} == {f"U{name.upper()}"}


async def test_the_word_of_who_is_no_operator_any_more_or_was_given_long_ago_does_not_count(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await locked(house)
    await lockdown.lift(house.context, house.actor("pat"), "")
    house.policy = catalog(RULES.replace("pat@example.com, kim@example.com", "sam@example.com, kim@example.com"))
    await house.open()
    left = await lockdown.lift(house.context, house.actor("kim"), "")
    assert [vote.operator.by for vote in left.lock.votes] == ["UKIM"]
    later = await house.store.now() + VOTE_FOR

    async def now() -> float:
        return later

    monkeypatch.setattr(house.store, "now", now)
    assert not (await lockdown.lift(house.context, house.actor("sam"), "")).lifted


async def test_who_says_stop_again_makes_the_words_for_lifting_void(house: House) -> None:
    await locked(house)
    await lockdown.lift(house.context, house.actor("pat"), "")
    await locked(house, name="kim")
    assert not (await lockdown.lift(house.context, house.actor("kim"), "")).lifted


async def test_what_is_not_locked_down_is_not_lifted_and_an_unknown_system_not_locked(house: House) -> None:
    with pytest.raises(NotLockedDown):
        await lockdown.lift(house.context, house.actor("pat"), "vault")
    await locked(house, "vault")
    with pytest.raises(NotLockedDown) as refused:
        await lockdown.lift(house.context, house.actor("pat"), "")
    assert refused.value.locked == ("vault",)
    with pytest.raises(UnknownSystem):
        await locked(house, "vaultt")


async def test_of_what_there_is_no_time_for_it_is_said_that_it_is_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await house.granted(name, "vault/shared")).id for name in ("mia", "eve", "ned")]
    monkeypatch.setattr("bot.access.revoke._TIME_LIMIT", -1.0)
    done = await revoke.revoke_all(house.context, house.actor("pat"), RevokeTarget(system="vault"), "INC-4")
    assert (done.revoked, done.already_ended, done.not_tried) == ((), 0, 3)
    monkeypatch.undo()
    done = await revoke.revoke_all(house.context, house.actor("pat"), RevokeTarget(system="vault"), "INC-4")
    assert {request.id for request in done.revoked} == set(ids)
    assert {request.closed_by for request in done.revoked} == {"UPAT"}
    assert await revoke.revocable_all(house.context, house.actor("pat"), RevokeTarget(system="vault")) == []


async def test_while_it_is_not_known_who_is_an_approver_nothing_is_said_to_be_all(house: House) -> None:
    await house.granted("mia", "vault/shared")
    actor = house.actor("dan")
    dark = actor.model_copy(update={"roster": {**actor.roster, "dba": Members(known=False)}})
    for target in (RevokeTarget(system="vault"), RevokeTarget(user="UMIA")):
        with pytest.raises(CouldNotCheck):
            await revoke.revocable_all(house.context, dark, target)


# who can write to Redis


async def test_its_record_cannot_be_taken_away(house: House, replica: House) -> None:
    await locked(house)
    await house.store.redis.delete(house.store.keys.lockdown)
    with pytest.raises(LockedDown) as refused:
        await house.ask()
    assert "it is gone" in refused.value.lock.reason
    with pytest.raises(LockedDown):
        await replica.ask()
    assert len(await trail(house.store, UNCERTAIN)) == 1
    rows: Any = await house.store.redis.hkeys(house.store.keys.rows)
    assert len([row for row in rows if row.decode().startswith(f"{AUDIT}|lockdown:")]) == 2
    await lockdown.lift(house.context, house.actor("pat"), "")
    assert (await lockdown.lift(replica.context, replica.actor("kim"), "")).lifted
    await replica.ask()


@pytest.mark.parametrize("forged", ['{"revision":9}|k1:00', "junk", '{"revision":9}'])
async def test_a_forged_record_stops_everything_even_where_none_was_known(house: House, forged: str) -> None:
    forged = forged.replace("k1", house.store.ring.ids[0])
    await house.store.redis.set(house.store.keys.lockdown, forged)
    with pytest.raises(LockedDown):
        await house.ask()


async def test_an_older_record_that_is_put_back_is_known_for_older(house: House, replica: House) -> None:
    await locked(house, "shed")
    old: Any = await house.store.redis.get(house.store.keys.lockdown)
    await locked(house)
    await house.store.redis.set(house.store.keys.lockdown, old)
    await house.store.lockdowns.read()
    with pytest.raises(LockedDown) as refused:
        await replica.ask()
    assert "an older one, put back" in refused.value.lock.reason
    assert {lock.system for lock in (await replica.store.lockdowns.read()).locks} == {"", "shed"}


async def test_a_worker_that_starts_knows_from_the_archive_what_the_store_was_made_to_forget(
    house: House, replica: House, tmp_path: Path
) -> None:
    await locked(house)
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    [(seq, entry)] = [(seq, e) for seq, e in entries if e[b"kind"] == b"locked_down"]
    await house.store.redis.delete(house.store.keys.lockdown)
    archive = Archive.open("", tmp_path, create=True)
    facts = {name: entry[name.encode()].decode() for name in ("id", "kind", "event")}
    row = {"seq": int(seq.split(b"-")[0]), "at": 1.0, "version": 0, **facts}
    _put(archive, house.store.workspace, AuditEntry(**row))
    # Made up by somebody who has the stream: it may not make the archive forget the real one.
    _put(archive, house.store.workspace, AuditEntry(**{**row, "seq": row["seq"] + 1, "event": '{"revision": "x"}'}))
    archive.close()
    assert (await replica.store.lockdowns.read()).locks == (), "this process has seen nothing, and is told nothing"
    await LockdownHighWater(replica.store, lambda: Archive.open("", tmp_path)).read()
    with pytest.raises(LockedDown):
        await replica.ask()


def _put(archive: Archive, workspace: str, entry: AuditEntry) -> None:
    from bot.audit.archive.tables import EVENTS

    with archive.begun() as db:
        db.execute(EVENTS.insert(), [{"workspace": workspace, **entry._asdict()}])


async def test_a_key_that_this_process_was_not_given_stops_it_and_nobody_else(house: House, redis: RedisServer) -> None:
    await locked(house, "shed")
    client = Redis.from_url(redis.socket_url)
    stranger = await House(Store(client, house.store.workspace, KeyRing.generate("k7")), policy=house.policy).open()
    with pytest.raises(LockedDown) as refused:
        await stranger.ask()
    assert "not among JIT_KEYS here" in refused.value.lock.reason
    with pytest.raises(LockedDown):
        await lockdown.lift(stranger.context, stranger.actor("pat"), "")
    assert (await house.ask()).state is State.PENDING
    assert len(await trail(house.store, UNCERTAIN)) == 1
    await client.aclose()


async def test_the_archive_is_asked_until_it_answers(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.lockdown_high_water._INTERVAL", 0.01)
    opened = 0

    def open_() -> Archive:
        nonlocal opened
        opened += 1
        return Archive.open("", tmp_path, create=opened == 3)

    await asyncio.wait_for(LockdownHighWater(house.store, open_).run(asyncio.Event()), 10)
    assert opened == 3


async def test_it_is_sealed_anew_under_the_current_key(house: House, redis: RedisServer) -> None:
    await locked(house, "shed")
    only_new = KeyRing.generate("k2")
    new = KeyRing.parse(f"{only_new.spelled()},{house.store.ring.spelled()}")
    client = Redis.from_url(redis.socket_url)
    rotated = Store(client, house.store.workspace, new)
    await asyncio.wait_for(KeyRotation(rotated, after=0.0).run(asyncio.Event()), 10)
    read = await LockdownStore(
        client, rotated.keys, only_new, house.store.workspace, rotated.audit_event, rotated.event_args
    ).read()
    assert [lock.system for lock in read.locks] == ["shed"]
    with pytest.raises(LockedDown):
        await rotated.lockdowns.require(["shed"])
    await client.aclose()


def test_two_are_needed() -> None:
    assert NEEDED == 2
