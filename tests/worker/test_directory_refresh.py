"""The worker reads directories and calendars: one process at a time, bounded, and what fails changes nothing known."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.metrics import Metrics
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_snapshots import DirectorySnapshots, Snapshots
from bot.store.store import Store
from bot.worker.directory_refresh import DirectoryRefresh, Sources
from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.ical.calendar import Calendar, CalendarConfig
from providers.directories.pagerduty import PagerDuty, PagerDutyConfig
from tests.house import POLICY, catalog
from tests.providers.calendars import calendar, shift
from tests.providers.pagerduty import TOKEN, PagerDutyServer

SECTIONS = """\
directories:
  pd: {kind: pagerduty, config: {token: "env:PAGERDUTY_TOKEN"}}
calendars:
  freeze: {ical: "file:/etc/freeze.ics"}
groups:
  first: {directory: pd, group: PSCHED1}
  second: {directory: pd, group: PPOLICY1}
"""


def policy(old: str = "", new: str = "") -> Catalog:
    return catalog(POLICY.replace("groups:\n", SECTIONS, 1).replace(old, new))


@dataclass
class Desk:
    """A refresh over a real PagerDuty's form and a real file."""

    store: Store
    server: PagerDutyServer
    freeze: Path
    policy: Catalog = field(default_factory=policy)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = PagerDutyConfig.model_validate({"token": TOKEN, "url": self.server.url, "timeout": 1})
        self.directory, self.calendar = PagerDuty(config), Calendar(CalendarConfig(file=self.freeze))
        self.refresh = self.another()

    def another(self) -> DirectoryRefresh:
        """As another process has it."""
        sources = Sources({"pd": self.directory}, {"freeze": self.calendar})
        return DirectoryRefresh(self.store, lambda: self.policy, sources, lambda *what: self.failures.append(what))

    async def looked(self) -> Snapshots:
        """Look, by the process that leads; what is there then."""
        assert await self.refresh.leader.elected()
        await self.refresh.read_all(self.policy)
        return await self.there()

    async def there(self) -> Snapshots:
        return await DirectorySnapshots(self.store).read(["pd"], ["freeze"])

    async def members(self) -> dict[str, frozenset[str]]:
        return (await self.looked()).members(self.policy)


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    server = PagerDutyServer()
    await server.start()
    server.on_call(["eve@example.com"])
    server.on_call(["dan@example.com"], schedule=None)
    now = time.time()
    (tmp_path / "freeze.ics").write_bytes(calendar([shift(now - 60, now + 60, [])]))
    desk = Desk(store, server, tmp_path / "freeze.ics")
    await store.policy.adopt(desk.policy.policy_hash)
    yield desk
    await desk.directory.close()
    await server.stop()


FIRST, BOTH = frozenset({"eve@example.com"}), frozenset({"eve@example.com", "dan@example.com"})


async def test_each_group_and_calendar_is_read_and_sealed(desk: Desk) -> None:
    assert await desk.members() == {"first": FIRST, "second": BOTH}
    assert (await desk.there()).frozen(desk.policy, "freeze", await desk.store.now()) is True
    assert not desk.failures
    assert set(desk.refresh.ages()) == {("directory", "pd"), ("calendar", "freeze")}
    assert all(0 <= age < 5 for age in desk.refresh.ages().values())


async def test_a_directory_that_is_away_changes_nothing_until_what_it_said_is_too_old(desk: Desk) -> None:
    was = (await desk.looked()).directories["pd"]
    await desk.server.stop()
    now = (await desk.looked()).directories["pd"]
    assert now.groups == was.groups, "as old as they are"
    assert "it cannot be reached" in now.problem
    assert desk.failures == [("directory", "pd")]
    await desk.server.start()
    now = (await desk.looked()).directories["pd"]
    assert now.groups["first"].at > was.groups["first"].at
    assert now.problem == ""


async def test_another_process_goes_on_from_what_was_sealed(desk: Desk) -> None:
    was = (await desk.looked()).directories["pd"]
    await desk.server.stop()
    await desk.refresh.leader.resign()
    desk.refresh = desk.another()
    assert (await desk.looked()).directories["pd"].groups == was.groups


async def test_a_definite_no_is_about_its_group_alone_and_counts_at_once(desk: Desk) -> None:
    await desk.looked()
    desk.server.schedules.clear()
    desk.server.oncalls = [entry for entry in desk.server.oncalls if entry["schedule"] is None]
    found = await desk.looked()
    assert found.members(desk.policy) == {"second": {"dan@example.com"}}
    assert "first: PagerDuty has no schedule" in found.directories["pd"].problem


