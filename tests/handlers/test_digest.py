"""The buttons of a digest over HTTP and Socket Mode: each does what it says, and is judged when it is pressed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for, slack
from tests.servers import RedisServer

__all__ = ["slack"]

RULES = POLICY.replace("  operators:", "  auditors: [audit]\n  operators:").replace(
    "groups:\n", "groups:\n  audit: {people: [kim@example.com, dan@example.com]}\n"
)


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot in it, over HTTP and over Socket Mode; Dan approves and audits, Kim audits alone."""
    mode: Mode = request.param
    async with running(settings_for(slack, redis, mode, tmp_path, RULES)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def digest_of_today(town: Town, who: str, holds: str) -> Message:
    """The digest that an auditor has asked for, posted once its own event is sealed."""
    human = {"dan": town.dan, "kim": town.kim}[who]
    await human.command("/jit", "digest today")
    return await human.sees_dm(lambda m: "Digest for" in m.text and holds in m.said(), patience=60)


async def test_a_request_that_waits_is_reviewed_from_the_digest(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    shown = await digest_of_today(town, "dan", "mia@example.com requests Debug the vault")
    assert shown.text.startswith("1 thing needs you.")
    await town.dan.click(shown, "show_request")
    view = await town.dan.sees_view("request_shown", lambda v: "approve" in v.buttons())
    assert id_ in view.said()
    await town.dan.click(view, "approve")
    await town.card(id_, "active until")
    await town.dan.sees_view("request_shown", lambda v: "approve" not in v.buttons())


async def test_a_request_is_denied_from_the_digest_with_a_reason(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    shown = await digest_of_today(town, "dan", "requests Debug the vault")
    await town.dan.click(shown, "show_request")
    await town.dan.click(await town.dan.sees_view("request_shown"), "deny")
    await town.dan.submit(await town.dan.sees_view("deny"), {"reason": "not now"})
    await town.card(id_, "denied")


async def test_who_may_not_approve_sees_the_request_without_its_buttons(town: Town) -> None:
    await town.asked()
    shown = await digest_of_today(town, "kim", "requests Debug the vault")
    await town.kim.click(shown, "show_request")
    view = await town.kim.sees_view("request_shown")
    assert "approve" not in view.buttons()


async def test_open_access_is_ended_from_the_digest_by_whoever_may_end_it(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    shown = await digest_of_today(town, "kim", "1 grant open")
    await town.kim.click(shown, "revoke")
    await town.kim.sees_ephemeral(lambda m: f"There is no request `{id_}` that you can see" in m.text)
    shown = await digest_of_today(town, "dan", "1 grant open")
    await town.dan.click(shown, "revoke")
    form = await town.dan.sees_view("revoke")
    await town.dan.submit(form, {"reason": "no longer needed"})
    async with asyncio.timeout(30):
        while (await town.app.context.find_by_id(id_)).request.state is not State.ENDED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_button_of_a_digest_shows_nothing_to_somebody_else(town: Town) -> None:
    for action, value, refusal in (
        ("show_request", "J-2345", "There is no request `J-2345` that you can see"),
        ("show_events", "kind:alarm", "only `audit` can read the audit log"),
        ("show_findings", "all", "can read the audit log"),
    ):
        button = {"type": "button", "text": {"type": "plain_text", "text": "Show"}, "action_id": action, "value": value}
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": button, "block_id": "b"}
        await town.mia.click(Message(CHANNEL, "1.000001", "x", [section]), action)
        await town.mia.sees_ephemeral(lambda m, refusal=refusal: refusal in m.text)  # type: ignore[misc]
