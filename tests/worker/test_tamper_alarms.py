"""Whoever can write to Redis keeps no process from its work, by no key of a wrong kind and by no lease."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.access import own_request
from bot.core.errors import LockedDown
from bot.core.request import State
from bot.local_account import OsAccount
from bot.store.durability import Barrier
from bot.store.encoding import script
from bot.store.forged_values import ForgedValues
from bot.store.indexes.directory_snapshots import DirectorySnapshot, DirectorySnapshots
from bot.store.indexes.drift import DriftIndex
from bot.store.indexes.home_tabs import HomeTabIndex
from bot.store.indexes.insights import Insights
from bot.store.indexes.offboarding import Sightings
from bot.store.indexes.person_counters import PersonLedger, PersonLedgers
from bot.store.indexes.terminal_bindings import Terminals
from bot.store.key_types import KINDS, kind_of
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.record_seal import Authorship
from bot.store.store import Store
from bot.store.types import Due
from bot.worker.reconcile import Reconciler
from bot.worker.tamper_alarms import TamperAlarms
from tests.access.limited import limited, live, policy
from tests.house import House, catalog

UNNAMED = sorted(name for name in KINDS if "*" not in name)


async def poison(store: Store, key: str) -> None:
    """Another kind of value than ours; in place of whatever is there."""
    await store.redis.delete(key)
    if KINDS[kind_of(key)[0]] == "string":  # type: ignore[index]  # each key has a kind
        await store.redis.lpush(key, "\xff\n*:|0")
    else:
        await store.redis.set(key, "\xff\n*:|0")


def named(store: Store, name: str) -> str:
    """The key of that name."""
    return f"jit:{{{store.workspace}}}:{name}"


async def alarms(store: Store) -> list[dict[str, Any]]:
    """What was told."""
    entries: Any = await store.redis.xrange(store.keys.audit)
    found = [json.loads(entry[b"event"]) for _, entry in entries if entry.get(b"kind") == b"alarm"]
    return [{"alarm": each["alarm"], "said": each.get("said", "")} for each in found]


@pytest.mark.parametrize("name", UNNAMED)
async def test_a_key_of_another_kind_keeps_nothing_from_being_opened_and_closed(store: Store, name: str) -> None:
    house = await House(store).open()
    open_ = await house.granted()
    await poison(store, named(store, name))
    await Barrier(store.redis, store.keys, script(store.redis, "commit")).begin()
    await store.policy.adopt(house.policy.policy_hash)
    await own_request.release(house.context, house.actor("mia"), open_.id)
    await house.until(open_.id, State.ENDED)
    assert await house.sandbox.list_access() == []
    if name not in {"store", "policy", "lockdown"}:  # those guard what is opened, and a doubt opens nothing
        assert (await house.granted("kim")).state is State.ACTIVE


@pytest.mark.parametrize("name", ["request:*", "pending:*", "active:*", "person:*:open", "system:*:open", "shared:*"])
async def test_a_key_of_a_request_of_another_kind_keeps_no_other_from_being_closed(store: Store, name: str) -> None:
    house = await House(store).open()
    open_, other = await house.granted(), await house.granted("kim")
    found: Any = await store.redis.keys(named(store, name))
    for key in found:
        if other.id.encode() not in key:
            await poison(store, key.decode())
    await own_request.release(house.context, house.actor("kim"), other.id)
    await house.until(other.id, State.ENDED)
    assert [each.order for each in await house.sandbox.list_access()] == [open_.order_id(0)]


async def test_what_is_of_another_kind_is_set_aside_for_a_day_and_told_once(store: Store) -> None:
    house = await House(store).open()
    await store.redis.set(store.keys.due, "mine now")
    assert isinstance(await store.due_set.read(10), Due)
    assert await store.redis.get(f"{store.keys.due}:aside") == b"mine now"
    assert 0 < await store.redis.ttl(f"{store.keys.due}:aside") <= 86_400
    intrusions = TamperAlarms(store)
    await intrusions.report()
    await poison(store, store.keys.due)
    assert (await house.ask()).state is State.PENDING
    await intrusions.report()
    [told] = await alarms(store)
    assert told["alarm"] == "foreign_kind"
    assert "`due` had the wrong type" in told["said"]


async def test_what_is_set_aside_in_a_pipeline_is_asked_again_and_nothing_else_is(store: Store) -> None:
    redis, keys = store.redis, store.keys
    await redis.set(keys.due, "x")
    for transaction in (False, True):
        async with redis.pipeline(transaction=transaction) as pipe:
            pipe.rpush(keys.dead, "once")
            pipe.zadd(keys.due, {"J-2222": 1.0})
            pipe.zcard(keys.due)
            assert (await pipe.execute())[1:] == [1, 1]
        await redis.set(keys.due, "x")
    assert await redis.lrange(keys.dead, 0, -1) == [b"once", b"once"]


async def test_no_member_that_is_no_request_keeps_what_is_due_from_being_found(store: Store) -> None:
    house = await House(store).open()
    open_ = await house.granted()
    await own_request.release(house.context, house.actor("mia"), open_.id)
    junk = {f"J-{n}\xff" * 3: 0.0 for n in range(1000)} | {"": float("-inf"), "J-2222\n": 0.0}
    raw: Any = {word.encode("latin-1"): at for word, at in junk.items()}
    await store.redis.zadd(store.keys.due, raw)
    await house.work()
    assert await house.sandbox.list_access() == []
    await TamperAlarms(store).report()
    assert [told["alarm"] for told in await alarms(store)] == ["foreign_due"]
    assert await store.redis.zcard(store.keys.due) == 0


# leases

LEASES = ("sealer", "shipper", "poster", "offboarding", "system:vault:reconciling", "system:vault:reconciled:7")
FORGED = ("1", "somebody 9999999999.0 0000", "somebody inf x", "\xff", "", "a b c d", "somebody nan k1.0")


@pytest.mark.parametrize("word", FORGED)
@pytest.mark.parametrize("name", LEASES)
async def test_a_lease_that_none_of_us_wrote_is_taken_over(store: Store, name: str, word: str) -> None:
    key = named(store, name)
    await store.redis.set(key, word)
    assert await store.lease(key, "me", 10)
    assert not await store.lease(key, "another", 10)
    assert 0 < await store.redis.pttl(key) <= 10_000


async def test_a_lease_holds_no_longer_than_it_was_taken_for_whatever_ttl_it_is_given(store: Store) -> None:
    key = store.keys.sealer
    assert await store.lease(key, "me", 0.3)
    held: Any = await store.redis.get(key)
    async with asyncio.timeout(30):
        while not await store.lease(key, "another", 10):
            await store.redis.set(key, held)  # again and again, for ever
    assert await store.redis.get(key) != held


async def test_the_lease_of_one_thing_holds_no_other(store: Store) -> None:
    assert await store.lease(store.keys.sealer, "me", 60)
    await store.redis.copy(store.keys.sealer, store.keys.shipper)
    assert await store.lease(store.keys.shipper, "another", 60)
    await TamperAlarms(store).report()
    assert [told["alarm"] for told in await alarms(store)] == ["foreign_lease"]


async def test_who_holds_a_lease_keeps_it_and_gives_it_up(store: Store) -> None:
    key = store.keys.poster
    assert await store.lease(key, "me", 60)
    assert await store.lease(key, "me", 60)
    assert not await store.lease(key, "another", 60)
    assert not await store.lease(key, "another", 0)
    assert await store.lease(key, "me", 0)
    assert await store.lease(key, "another", 60)
    assert store.leases.forged == set()


async def test_a_system_is_compared_though_somebody_holds_it_for_ever(store: Store) -> None:
    house = await House(store).open()
    open_ = await house.granted()
    await store.redis.delete(store.keys.record(open_.id))
    await store.redis.set(store.keys.reconciling("vault"), "mine")
    look = await Reconciler(store, house.worker.gateways, lambda: house.policy, margin=0.1).reconcile("vault")
    assert [each.kind.value for each in look.findings] == ["closed"]
    assert await house.sandbox.list_access() == []


async def test_turns_that_somebody_takes_for_ever_are_taken_all_the_same(store: Store) -> None:
    insights, homes = Insights(store), HomeTabIndex(store)
    await store.redis.set(store.keys.insights_turn, "1")
    assert [await insights.turn(60) for _ in range(2)] == [True, False]
    await homes.stale(["UMIA"])
    await store.redis.set(store.keys.home_rests("UMIA"), "1")
    assert await homes.take("UMIA", 10.0)


async def test_an_outbox_row_of_no_number_is_given_and_settled(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    outbox = Outbox(store)
    await store.redis.hset(store.keys.rows, f"{request.id}|card", "x")
    rows, _, _ = await outbox.ready(10)
    [row] = [row for row in rows if row.audience == "card"]
    assert await outbox.done(row, request.version)


# words that are no text

NO_TEXT = b"\xff\xfe|k1:\x80"


async def test_a_policy_that_is_no_text_is_adopted_over(store: Store) -> None:
    house = await House(store).open()
    await store.redis.set(store.keys.policy, NO_TEXT)
    await asyncio.wait_for(store.policy.adopt(house.policy.policy_hash), 30)
    assert (await house.granted()).state is State.ACTIVE


async def test_lockdowns_that_are_no_text_are_a_doubt_that_is_told(store: Store) -> None:
    house = await House(store).open()
    await store.redis.set(store.keys.lockdown, NO_TEXT.replace(b"k1", store.ring.ids[0].encode()))
    assert (await store.lockdowns.read()).over(["vault"])
    assert (await store.lockdowns.read()).revision == 1
    with pytest.raises(LockedDown):
        await house.ask()


async def test_an_alarm_is_given_though_somebody_wrote_that_it_was(store: Store) -> None:
    await store.redis.set(store.keys.seen("tampered J-2222"), NO_TEXT)
    await store.alarm("tampered", "J-2222")
    await store.alarm("tampered", "J-2222")
    assert [told["alarm"] for told in await alarms(store)] == ["tampered"]


# values under a MAC that were forged, or put back


FORGED_KEY = KeyRing({"k1": bytes(range(32))})
"""A key of the same name, which is not ours."""
OTHER_KEY = KeyRing({"k9": bytes(range(32))})
"""A key that this process does not have: of another replica, while keys are rotated."""
HERE = OsAccount(1000, "pat", "host", "")


async def _usage(house: House) -> None:
    await house.store.usage.read(["vault/read-only"], house.policy.policy_hash)


async def _counters(house: House) -> None:
    await house.store.counters("UMIA")


async def _identity(house: House) -> None:
    await house.store.identities.bound("mia@example.com")


async def _snapshot(house: House) -> None:
    await DirectorySnapshots(house.store).read(["pd"], [])


async def _calendar(house: House) -> None:
    await DirectorySnapshots(house.store).read([], ["freeze"])


async def _terminal(house: House) -> None:
    await Terminals(house.store).of(HERE.by)


async def _code(house: House) -> None:
    await Terminals(house.store).offered("ABCD-EFGH")


async def _held(house: House) -> None:
    await Sightings(house.store).held()


async def _drift(house: House) -> None:
    await DriftIndex(house.store).reported("vault")


async def _places(house: House) -> None:
    await Outbox(house.store).posts("J-2222")


async def _dead(house: House) -> None:
    await Outbox(house.store).dead()


SEALED: dict[str, tuple[Callable[[Keys], str], Callable[[House], Awaitable[None]]]] = {
    "usage:*": (lambda keys: keys.usage("vault/read-only"), _usage),
    "person:*:counters": (lambda keys: keys.ledger("UMIA"), _counters),
    "identity:*": (lambda keys: keys.identity("mia@example.com"), _identity),
    "directory:snapshot:*": (lambda keys: keys.directory("pd"), _snapshot),
    "calendar:*": (lambda keys: keys.calendar("freeze"), _calendar),
    "terminal:*": (lambda keys: keys.terminal(HERE.by), _terminal),
    "terminal_code:*": (lambda keys: keys.terminal_code("ABCDEFGH"), _code),
    "offboarding:held": (lambda keys: keys.held, _held),
    "system:*:drift": (lambda keys: keys.found("vault"), _drift),
    "messages:*": (lambda keys: keys.posts("J-2222"), _places),
    "outbox:dead": (lambda keys: keys.dead, _dead),
}
"""Each kind of key whose value is under a MAC: one of them, and what reads it."""


async def put(store: Store, key: str, value: str) -> None:
    """A value of the right type, past every script."""
    kind = KINDS[kind_of(key)[0]]  # type: ignore[index]  # each key has a kind
    if kind == "hash":
        await store.redis.hset(key, "x", value)
    elif kind == "list":
        await store.redis.rpush(key, value)
    else:
        await store.redis.set(key, value)


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("how", ["a word", "another key of the same name"])
async def test_a_value_that_the_bot_did_not_sign_is_reported_once(store: Store, name: str, how: str) -> None:
    house = await House(store, catalog(policy(role="{live: 3}"))).open()
    tag = FORGED_KEY.mac("value", b"x")
    key, read = SEALED[name]
    # A line of the dead letters begins with its tag, a place and a binding of an address end with it.
    line = {"outbox:dead": f"{tag} x", "messages:*": f"C0 1.0 {tag}", "identity:*": f"UEVIL {tag}"}
    for _ in range(2):
        await put(store, key(store.keys), "mine" if how == "a word" else line.get(name, f"{{}}|{tag}"))
        await read(house)
        await TamperAlarms(store).report()
    [told] = await alarms(store)
    assert told["alarm"] == "foreign_value"
    assert f"a value of `{name}` was not signed by the bot" in told["said"]
    assert store.forged_values.forged == set()


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("how", ["nothing", "a key of another replica"])
async def test_a_value_that_may_be_nobodys_doing_raises_no_alarm(store: Store, name: str, how: str) -> None:
    house = await House(store, catalog(policy(role="{live: 3}"))).open()
    key, read = SEALED[name]
    tag = OTHER_KEY.mac("value", b"x")
    line = {"outbox:dead": f"{tag} x", "messages:*": f"C0 1.0 {tag}", "identity:*": f"UEVIL {tag}"}
    if how != "nothing":
        await put(store, key(store.keys), line.get(name, f"{{}}|{tag}"))
    await read(house)
    await TamperAlarms(store).report()
    assert await alarms(store) == []


async def test_a_usage_ledger_that_was_put_back_is_reported_and_counted_again(store: Store) -> None:
    house = await limited(store, role="{live: 3}")
    await house.counter.run_once()
    old: Any = await store.redis.get(store.keys.usage("vault/read-only"))
    await house.approve("dan", (await house.ask()).id)
    await TamperAlarms(store).report()
    assert await alarms(store) == [], "a ledger that is counted anew, and one that a commit writes, are ours"
    await store.redis.set(store.keys.usage("vault/read-only"), old)
    await house.counter.run_once()
    await TamperAlarms(store).report()
    [told] = await alarms(store)
    assert told["alarm"] == "put_back"
    assert "a value of `usage:*` went back to an earlier one" in told["said"]
    assert await live(store, house.policy, "vault/read-only") == 1


async def test_the_mark_that_a_use_changed_while_it_is_counted_is_ours(store: Store) -> None:
    house = await limited(store, role="{live: 3}")
    mark = store.usage.mark_unknown("vault/read-only", "J-2222")
    await store.redis.set(mark.key, mark.words[0])
    await _usage(house)
    assert store.forged_values.forged == set()


async def test_a_persons_counters_that_were_put_back_are_reported(store: Store) -> None:
    house = await House(store).open()
    await house.ask()
    old: Any = await store.redis.get(store.keys.ledger("UMIA"))
    await house.ask(what="vault/shared")
    await store.redis.set(store.keys.ledger("UMIA"), old)
    await store.counters("UMIA")
    await TamperAlarms(store).report()
    assert [told["alarm"] for told in await alarms(store)] == ["put_back"]


async def test_ledgers_that_redis_lost_are_begun_again_by_any_process_without_an_alarm(store: Store) -> None:
    house = await limited(store, role="{live: 3}")
    await house.counter.run_once()
    for what in ("vault/read-only", "both"):
        await house.ask(what=what)
    await store.redis.delete(store.keys.usage("vault/read-only"), store.keys.ledger("UMIA"))
    other = House(Store(store.redis, store.workspace, store.ring), house.policy)
    waiting = await other.ask("mia", "vault/shared")
    await other.approve("dan", waiting.id)
    await other.counter.run_once()
    for each in (house, other):
        await each.store.usage.read(["vault/read-only"], house.policy.policy_hash)
        await each.store.counters("UMIA")
        await TamperAlarms(each.store).report()
    assert await alarms(store) == []


def test_counters_that_a_commit_overtook_on_their_way_here_were_put_back_by_nobody() -> None:
    ring = KeyRing.generate()
    found = ForgedValues(ring)
    ledgers = PersonLedgers(Authorship("T0TEST001", ring), Keys("T0TEST001"), found)
    first, second = PersonLedger(n=1, at=10.0), PersonLedger(n=2, at=11.0)
    ledgers.seen("UMIA", first)
    ledgers.seen("UMIA", second)
    assert ledgers.read("UMIA", ledgers.sealed("UMIA", first), 12.0, first.n).blind
    assert found.put_back == set()
    assert ledgers.read("UMIA", ledgers.sealed("UMIA", first), 12.0, second.n).blind
    assert found.put_back == {"person:*:counters"}


async def test_a_snapshot_of_another_directory_is_reported(store: Store) -> None:
    await DirectorySnapshots(store).write(DirectorySnapshot(name="okta", generation="", at=1.0))
    await store.redis.copy(store.keys.directory("okta"), store.keys.directory("pd"))
    assert (await DirectorySnapshots(store).read(["pd"], [])).directories == {}
    await TamperAlarms(store).report()
    assert [told["alarm"] for told in await alarms(store)] == ["foreign_value"]
