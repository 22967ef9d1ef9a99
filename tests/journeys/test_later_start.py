"""A start that is still to come: written in a line or chosen in the form, kept, taken back, and come."""

from __future__ import annotations

import time

import pytest

import bot.wishes
from bot.core.model import State
from handlers import payloads
from tests.journeys.conftest import CHANNEL, Town

ASKED = "request debug 30m at 23:59 -- INC-1 the nightly run"


@pytest.mark.parametrize(
    ("line", "start", "duration", "reason"),
    [
        ("debug 30m at 22:00 -- INC-1", "22:00", 1800, "INC-1"),
        ("debug 30m AT tomorrow 9:30 -- INC-1", "tomorrow 9:30", 1800, "INC-1"),
        ("debug at 2026-11-26 22:00", "2026-11-26 22:00", None, ""),
        ("debug 30m at 22:00 INC-1 without dashes", "22:00", 1800, "INC-1 without dashes"),
        ("debug 30m looking at logs", "", 1800, "looking at logs"),
        ("debug 30m -- at 22:00", "", 1800, "at 22:00"),
        ("debug 30m at", "at", 1800, ""),
    ],
)
def test_a_line_says_when(line: str, start: str, duration: int | None, reason: str) -> None:
    wish = payloads.wish(line)
    assert (wish.what, wish.start, wish.duration, wish.reason) == ("debug", start, duration, reason)


async def test_asked_for_later_approved_and_taken_back(town: Town) -> None:
    reply = await town.mia.command("/jit", ASKED, CHANNEL)
    assert "It is opened" in reply.text
    card = await town.card(reply.text.split(": ")[1][:6], "To be opened")
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    scheduled = await town.card(id_, "approved, to be opened")
    assert set(scheduled.buttons()) == {"revoke"}
    told = await town.mia.sees_dm(lambda m: "after it was looked at again" in m.said() and "cancel" in m.buttons())
    await town.mia.click(told, "cancel")
    await town.card(id_, "taken back")


async def test_what_is_no_time_or_past_is_said(town: Town) -> None:
    reply = await town.mia.command("/jit", "request debug 30m at noonish -- INC-1 why", CHANNEL)
    assert "`noonish` is no time" in reply.text
    reply = await town.mia.command("/jit", "request debug 30m at 2020-01-01 10:00 -- INC-1 why", CHANNEL)
    assert "at least a minute from now" in reply.text


async def test_chosen_in_the_form_and_opened_when_it_comes(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.wishes, "SOONEST", 1)
    await town.mia.command("/jit", "request debug 30m", CHANNEL)
    form = await town.mia.sees_view("ask", lambda v: "When should it start?" in v.said())
    past = await town.mia.submit(form, {"reason": "INC-1 the nightly run", "start": int(time.time()) - 99})
    assert "at least a minute" in past.errors["start"]
    sent = await town.mia.submit(form, {"start": int(time.time()) + 4})
    assert sent.errors == {}
    card = await town.slack.sees(CHANNEL, lambda m: "To be opened" in m.said())
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    assert (await town.app.desk.get(id_)).request.state is State.SCHEDULED
    await town.card(id_, "open until")
    await town.slack.sees(CHANNEL, lambda m: "Its start has come" in m.text, thread=card.ts)
