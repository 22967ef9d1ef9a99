"""A line as people type it is understood, or opens the form with all that was understood; nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from bot.playground import View
from tests.journeys.conftest import CHANNEL, Town


def filled(view: View) -> dict[str, Any]:
    """What the form is filled in with, by input."""
    found: dict[str, Any] = {}
    for block in view.body["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            option = (element.get("initial_option") or {}).get("value")
            found[block["block_id"].partition(":")[0]] = option or element.get("initial_value")
            if element["type"] == "datetimepicker":
                found["start"] = element.get("initial_date_time")
    return found


async def form(town: Town, line: str, who: str = "mia") -> View:
    """The form that a line opens."""
    human = getattr(town, who)
    reply = await human.command("/jit", line, CHANNEL)
    assert reply.status == 200
    assert reply.text == "", reply.text
    view: View = await human.sees_view("ask")
    return view


@pytest.mark.parametrize(
    ("line", "length"),
    [
        ("request debug 1h 30m -- INC-42 why", "1 h 30 min"),
        ("request debug 90 minutes -- INC-42 why", "1 h 30 min"),
        ("request 1.5h “Debug the vault” — INC-42 why", "1 h 30 min"),
        ("request DEBUG half an hour because INC-42 why", "30 min"),
        ("Please get access to debug for 1 hour, INC-42 why", "1 h"),
        ("debug 1h: -- INC-42 why", "1 h"),
        ("I need debug for 1h--INC-42 why", "1 h"),
        ("vault read-only 2h for INC-42 why", "2 h"),
        ("request\u00a0debug\t1h\n\u2014\nINC-42 why", "1 h"),
    ],
)
async def test_a_line_says_it_all(town: Town, line: str, length: str) -> None:
    reply = await town.mia.command("/jit", line, CHANNEL)
    assert f"for {length} (J-" in reply.text
    await town.slack.sees(CHANNEL, lambda m: "INC-42 why" in m.said())


async def test_a_time_is_understood_too(town: Town) -> None:
    reply = await town.mia.command("/jit", "request debug 1h tomorrow at 9am -- INC-42 why", CHANNEL)
    assert "Access starts" in reply.text


@pytest.mark.parametrize(
    ("line", "note", "known"),
    [
        ("debug 1h tonight -- INC-42", 'I don\'t understand "tonight".', {"choice": "debug", "duration": "3600"}),
        (
            "debug 30 -- INC-42",
            'I don\'t understand "30". Please choose how long.',
            {"choice": "debug", "duration": None},
        ),
        ("debgu 1h -- INC-42", 'I don\'t understand "debgu". Did you mean `debug`?', {"choice": None}),
        ("debug 2h from 22:00 to 23:00 -- INC-42", "do not match", {"choice": "debug", "duration": None}),
        ("debug INC-42 1h", "check that this is what you meant", {"choice": "debug", "duration": "3600"}),
        ("debug INC-42", "", {"choice": "debug", "duration": "1800"}),
        ("debug 9h -- INC-42", "is too long: the maximum is 4 h", {"choice": "debug", "duration": None}),
        ("vault 1h -- INC-42", "Which one do you need? You may request `vault/read-only`", {"choice": None}),
    ],
)
async def test_what_is_not_understood_is_asked_back_and_the_rest_is_filled_in(
    town: Town, line: str, note: str, known: dict[str, str | None]
) -> None:
    view = await form(town, f"request {line}")
    assert note in view.said()
    assert filled(view) | known == filled(view)
    assert filled(view)["reason"] == "INC-42"


async def test_a_time_that_is_not_understood_is_no_reason(town: Town) -> None:
    view = await form(town, "debug tonight pls")
    assert 'I don\'t understand "tonight". Please choose how long and give a reason.' in view.said()
    assert filled(view)["reason"] is None


async def test_the_form_keeps_the_time_until_something_is_chosen(town: Town) -> None:
    view = await form(town, "request vault 2h tomorrow at 9:00 -- INC-42 why")
    await town.mia.choose(view, "choice", "vault/shared")
    chosen = await town.mia.sees_view("ask", lambda v: "hall" in v.said())
    assert filled(chosen)["duration"] == "7200"
    assert filled(chosen)["start"]
    assert (await town.mia.submit(chosen, {})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-42 why" in m.said() and "2 h" in m.said())


async def test_a_system_alone_offers_its_roles_the_lowest_risk_first(town: Town) -> None:
    view = await form(town, "request vault 1h", "eve")
    select = next(block for block in view.body["blocks"] if block["block_id"] == "choice")["element"]
    offered = [option["value"] for group in select["option_groups"] for option in group["options"]]
    assert offered == ["vault/read-only", "vault/shared", "vault/admin"]


async def test_a_reason_that_misses_its_pattern_is_told_an_example_and_kept(town: Town) -> None:
    view = await form(town, "request debug 1h -- the disk is full")
    assert "Expected: Incident or ticket, like INC-42." in view.said()
    assert filled(view)["reason"] == "the disk is full"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "<@UDAN|dan> debug 1h",
            "You can only request access for yourself. Ask <@UDAN> to type `/jit request debug 1h`",
        ),
        ("request debug 1h for @dan", "Ask @dan to type `/jit request debug 1h`"),
        ("status", "Nothing is open"),
        ("history", "Nothing is open"),
        ("approve J-7K3Q", "press its button in the channel, or open the app's Home tab"),
        ("deny J-7K3Q", "press its button in the channel, or open the app's Home tab"),
        ("?", "Request access"),
        ("-h", "Request access"),
        ("help me", "Request access"),
        ("please help", "Request access"),
        ("revoke mia", "Who is `mia`? Pick the person from Slack's @ list"),
        ("revoke valt no longer needed", "Did you mean `vault`?"),
        ("extend 30 minutes", "None of your requests"),
        ("release debug", "None of your requests"),
        ("debgu", "Did you mean `debug`?"),
        ("reqeust debug 30m -- INC-4", "Did you mean `/jit request debug 30m -- INC-4`?"),
        ("thanks", "I can request access for you"),
        ("I need the moon", "There is no template or role `moon` that you may request"),
    ],
)
async def test_a_line_that_is_no_request_gets_the_trouble_itself(town: Town, line: str, sentence: str) -> None:
    reply = await town.mia.command("/jit", line, CHANNEL)
    assert sentence in reply.text


async def test_a_request_is_cancelled_where_it_was_made(town: Town) -> None:
    await town.mia.command("/jit", "request debug 1h -- INC-42 by line", CHANNEL)
    made = await town.mia.sees_ephemeral(lambda m: "You requested" in m.said())
    await town.mia.click(made, "cancel")
    await town.mia.sees_ephemeral(lambda m: "You cancelled" in m.said())

    view = await form(town, "request debug")
    assert (await town.mia.submit(view, {"reason": "INC-42 by form"})).errors == {}
    await town.mia.click(await town.mia.sees_view("note", lambda v: "You requested" in v.said()), "cancel")
    await town.mia.sees_view("note", lambda v: "You cancelled" in v.said())
    await town.slack.sees(CHANNEL, lambda m: "INC-42 by form" in m.said() and "approve" not in m.buttons())


async def test_access_is_ended_and_extended_by_its_name(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    reply = await town.mia.command("/jit", "extend debug by 30 minutes because it is not done", CHANNEL)
    assert f"You asked to extend {id_}" in reply.text
    reply = await town.mia.command("/jit", "release the vault", CHANNEL)
    assert f"You ended {id_}" in reply.text


async def test_a_lockdown_is_of_the_system_that_was_typed_on_a_line_of_its_own(town: Town) -> None:
    await town.pat.command("/jit", "lockdown vault\nthe key leaked", CHANNEL)
    view = await town.pat.sees_view("lockdown")
    assert filled(view)["reason"] == "the key leaked"
    assert "vault" in str(filled(view)["scope"])


# several roles


async def test_several_roles_are_requested_in_one_line_and_asked_for_again(town: Town) -> None:
    reply = await town.mia.command("/jit", "request vault/read-only + vault/shared 30m -- INC-1 why", CHANNEL)
    assert "You requested Vault: read-only + Vault: shared for 30 min" in reply.text
    card = await town.card(reply.text.split(" (")[1][:6], "Needs 2 approvals from <!subteam^S0DBA0001>")
    await town.dan.click(card, "approve")
    card = await town.card(town.id_of(card), "Needs 1 approval from <!subteam^S0DBA0001>")
    await town.mia.command("/jit", f"cancel {town.id_of(card)}", CHANNEL)
    await town.mia.command("/jit", "", CHANNEL)
    await town.mia.click(await town.mia.sees_view("overview"), "again")
    view = await town.mia.sees_view("ask")
    assert "Vault: read-only + Vault: shared" in view.said()
    await town.mia.submit(view)
    again = await town.slack.sees(CHANNEL, lambda m: "INC-1 why" in m.said() and bool(m.buttons()))
    assert town.id_of(again) != town.id_of(card)


async def test_what_a_line_of_several_roles_leaves_out_is_asked_for_in_the_form(town: Town) -> None:
    await town.mia.command("/jit", "request vault/read-only and vault/shared -- the hall", CHANNEL)
    view = await town.mia.sees_view("ask")
    assert "Approved by: 2 of <!subteam^S0DBA0001>" in view.said()
    await town.mia.submit(view, {"duration": "900"})
    card = await town.slack.sees(CHANNEL, lambda m: "the hall" in m.said() and bool(m.buttons()))
    assert "*Vault: read-only + Vault: shared* · 15 min" in card.said()


async def test_a_role_is_added_in_the_form(town: Town) -> None:
    view = await form(town, "request")
    await town.mia.choose(view, "choice", "vault/read-only")
    view = await town.mia.sees_view("ask", lambda v: "Another role in the same request" in v.said())
    town.mia.fill(view, {"reason": "the hall, too"})
    await town.mia.choose(view, "add_role", "vault/shared")
    view = await town.mia.sees_view("ask", lambda v: "Approved by: 2 of <!subteam^S0DBA0001>" in v.said())
    assert "Another role in the same request" not in view.said(), "there is no third that Mia may request"
    await town.mia.submit(view, {"duration": "900"})
    card = await town.slack.sees(CHANNEL, lambda m: "the hall, too" in m.said() and bool(m.buttons()))
    assert "*Vault: read-only + Vault: shared* · 15 min" in card.said()


async def test_a_form_of_several_roles_can_become_one_of_another_choice(town: Town) -> None:
    view = await form(town, "request vault/read-only + vault/shared -- the hall")
    await town.mia.choose(view, "choice", "vault/shared")
    view = await town.mia.sees_view("ask", lambda v: "Approved by: one of" in v.said())
    assert (await town.mia.submit(view, {"duration": "900"})).errors == {}
    card = await town.slack.sees(CHANNEL, lambda m: "the hall" in m.said() and bool(m.buttons()))
    assert "*Vault: shared* · 15 min" in card.said()


async def test_several_roles_last_no_longer_than_the_shortest_cap_and_each_has_to_be_allowed(town: Town) -> None:
    await town.dan.command("/jit", "request vault/read-only + vault/admin 2h -- INC-1", CHANNEL)
    view = await town.dan.sees_view("ask")
    assert "2 h is too long: the maximum is 1 h." in view.said()
    town.dan.close_view(view)
    reply = await town.mia.command("/jit", "request vault/read-only + vault/admin 30m -- INC-1", CHANNEL)
    assert "`vault/admin`" in reply.text
    assert town.mia.view is None
    assert town.slack.messages(CHANNEL) == []
