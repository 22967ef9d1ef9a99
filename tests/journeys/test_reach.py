"""Who of the approvers can be reached now: told to the requester after the request, and never waited for before it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.access import decision_times
from bot.playground import SCOPES, LocalSlack, Message
from handlers import reach
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import RedisServer

LINE = "request debug 30m -- INC-1 the vault is stuck"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time; what does not come within a second is a test of its own."""
    monkeypatch.setattr(reach, "PATIENCE", 20.0)
    monkeypatch.setattr(decision_times, "TIME_LIMIT", 20.0)


async def told(town: Town, wanted: str = "") -> Message:
    """What Mia reads beneath the answer to her request."""
    found: Message = await town.mia.sees_ephemeral(lambda m: "reached now" in m.said() and wanted in m.said())
    return found


async def test_the_requester_reads_who_can_be_reached_with_the_way_to_the_card(town: Town) -> None:
    town.slack.away = {"UEVE"}
    card = await town.asked()
    said = (await told(town)).said()
    link = f"<https://local.slack.com/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>"
    assert f"*Debug the vault* ({town.id_of(card)}): 1 of 2 approvers can be reached now. {link}" in said
    assert "What you can do" not in said


async def test_where_nobody_can_be_reached_the_requester_reads_at_once_what_to_do(town: Town) -> None:
    town.slack.away, town.slack.snoozed = {"UEVE"}, {"UDAN": time.time() + 3600}
    id_ = town.id_of(await town.asked())
    said = (await told(town)).said()
    assert "0 of 2 approvers can be reached now." in said
    assert f"ask in <#{CHANNEL}>; ask an operator who else can approve (<@UPAT>)" in said
    assert f"`/jit remind {id_}` reminds the approvers." in said
    assert "on call" not in said  # the policy names nobody


async def test_the_form_says_it_in_place(town: Town) -> None:
    town.slack.away = {"UDAN"}
    await town.mia.command("/jit", "request debug", CHANNEL)
    form = await town.mia.sees_view("ask")
    await town.mia.submit(form, {"duration": "1800", "reason": "INC-1 the vault is stuck"})
    shown = await town.mia.sees_view("note", lambda v: "1 of 2 approvers can be reached now." in v.said())
    assert "You requested *Debug the vault* for 30 min" in shown.said()
    assert "Open the card" in shown.said()
    assert set(shown.buttons()) == {"cancel"}
    assert town.mia.ephemerals == []


async def test_a_mention_is_answered_with_it_in_its_thread(town: Town) -> None:
    incident = await town.sam.says("the disk is full", CHANNEL)
    await town.mia.mentions_app(LINE, CHANNEL, incident.ts)
    assert (await told(town, "2 of 2 approvers")).thread == incident.ts


async def test_each_step_is_counted_by_itself_and_never_the_requester(town: Town) -> None:
    town.slack.away = {"USAM", "UKIM"}
    await town.eve.command("/jit", "request vault/admin 30m -- to fix the door", CHANNEL)
    said = (await town.eve.sees_ephemeral(lambda m: "reached now" in m.said())).said()
    assert "1 of 1 approver of <!subteam^S0DBA0001> can be reached now" in said
    assert "0 of 2 approvers of <@USAM> or <@UKIM> can be reached now" in said
    assert "What you can do" in said


async def test_a_slack_that_does_not_tell_delays_no_request_and_is_said(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 5.0)
    town.slack.faults.add("users.getPresence", "hang", None)
    town.slack.faults.add("dnd.teamInfo", "hang", None)
    reply = await town.mia.command("/jit", LINE, CHANNEL)
    assert "You requested" in reply.text
    assert reply.seconds < 4
    await town.card(f"J-{reply.text.split(' (J-')[1][:4]}", "Needs 1 approval")
    assert "Slack does not say who of the 2 approvers can be reached now." in (await told(town)).said()
    town.slack.faults.clear()


async def test_without_the_scope_presence_alone_counts(town: Town) -> None:
    town.slack.scopes = [scope for scope in SCOPES if scope != "dnd:read"]
    town.slack.away, town.slack.snoozed = {"UEVE"}, {"UDAN": time.time() + 3600}
    await town.asked()
    assert "1 of 2 approvers can be reached now." in (await told(town)).said()


async def test_who_decides_is_not_asked_whether_they_can_be_reached(town: Town) -> None:
    town.slack.away, town.slack.snoozed = {"UEVE", "UDAN"}, {"UDAN": time.time() + 3600}
    card = await town.asked()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")


async def test_what_was_decided_meanwhile_gets_no_word_of_who_can_be_reached(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 2.0)
    slack.faults.add("users.getPresence", "hang", None)
    async with running(settings_for(slack, redis, "http", tmp_path)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
    # What was begun after an answer ends before the process does.
    assert not any("reached now" in message.said() for message in town.mia.ephemerals)
    assert any("You requested" in message.said() for message in town.mia.ephemerals)


async def test_of_a_large_group_the_first_twenty_are_looked_up(town: Town) -> None:
    everybody = [f"U{n:03}" for n in range(30)]
    for n, user in enumerate(everybody):
        town.slack.add_person(user, f"Number {n}", f"n{n}@example.com")
    await town.slack.set_usergroup("S0DBA0001", everybody)
    await town.app.people.refresh()
    await town.asked()
    assert "of 20 approvers can be reached now (" in (said := (await told(town)).said())
    assert "10 not looked up)" in said
    assert len([call for call in town.slack.calls if call.method == "users.getPresence"]) <= 20


# explain


async def explained(town: Town, what: str = "debug", who: str = "mia") -> str:
    """What the person reads."""
    human = getattr(town, who)
    await human.command("/jit", f"explain {what}", CHANNEL)
    return human.ephemerals[-1].said()  # type: ignore[no-any-return]  # a Human by name


async def test_explain_names_who_can_be_reached_and_who_cannot_until_when(town: Town) -> None:
    until = time.time() + 3600
    town.slack.away, town.slack.snoozed = {"UKIM"}, {"UDAN": until}
    assert f"• 1 of 2 approvers can be reached now: Eve, Dan (do not disturb until <!date^{int(until)}^" in (
        await explained(town)
    )
    critical = await explained(town, "vault/admin", "eve")
    assert "• 0 of 1 approver of <!subteam^S0DBA0001> can be reached now: Dan (do not disturb" in critical
    assert "• 1 of 2 approvers of <@USAM> or <@UKIM> can be reached now: Sam, Kim (away)" in critical
    assert "Eve" not in critical  # nobody approves their own request
    assert "Eve" in await explained(town, "vault/admin", "kim")  # who may not request it reads of everybody


async def test_explain_says_how_long_the_last_ones_took(town: Town) -> None:
    await town.dan.click(await town.asked("kim"), "approve")
    await town.slack.sees(CHANNEL, lambda m: "active until" in m.said())
    assert "The last request for this was decided within 1 min." in await explained(town, "debug", "sam")


async def test_explain_answers_though_slack_does_not(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 0.5)
    await town.app.people.person("UMIA")
    for method in ("users.getPresence", "dnd.teamInfo", "users.info"):
        town.slack.faults.add(method, "hang", None)
    reply = await town.mia.command("/jit", "explain vault/read-only", CHANNEL)
    assert reply.status == 200
    assert "Slack does not say who of the 4 approvers can be reached now" in town.mia.ephemerals[-1].said()
    town.slack.faults.clear()
