"""What a rule approves is open without anybody being asked: no mention, one letter, and an end that approvers have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import App
from bot.core.request import State
from bot.playground import LocalSlack
from bot.startup import CannotStart
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.providers.calendars import calendar, shift
from tests.providers.ticket_server import SECRET, Tickets
from tests.servers import RedisServer

RULES = "\nrules:\n  - {when: {sensitivity: low, requester_in: [dba], at_most: 1h}, then: approve, budget: 1/day}\n"


@pytest.fixture(params=["http", "socket"])
async def ruled(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace with a rule, over HTTP and over Socket Mode."""
    async with running(settings_for(slack, redis, request.param, tmp_path, POLICY + RULES)) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def test_approved_at_once_with_nobody_asked_and_ended_by_an_approver(ruled: Town) -> None:
    await ruled.dan.command("/jit", "explain debug", CHANNEL)
    assert "For you, rule 1 approves up to 1 h right away, once in 24 hours" in ruled.dan.ephemerals[-1].said()
    await ruled.mia.command("/jit", "explain debug", CHANNEL)
    assert "For you, rule" not in ruled.mia.ephemerals[-1].said()

    reply = await ruled.dan.command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
    assert "Approved by rule 1" in reply.text
    id_ = reply.text.split(" (")[1][:6]
    card = await ruled.card(id_, "active until")
    assert "Approved by rule 1: low risk, dba, up to 1 h (1 of 1 uses today)" in card.said()
    assert set(card.buttons()) == {"revoke"}
    await ruled.dan.sees_dm(lambda m: id_ in m.said() and "Approved (30 min) by rule 1" in m.said())
    await ruled.slack.sees(CHANNEL, lambda m: "Approved by rule 1" in m.text, thread=card.ts)
    lines = [m for m in ruled.slack.messages(CHANNEL) if "<!subteam" in m.said() or "<@" in m.said()]
    assert lines == []

    await ruled.eve.click(card, "revoke")
    form = await ruled.eve.sees_view("revoke")
    await ruled.eve.submit(form, {"reason": "not now"})
    await ruled.card(id_, ":lock: ended")

    again = await ruled.dan.command("/jit", "request debug 30m -- INC-1 the vault is stuck again", CHANNEL)
    assert "If nobody answers" in again.text
    waits = await ruled.card(again.text.split(" (")[1][:6], "waiting for approval")
    assert "<!subteam^S0DBA0001" in waits.said(), "who is asked is mentioned"
    assert (await ruled.app.context.find_by_id(ruled.id_of(waits))).request.state is State.PENDING


def days() -> str:
    """Today and tomorrow, so that no midnight changes anything."""
    now = datetime.now(UTC)
    return ", ".join(f"{day:%A}".lower() for day in (now, now + timedelta(days=1)))


def by_conditions() -> str:
    """Rules of each outcome; whoever is in the dba is on call for the vault."""
    return (
        POLICY.replace("    approvers: [dba]\n", "    approvers: [dba]\n    on_call: dba\n", 1)
        + f"""
rules:
  - {{when: {{sensitivity: low, at_most: 1h, on_call: true}}, then: approve, budget: 3/day}}
  - when: {{what: [vault/admin], hours: {{days: [{days()}]}}}}
    then: {{deny: The safe stays shut during the audit.}}
  - when: {{what: [vault/shared]}}
    unless: {{on_call: true}}
    then: {{require: {{steps: [{{any_of: [security]}}]}}}}
  - {{when: {{what: [vault]}}, unless: {{on_call: true}}, then: {{shorten: 10m}}}}
"""
    )


