"""The record of what people did reaches the sinks of the policy, and the audit channel is told when it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.app import opened
from bot.playground import LocalSlack
from bot.startup import CannotStart
from tests.house import POLICY
from tests.journeys.conftest import settings_for
from tests.journeys.test_watching import numbers, watched
from tests.providers.receivers import WebhookReceiver
from tests.providers.test_sinks import SECRET
from tests.servers import RedisServer, free_port


def with_sinks(**sinks: object) -> str:
    """The policy, with sinks; YAML takes JSON."""
    named = json.dumps(sinks)
    return POLICY.replace("  operators: [platform]\n", f"  operators: [platform]\n  sinks: {named}\n", 1)


def shipped(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # a part of the app's changes it
            await asyncio.sleep(0.05)


async def test_what_people_do_reaches_a_file_and_the_numbers_say_so(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    policy = with_sinks(disk={"kind": "file", "config": {"path": str(path)}})
    async with watched(slack, redis, tmp_path, policy=policy) as town:
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "open")
        await until(lambda: {"submitted", "approved", "granted"} <= {str(each["kind"]) for each in shipped(path)})
        told = await numbers(town.app, lambda found: found.get('jit_sink_lag_events{sink="disk"}') == 0)
        assert told['jit_sink_lag_seconds{sink="disk"}'] == 0
    found = [each["seq"] for each in shipped(path)]
    assert found == list(range(1, len(found) + 1))


async def test_the_audit_channel_is_told_that_a_sink_falls_behind_and_that_it_is_back(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = WebhookReceiver(secret=SECRET, port=free_port())
    monkeypatch.setenv("HOOK", SECRET)
    config = {"url": f"http://127.0.0.1:{receiver.port}/hooks/jit", "secret": "env:HOOK", "timeout": 1}
    policy = with_sinks(hook={"kind": "webhook", "behind": "5s", "config": config})
    async with watched(slack, redis, tmp_path, policy=policy) as town:
        await town.asked()
        told = await slack.sees("C0AUDIT01", lambda m: "sink hook is" in m.said(), patience=30)
        assert "events behind" in told.said()
        assert "cannot be reached: Connection refused" in told.said()
        assert SECRET not in told.said()
        lag = await numbers(town.app, lambda found: found.get('jit_sink_lag_seconds{sink="hook"}', 0) > 5)
        assert lag['jit_sink_lag_events{sink="hook"}'] >= 1
        await receiver.start()
        back = await slack.sees("C0AUDIT01", lambda m: "Sink hook has caught up" in m.said(), patience=40)
        assert "needs attention" not in back.said()
        assert "jit.audit.submitted" in receiver.types
    await receiver.stop()


async def test_a_sink_whose_secret_is_missing_keeps_the_worker_from_starting(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    config = {"url": "https://s.example.com:8088", "token": "env:NO_SUCH_TOKEN"}
    settings = settings_for(slack, redis, "socket", tmp_path, with_sinks(siem={"kind": "splunk", "config": config}))
    async with opened(settings, "worker") as app:
        with pytest.raises(CannotStart, match="sink siem: token: the environment variable NO_SUCH_TOKEN is not set"):
            await app.run()
