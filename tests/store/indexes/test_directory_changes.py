"""What people lost in Slack is known to every process at once, in whatever order it was told, and only takes away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from bot.core.verdict import Members
from bot.policy.authorization import may_request, may_still_request
from bot.store.indexes.directory_changes import DirectoryChanges, InactiveAccount, Left
from bot.store.store import Store
from handlers.slack.usergroups import Listed, remain
from tests.house import House
from tests.servers import RedisServer


@pytest.fixture
async def ours(store: Store) -> DirectoryChanges:
    return DirectoryChanges(store)


@pytest.fixture
async def peers(store: Store, redis: RedisServer) -> AsyncIterator[DirectoryChanges]:
    """Another process."""
    client = Redis.from_pool(BlockingConnectionPool.from_url(redis.socket_url, max_connections=4, timeout=30))
    yield DirectoryChanges(Store(client, store.workspace, store.ring))
    await client.aclose()


async def test_what_one_process_was_told_another_knows(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges
) -> None:
    assert (await peers.read()).gone == {}
    now = float(int(await store.now()))
    await ours.gone("UMIA", now, "deactivated")
    await ours.left("S0DBA0001", now, ["UDAN"])
    await ours.left("S0DBA0001", now, ["UEVE", "USAM"], only=True)
    for known in (await ours.read(), await peers.read()):
        assert known.gone == {"UMIA": InactiveAccount(now, "deactivated")}
        assert set(known.left["S0DBA0001"]) == {
            Left(now, frozenset({"UDAN"})),
            Left(now, frozenset({"UEVE", "USAM"}), only=True),
        }


ORDERS = {
    "as it happened": (("gone", 10), ("back", 20)),
    "the later first": (("back", 20), ("gone", 10)),
    "repeated": (("gone", 10), ("back", 20), ("gone", 10)),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_the_later_word_counts_in_whatever_order_they_come(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges, order: tuple[tuple[str, int], ...]
) -> None:
    now = float(int(await store.now()))
    for word, at in order:
        if word == "gone":
            await ours.gone("UMIA", now - 100 + at, "guest")
        else:
            await peers.back("UMIA", now - 100 + at)
    for one in (ours, peers):
        assert (await one.read()).gone == {}


async def test_of_two_words_of_one_second_the_loss_counts(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges
) -> None:
    now = float(int(await store.now()))
    await peers.back("UMIA", now)
    await ours.gone("UMIA", now, "guest")
    for one in (ours, peers):
        assert (await one.read()).gone == {"UMIA": InactiveAccount(now, "guest")}


async def test_one_of_the_future_does_not_hide_what_comes_after_it(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges
) -> None:
    """As somebody writes it who can write to Redis, and nobody else."""
    now = await store.now()
    keys = store.keys
    await store.redis.hset(keys.changed, mapping={"UMIA": "9999999999.000000 back", "revision": "1"})
    await store.redis.zadd(keys.changed_until, {"UMIA": now + 3600})
    assert (await peers.read()).gone == {}
    await ours.gone("UMIA", now, "deactivated")
    for one in (ours, peers):
        assert "UMIA" in (await one.read()).gone


@pytest.mark.parametrize(
    "value", ["", "x", "1.2.3 guest", "1.0", "1.0 gone <!>", "-5 deactivated", "nan guest", "1 guest\n"]
)
async def test_nonsense_in_the_store_is_nothing_and_hides_nothing(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges, value: str
) -> None:
    await store.redis.hset(store.keys.changed, mapping={"UMIA": value, "S0DBA0001 1 only": value, "revision": "1"})
    await store.redis.zadd(store.keys.changed_until, {"UMIA": 9e9, "S0DBA0001 1 only": 9e9})
    known = await ours.read()
    assert (known.gone, known.left) == ({}, {})
    await ours.gone("UMIA", await store.now(), "deactivated")
    assert "UMIA" in (await peers.read()).gone


async def test_what_was_deleted_is_still_known_to_who_heard_it(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges
) -> None:
    await ours.gone("UMIA", await store.now(), "deactivated")
    await peers.read()
    await store.redis.delete(store.keys.changed, store.keys.changed_until)
    for one in (ours, peers):
        assert "UMIA" in (await one.read()).gone


@pytest.mark.parametrize("which", ["changed", "changed_until"])
async def test_a_key_that_was_overwritten_by_another_kind_stops_nobody_and_takes_nothing_back(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges, which: str
) -> None:
    now = await store.now()
    await ours.gone("UMIA", now, "deactivated")
    await peers.read()
    key: str = getattr(store.keys, which)
    await store.redis.delete(key)
    await store.redis.lpush(key, "junk")
    await ours.gone("UEVE", now, "deactivated")
    for one in (ours, peers, DirectoryChanges(store)):
        assert "UEVE" in (await one.read()).gone
    assert "UMIA" in (await peers.read()).gone
    await store.redis.delete(key)
    await store.redis.lpush(key, "junk")
    assert "UMIA" in (await peers.read()).gone


async def test_after_the_keys_have_expired_the_next_loss_is_read_again(
    store: Store, ours: DirectoryChanges, peers: DirectoryChanges
) -> None:
    await ours.gone("UMIA", await store.now(), "deactivated")
    await peers.read()
    await store.redis.delete(store.keys.changed, store.keys.changed_until)
    await ours.gone("UEVE", await store.now(), "deactivated")
    assert "UEVE" in (await peers.read()).gone


async def test_it_is_forgotten_in_time(store: Store, ours: DirectoryChanges, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await store.now()
    await ours.gone("UMIA", now, "deactivated")
    await store.redis.zadd(store.keys.changed_until, {"UMIA": now - 1})
    await ours.gone("UEVE", now, "deactivated")
    assert await store.redis.hexists(store.keys.changed, "UMIA") is False
    fresh = DirectoryChanges(store)
    assert set((await fresh.read()).gone) == {"UEVE"}


# what it does to a list


def at(seconds: float) -> Callable[[frozenset[str]], frozenset[str]]:
    """A list of then, without Dan as of second 100."""
    change = Left(100.0, frozenset({"UDAN"}))
    return lambda users: remain(Listed(users, seconds), [change])


@pytest.mark.parametrize(("seconds", "stays"), [(0.0, False), (99.0, False), (100.0, False), (101.0, True)])
def test_a_list_is_believed_about_who_left_only_when_it_is_newer(seconds: float, stays: bool) -> None:
    assert ("UDAN" in at(seconds)(frozenset({"UDAN", "UEVE"}))) is stays


def test_no_change_puts_anybody_into_a_list() -> None:
    changes = [Left(5.0, frozenset({"UMIA", "UEVE"}), only=True), Left(6.0, frozenset({"USAM"}))]
    assert remain(Listed(frozenset({"UDAN", "UEVE"}), 1.0), changes) == {"UEVE"}


# what it does to a verdict


async def test_who_is_nobody_may_not_ask_for_what_everyone_may_ask_for(store: Store) -> None:
    house = await House(store).open()
    actor = house.actor("mia")
    gone = {name: members.model_copy(update={"nobody": frozenset({"UMIA"})}) for name, members in actor.roster.items()}
    choice = house.policy.find("debug")
    assert choice
    assert may_request(house.policy, actor.roster, actor.person, choice, 1.0).allowed
    assert not may_request(house.policy, gone, actor.person, choice, 1.0).allowed
    request = await house.ask()
    assert not may_still_request(house.policy, gone, request, 1.0).allowed


async def test_an_account_that_is_nobody_is_in_no_group(store: Store) -> None:
    dan = (await House(store).open()).actor("dan").person
    for members in (Members(users=frozenset({"UDAN"})), Members(identities=frozenset({"dan@example.com"}))):
        assert members.holds(dan)
        assert not members.model_copy(update={"nobody": frozenset({"UDAN"})}).holds(dan)
