"""An approver who is away has a stand-in, and whoever is new approves nothing critical: over HTTP and Socket Mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.group_members import GroupMembers
from bot.core.request import State
from bot.playground import Human, LocalSlack
from bot.policy import authorization
from bot.settings import Settings
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, at_terminal, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

ALL = "may_ask: [everyone]\n"
AWAY = POLICY.replace(
    "dba: {slack_usergroup: S0DBA0001}",
    "dba: {slack_usergroup: S0DBA0001, may_stand_in: [helpers]}\n"
    "  helpers: {people: [kim@example.com, mia@example.com]}\n"
    "  others: {people: [pat@example.com]}",
).replace(ALL, f"{ALL}        notify: {{dm: all}}\n")


class Away(Town):
    """A workspace in which Kim and Mia may stand in for Dan and Eve; ``settings`` are the bot's."""

    settings: Settings

    async def reads(self, human: Human, said: str) -> str:
        """A direct message of the bot's to somebody."""
        return (await human.sees_dm(lambda m: said in m.said())).said()

    async def state(self, id_: str) -> State:
        return (await self.app.context.find_by_id(id_)).request.state

    async def noted(self, kind: str) -> list[dict[str, Any]]:
        found: Any = await self.app.store.redis.xrange(self.app.store.keys.audit)
        return [json.loads(fields[b"event"]) for _, fields in found if fields[b"kind"].decode() == kind]


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Away]:
    """The bot in it, over HTTP and over Socket Mode."""
    mode: Mode = request.param
    settings = settings_for(slack, redis, mode, tmp_path, AWAY)
    async with running(settings) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Away(slack, app)
        town.settings = settings
        yield town


HTTP = pytest.mark.parametrize("town", ["http"], indirect=True)


async def test_a_stand_in_is_told_approves_and_stands_on_the_card(town: Away) -> None:
    said = await types(town.dan, "delegate <@UKIM|kim> for 3 days")
    assert "Kim stands in for you in `dba` until" in said
    assert "You stand in for Dan until" in await town.reads(town.kim, "You stand in for Dan")
    assert "Kim stands in for you until" in await types(town.dan, "delegate")
    assert "You stand in for Dan until" in await types(town.kim, "list")
    card = await town.asked("eve")
    id_ = town.id_of(card)
    assert "<@UKIM> (for Dan)" in card.said()
    assert "Eve" in await town.reads(town.kim, id_)
    await town.kim.click(card, "approve")
    card = await town.card(id_, "active until")
    assert "(kim@example.com) for Dan approved" in card.said()
    thread = await town.slack.sees(CHANNEL, lambda m: "Kim for Dan approved" in m.said(), thread=card.ts)
    assert "Granting access" in thread.said()


async def test_it_is_ended_by_a_word_and_then_counts_for_nothing(town: Away) -> None:
    await types(town.dan, "delegate kim@example.com until tomorrow")
    assert "Kim no longer stands in for you" in await types(town.dan, "delegate off")
    await town.reads(town.kim, "You no longer stand in for Dan")
    assert "Nobody stands in for you, so there is nothing to end" in await types(town.dan, "delegate off")
    card = await town.asked("eve")
    await town.kim.click(card, "approve")
    assert "Only `dba` can approve this" in town.kim.ephemerals[-1].said()
    assert await town.state(town.id_of(card)) is State.PENDING


async def test_neither_decides_about_the_other(town: Away) -> None:
    await types(town.dan, "delegate <@UMIA> 2 weeks")
    card = await town.asked("mia")
    await town.dan.click(card, "approve")
    assert "One of you stands in for the other" in town.dan.ephemerals[-1].said()
    await town.eve.click(card, "approve")
    await town.card(town.id_of(card), "active until")