@pytest.fixture(params=["http", "socket"])
async def conditions(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace with rules of each outcome, over HTTP and over Socket Mode."""
    async with running(settings_for(slack, redis, request.param, tmp_path, by_conditions())) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def test_rules_deny_require_shorten_and_approve_by_conditions(conditions: Town) -> None:
    town = conditions
    # Denied, with the sentence of the policy; explained beforehand.
    await town.dan.command("/jit", "explain vault/admin", CHANNEL)
    assert "For you, rule 2 denies it (The safe stays shut during the audit)." in town.dan.ephemerals[-1].said()
    refused = await town.dan.command("/jit", "request vault/admin 30m -- INC-1 the safe is stuck", CHANNEL)
    assert refused.text == "Rule 2 of the policy denies this: The safe stays shut during the audit."

    # Shortened: the requester and the approvers read it.
    reply = await town.mia.command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
    assert "Rule 4 of the policy shortened it from 30 min." in reply.text
    card = await town.card(f"J-{reply.text.split(' (J-')[1][:4]}", "waiting for approval")
    assert "Rule 4 shortened it from 30 min to 10 min" in card.said()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    active = (await town.app.context.find_by_id(town.id_of(card))).request
    assert active.ends_at - active.granted_at == 600

    # One step more: security has to approve as well.
    reply = await town.mia.command("/jit", "request vault/shared 5m -- INC-1 the hall is dark", CHANNEL)
    id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
    card = await town.card(id_, "waiting for approval")
    assert "Rule 3 requires one of security" in card.said()
    await town.eve.click(card, "approve")
    half = await town.card(id_, "Eve")
    assert (await town.app.context.find_by_id(id_)).request.state is State.PENDING
    await town.sam.click(half, "approve")
    await town.card(id_, "active until")

    # On call: approved at once.
    reply = await town.dan.command("/jit", "request debug 30m -- INC-2 the vault is stuck again", CHANNEL)
    assert "requester on call (1 of 3 uses today)" in reply.text
    await town.card(f"J-{reply.text.split(' (J-')[1][:4]}", "active until")


async def frozen(app: App, name: str, at: float) -> bool | None:
    """What the bot knows of a calendar."""
    return (await app.context.rule_lookups.frozen(app.catalog, [name], at))[name]


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_a_freeze_calendar_denies_while_it_has_an_event_and_is_explained(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    now, file = time.time(), tmp_path / "freeze.ics"
    file.write_bytes(calendar([shift(now - 60, now + 86_400, [])]))
    text = POLICY.replace("groups:\n", f'calendars:\n  freeze: {{ical: "file:{file}"}}\ngroups:\n', 1)
    text += "rules:\n  - {when: {frozen: [freeze]}, then: {deny: Nothing changes while the release runs.}}\n"
    async with running(settings_for(slack, redis, mode, tmp_path, text)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Town(slack, app)
        async with asyncio.timeout(20):
            while await frozen(app, "freeze", now + 60) is None:  # noqa: ASYNC110  # nothing tells when it was read
                await asyncio.sleep(0.02)
        refused = await town.mia.command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
        assert refused.text == "Rule 1 of the policy denies this: Nothing changes while the release runs."
        await town.mia.command("/jit", "explain debug", CHANNEL)
        assert "For you, rule 1 denies it (Nothing changes while the release runs)." in town.mia.ephemerals[-1].said()
        # What is to start after the release may be requested.
        later = await town.mia.command("/jit", "request debug 30m in 2 days -- INC-1 the vault is stuck", CHANNEL)
        assert "You requested" in later.text


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_a_ticket_that_exists_is_approved_at_once_and_any_other_waits_for_people(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = Tickets()
    await tickets.start()
    monkeypatch.setenv("TICKET_SECRET", SECRET)
    text = f"""{POLICY}
tickets:
  jira: {{url: "http://127.0.0.1:{tickets.port}/rest/{{ticket}}", secret: "env:TICKET_SECRET"}}
rules:
  - when: {{sensitivity: low, at_most: 1h, ticket: {{check: jira, pattern: "[A-Z]+-[0-9]+"}}}}
    then: approve
    budget: 3/day
"""
    async with running(settings_for(slack, redis, mode, tmp_path, text)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Town(slack, app)
        reply = await town.mia.command("/jit", "request debug 30m -- INC-42 the vault is stuck", CHANNEL)
        assert "Approved by rule 1: low risk, up to 1 h, a ticket in the reason exists in jira" in reply.text
        card = await town.card(f"J-{reply.text.split(' (J-')[1][:4]}", "active until")
        assert "INC-42 exists in jira" in card.said()
        waits = await town.asked("dan", "request debug 30m -- INC-43 the vault is stuck")
        assert "INC-43 does not exist in jira" in waits.said()
        tickets.misbehaves = "500"
        waits = await town.asked("eve", "request debug 30m -- INC-42 the vault is stuck")
        assert "jira" not in waits.said()
        assert tickets.paths == ["/rest/INC-42", "/rest/INC-43", "/rest/INC-42"]
    await tickets.stop()


async def test_a_bot_without_the_secret_of_a_ticket_system_does_not_start(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKET_SECRET", raising=False)
    text = f'{POLICY}tickets: {{jira: {{url: "https://jira.example.com/{{ticket}}", secret: "env:TICKET_SECRET"}}}}\n'
    with pytest.raises(CannotStart, match=r"ticket system jira: .*TICKET_SECRET is not set"):
        async with running(settings_for(slack, redis, "http", tmp_path, text)):
            pass
