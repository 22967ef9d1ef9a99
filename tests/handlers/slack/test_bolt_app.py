"""A payload on its way through Bolt: what it is counted under and what the log says of it, whatever is in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.errors import NotFound, StoreAway
from handlers import error_messages
from handlers.slack.admission import Queue
from handlers.slack.bolt_app import KINDS, Receiving, facts, kind
from handlers.slack.outcome import worded_errors

Told = list[tuple[str, str]]

COMMAND = {
    "command": "/jit",
    "text": "revoke j-7k3q because J-2345 swordfish",
    "user_id": "UDAN",
    "trigger_id": "1.2.a",
}
ACTION = {
    "type": "block_actions",
    "user": {"id": "UDAN"},
    "trigger_id": "1.2.b",
    "actions": [{"action_id": "approve", "value": "J-7K3Q"}],
    "view": {"callback_id": "home"},
}
VIEW = {
    "type": "view_submission",
    "user": {"id": "UDAN"},
    "view": {"callback_id": "deny_view", "private_metadata": "J-7K3Q 2", "state": {"values": {}}},
}
EVENT = {"type": "event_callback", "event_id": "Ev123", "event": {"type": "app_home_opened", "user": "UDAN"}}


@pytest.mark.parametrize(
    ("body", "of", "told"),
    [
        (COMMAND, "command", {"event": "1.2.a", "person": "UDAN", "verb": "revoke", "request": "J-7K3Q"}),
        (ACTION, "action", {"event": "1.2.b", "person": "UDAN", "verb": "approve", "request": "J-7K3Q"}),
        (VIEW, "view", {"event": "", "person": "UDAN", "verb": "deny_view", "request": "J-7K3Q"}),
        (EVENT, "event", {"event": "Ev123", "person": "UDAN", "verb": "app_home_opened", "request": ""}),
        ({"type": "block_suggestion"}, "options", {"event": "", "person": "", "verb": "", "request": ""}),
    ],
)
def test_what_is_told_of_a_payload(body: dict[str, Any], of: str, told: dict[str, str]) -> None:
    assert kind(body) == of
    assert facts(body) == told


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"command": "/jit", "text": "swordfish is my password"},
        {"command": "/jit", "text": None, "user_id": "U1\nERROR"},
        {"type": ["block_actions"], "actions": [], "user": None, "view": "none", "event": []},
        {"type": "block_actions", "actions": ["x"], "user": {"id": {"a": 1}}, "trigger_id": "x" * 500},
        {"type": "block_actions", "actions": {"a": 1}, "user": ["U"]},
    ],
)
def test_nothing_of_a_payload_is_believed(body: dict[str, Any]) -> None:
    assert kind(body) in {*KINDS, "other"}
    assert not any(facts(body).values())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "ok"), (NotFound("J-7K3Q"), "refused"), (StoreAway("away"), "away"), (RuntimeError("oops"), "broke")],
)
async def test_each_payload_is_told_once_with_what_became_of_it(error: Exception | None, outcome: str) -> None:
    told: Told = []
    app = bolt(told)

    @app.command("/jit")
    async def answer(ack: AsyncAck) -> None:
        if error:
            raise error
        await ack()

    @app.error
    async def worded(error: Exception) -> None:
        error_messages.sentence(error)

    await app.async_dispatch(request(COMMAND))
    assert told == [("command", outcome)]
    assert worded_errors.get() is None


async def test_a_payload_that_nobody_listens_to_is_told_too() -> None:
    told: Told = []
    await bolt(told).async_dispatch(request(ACTION))
    assert told == [("action", "unheard")]


async def test_each_is_answered_in_its_turn_and_whose_turn_comes_too_late_is_told_so() -> None:
    told: Told = []
    app, holds, done = bolt(told, Queue(at_once=1, patience=0.2)), asyncio.Event(), list[str]()

    @app.command("/jit")
    async def answer(ack: AsyncAck, body: dict[str, Any]) -> None:
        done.append(body["text"])
        await holds.wait()
        await ack()

    @app.error
    async def worded(error: Exception) -> BoltResponse:
        return BoltResponse(status=200, body=error_messages.sentence(error))

    first = asyncio.create_task(app.async_dispatch(request({**COMMAND, "text": "first"})))
    while done != ["first"]:  # noqa: ASYNC110  # it is on its way through Bolt
        await asyncio.sleep(0)
    late = await app.async_dispatch(request({**COMMAND, "text": "late"}))
    assert "Nothing was recorded" in late.body
    assert told == [("command", "crowded")]
    rest = [asyncio.create_task(app.async_dispatch(request({**COMMAND, "text": f"{n}"}))) for n in range(3)]
    await asyncio.sleep(0)
    holds.set()
    await asyncio.gather(first, *rest)
    assert done == ["first", "0", "1", "2"]
    assert told == [("command", "crowded"), *[("command", "ok")] * 4]


def bolt(told: Told, queue: Queue | None = None) -> Receiving:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T0", bot_token="xoxb-1", bot_id="B0", bot_user_id="U0")

    def keep(of: str, outcome: str, took: float) -> None:
        assert took >= 0
        told.append((of, outcome))

    return Receiving(
        keep,
        queue,
        signing_secret="s",
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
    )


def request(body: Mapping[str, Any]) -> AsyncBoltRequest:
    return AsyncBoltRequest(mode="socket_mode", body=json.loads(json.dumps(body)))
