"""A group is read for a click at once, by the process that leads, and no flood of requests reads it more often."""

from __future__ import annotations

import asyncio

import pytest

from bot.store.indexes.read_requests import MOST, GroupReadRequests
from bot.worker.fresh_groups import FreshGroupReader
from providers.directories.base import GroupAnswer
from tests.worker.test_directory_refresh import BOTH, FIRST, Desk, desk

__all__ = ["desk"]
"""The fixture."""


async def never(_: float) -> None:
    raise AssertionError


def reader(desk: Desk, apart: float = 60.0) -> FreshGroupReader:
    return FreshGroupReader(desk.refresh, never, apart)


@pytest.fixture
async def led(desk: Desk) -> Desk:
    """The worker has read all once; nobody has called since."""
    await desk.refresh.loop.once()
    desk.server.calls.clear()
    return desk


async def test_what_is_wanted_is_read_at_once_and_nothing_else(led: Desk) -> None:
    before = (await led.there()).directories["pd"].groups
    await GroupReadRequests(led.store).add(["first"])
    await reader(led).run_once()
    after = (await led.there()).directories["pd"].groups
    assert after["first"].at > before["first"].at
    assert after["second"] == before["second"]
    assert (await led.there()).members(led.policy) == {"first": FIRST, "second": BOTH}


async def test_a_flood_of_read_requests_asks_once_and_one_is_granted_again_later(led: Desk) -> None:
    read_requests, loop = GroupReadRequests(led.store), reader(led)
    await read_requests.add(["first"])
    await loop.run_once()
    asked = len(led.server.calls)
    assert asked
    for _ in range(20):
        await read_requests.add(["first"])
        await loop.run_once()
    assert len(led.server.calls) == asked
    loop.apart = 0.0
    await read_requests.add(["first"])
    await loop.run_once()
    assert len(led.server.calls) > asked


async def test_forged_read_requests_ask_nothing_and_are_taken_some_at_a_time(led: Desk) -> None:
    key = led.store.keys.groups_wanted
    await led.store.redis.sadd(key, "PSCHED1", "dba", "*", "x" * 10_000, *(f"forged{n}" for n in range(MOST)))
    await reader(led).run_once()
    assert led.server.calls == []
    assert await led.store.redis.scard(key) == 4


async def test_a_process_that_does_not_lead_leaves_the_wishes_to_the_one_that_does(led: Desk) -> None:
    await GroupReadRequests(led.store).add(["first"])
    await FreshGroupReader(led.another(), never).run_once()
    assert await led.store.redis.scard(led.store.keys.groups_wanted) == 1
    await led.refresh.leader.resign()
    await reader(led).run_once()
    assert led.server.calls == []


async def test_a_refused_group_is_known_no_more_and_a_silent_directory_changes_nothing(led: Desk) -> None:
    read_requests, loop = GroupReadRequests(led.store), reader(led, apart=0.0)
    await led.server.stop()
    before = (await led.there()).directories["pd"].groups
    await read_requests.add(["first"])
    await loop.run_once()
    assert (await led.there()).directories["pd"].groups == before
    await led.server.start()
    led.server.schedules.clear()
    led.server.oncalls = [entry for entry in led.server.oncalls if entry["schedule"] is None]
    await read_requests.add(["first"])
    await loop.run_once()
    assert (await led.there()).members(led.policy) == {"second": BOTH}, "which nobody asked about"


async def test_a_round_that_began_before_does_not_write_over_what_was_read_for_a_click(
    led: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    members = led.directory.members

    async def slow(group: str, now: float) -> GroupAnswer:
        answer = await members(group, now)
        begun.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(led.directory, "members", slow)
    round_ = asyncio.create_task(led.refresh.read_all(led.policy))
    await begun.wait()
    monkeypatch.setattr(led.directory, "members", members)
    led.server.oncalls = []
    await GroupReadRequests(led.store).add(["first", "second"])
    await reader(led).run_once()
    go_on.set()
    await round_
    assert (await led.there()).members(led.policy) == {"first": frozenset(), "second": frozenset()}
