"""Approval steps in Slack: in order, told when they open, escalated in time, and shown on the card."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message
from bot.settings import Settings
from tests.access.test_steps import ESCALATES, policy
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import RedisServer

OLD = "steps: [{any_of: [dba]}, {any_of: [security]}]"
ORDERED = policy(f"ordered: true\n          {OLD}").replace(
    "sensitivity: critical", "sensitivity: critical\n        notify: {mention: group, dm: all}"
)
PARTS = """
  orders:
    title: Orders
    provider: sandbox
    channel: C0ORDERS1
    approvers: [dba]
    roles:
      read-only:
        grants: {door: orders}
        max: 2h
        may_ask: [everyone]
        approval: {ordered: true, steps: [{owner: true}, {any_of: [security]}]}
templates:
"""
LINE = "request vault/admin 30m -- INC-1 the safe is stuck"


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]  # one of the two


@asynccontextmanager
async def town_of(slack: LocalSlack, settings: Settings) -> AsyncIterator[Town]:
    """The bot with these settings; with the same ones again, it is a restart."""
    mode = "http" if settings.slack_signing_secret else "socket"
    async with running(settings) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def in_thread(town: Town, card: Message, said: str) -> Message:
    return await town.slack.sees(card.channel, lambda m: said in m.text, thread=card.ts)


async def test_the_second_of_two_steps_in_order_is_told_and_answered_once_the_first_is(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with town_of(slack, settings_for(slack, redis, mode, tmp_path, ORDERED)) as town:
        card = await town.asked("mia", LINE)
        assert "Needs 1 approval from <!subteam^S0DBA0001>, then 1 more by" in card.said()
        assert "1. `dba`: waits for 1 · 2. `security`: opens after step 1" in card.said()
        assert "<@USAM>" not in card.said(), "it is not their turn"
        id_ = town.id_of(card)
        await town.dan.sees_dm(lambda m: id_ in m.said())
        assert town.sam.dms == []

        await town.sam.click(card, "approve")
        told = await town.sam.sees_ephemeral(lambda m: "not your turn" in m.text)
        assert "It is not your turn yet: `dba` has to approve first. Your step opens after that." in told.text
        await town.sam.opens_home()
        home = await town.sam.sees_home()
        assert id_ not in home.said()

        await town.dan.click(card, "approve")
        line = await in_thread(town, card, "Dan approved (30 min)")
        assert "It still needs 1 approval from <@USAM> or <@UKIM>." in line.text
        half = await town.card(id_, "1. `dba`: Dan approved · 2. `security`: waits for 1")
        assert "Needs 1 approval from <@USAM> or <@UKIM> by" in half.said()
        mine = await town.sam.sees_dm(lambda m: id_ in m.said())
        assert "Dan approved; it needs 1 approval from <@USAM> or <@UKIM> by" in mine.said()

        await town.sam.click(half, "approve")
        await town.card(id_, "active until")
        assert len([m for m in town.sam.dms if id_ in m.said()]) == 1


async def test_who_could_fill_only_a_later_step_cannot_deny_either(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with town_of(slack, settings_for(slack, redis, mode, tmp_path, ORDERED)) as town:
        card = await town.asked("mia", LINE)
        await town.sam.click(card, "deny")
        await town.sam.sees_ephemeral(lambda m: "not your turn" in m.text)
        found = await town.app.store.load(town.id_of(card))
        assert found
        assert found.request.state is State.PENDING


async def test_a_step_escalates_in_time_across_a_restart_and_those_it_reaches_can_approve(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    loud = "sensitivity: critical\n        notify: {mention: group, dm: all}"
    written = policy(ESCALATES).replace("sensitivity: critical", loud)
    settings = settings_for(slack, redis, mode, tmp_path, written)
    async with town_of(slack, settings) as town:
        card = await town.asked("mia", LINE)
        id_ = town.id_of(card)
        await town.dan.click(card, "approve")
        half = await town.card(id_, "2. `security`: waits for 1; from")
        assert "also `platform`" in half.said()
    # In between, the time of the escalation may come.
    async with town_of(slack, settings) as again:
        escalated = await again.card(id_, "2. `security`: waits for 1; `platform` can approve, too")
        line = await in_thread(again, escalated, "Escalated:")
        assert "still needs 1 approval from `security`. From now on <@UPAT> can approve or deny it, too." in line.text
        lines = [m for m in slack.messages(CHANNEL, thread=escalated.ts) if "Escalated:" in m.text]
        assert len(lines) == 1
        mine = await again.pat.sees_dm(lambda m: id_ in m.said())
        assert "Dan approved; it needs 1 approval from" in mine.said()
        await again.pat.click(escalated, "approve")
        await again.card(id_, "active until")
        assert len([m for m in again.pat.dms if id_ in m.said()]) == 1


async def test_a_step_that_opens_is_told_beneath_the_card_of_its_own_system(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    slack.add_channel("C0ORDERS1", "orders", list(slack.world.people))
    written = POLICY.replace("templates:\n", PARTS, 1)
    async with town_of(slack, settings_for(slack, redis, mode, tmp_path, written)) as town:
        line = "request vault/read-only + orders/read-only 30m -- INC-1 it is stuck"
        reply = await town.mia.command("/jit", line, CHANNEL)
        id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
        other = await slack.sees("C0ORDERS1", lambda m: id_ in m.said() and bool(m.blocks))
        assert "1. owners (`dba`): waits for 1 · 2. `security`: opens after step 1" in other.said()
        await town.dan.click(other, "approve")
        await town.eve.click(other, "approve")
        told = await in_thread(town, other, "approved (30 min). It still needs 1 approval from <@USAM> or <@UKIM>.")
        assert told.channel == "C0ORDERS1"
        await town.sam.click(other, "approve")
        await town.card(id_, "active until")
