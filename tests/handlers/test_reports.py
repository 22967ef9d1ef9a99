"""`/jit insights` over HTTP and Socket Mode: seen by auditors and operators, snoozed by a button, and on the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.request import State
from bot.playground import LocalSlack
from bot.reports.insights.scan import Scan, Watching
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for, slack
from tests.servers import RedisServer

__all__ = ["slack"]

RULES = POLICY.replace(
    "  operators:", "  auditors: [audit]\n  insights: {asked-again: {times: 2}}\n  operators:"
).replace("groups:\n", "groups:\n  audit: {people: [kim@example.com]}\n")
SAID = "mia@example.com got debug 2 times in 14 d."


class Watched(Town):
    """A workspace whose record is looked at when a test says so."""

    home: Path

    async def looks(self) -> Scan:
        """A worker's look, once all of it is in the archive."""
        opened = partial(Archive.open, "", self.home)
        watching = Watching(self.app.context, self.app.people.roster, opened)
        async with asyncio.timeout(30):
            while not (look := await watching.scan()).seen:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return look

    async def given(self) -> str:
        """Mia asks, gets it and gives it back. Its id."""
        card = await self.asked()
        id_ = self.id_of(card)
        await self.dan.click(card, "approve")
        await self.card(id_, "active until")
        await self.mia.command("/jit", f"done {id_}", CHANNEL)
        async with asyncio.timeout(30):
            while (await self.app.context.find_by_id(id_)).request.state is not State.ENDED:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return id_


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Watched]:
    """The bot in it, over HTTP and over Socket Mode."""
    mode: Mode = request.param
    async with running(settings_for(slack, redis, mode, tmp_path, RULES)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Watched(slack, app)
        town.home = tmp_path
        yield town


async def test_what_stands_out_is_seen_and_snoozed(town: Watched) -> None:
    await town.kim.command("/jit", "insights")
    said = (await town.kim.sees_view("insights")).said()
    assert "No scan yet" in said or "No findings" in said  # the first scan may be over
    ids = [await town.given(), await town.given()]
    await town.looks()

    await town.kim.command("/jit", "insights")
    seen = await town.kim.sees_view("insights", lambda view: SAID in view.said())
    assert "Check whether the template's durations fit" in seen.said()
    assert f"Evidence: {ids[1]}, {ids[0]} · `/jit audit {ids[1]}`" in seen.said()

    await town.pat.command("/jit", "insights")
    seen = await town.pat.sees_view("insights", lambda view: SAID in view.said())
    assert f"`/jit show {ids[1]}`" in seen.said()
    await town.pat.click(seen, "snooze")
    await town.pat.sees_view("insights", lambda view: "No findings" in view.said())
    assert "Snoozed: 1" in (await town.pat.sees_view("insights")).said()
    assert not (await town.pat.sees_view("insights")).buttons()

    shown = await town.pat.command("/jit", f"show {ids[1]}", CHANNEL)
    assert ids[1] in town.pat.ephemerals[-1].said()
    assert shown.status == 200


async def test_it_is_not_for_everybody_and_that_is_judged_at_the_click(town: Watched) -> None:
    for human in (town.mia, town.dan):
        await human.command("/jit", "insights", CHANNEL)
        assert "only `audit` or `platform` can read the audit log" in human.ephemerals[-1].said()
        assert human.view is None
    await town.given()
    await town.given()
    await town.looks()
    await town.pat.command("/jit", "insights")
    seen = await town.pat.sees_view("insights", lambda view: SAID in view.said())
    town.app.catalog = town.app.catalog.model_copy(
        update={"workspace": town.app.catalog.workspace.model_copy(update={"operators": ("dba",)})}
    )
    await town.pat.click(seen, "snooze")
    await town.pat.sees_view("note", lambda view: "You cannot do this" in view.said())
    town.app.catalog = town.app.catalog.model_copy(
        update={"workspace": town.app.catalog.workspace.model_copy(update={"operators": ("platform",)})}
    )
    assert [found.snoozed for found in (await town.looks()).seen] == [0.0]


async def test_the_worker_looks_by_itself(town: Watched) -> None:
    async with asyncio.timeout(30):
        while not await town.app.store.redis.exists(town.app.store.keys.insights_turn):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_help_tells_of_it(town: Watched) -> None:
    await town.kim.command("/jit", "help insights", CHANNEL)
    assert "findings from the audit log" in town.kim.ephemerals[-1].said()
