"""Whoever decides reads what came of it where they pressed: below the card, in the form's place, on their Home tab."""

from __future__ import annotations

import re

import pytest

from tests.journeys.conftest import CHANNEL, Town


async def test_who_approves_on_the_card_reads_until_when_access_lasts(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "approve")
    told = await town.dan.sees_ephemeral(lambda m: "You approved" in m.text)
    assert re.search(rf"You approved \*Debug the vault\* \({town.id_of(card)}\), 30 min\. Mia gets access", told.text)
    assert "until about <!date^" in told.text
    assert town.eve.ephemerals == []


async def test_who_gives_the_first_of_two_approvals_reads_whom_it_waits_for_and_they_are_told(town: Town) -> None:
    card = await town.asked("eve", "request vault/admin 30m -- to mend it")
    await town.dan.click(card, "approve")
    told = await town.dan.sees_ephemeral(lambda m: "You approved" in m.text)
    assert "It still needs 1 approval from <@USAM> or <@UKIM> by" in told.text
    line = await town.slack.sees(CHANNEL, lambda m: "Dan approved (30 min)" in m.text, thread=card.ts)
    assert "It still needs 1 approval from <@USAM> or <@UKIM>." in line.text
    half = await town.card(town.id_of(card), "1. `dba`: Dan approved · 2. `security`: waits for 1")
    assert "Needs 1 approval from <@USAM> or <@UKIM> by" in half.said()


@pytest.mark.parametrize(
    ("button", "fields", "said"),
    [
        ("deny", {"reason": "not now"}, "You denied *Debug the vault*"),
        ("approve_less", {"duration": "900"}, ", 15 min of 30 min. Mia gets access for 15 min, until about"),
    ],
)
async def test_a_form_is_replaced_by_what_came_of_it(
    town: Town, button: str, fields: dict[str, str], said: str
) -> None:
    card = await town.asked()
    await town.dan.click(card, button)
    form = await town.dan.sees_view(button)
    assert (await town.dan.submit(form, fields)).errors == {}
    assert said in (await town.dan.sees_view("note")).said()


async def test_the_home_tab_says_what_came_of_a_press_on_it(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    await town.dan.opens_home()
    await town.dan.click(await town.dan.sees_home(), "approve", value=id_)
    shown = await town.dan.sees_home(lambda v: "Nothing is waiting for you." in v.said())
    assert f"You approved *Debug the vault* ({id_}), 30 min." in shown.said()


async def test_who_ends_access_reads_what_comes_next(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.dan.click(await town.card(id_, "active until"), "revoke")
    await town.dan.submit(await town.dan.sees_view("revoke"), {"reason": "INC-2"})
    note = await town.dan.sees_view("note")
    assert f"You ended *Debug the vault* ({id_}) of Mia." in note.said()


async def test_who_decides_about_a_second_request_reads_what_came_of_the_first(town: Town) -> None:
    first = await town.asked()
    await town.dan.click(first, "approve")
    await town.card(town.id_of(first), "active until")
    await town.mia.command("/jit", "release", CHANNEL)
    await town.card(town.id_of(first), ":lock: ended")
    second = await town.asked()
    assert "Earlier requests for this in the last 30 days: 1 of 1 approved" in second.said()
    await town.dan.command("/jit", f"show {town.id_of(second)}", CHANNEL)
    assert "1 of 1 approved" in town.dan.ephemerals[-1].said()


async def test_an_extension_too(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    await town.mia.command("/jit", f"extend {id_} 30m -- not done yet", CHANNEL)
    waits = await town.card(id_, "not done yet")
    await town.eve.click(waits, "extend_deny")
    await town.eve.submit(await town.eve.sees_view("extend_deny"), {"reason": "enough"})
    assert "You denied the extension of *Debug the vault*" in (await town.eve.sees_view("note")).said()
    await town.card(id_, "denied the extension")
    await town.mia.command("/jit", f"extend {id_} 30m -- really not", CHANNEL)
    waits = await town.card(id_, "really not")
    await town.dan.click(waits, "extend_approve")
    await town.dan.sees_ephemeral(lambda m: "You approved the extension of *Debug the vault*" in m.text)


async def test_an_answer_that_cannot_be_shown_leaves_the_decision_as_it_is(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    payload = town.dan.click_payload(card, card.buttons()["approve"])
    await town.slack.delivery.interactive({**payload, "response_url": "http://127.0.0.1:9/nobody"})
    await town.card(id_, "active until")
