"""Somebody leaves: what they had is closed and told, once Slack says so twice, and never because Slack says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.request import State
from bot.core.verdict import AccountStates
from bot.playground import LocalSlack
from bot.settings import Settings
from bot.store.indexes.offboarding import Sightings
from bot.store.keys import Keys
from bot.worker.offboarding import Offboarding
from handlers.slack.directory import People
from tests.journeys.conftest import CHANNEL, Town, at_terminal, running, settings_for
from tests.servers import RedisServer

AUDIT = "C0AUDIT01"


class Leaving(Town):
    """A bot whose looks the test makes, at times that the test chooses."""

    def __init__(self, slack: LocalSlack, app: Town, now: float, settings: Settings) -> None:
        super().__init__(slack, app.app)
        self.now, self.settings = now, settings
        self.leavers = Offboarding(app.app.context, app.app.people.accounts, app.app.people.groups, self._clock)

    async def _clock(self) -> float:
        return self.now

    async def looks(self, *after: float) -> None:
        for seconds in after:
            self.now += seconds
            await self.leavers.poll()

    async def opened(self, who: str = "mia") -> str:
        """They have the vault open."""
        card = await self.asked(who)
        await self.dan.click(card, "approve")
        await self.card(self.id_of(card), "active until")
        return self.id_of(card)

    async def admin(self) -> str:
        """Eve has what only the dba may ask for."""
        reply = await self.eve.command("/jit", "request vault/admin 30m -- INC-1 the safe", CHANNEL)
        card = await self.card(reply.text.split(" (")[1][:6])
        await self.dan.click(card, "approve")
        card = await self.card(self.id_of(card), "Dan")
        await self.sam.click(card, "approve")
        await self.card(self.id_of(card), "active until")
        return self.id_of(card)

    async def state(self, id_: str) -> State:
        return (await self.app.context.find_by_id(id_)).request.state

    async def jit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type it where the bot's environment is."""
        return await at_terminal(self.settings, *words)


