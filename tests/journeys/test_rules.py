"""What a rule approves is open without anybody being asked: no mention, one letter, and an end that approvers have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.request import State
from bot.playground import LocalSlack
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
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
    explained = await ruled.dan.command("/jit", "explain debug", CHANNEL)
    assert "For you, rule 1 approves up to 1 h right away, once in 24 hours" in str(explained.body)
    assert "For you, rule" not in str((await ruled.mia.command("/jit", "explain debug", CHANNEL)).body)

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
    assert (await ruled.app.context.get(ruled.id_of(waits))).request.state is State.PENDING
