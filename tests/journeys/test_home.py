"""The Home tab: what waits for me, what I have, the ways to ask, and my last week; each press is judged anew."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.request import State
from bot.playground import Human, View
from bot.playground.faults import How
from tests.journeys.conftest import CHANNEL, Town

SITE = "https://local.slack.com"


async def home(human: Human) -> View:
    """The Home tab, looked at."""
    await human.opens_home()
    return await human.sees_home()


async def state(town: Town, id_: str) -> State:
    return (await town.app.context.find_by_id(id_)).request.state


def headings(view: View) -> list[str]:
    return [block["text"]["text"] for block in view.body["blocks"] if block["type"] == "header"]


async def test_somebody_new_sees_where_everything_will_be(town: Town) -> None:
    view = await home(town.mia)
    assert headings(view) == ["Waiting for you", "Your access", "Request access", "Your requests this week"]
    assert "Nothing is waiting for you." in view.said()
    assert "You have no active access and no open requests." in view.said()
    assert "*Debug the vault* · 30 min, 1 h, 4 h" in view.said()
    assert "No requests yet." in view.said()


async def test_what_waits_is_shown_to_those_whose_answer_counts_and_to_nobody_else(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    assert (
        f"*<{SITE}/team/UMIA|Mia>* (mia@example.com) requests *Debug the vault* for 30 min ({id_})"
        in (await home(town.dan)).said()
    )
    hers = await home(town.mia)
    assert "Nothing is waiting for you." in hers.said()
    assert id_ in hers.said()
    for nobody in (town.kim, town.pat):
        assert id_ not in (await home(nobody)).said()


async def test_what_waits_is_as_risky_here_as_on_its_card_and_leads_there(town: Town) -> None:
    card = await town.asked("eve", "request vault/admin 30m -- to mend it")
    shown = (await home(town.dan)).said()
    assert ":red_circle: *Critical risk*" in card.said()
    assert (
        f":red_circle: *Critical risk* · <{SITE}/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>" in shown
    )
    assert f"*<{SITE}/team/UEVE|Eve>* (eve@example.com) requests *Vault: admin*" in shown


async def test_a_press_on_the_home_tab_decides_and_shows_it_anew(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    theirs = await home(town.dan)
    assert (await town.dan.click(theirs, "approve", value=id_)).status == 200
    await town.dan.sees_home(lambda v: "Nothing is waiting for you." in v.said())
    await town.card(id_, "active until")
    hers = await home(town.mia)
    assert "active until" in hers.said()
    await town.mia.click(hers, "reveal", value=id_)
    await town.mia.sees_view("note", lambda v: "Password" in v.said())
    await town.mia.click(hers, "release", value=id_)
    await town.mia.sees_home(lambda v: "active until" not in v.said())
    await town.card(id_, ":lock: ended")


async def test_taking_back_from_the_home_tab(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    await town.mia.click(await home(town.mia), "cancel", value=id_)
    view = await town.mia.sees_home(lambda v: "You have no active access and no open requests." in v.said())
    assert "cancelled" in view.said()
    assert await state(town, id_) is State.CANCELLED


@pytest.mark.parametrize(("button", "fields"), [("deny", {"reason": "not now"}), ("approve_less", {"duration": "900"})])
async def test_what_asks_back_opens_its_form(town: Town, button: str, fields: dict[str, Any]) -> None:
    id_ = town.id_of(await town.asked())
    await town.dan.click(await home(town.dan), button, value=id_)
    form = await town.dan.sees_view(button)
    assert (await town.dan.submit(form, fields)).errors == {}
    await town.card(id_, "denied: not now" if button == "deny" else "(15 min of 30 min)")
    assert "Nothing is waiting for you." in (await home(town.dan)).said()


async def test_a_later_end_waits_here_too(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    assert "You asked to extend" in (await town.mia.command("/jit", f"extend {id_} 30m -- not done yet", CHANNEL)).text
    view = await home(town.dan)
    assert f"*<{SITE}/team/UMIA|Mia>* (mia@example.com) has *Debug the vault* ({id_})" in view.said()
    assert "not done yet" in view.said()
    await town.dan.click(view, "extend_approve")
    await town.dan.sees_home(lambda v: "Nothing is waiting for you." in v.said())
    extended = await town.card(id_, "Extended;")
    assert "active until" in extended.said()


async def test_something_critical_asks_whether_one_is_sure_here_too(town: Town) -> None:
    id_ = town.id_of(await town.asked("eve", "request vault/admin 30m -- to mend it"))
    view = await home(town.dan)
    block = next(block for block in view.body["blocks"] if block.get("block_id") == f"decide:{id_}")
    assert block["elements"][0]["confirm"]["title"]["text"] == "This is critical"


async def test_whose_part_is_decided_is_not_asked_again(town: Town) -> None:
    id_ = town.id_of(await town.asked("eve", "request vault/admin 30m -- to mend it"))
    assert id_ in (await home(town.kim)).said()
    await town.dan.click(await home(town.dan), "approve", value=id_)
    await town.dan.sees_home(lambda v: id_ not in v.said())
    assert id_ in (await home(town.kim)).said()
    await town.kim.click(await home(town.kim), "approve", value=id_)
    await town.card(id_, "active until")


async def test_a_stale_press_on_the_home_tab_is_answered_in_a_modal(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    view = await home(town.eve)
    await town.dan.click(await home(town.dan), "approve", value=id_)
    await town.card(id_, "active until")
    await town.eve.click(view, "approve", value=id_)
    await town.eve.sees_view("note", lambda v: "is already approved" in v.said())


async def test_a_template_and_again_open_the_form(town: Town) -> None:
    id_ = town.id_of(await town.asked(line="request debug 1h -- INC-7 the disk"))
    await town.mia.click(await home(town.mia), "cancel", value=id_)
    view = await town.mia.sees_home(lambda v: "You have no active access and no open requests." in v.said())
    await town.mia.click(view, "template", value="debug")
    form = await town.mia.sees_view("ask")
    await town.mia.close_view(form)
    await town.mia.click(view, "again", value=id_)
    form = await town.mia.sees_view("ask", lambda v: v.id != form.id)
    assert (await town.mia.submit(form)).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-7 the disk" in m.said() and id_ not in m.said())


async def test_who_may_not_is_told_so_on_their_home_tab(town: Town) -> None:
    view = await home(town.guest)
    assert "Guests cannot request or approve access." in view.said()
    assert view.buttons() == {}


async def test_the_tab_with_the_messages_publishes_nothing(town: Town) -> None:
    event = {"type": "app_home_opened", "user": "UMIA", "channel": "DMIA", "tab": "messages"}
    assert (await town.slack.delivery.event(event)).ok
    assert town.mia.home is None


@pytest.mark.parametrize("how", ["hang", "refuse", "error_500", "ratelimited"])
async def test_a_home_tab_that_slack_does_not_take_keeps_no_decision_back(town: Town, how: How) -> None:
    id_ = town.id_of(await town.asked())
    view = await home(town.dan)
    town.slack.faults.add("views.publish", how, code="not_enabled")
    assert (await town.dan.click(view, "approve", value=id_)).status == 200
    await town.card(id_, "active until")
    assert town.dan.view is None


async def test_much_of_it_fits(town: Town) -> None:
    for who in ("kim", "sam", "pat"):
        for n, choice in enumerate(("vault/read-only", "vault/shared", "debug", "both")):
            await town.asked(who, f"request {choice} 30m -- INC-{n} {'why ' * 100}")
    said = (await home(town.dan)).said()
    assert said.count(" requests *") == 10
    assert "… and 2 more: `/jit list`" in said
