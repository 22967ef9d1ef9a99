"""What a person asked for before: the latest first, theirs alone, for as long as it can be read."""

from __future__ import annotations

from bot.access import own_request
from bot.store.indexes import request_history
from bot.store.store import Store
from tests.house import House


async def test_the_latest_first_whatever_became_of_them(store: Store) -> None:
    house = await House(store).open()
    over = await house.ask()
    await own_request.cancel(house.context, house.actor("mia"), over.id)
    still = await house.ask("mia", "vault/shared")
    await house.ask("kim")
    found = await request_history.recent(store, "UMIA", 0, 10)
    assert [(request.id, request.state) for request in found] == [(still.id, "pending"), (over.id, "cancelled")]
    assert await request_history.recent(store, "UMIA", 0, 1) == found[:1]
    assert await request_history.recent(store, "UMIA", over.created_at, 10) == found[:1]
    assert await request_history.recent(store, "UNEW", 0, 10) == []


async def test_it_lasts_as_long_as_what_it_tells_of(store: Store) -> None:
    house = await House(store).open()
    await house.ask()
    assert store.retention - 60 < await store.redis.ttl(store.keys.submits("UMIA")) <= store.retention


async def test_what_can_be_read_no_longer_and_what_is_somebody_else_s_by_now_is_left_out(store: Store) -> None:
    house = await House(store).open()
    gone, theirs = await house.ask(), await house.ask("kim")
    await store.redis.delete(store.keys.record(gone.id))
    await store.redis.zadd(store.keys.submits("UMIA"), {theirs.id: theirs.created_at})
    assert await request_history.recent(store, "UMIA", 0, 10) == []
