"""The whole bot against the local Slack, over HTTP and over Socket Mode: real processes' parts, in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from bot import tasks
from bot.app import App, opened
from bot.audit.archive.archive import Archive
from bot.playground import Human, LocalSlack, Message
from bot.settings import Settings
from bot.store.keyring import KeyRing
from tests.handlers.views.shown import flaws
from tests.house import POLICY
from tests.servers import RedisServer

Mode = Literal["http", "socket"]
CHANNEL = "C0VAULT01"
LOOKS = "a-test"
"""Whose turn it is to look at the accounts of the groups that decide."""


@dataclass
class Town:
    """The workspace and the bot in it."""

    slack: LocalSlack
    app: App

    def __getattr__(self, name: str) -> Human:
        """``town.mia``: someone by name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.slack.person(f"U{name.upper()}")

    async def card(self, id_: str, said: str = "", patience: float = 30.0) -> Message:
        """The card of a request, once it says so."""
        return await self.slack.sees(
            CHANNEL, lambda m: id_ in m.said() and bool(m.blocks) and said in m.said(), patience=patience
        )

    async def asked(self, who: str = "mia", line: str = "request debug 30m -- INC-1 the vault is stuck") -> Message:
        """Ask for the vault; the card."""
        human: Human = getattr(self, who)
        reply = await human.command("/jit", line, CHANNEL)
        assert "You requested" in reply.text, reply.text
        return await self.card(f"J-{reply.text.split(' (J-')[1][:4]}")

    @staticmethod
    def id_of(card: Message) -> str:
        """The request that a card shows."""
        return next(iter(card.buttons().values()))["value"]  # type: ignore[no-any-return]  # JSON


def people(slack: LocalSlack) -> None:
    """Everyone whom the policy of the tests knows, and those whom it must refuse. Slack waits for a busy machine."""
    slack.delivery.ack_seconds = 30.0
    for name in ("Mia", "Dan", "Eve", "Sam", "Kim", "Pat"):
        slack.add_person(f"U{name.upper()}", name, f"{name.lower()}@example.com")
    slack.add_person("UGUEST", "Gus Guest", "gus@example.com", kind="guest")
    slack.add_person("UEXT", "Xena Extern", "xena@elsewhere.example", kind="external")
    slack.add_person("UGONE", "Gone", "gone@example.com", kind="deactivated")
    slack.add_usergroup("S0DBA0001", "dba", ["UDAN", "UEVE", "UGUEST", "UGONE"])
    everyone = list(slack.world.people)
    slack.add_channel(CHANNEL, "vault", everyone)
    slack.add_channel("C0AUDIT01", "audit", everyone)
    slack.add_channel("C0GENERAL", "general", everyone)


@contextlib.asynccontextmanager
async def running(settings: Settings, role: Literal["all", "web", "worker"] = "all") -> AsyncIterator[App]:
    """The bot, ready; taken down in order at the end."""
    async with opened(settings, role) as app:
        # Else accounts would be looked at in between, and Slack's answers be counted that nobody asked for.
        await app.store.lease(app.store.keys.account_checks, LOOKS, 3600)
        task = asyncio.create_task(app.run())
        waiting = asyncio.create_task(app.ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await tasks.end([waiting])
            await task
        try:
            yield app
        finally:
            app.stopping.set()
            await task


def settings_for(slack: LocalSlack, redis: RedisServer, mode: Mode, home: Path, policy: str = POLICY) -> Settings:
    """What the environment would say, of a home where a bot has run before: without an archive, a start waits 2 s."""
    Archive.open("", home, create=True).close()
    file = home / "jit.yaml"
    file.write_text(policy, encoding="utf-8")
    return Settings(
        SLACK_BOT_TOKEN=SecretStr(slack.bot_token),
        SLACK_SIGNING_SECRET=SecretStr(slack.signing_secret) if mode == "http" else None,
        SLACK_APP_TOKEN=SecretStr(slack.app_token) if mode == "socket" else None,
        SLACK_API_URL=slack.api_url,
        REDIS_URL=SecretStr(redis.socket_url),
        JIT_POLICY=file,
        JIT_HOME=home,
        JIT_KEYS=SecretStr(KeyRing.generate().spelled()),
        HOST="127.0.0.1",
        PORT=0,
        JIT_OPS_PORT=0,
    )


@pytest.fixture
async def slack(workspace: str) -> AsyncIterator[LocalSlack]:
    """A workspace with its people; at the end, all that it was shown is held against Slack's limits."""
    async with LocalSlack(team=workspace) as slack:
        people(slack)
        yield slack
        assert flaws(slack) == []


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot in it, over HTTP and over Socket Mode."""
    mode: Mode = request.param
    async with running(settings_for(slack, redis, mode, tmp_path)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def at_terminal(settings: Settings, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`jit …` where the environment of a bot is, as far as its store goes; the bot itself goes on meanwhile.

    ``more``: variables that whoever types has set.
    """
    assert settings.slack_bot_token
    assert settings.redis_url
    assert settings.keys
    env = {
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "JIT_KEYS": settings.keys.get_secret_value(),
        "JIT_POLICY": str(settings.policy),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": os.environ["PATH"],
        "HOME": str(settings.home),
        **more,
    }
    command = [sys.executable, "-m", "bot", *words]
    return await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)
