"""Whose address is bound to another account is refused, until an operator has made sure and frees it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.playground import LocalSlack
from bot.settings import Settings
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

ROOT = str(Path(__file__).parents[2])
WHY = "she has a new account, I called her"


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Town, Settings]]:
    settings = settings_for(slack, redis, "http", tmp_path)
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        slack.add_person("UMIA2", "Mia", "Mia@Example.com")
        slack.world.channels[CHANNEL].members.add("UMIA2")
        yield Town(slack, app), settings


async def unbind(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """``jit people unbind …``, in the bot's environment."""
    assert settings.redis_url
    assert settings.keys
    assert settings.slack_bot_token
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ROOT,
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "JIT_KEYS": settings.keys.get_secret_value(),
        "JIT_POLICY": str(settings.policy),
        "JIT_HOME": str(settings.home),
    }
    command = [sys.executable, "-m", "bot", "people", "unbind", *words]
    return await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)


async def test_a_new_account_of_the_same_person_is_let_in_once_an_operator_frees_the_address(
    town: tuple[Town, Settings],
) -> None:
    there, settings = town
    assert "Nothing is open" in await types(there.mia, "list")
    refused = await types(there.mia2, "list")
    assert "bound to another account" in refused
    assert "jit people unbind" in refused
    assert (await unbind(settings, "mia@example.com")).returncode == 2, "a reason is asked for"

    freed = await unbind(settings, "Mia@example.com", "--reason", WHY)
    assert freed.returncode == 0, freed.stderr
    assert "it was bound to UMIA." in freed.stdout
    told = await there.slack.sees("C0AUDIT01", lambda m: "was unbound from the account UMIA" in m.text)
    assert WHY in told.text
    assert "cli:" in told.text
    assert "Nothing is open" in await types(there.mia2, "list")
    there.app.people.forget("UMIA")  # what a bot believes for a minute
    assert "bound to another account" in await types(there.mia, "list")


async def test_nothing_is_freed_while_somebody_would_come_into_what_is_open(town: tuple[Town, Settings]) -> None:
    there, settings = town
    card = await there.asked()
    kept = await unbind(settings, "mia@example.com", "--reason", WHY)
    assert kept.returncode == 1
    assert there.id_of(card) in kept.stderr
    assert "end it first" in kept.stderr
    assert "bound to another account" in await types(there.mia2, "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody@example.com", "--reason", WHY), "is bound to no account"),
        (("mia@example.com", "--reason", " . "), "Please give a reason"),
    ],
)
async def test_what_it_cannot_do_it_says(town: tuple[Town, Settings], words: tuple[str, ...], said: str) -> None:
    there, settings = town
    assert "Nothing is open" in await types(there.mia, "list")
    refused = await unbind(settings, *words)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "Nothing is open" in await types(there.mia, "list")