async def test_nobody_on_call_is_nobody_and_a_person_without_an_address_is_unknown(desk: Desk) -> None:
    desk.server.oncalls = []
    assert await desk.members() == {"first": frozenset(), "second": frozenset()}
    desk.server.on_call(["eve@example.com"])
    desk.server.oncalls[0]["user"] = {"id": "PGONE", "type": "user_reference"}
    assert await desk.members() == {}
    desk.server.oncalls[0]["user"] = {"id": "PODD", "type": "user", "email": "ſam@example.com"}
    assert await desk.members() == {}


async def test_it_is_not_asked_again_before_it_says_so(desk: Desk) -> None:
    from aiohttp import web

    desk.server.answer = web.Response(status=429, headers={"Retry-After": "600"})
    await desk.looked()
    asked, desk.server.answer = len(desk.server.calls), None
    assert await desk.members() == {}
    assert len(desk.server.calls) == asked


async def test_after_three_looks_without_an_answer_it_rests(desk: Desk) -> None:
    await desk.server.stop()
    for _ in range(3):
        await desk.looked()
    await desk.server.start()
    desk.server.calls.clear()
    assert await desk.members() == {}
    assert desk.server.calls == []
    assert (await desk.there()).frozen(desk.policy, "freeze", await desk.store.now()), "the others are read on"


class Broken:
    """A directory that has a fault of its own."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def members(self, group: str, now: float) -> GroupAnswer:
        if self.error is None:
            await asyncio.sleep(60)
        raise self.error or AssertionError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), Refused("no"), NoAnswer("later", 5.0)])
async def test_one_that_breaks_takes_no_other_with_it(desk: Desk, error: Exception) -> None:
    broken: Any = Broken(error)
    desk.refresh.replace_sources(Sources({"pd": broken}, {"freeze": desk.calendar}))
    found = await desk.looked()
    assert found.members(desk.policy) == {}
    assert "secret" not in found.directories["pd"].problem
    assert found.frozen(desk.policy, "freeze", await desk.store.now()) is True


async def test_one_that_hangs_is_given_up_within_the_lease(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.worker.source_calls.BUDGET", 0.1)
    hangs: Any = Broken()
    desk.refresh.replace_sources(Sources({"pd": hangs}, {"freeze": desk.calendar}))
    began = time.monotonic()
    assert "in time" in (await desk.looked()).directories["pd"].problem
    assert time.monotonic() - began < 10


async def test_nothing_is_kept_by_a_process_that_leads_no_more(desk: Desk) -> None:
    await desk.looked()
    before = await desk.store.redis.get(desk.store.keys.directory("pd"))
    await desk.refresh.leader.resign()
    await desk.refresh.read_all(desk.policy)
    assert await desk.store.redis.get(desk.store.keys.directory("pd")) == before


async def test_a_scrape_says_how_old_each_is_and_how_often_a_look_failed(desk: Desk) -> None:
    metrics = Metrics()
    metrics.read(desk.refresh.ages)
    desk.refresh.calls.failed = metrics.not_read
    await desk.looked()
    await desk.server.stop()
    await desk.looked()
    _, page = await metrics.page()
    text = page.decode()
    assert 'jit_directory_failures_total{name="pd",source="directory"} 1.0' in text
    [age] = re.findall(r'jit_directory_age_seconds{name="pd",source="directory"} (\S+)', text)
    assert 0 <= float(age) < 30
    assert 'jit_directory_age_seconds{name="freeze",source="calendar"}' in text


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # another task's work
            await asyncio.sleep(0.02)


async def test_one_process_looks_at_once_by_another_policy_and_only_by_the_one_in_force(desk: Desk) -> None:
    stop, other = asyncio.Event(), desk.another()
    running = [asyncio.create_task(one.run(stop)) for one in (desk.refresh, other)]

    async def known() -> bool:
        return bool((await desk.there()).members(desk.policy))

    await until(known)
    calls = len(desk.server.calls)
    desk.policy = policy("submits: 5", "submits: 6") if "submits: 5" in POLICY else policy("max: 8h", "max: 7h")
    await asyncio.sleep(1.5)  # a beat and more: there is nothing to wait for
    assert len(desk.server.calls) == calls, "the workspace does not decide by it yet"
    await desk.store.policy.adopt(desk.policy.policy_hash)
    await until(known)
    stop.set()
    await asyncio.gather(*running)
    assert sum(call.startswith("/oncalls") for call in desk.server.calls) == 4, "each group, by each policy, once"


async def test_a_policy_without_any_costs_nothing(store: Store) -> None:
    refresh = DirectoryRefresh(store, catalog, Sources())
    stop = asyncio.Event()
    running = asyncio.create_task(refresh.run(stop))
    await asyncio.sleep(0)
    stop.set()
    await running
    assert not await store.redis.exists(store.keys.refresher)
    assert refresh.ages() == {}
