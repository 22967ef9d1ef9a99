"""Who has something to lose is known without reading what is open, whatever was written before, or beside us."""

from __future__ import annotations

import pytest

from bot.access import own_request
from bot.core.request import State
from bot.store.indexes.exposure import ExposureIndex
from bot.store.store import Store
from tests.bench.granting import fill
from tests.house import House
from tests.worker.test_offboarding import Directory, Town


@pytest.fixture
async def town(store: Store) -> Town:
    house = await House(store).open()
    return Town(house, Directory(), await store.now())


async def people(store: Store) -> list[str]:
    """Everyone in the index, in its order."""
    return await ExposureIndex(store).users_after("", 100)


async def read(store: Store) -> int:
    """How often records were read so far."""
    return int((await store.redis.info("commandstats"))["cmdstat_hmget"]["calls"])


# the commit keeps it


async def test_whoever_has_something_to_lose_is_in_it_until_the_last_of_it_is_gone(town: Town) -> None:
    house, exposure = town.house, ExposureIndex(town.house.store)
    open_, asked = await house.granted(), await house.ask("mia", "vault/shared")
    await house.ask("kim")
    assert await people(house.store) == ["UKIM", "UMIA"]
    assert {r.id for r in (await exposure.requests_of(["UMIA"]))["UMIA"]} == {open_.id, asked.id}
    await own_request.cancel(house.context, house.actor("mia"), asked.id)
    assert await people(house.store) == ["UKIM", "UMIA"]
    closing = await own_request.release(house.context, house.actor("mia"), open_.id)
    assert closing.state is State.REVOKING
    assert await people(house.store) == ["UKIM"]
    assert (await exposure.exposed({"UMIA", "UKIM", "UK"}), await exposure.count_people()) == ({"UKIM"}, 1)


async def test_one_after_the_other_has_their_turn_and_then_the_first_again(town: Town) -> None:
    for name in ("p1", "p2", "p20", "p3"):
        await town.house.ask(name)
    exposure = ExposureIndex(town.house.store)
    assert await exposure.users_after("", 2) == ["UP1", "UP2"]
    assert await exposure.users_after("UP2", 3) == ["UP20", "UP3", "UP1"]
    assert await exposure.users_after("UP2", 10) == ["UP20", "UP3", "UP1", "UP2"]
    assert await exposure.users_after("UP2", 0) == []


async def test_what_is_something_to_lose_is_noted_before_a_provider_is_called_whoever_forgot_it(town: Town) -> None:
    request = await town.house.ask()
    await town.house.approve("dan", request.id)
    await town.house.store.redis.delete(town.house.store.keys.exposure)
    await town.house.work()
    assert await people(town.house.store) == ["UMIA"]


# a look


async def test_a_look_reads_no_more_when_very_much_is_open(town: Town) -> None:
    await fill(town.house, 600)
    await town.looks()
    before = await read(town.house.store)
    await town.looks(20)
    # A page that is held against the index, and what those have whose turn it is.
    assert await read(town.house.store) - before <= 50 + 25
    assert len(town.slack.asked) == 50


async def test_what_was_open_before_there_was_an_index_is_looked_at_from_the_first_look_on(town: Town) -> None:
    request, others = await town.house.granted(), await town.crowd(3)
    store = town.house.store
    await store.redis.delete(store.keys.exposure, store.keys.exposure_complete)
    town.slack.gone = {"UMIA"}
    await town.looks()
    assert set(await people(store)) == {"UMIA", *(r.requester.id for r in others)}
    await town.looks(20)
    assert await town.state(request) is State.REVOKING


async def test_what_an_older_version_opens_beside_us_is_found(town: Town) -> None:
    await town.looks()
    request, store = await town.house.granted(), town.house.store
    await store.redis.delete(store.keys.exposure)
    town.slack.gone = {"UMIA"}
    await town.looks(20, 20)
    assert await town.state(request) is State.REVOKING


async def test_what_an_older_version_closed_beside_us_counts_no_more_once_it_was_looked_at(town: Town) -> None:
    await town.looks()
    request, store = await town.house.granted(), town.house.store
    await own_request.release(town.house.context, town.house.actor("mia"), request.id)
    await store.redis.zadd(store.keys.exposure, {f"UMIA {request.id}": 0, "UEVE J-2222": 0})
    assert await ExposureIndex(store).count_people() == 2
    await town.looks(20)
    assert (town.slack.asked, await ExposureIndex(store).count_people()) == ([], 0)


# groups


async def test_what_was_seen_and_forgotten_is_seen_again_though_the_groups_say_the_same(town: Town) -> None:
    request = await town.admin()
    town.slack.dba = frozenset({"UDAN"})
    await town.looks()
    town.slack.answers = False
    await town.looks(*[300] * 3)
    town.slack.answers = True
    await town.looks(20)
    assert await town.state(request) is State.ACTIVE
    await town.looks(60)
    assert await town.state(request) is State.REVOKING


async def test_what_rests_on_groups_is_read_once_however_often_it_is_looked_at(town: Town) -> None:
    await town.admin()
    await town.looks(0, 20)
    before = await read(town.house.store)
    await town.looks(20)
    assert await read(town.house.store) - before == 2  # the page, and whose turn it is


async def test_of_very_many_that_rest_on_groups_some_are_read_at_a_look_and_all_in_the_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.group_membership._MAX_LOADS", 1)
    town.house.dba = ("dan", "eve", "kim")
    requests = [await town.house.ask(name, "vault/admin") for name in ("eve", "kim")]
    town.slack.dba = frozenset({"UDAN"})
    await town.looks(0, 20, 60, 20)
    assert await town.cancelled(requests) == 2
