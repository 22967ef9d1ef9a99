"""Commands by a mention, also in a thread, and by a direct message: as `/jit`, answered to that person alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import read
from bot.core.errors import Crowded
from bot.playground import Message
from bot.playground.block_tree import Json
from handlers import commands
from tests.journeys.conftest import CHANNEL, Town


async def asked(town: Town, **more: Any) -> Json:
    """The event of a mention that requests something."""
    return {
        "type": "app_mention",
        "user": "UMIA",
        "text": f"<@{town.slack.bot_user_id}> request debug 30m -- INC-1 by mention",
        "channel": CHANNEL,
        "ts": "1700000000.000100",
        **more,
    }


async def own(town: Town) -> list[str]:
    """The open requests of Mia."""
    return [request.id for request in await read.own_open(town.app.context, await town.app.people.actor("UMIA"))]


async def answer(town: Town, wanted: str) -> Message:
    """What only Mia sees."""
    found: Message = await town.mia.sees_ephemeral(lambda m: wanted in m.said())
    return found


async def test_a_mention_in_a_thread_requests_and_is_answered_there_to_that_person(town: Town) -> None:
    incident = await town.sam.says("the disk is full", CHANNEL)
    assert (await town.mia.mentions_app("request debug for 30 minutes because INC-1", CHANNEL, incident.ts)).ok
    reply = await answer(town, "You requested *Debug the vault* for 30 min")
    assert (reply.channel, reply.thread, reply.to) == (CHANNEL, incident.ts, "UMIA")
    await town.slack.sees(CHANNEL, lambda m: "INC-1" in m.said() and "approve" in m.buttons())


async def test_a_direct_message_is_a_command(town: Town) -> None:
    assert (await town.mia.writes_to_app("I need debug for 1h, INC-1 the disk is full")).ok
    await answer(town, "You requested *Debug the vault* for 1 h")
    assert (await town.mia.writes_to_app("list")).ok
    await answer(town, "Debug the vault")
    assert (await town.mia.writes_to_app("/jit help")).ok
    await answer(town, "Request access")


async def test_a_line_that_needs_a_form_is_answered_by_a_button_that_opens_it_filled_in(town: Town) -> None:
    assert (await town.mia.mentions_app("debug tonight because INC-1 the disk", CHANNEL)).ok
    await town.mia.click(await answer(town, "This needs a form"), "open_form")
    view = await town.mia.sees_view("ask", lambda v: 'I don\'t understand "tonight".' in v.said())
    assert "INC-1 the disk" in str(view.body)
    assert (await town.mia.submit(view, {"duration": "1800"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-1 the disk" in m.said() and "30 min" in m.said())


@pytest.mark.parametrize("line", ["extend", "lockdown the key leaked", "audit yesterday", "insights"])
async def test_whatever_opens_a_view_has_a_button_or_says_why_not(town: Town, line: str) -> None:
    assert (await town.mia.writes_to_app(line)).ok
    said = (await town.mia.sees_ephemeral(bool)).said()
    assert any(words in said for words in ("This needs a form", "None of your requests", "only "))


@pytest.mark.parametrize("text", ["", "thanks!", "hi"])
async def test_a_word_that_asks_for_nothing_is_told_what_can_be_asked_for(town: Town, text: str) -> None:
    assert (await town.mia.mentions_app(text, CHANNEL)).ok
    await answer(town, "I can request access for you")


async def test_a_refusal_is_told_to_that_person(town: Town) -> None:
    assert (await town.mia.mentions_app("request vault/admin 30m -- because", CHANNEL)).ok
    await answer(town, "you are in none of the groups that may request")


async def test_a_mention_that_is_delivered_again_is_answered_once(town: Town) -> None:
    event = await asked(town)
    acks = await asyncio.gather(*(town.slack.delivery.event(event) for _ in range(2)))
    acks.append(await town.slack.delivery.event(event))
    assert all(ack.ok for ack in acks)
    await answer(town, "You requested")
    await answer(town, "can be reached now")  # what follows the answer comes once, too
    assert len(await own(town)) == 1
    assert (await town.slack.delivery.event(await asked(town, ts="1700000000.000200"))).ok
    await answer(town, "You have already requested this")
    assert [m.said().partition(" ")[0] for m in town.mia.ephemerals if "You requested" in m.said()] == ["You"]
    assert len([m for m in town.mia.ephemerals if "can be reached now" in m.said()]) == 1


@pytest.mark.parametrize("town", ["http"], indirect=True)
async def test_a_message_that_could_not_be_handled_is_answered_when_it_comes_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, event = commands.answer, await asked(town)

    async def crowded(*_: Any) -> None:
        raise Crowded

    monkeypatch.setattr(commands, "answer", crowded)
    town.slack.delivery.retry_delays = ()
    assert not (await town.slack.delivery.event(event)).ok
    monkeypatch.setattr(commands, "answer", handle)
    assert (await town.slack.delivery.event(event)).ok
    await answer(town, "You requested")


@pytest.mark.parametrize(
    "lie",
    [
        {"bot_id": "B0OTHER"},
        {"subtype": "bot_message"},
        {"user": ""},
        {"type": "message", "channel_type": "im", "subtype": "message_changed"},
        {"type": "message", "channel_type": "im", "bot_id": "B0OTHER"},
    ],
    ids=["a bot", "a bot's subtype", "nobody", "an edit", "a bot in a direct message"],
)
async def test_what_no_person_wrote_is_no_command(town: Town, lie: Json) -> None:
    assert (await town.slack.delivery.event(await asked(town, **lie))).ok
    assert await own(town) == []
    assert town.mia.ephemerals == []


async def test_a_guest_is_turned_away(town: Town) -> None:
    await town.slack.set_kind("UMIA", "guest")
    assert (await town.mia.writes_to_app("request debug 30m -- INC-1 as a guest")).ok
    await answer(town, "Guests cannot request")