@HTTP
@pytest.mark.parametrize(
    ("who", "line", "said"),
    [
        ("dan", "delegate", "Nobody stands in for you"),
        ("dan", "delegate <@UKIM>", "I don't understand until when"),
        ("dan", "delegate <@UKIM> until next monday", "I don't understand until when"),
        ("dan", "delegate <@UKIM> until today", "I don't understand until when"),
        ("dan", "delegate <@UKIM> for 31 days", "is too long: the maximum is 30 d"),
        ("dan", "delegate kim for 2 days", "Pick the person from Slack's @ list"),
        ("dan", "delegate nobody@example.com 2d", "Pick the person from Slack's @ list"),
        ("dan", "delegate <@UGUEST> for 2 days", "That account can't stand in"),
        ("dan", "delegate <@UGONE> for 2 days", "That account can't stand in"),
        ("dan", "delegate <@UDAN> for 2 days", "You can't stand in for yourself"),
        ("dan", "delegate <@USAM> for 2 days", "Only somebody in `helpers` can stand in for you"),
        ("sam", "delegate <@UKIM> for 2 days", "Only approvers in `dba` can name a stand-in"),
        ("dan", "help delegate", "Names somebody who"),
    ],
)
async def test_each_mistake_is_answered_with_what_would_do(town: Away, who: str, line: str, said: str) -> None:
    assert said in await types(getattr(town, who), line)
    assert not await town.noted("delegated")


@HTTP
async def test_an_operator_sees_and_ends_it_at_a_terminal(town: Away) -> None:
    assert (await at_terminal(town.settings, "delegations", "list")).stdout == "Nobody stands in for anybody.\n"
    await types(town.dan, "delegate <@UKIM> for 3 days")
    listed = (await at_terminal(town.settings, "delegations", "list")).stdout
    assert "kim@example.com stands in for dan@example.com until" in listed
    id_ = listed.split()[0]
    assert (await at_terminal(town.settings, "delegations", "end", "D-222222")).returncode == 1
    done = await at_terminal(town.settings, "delegations", "end", id_)
    assert "kim@example.com no longer stands in for dan@example.com" in done.stdout
    for human in (town.dan, town.kim):
        await town.reads(human, "ended it")
    assert json.loads((await at_terminal(town.settings, "delegations", "list", "--json")).stdout or "{}") == {}


async def test_it_ends_by_itself_at_its_time(town: Away) -> None:
    await types(town.dan, "delegate <@UKIM> for 6 seconds")
    await town.reads(town.kim, "You no longer stand in for Dan: the time is up")
    await town.reads(town.dan, "Kim no longer stands in for you: the time is up")
    assert [each["by"] for each in await town.noted("delegation_ended")] == ["clock"]


async def test_it_is_on_the_home_tab_of_both(town: Away) -> None:
    await types(town.dan, "delegate <@UKIM> for 3 days")
    for human, said in ((town.dan, "Kim stands in for you until"), (town.kim, "You stand in for Dan until")):
        await human.opens_home()
        await human.sees_home(lambda view, said=said: said in view.said())  # type: ignore[misc]  # bound now


async def test_who_joined_the_group_just_now_approves_no_critical_role_and_may_deny_it(town: Away) -> None:
    store = town.app.store
    found, now = await store.members.read()
    groups: dict[str, dict[str, float]] = {name: dict(people) for name, people in found.groups.items()}
    groups["dba"]["UDAN"] = now - 60
    after = GroupMembers(revision=store.members.next_revision, groups=groups)
    assert await store.members.write(after, "", {})
    card = await town.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    assert "critical" in card.said().lower()
    await town.dan.click(card, "approve")
    assert "only a short while ago" in town.dan.ephemerals[-1].said()
    assert (await town.app.context.find_by_id(town.id_of(card))).request.reviews == ()
    plain = await town.asked("eve")
    await town.dan.click(plain, "approve")
    await town.card(town.id_of(plain), "active until")
    await town.dan.click(card, "deny")
    await town.dan.submit(await town.dan.sees_view("deny"), {"reason": "not like this"})
    await town.card(town.id_of(card), "denied")


@HTTP
async def test_in_a_group_that_only_a_record_still_names_everybody_is_new(town: Away) -> None:
    roster = await town.app.people.roster()
    assert set(roster) - set(authorization.watched(town.app.catalog)) == {"others"}
    assert roster["others"].since == {}
    assert roster["dba"].since
