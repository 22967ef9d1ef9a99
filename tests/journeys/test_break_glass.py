"""Break-glass: access at once, an alarm that nobody overlooks, and a review by an owner afterwards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core import deadlines
from bot.core.request import State
from bot.playground import LocalSlack, Message
from tests.access.test_break_glass import GLASS, WITH
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.rings import Rings
from tests.servers import RedisServer

LINE = "break-glass vault/read-only 10m -- the vault is on fire"


@pytest.fixture(params=["http", "socket"])
async def loud(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace where Mia and the owners may use break-glass, over HTTP and over Socket Mode."""
    async with running(settings_for(slack, redis, request.param, tmp_path, WITH)) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def is_in(town: Town, id_: str, state: State) -> None:
    """The request gets there, and all is told."""
    async with asyncio.timeout(40):
        while (await town.app.context.find_by_id(id_)).request.state is not state:  # noqa: ASYNC110  # a task of the app's
            await asyncio.sleep(0.02)
        while await town.app.announcer.outbox.waiting():  # noqa: ASYNC110  # a task of the app's
            await asyncio.sleep(0.02)


async def alarm(town: Town, id_: str, said: str = "Break-glass:") -> Message:
    """The alarm in the audit channel."""
    return await town.slack.sees("C0AUDIT01", lambda m: id_ in m.said() and said in m.said())


async def test_taken_at_once_loud_and_reviewed_afterwards(loud: Town) -> None:
    reply = await loud.mia.command("/jit", LINE, CHANNEL)
    assert "You used break-glass" in reply.text
    assert "The audit channel and the owners are notified" in reply.text
    id_ = reply.text.split(" (J-")[1][:4]
    id_ = f"J-{id_}"
    card = await loud.card(id_, "active until")
    assert "Break-glass: access without approval" in card.said()
    assert "nobody approved it" in card.said()
    assert set(card.buttons()) == {"break_glass_review", "revoke"}
    told = await alarm(loud, id_)
    assert "<!subteam^S0DBA0001>" in told.said(), "the owners are mentioned"
    assert "the vault is on fire" in told.said()
    assert set(told.buttons()) >= {"break_glass_review"}
    await loud.dan.sees_dm(lambda m: id_ in m.said() and "Mia used break-glass" in m.said())
    await loud.eve.sees_dm(lambda m: id_ in m.said() and "Please review it" in m.said())
    granted = await loud.mia.sees_dm(lambda m: "You have access until" in m.said())
    assert "reveal" in granted.buttons()
    posts = [call.args["text"] for call in loud.slack.calls if call.method == "chat.postMessage"]
    assert any(text.startswith("🚨 Break-glass: Mia took") for text in posts)

    # Nobody reviews their own, and no other person who is no owner.
    await loud.mia.click(card, "break_glass_review")
    await loud.mia.sees_ephemeral(lambda m: "You can't review your own break-glass access" in m.said())
    await loud.sam.click(card, "break_glass_review")
    await loud.sam.sees_ephemeral(lambda m: "only `dba` can review this" in m.said())

    await loud.mia.command("/jit", "done", CHANNEL)
    card = await loud.card(id_, "waiting for its review")
    ended = await loud.mia.sees_dm(lambda m: "You ended it early" in m.said())
    assert id_ in ended.said()
    assert "waiting for its review" in (await loud.dan.command("/jit", "list", CHANNEL)).text
    assert (await loud.mia.command("/jit", "list", CHANNEL)).text.count(id_) == 1

    await loud.dan.click(card, "break_glass_review")
    form = await loud.dan.sees_view("break_glass_review", lambda v: "Was it justified?" in v.said())
    refused = await loud.dan.submit(form, {"outcome": "not_justified"})
    assert "Please give a reason" in " ".join(refused.errors.values())
    sent = await loud.dan.submit(
        form, {"outcome": "not_justified", "reason": "it could wait", "follow_up": "write a runbook"}
    )
    assert sent.errors == {}
    await loud.card(id_, "Dan reviewed it")
    await is_in(loud, id_, State.ENDED)
    mine = await loud.mia.sees_dm(lambda m: "not justified" in m.said())
    assert "it could wait" in mine.said()
    assert "write a runbook" in mine.said()
    for owner in (loud.dan, loud.eve):
        last = await owner.sees_dm(lambda m: id_ in m.said() and "Dan reviewed it" in m.said())
        assert last.buttons() == {}
    await loud.eve.click(card, "break_glass_review")
    await loud.eve.sees_ephemeral(lambda m: "Somebody has already reviewed this" in m.said())


async def test_it_rings_whom_it_concerns_and_the_requester_no_more_than_any_access(loud: Town) -> None:
    reply = await loud.mia.command("/jit", LINE, CHANNEL)
    id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
    await is_in(loud, id_, State.ACTIVE)
    rings = Rings(loud.slack)
    assert len(rings.of("mia")) == 1
    assert rings.of("mia")[0].startswith("You have access until")
    # Once by the alarm that mentions them, once by their own message.
    assert sorted(rings.of("dan")) == sorted(rings.of("eve"))
    assert len(rings.of("dan")) == 2
    assert all("reak-glass" in text for text in rings.of("dan"))
    assert rings.of("sam") == []


