"""A start that is still to come: written in a line or chosen in the form, kept, taken back, and come."""

from __future__ import annotations

import time

import pytest

import bot.access.form_fields
from bot.core.request import State
from tests.journeys.conftest import CHANNEL, Town

ASKED = "request debug 30m at 23:59 -- INC-1 the nightly run"


async def test_asked_for_later_approved_and_taken_back(town: Town) -> None:
    reply = await town.mia.command("/jit", ASKED, CHANNEL)
    assert "Access starts" in reply.text
    card = await town.card(reply.text.split(" (")[1][:6], "If approved: access for 30 min from ")
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    scheduled = await town.card(id_, "approved, starts")
    assert set(scheduled.buttons()) == {"revoke"}
    told = await town.mia.sees_dm(lambda m: "after a final check" in m.said() and "cancel" in m.buttons())
    await town.mia.click(told, "cancel")
    await town.card(id_, "cancelled")


async def test_what_is_no_time_or_past_is_said_in_the_form_which_keeps_the_rest(town: Town) -> None:
    await town.mia.command("/jit", "request debug 30m at noonish -- INC-1 why", CHANNEL)
    form = await town.mia.sees_view("ask", lambda v: 'I don\'t understand "at noonish".' in v.said())
    assert "INC-1 why" in str(form.body)
    town.mia.close_view(form)
    await town.mia.command("/jit", "request debug 30m at 2020-01-01 10:00 -- INC-1 why", CHANNEL)
    form = await town.mia.sees_view("ask", lambda v: "at least a minute from now" in v.said())
    assert "INC-1 why" in str(form.body)


async def test_chosen_in_the_form_and_opened_when_it_comes(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.access.form_fields, "SOONEST", 1)
    await town.mia.command("/jit", "request debug 30m", CHANNEL)
    form = await town.mia.sees_view("ask", lambda v: "Start (leave empty to start right away)" in v.said())
    past = await town.mia.submit(form, {"reason": "INC-1 the nightly run", "start": int(time.time()) - 99})
    assert "at least a minute" in past.errors["start"]
    sent = await town.mia.submit(form, {"start": int(time.time()) + 4})
    assert sent.errors == {}
    card = await town.slack.sees(CHANNEL, lambda m: "If approved: access for 30 min from " in m.said())
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    assert (await town.app.context.find_by_id(id_)).request.state is State.SCHEDULED
    await town.card(id_, "active until")
    await town.slack.sees(CHANNEL, lambda m: "The start time has come" in m.text, thread=card.ts)
