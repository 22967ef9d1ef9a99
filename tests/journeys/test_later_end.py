"""A later end: wished for in a line or a form, decided on the card, and told to those concerned."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core import deadlines
from bot.playground import LocalSlack, Message
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import RedisServer


async def opened(town: Town) -> tuple[str, Message]:
    """Mia has the vault open."""
    card = await town.asked()
    await town.dan.click(card, "approve")
    return town.id_of(card), await town.card(town.id_of(card), "active until")


async def test_wished_for_in_a_line_and_approved_on_the_card(town: Town) -> None:
    id_, _ = await opened(town)
    reply = await town.mia.command("/jit", "extend 1h -- INC-1 still burns", CHANNEL)
    assert f"You asked to extend {id_} until" in reply.text
    card = await town.card(id_, "to extend until")
    assert "<!subteam^S0DBA0001>" in card.said()
    assert "INC-1 still burns" in card.said()

    refused = await town.mia.click(card, "extend_approve")
    assert refused.status == 200
    await town.mia.sees_ephemeral(lambda m: "You can't approve your own request" in m.said())
    await town.dan.click(card, "extend_approve")
    await town.card(id_, "Extended; Dan approved")
    await town.slack.sees(CHANNEL, lambda m: "Extended. Access now ends" in m.text, thread=card.ts)
    await town.eve.click(card, "extend_approve")
    await town.eve.sees_ephemeral(lambda m: "cannot be done any more" in m.said())
    moved = await town.mia.sees_dm(lambda m: "is extended until" in m.said() and "Dan approved" in m.said())
    await town.card(id_, "*Debug the vault* · 30 min, extended to 1 h 30 min")
    assert moved.buttons() == {}
    assert len(town.mia.dms) == 2, "what they asked for rings them once it is decided"


async def test_wished_for_in_a_form_and_denied_with_a_reason(town: Town) -> None:
    id_, _ = await opened(town)
    await town.mia.command("/jit", f"extend {id_.lower()}", CHANNEL)
    form = await town.mia.sees_view("extend", lambda v: "How much longer?" in v.said())
    assert id_ in form.said()
    sent = await town.mia.submit(form, {"duration": "3600", "reason": "INC-1 still burns"})
    assert sent.errors == {}
    card = await town.card(id_, "to extend until")
    await town.dan.click(card, "extend_deny")
    why = await town.dan.sees_view("extend_deny")
    await town.dan.submit(why, {"reason": "not tonight"})
    await town.card(id_, "denied the extension: not tonight")
    said = await town.mia.sees_dm(lambda m: "denied the extension: not tonight" in m.said())
    assert "is not extended. It ends at <!date" in said.text


async def test_beyond_the_cap_there_is_none(town: Town) -> None:
    await opened(town)
    reply = await town.mia.command("/jit", "extend 8h -- INC-1 still burns", CHANNEL)
    assert "its role allows" in reply.text
    assert "/jit extend" in (await town.mia.command("/jit", "extnd", CHANNEL)).text


@pytest.mark.parametrize("place", ["home", "overview", "show"])
async def test_extend_is_offered_wherever_what_is_open_is_shown(town: Town, place: str) -> None:
    id_, _ = await opened(town)
    if place == "home":
        await town.mia.opens_home()
        await town.mia.click(await town.mia.sees_home(lambda v: "extend" in v.buttons()), "extend", value=id_)
    elif place == "overview":
        await town.mia.command("/jit", "", CHANNEL)
        await town.mia.click(await town.mia.sees_view("overview"), "extend", value=id_)
    else:
        await town.mia.command("/jit", f"show {id_}", CHANNEL)
        await town.mia.click(town.mia.ephemerals[-1], "extend")
    form = await town.mia.sees_view("extend", lambda v: id_ in v.said())
    assert (await town.mia.submit(form, {"duration": "3600", "reason": "INC-1 still burns"})).errors == {}
    await town.card(id_, "to extend until")
    if place == "overview":
        # Beneath the form it is shown as it is now: what was asked for is not offered once more.
        beneath = await town.mia.sees_view("overview")
        assert "extend" not in beneath.buttons()
    await town.mia.command("/jit", f"show {id_}", CHANNEL)
    assert set(town.mia.ephemerals[-1].buttons()) == {"reveal", "release"}


async def test_a_form_that_is_out_of_date_says_so_and_stays(town: Town) -> None:
    id_, _ = await opened(town)
    await town.mia.command("/jit", "", CHANNEL)
    await town.mia.click(await town.mia.sees_view("overview"), "extend", value=id_)
    form = await town.mia.sees_view("extend")
    assert "Thank you" in (await town.mia.command("/jit", "release", CHANNEL)).text
    refused = await town.mia.submit(form, {"duration": "3600", "reason": "INC-1 still burns"})
    assert "cannot be done any more" in " ".join(refused.errors.values())


async def test_a_later_end_is_warned_of_anew_and_by_a_message_of_its_own(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "_SHORTEST_WARNING", 1)
    policy = POLICY.replace("break_glass: off}", "break_glass: off}\n  warn: 5s", 1)
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        card = await town.asked(line="request vault/read-only 20s -- to look at the vault")
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        assert "You asked to extend" in (await town.mia.command("/jit", "extend 8s -- not done yet", CHANNEL)).text
        first = await town.mia.sees_dm(lambda m: "ends <!date" in m.said(), patience=30)
        await town.dan.click(await town.card(town.id_of(card), "to extend until"), "extend_approve")
        moved = await town.mia.sees_dm(lambda m: "is extended until" in m.said() and m.ts != first.ts)
        await town.mia.sees_dm(lambda m: "is extended until" in m.said() and m.ts == first.ts)
        warned = await town.mia.sees_dm(lambda m: "ends <!date" in m.said(), patience=30)
        assert warned.ts not in {first.ts, moved.ts}, "a new end is told of by a message that notifies"
        assert "release" in warned.buttons()
        await town.mia.click(warned, "release")
        await town.mia.sees_dm(lambda m: "You ended it early" in m.said() and m.ts == warned.ts)
        assert len(town.mia.dms) == 4