async def test_access_is_not_kept_waiting_by_a_slack_that_takes_no_alarm(loud: Town) -> None:
    loud.slack.faults.add("chat.postMessage", "ratelimited", times=None)
    reply = await loud.mia.command("/jit", LINE, CHANNEL)
    id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
    async with asyncio.timeout(30):
        while (await loud.app.context.find_by_id(id_)).request.state is not State.ACTIVE:  # noqa: ASYNC110  # the app's task
            await asyncio.sleep(0.02)
    assert loud.slack.messages("C0AUDIT01") == []
    loud.slack.faults.clear()
    await alarm(loud, id_)
    await loud.dan.sees_dm(lambda m: id_ in m.said())


async def test_a_request_that_waits_is_taken_by_its_button(loud: Town) -> None:
    asked = await loud.mia.command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
    id_ = f"J-{asked.text.split(' (J-')[1][:4]}"
    assert set(loud.mia.ephemerals[-1].buttons()) == {"cancel", "break_glass"}
    await loud.card(id_, "waiting for approval")
    await loud.mia.opens_home()
    await loud.mia.click(await loud.mia.sees_home(lambda v: "break_glass" in v.buttons()), "break_glass", value=id_)
    form = await loud.mia.sees_view("break_glass", lambda v: "nobody approves it" in v.said())
    sent = await loud.mia.submit(form, {"duration": "1800", "reason": "INC-1 the vault burns"})
    assert sent.errors == {}
    card = await loud.card(id_, "active until")
    assert "INC-1 the vault burns" in card.said()
    await alarm(loud, id_)
    pressed = await loud.dan.click(card, "revoke")
    assert pressed.status == 200


async def test_who_may_not_use_it_is_told_why_and_offered_what_they_may(loud: Town) -> None:
    said: list[str] = []
    for who in (loud.mia, loud.sam):
        await who.command("/jit", "explain debug", CHANNEL)
        said.append(who.ephemerals[-1].said())
    mine, theirs = said
    assert "In an emergency, you can take it at once, without approval: `/jit break-glass debug`" in mine
    assert "In an emergency" not in theirs
    assert "you are in none of the groups" in (await loud.sam.command("/jit", LINE, CHANNEL)).text
    assert "There is no role here that you may take" in (await loud.sam.command("/jit", "break-glass", CHANNEL)).text
    offered = (await loud.mia.command("/jit", "break-glass", CHANNEL)).text
    assert "`/jit break-glass debug 30m --" in offered
    assert (
        "The reason is too short"
        in (await loud.mia.command("/jit", "break-glass vault/read-only 10m -- now", CHANNEL)).text
    )
    later = await loud.mia.command("/jit", "break-glass vault/read-only 10m at 23:59 -- the vault burns", CHANNEL)
    assert "starts at once" in later.text
    plain = await loud.sam.command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
    assert set(loud.sam.ephemerals[-1].buttons()) == {"cancel"}, plain.text


async def test_an_overdue_review_alarms_once_and_an_owner_decides_about_the_next(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "_DAY", 2)
    policy = WITH.replace(GLASS, "        break_glass: {who: [oncall, dba], at_most: 5s, review_within: 6s}\n")
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        first = await town.mia.command("/jit", "break-glass vault/read-only -- the vault is on fire", CHANNEL)
        id_ = f"J-{first.text.split(' (J-')[1][:4]}"
        late = await alarm(town, id_, "overdue")
        assert "<!subteam^S0DBA0001>" in late.said()
        assert "break_glass_review" in late.buttons()
        await slack.sees(CHANNEL, lambda m: id_ in m.said() and re.search(r"overdue \(day [2-9]", m.said()) is not None)
        alarms = [m for m in slack.messages("C0AUDIT01") if "is overdue" in m.said()]
        assert len(alarms) == 1, "after the first day, the digest alone reminds of it"

        again = await town.mia.command("/jit", "break-glass vault/read-only -- the vault burns once more", CHANNEL)
        whole = town.mia.ephemerals[-1].said()
        assert "An owner of the system has to approve this first" in whole
        assert id_ in whole
        next_id = f"J-{again.text.split(' (J-')[1][:4]}"
        waits = await town.card(next_id, "waiting for approval")
        await town.dan.click(waits, "approve")
        await is_in(town, next_id, State.ENDED)
        await town.dan.click(await town.card(id_, "waiting for its review"), "break_glass_review")
        form = await town.dan.sees_view("break_glass_review")
        await town.dan.submit(form, {"outcome": "justified"})
        await is_in(town, id_, State.ENDED)
        await town.mia.sees_dm(lambda m: "reviewed your break-glass access" in m.said() and "justified" in m.said())
