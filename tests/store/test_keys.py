"""Each key has a TTL or is declared permanent; nothing is kept for ever by accident."""

from __future__ import annotations

import fnmatch
from typing import Any

from bot.core.model import State
from bot.record.seals import GENESIS, Head
from bot.store.audit import Mark, Window
from bot.store.insights import Insights
from bot.store.keys import PERMANENT
from bot.store.outbox import Outbox
from bot.store.sightings import Held, Sighting, Sightings
from bot.store.stakes import Stakes
from bot.store.store import Store
from tests.house import House


async def _kept(store: Store) -> list[str]:
    """The keys without a TTL, without their prefix."""
    found: Any = await store.redis.keys(f"jit:{{{store.workspace}}}:*")
    return [key.decode().split("}:", 1)[1] for key in found if await store.redis.ttl(key) == -1]


async def left(sightings: Sightings) -> None:
    """All that is kept of somebody who may have left."""
    await sightings.keep({"UMIA": Sighting(user="UMIA", first=1.0, last=2.0)})
    await sightings.hint("UEVE")
    await sightings.hold([Held(request="J-2222", user="UMIA", who="", what="", why="")], {}, "leavers|leaving:#")
    await sightings.confirm(["UMIA"], "cli:me@here")


async def looked(insights: Insights) -> None:
    """All that is kept of what stands out."""
    await insights.turn(60)
    await insights.keep("{}")
    await insights.members({"dba": frozenset({"UDAN"})}, 1.0)
    await insights.tell("a finding", {})
    await insights.snooze("a finding", {}, 60)


async def test_every_key_has_a_ttl_or_is_declared_permanent(store: Store) -> None:
    house = await House(store).open()
    await store.bind("mia@example.com", "UMIA")
    await store.lease(store.keys.poster, "me", 1)
    await store.lease(store.keys.sealer, "me", 1)
    await store.lease(store.keys.shipper, "me", 1)
    await store.lease(store.keys.leavers, "me", 1)
    waiting = await house.ask("eve", token="V1")
    await left(Sightings(store))
    await Stakes(store).fill(store.now)
    await looked(Insights(store))
    await Window(store).mark(Mark("archive", Head(1, GENESIS)))
    await store.note("refused", "{}", window=60, once="x")
    await store.alarm("tampered", "J-2222")
    await house.granted(what="both")
    ended = await house.granted(what="vault/read-only")
    await house.desk.release(house.actor("mia"), ended.id)
    await house.work()
    rows, _, _ = await Outbox(store).ready(10)
    await Outbox(store).posting(rows[0], 10.0)
    await Outbox(store).bury(rows[1], "no such channel")

    open_records = {f"request:{r.id}" for r in await house.desk.mine(house.actor("mia"))} | {f"request:{waiting.id}"}
    assert await store.redis.exists(store.keys.seen_gone, store.keys.hinted, store.keys.held, store.keys.confirmed) == 4
    assert await store.redis.exists(store.keys.insights, store.keys.insights_turn, store.keys.insights_members) == 3
    undeclared = [
        key
        for key in await _kept(store)
        if key not in open_records and not any(fnmatch.fnmatch(key, pattern) for pattern in PERMANENT)
    ]
    assert undeclared == []
    assert f"request:{ended.id}" not in await _kept(store)


async def test_an_ended_request_is_kept_for_the_retention(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    await house.desk.cancel(house.actor("mia"), request.id)
    assert 0 < await store.redis.ttl(store.keys.record(request.id)) <= store.retention


async def test_the_ttl_keys_lapse_at_the_deadlines(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    lapses = await store.redis.pexpiretime(store.keys.pending(request.id))
    assert abs(lapses / 1000 - request.decide_by) < 0.01
    await house.approve("dan", request.id)
    await house.work()
    active = await house.now(request.id)
    assert active.state is State.ACTIVE
    assert not await store.redis.exists(store.keys.pending(request.id))
    assert abs(await store.redis.pexpiretime(store.keys.active(request.id)) / 1000 - active.ends_at) < 0.01