@pytest.fixture
async def leaving(slack: LocalSlack, redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[Leaving]:
    """The bot; another replica is the one that looks, so that this one looks when it is told to."""
    settings = settings_for(slack, redis, "http", tmp_path)
    client = Redis.from_url(redis.socket_url)
    await client.set(Keys(workspace).leavers, "another replica", ex=3600)
    async with contextlib.aclosing(client), running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        slack.limits.on = False
        yield Leaving(slack, Town(slack, app), await app.store.now(), settings)


async def test_somebody_deactivated_loses_what_they_have_and_the_thread_says_why(leaving: Leaving) -> None:
    id_ = await leaving.opened()
    await leaving.slack.deactivate("UMIA")
    await leaving.looks(0)
    assert await leaving.state(id_) is State.ACTIVE
    await leaving.looks(20)
    card = await leaving.card(id_, ":lock: ended")
    assert "Ended early by the policy: their Slack account was deactivated" in card.said()
    await leaving.slack.sees(
        CHANNEL, lambda m: "their Slack account was deactivated. Revoking it." in m.text, thread=card.ts
    )
    await leaving.slack.sees(CHANNEL, lambda m: "verified in the system" in m.text, thread=card.ts)
    outbox = leaving.app.announcer.outbox
    async with asyncio.timeout(30):
        while await outbox.waiting():  # noqa: ASYNC110  # the announcer is a task of the app's
            await asyncio.sleep(0.02)
    assert await outbox.dead() == [], "nobody is there to read the letters, and that is nothing to mend"


async def test_what_they_asked_for_is_void_and_cannot_be_approved(leaving: Leaving) -> None:
    card = await leaving.asked()
    await leaving.slack.deactivate("UMIA")
    await leaving.looks(0, 20)
    gone = await leaving.card(leaving.id_of(card), "their Slack account was deactivated")
    assert gone.buttons() == {}


@pytest.mark.parametrize("how", ["hang", "error_500", "ratelimited", "refuse", "drop_before"])
async def test_a_slack_that_does_not_answer_takes_nothing_away(
    leaving: Leaving, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.slack.directory._BESIDE", 0.2)
    plain, admin = await leaving.opened(), await leaving.admin()
    await leaving.slack.deactivate("UMIA")
    await leaving.slack.set_usergroup("S0DBA0001", ["UDAN"])
    for method in ("users.info", "usergroups.list"):
        leaving.slack.faults.add(method, how, None)  # type: ignore[arg-type]  # one of those that are listed above
    await leaving.looks(0, 60, 60)
    assert [await leaving.state(id_) for id_ in (plain, admin)] == [State.ACTIVE, State.ACTIVE]
    leaving.slack.faults.clear()


async def test_slacks_retry_after_is_obeyed(leaving: Leaving) -> None:
    await leaving.opened()
    await leaving.admin()
    leaving.slack.faults.add("users.info", "ratelimited", retry_after=77)
    leaving.slack.faults.add("usergroups.list", "ratelimited", retry_after=77)
    people = leaving.app.people
    before = len([call for call in leaving.slack.calls if call.method == "users.info"])
    assert (await people.accounts(["UMIA", "UEVE"])).rest == 77
    asked_now = [call for call in leaving.slack.calls if call.method == "users.info"][before:]
    assert [call.args["user"] for call in asked_now] == ["UMIA"]
    assert await people.groups() is None
    asked = [call for call in leaving.slack.calls if call.method == "usergroups.list"]
    assert await people.groups() is None
    assert [call for call in leaving.slack.calls if call.method == "usergroups.list"] == asked


async def test_one_mistaken_answer_takes_nothing_away(leaving: Leaving) -> None:
    id_ = await leaving.opened()
    account = leaving.slack.world.people["UMIA"]
    for _ in range(2):
        account.kind = "deactivated"
        await leaving.looks(20)
        account.kind = "member"
        await leaving.looks(20)
    assert await leaving.state(id_) is State.ACTIVE


async def test_somebody_out_of_the_group_that_may_ask_loses_what_only_it_may_ask_for(leaving: Leaving) -> None:
    admin, plain = await leaving.admin(), await leaving.opened("eve")
    await leaving.slack.set_usergroup("S0DBA0001", ["UDAN"])
    await leaving.looks(0, 20, 20)
    assert await leaving.state(admin) is State.ACTIVE
    await leaving.looks(20)
    await leaving.card(admin, "none of the groups that may request vault/admin")
    await leaving.card(admin, ":lock: ended")
    assert await leaving.state(plain) is State.ACTIVE
    await leaving.eve.sees_dm(lambda m: "none of the groups that may request" in m.said())


@pytest.mark.parametrize("how", ["empty", "disabled", "gone"])
async def test_a_group_that_is_suddenly_empty_or_not_there_takes_nothing_away(leaving: Leaving, how: str) -> None:
    admin = await leaving.admin()
    group = leaving.slack.world.usergroups["S0DBA0001"]
    match how:
        case "empty":
            group.users = []
        case "disabled":
            group.disabled = True
        case _:
            leaving.slack.world.usergroups.clear()
    await leaving.looks(0, 60, 60)
    assert await leaving.state(admin) is State.ACTIVE
    refused = await leaving.dan.command("/jit", "request vault/admin 30m -- INC-1 the safe", CHANNEL)
    assert "You requested" not in refused.text


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": True},
        {"ok": True, "user": []},
        {"ok": True, "user": {"id": "UMIA"}},
        {"ok": True, "user": {"id": "UEVE", "deleted": True}},
        {"ok": True, "user": {"id": "UMIA", "deleted": "yes"}},
        {"ok": False, "error": "user_not_found"},
        "<html>deleted</html>",
        [],
    ],
)
async def test_nonsense_about_an_account_is_no_answer(leaving: Leaving, answer: Any) -> None:
    async with saying(answer) as people:
        assert await people(leaving).accounts(["UMIA"]) == AccountStates()


@pytest.mark.parametrize(
    "answer", [{"ok": True}, {"ok": True, "usergroups": {}}, {"ok": True, "usergroups": ["S0"]}, "<html></html>", []]
)
async def test_nonsense_about_the_groups_is_no_answer(leaving: Leaving, answer: Any) -> None:
    async with saying(answer) as people:
        assert await people(leaving).groups() is None


@pytest.mark.parametrize("answer", [{"usergroups": []}, {"usergroups": [{"id": "S0DBA0001"}]}])
async def test_a_group_of_which_nothing_is_said_is_not_known(leaving: Leaving, answer: Any) -> None:
    async with saying({"ok": True, **answer}) as people:
        told = await people(leaving).groups()
    assert told is not None
    assert told["dba"].known is False


@contextlib.asynccontextmanager
async def saying(answer: Any) -> AsyncIterator[Callable[[Leaving], People]]:
    """A Slack that says the same, whatever it is asked."""

    async def same(_: web.Request) -> web.Response:
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", same)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        client = AsyncWebClient(token="xoxb-1", base_url=str(server.make_url("/api/")), session=session)
        yield lambda leaving: People(client, leaving.app.store, leaving.slack.team, lambda: leaving.app.catalog)


async def test_slack_says_that_somebody_left_and_they_are_looked_at_soon(leaving: Leaving) -> None:
    await leaving.opened()
    sightings = Sightings(leaving.app.store)
    await leaving.slack.deactivate("UKIM")  # has nothing open
    assert await sightings.hinted() == frozenset()
    await leaving.slack.deactivate("UMIA")
    assert await sightings.hinted() == {"UMIA"}


async def test_a_mass_change_asks_a_person_who_confirms_it_at_the_terminal(leaving: Leaving) -> None:
    names = [f"Ned{n}" for n in range(7)]
    cards = []
    for name in names:
        leaving.slack.add_person(f"U{name.upper()}", name, f"{name.lower()}@example.com")
        leaving.slack.world.channels[CHANNEL].members.add(f"U{name.upper()}")
        cards.append(await leaving.asked(name.lower()))
    assert "Nobody's access is held back." in (await leaving.jit("offboarding")).stdout
    for name in names:
        leaving.slack.world.people[f"U{name.upper()}"].kind = "deactivated"
    await leaving.looks(0, 20, 20)
    told = await leaving.slack.sees(AUDIT, lambda m: "7 of 7 people with open requests seem to have left" in m.said())
    assert "jit offboarding --confirm" in told.said()
    assert f"{leaving.id_of(cards[0])} · ned0@example.com · debug: their Slack account was deactivated" in told.said()
    assert len(leaving.slack.messages(AUDIT)) == 1
    assert {await leaving.state(leaving.id_of(card)) for card in cards} == {State.PENDING}

    shown = await leaving.jit("offboarding")
    assert "7 people. If they have left: jit offboarding --confirm" in shown.stdout, shown.stderr
    assert "ned6@example.com" in shown.stdout
    confirmed = await leaving.jit("offboarding", "--confirm")
    assert "Confirmed for 7 people by cli:" in confirmed.stdout, confirmed.stderr
    await leaving.looks(20)
    assert {await leaving.state(leaving.id_of(card)) for card in cards} == {State.CANCELLED}
    trail: Any = await leaving.app.store.redis.xrange(leaving.app.store.keys.audit)
    [by] = [json.loads(e[b"event"])["by"] for _, e in trail if e[b"kind"] == b"offboarding_confirmed"]
    assert by.startswith("cli:")


async def test_the_bot_looks_by_itself(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other paces than in earnest, from the event to the closed card."""
    quick = partial(Offboarding, interval=0.05, account_recheck=0.3, group_recheck=0.6, max_per_minute=10_000)
    monkeypatch.setattr("bot.process.worker.Offboarding", quick)
    async with running(settings_for(slack, redis, "http", tmp_path)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        slack.limits.on = False
        town = Town(slack, app)
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        await slack.deactivate("UMIA")
        closed = await town.card(town.id_of(card), ":lock: ended")
        assert "their Slack account was deactivated" in closed.said()
