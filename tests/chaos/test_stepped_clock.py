"""The clock of the bot's machine is put an hour forward or back: access opens and closes by the store's clock."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.core.request import ID_PATTERN, Ending
from bot.playground import LocalSlack, Message
from bot.store.keyring import KeyRing
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, people
from tests.servers import RedisServer, free_port, program

HOUR = 3600


class Town:
    """A workspace, and a bot in a process of its own over Socket Mode."""

    def __init__(self, slack: LocalSlack, redis: RedisServer, home: Path) -> None:
        """Nothing runs yet."""
        self.slack, self.redis, self.home, self.doors = slack, redis, home, home / "doors"
        self.ring = KeyRing.generate()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, step: int, mode: str) -> None:
        """A bot whose clock will be stepped."""
        self.doors.mkdir()
        config = json.dumps({"path": str(self.doors), "settles_within": 1.0})
        policy = POLICY.replace("provider: sandbox", f"provider: sandbox\n    config: {config}", 1)
        (self.home / "jit.yaml").write_text(policy)
        environment = {
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            **self._way_in(mode),
            "SLACK_API_URL": self.slack.api_url,
            "REDIS_URL": self.redis.socket_url,
            "JIT_KEYS": self.ring.spelled(),
            "JIT_POLICY": str(self.home / "jit.yaml"),
            "JIT_HOME": str(self.home),
            "JIT_OPS_PORT": "0",
        }
        words = (str(step), "run", "--role", "all")
        self.process = program("tests.chaos.stepped", *words, log=self.home / "output", **environment)

    def _way_in(self, mode: str) -> dict[str, str]:
        if mode == "socket":
            return {"SLACK_APP_TOKEN": self.slack.app_token}
        port = free_port()
        self.slack.deliver_to(f"http://127.0.0.1:{port}/slack/events")
        return {"SLACK_SIGNING_SECRET": self.slack.signing_secret, "PORT": str(port)}

    async def ready(self) -> None:
        """Wait until it answers Slack."""
        async with asyncio.timeout(30):
            while "ready: all of" not in (self.home / "output").read_text():  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.02)

    async def step(self) -> None:
        """Put the clock, and wait until it is."""
        assert self.process
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(30):
            while "the clock says" not in (self.home / "output").read_text():  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Let no process outlive its test."""
        if self.process:
            self.process.kill()
            self.process.wait()

    async def opened(self, line: str) -> str:
        """Mia asks, Dan approves, it is open; its id."""
        reply = await self.slack.person("UMIA").command("/jit", line, CHANNEL)
        found = re.search(ID_PATTERN.strip("^$"), reply.text)
        assert found, reply.text
        id_ = found[0]
        assert (
            await self.slack.person("UDAN").click(await self.card(id_, "waiting for approval"), "approve")
        ).status == 200
        await self.card(id_, "active until")
        return id_

    async def card(self, id_: str, said: str) -> Message:
        """The card of a request, once it says so."""
        return await self.slack.sees(CHANNEL, lambda m: id_ in m.said() and said in m.said(), patience=30)

    async def standing(self) -> set[str]:
        """The requests behind the doors that are open."""
        found = await Sandbox(SandboxConfig(path=str(self.doors))).list_access()
        return {str(standing.order).partition(".")[0] for standing in found}


@pytest.fixture
async def town(workspace: str, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose bot is not started yet."""
    async with LocalSlack(team=workspace) as slack:
        people(slack)
        town = Town(slack, redis, tmp_path)
        try:
            yield town
        finally:
            town.end()


@pytest.mark.parametrize("mode", ["http", "socket"])
@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
async def test_a_clock_that_is_put_an_hour_off_opens_and_closes_nothing_at_another_time(
    town: Town, redis: RedisServer, step: int, mode: str
) -> None:
    town.start(step, mode)
    await town.ready()
    async with Redis.from_url(redis.socket_url) as client:
        store = Store(client, town.slack.team, town.ring)
        before = await town.opened("request vault/read-only 6s -- to look at it")
        await town.step()
        stepped = await store.now()
        after = await town.opened("request vault/read-only 5s -- to look at it again")
        for id_ in (before, after):
            await town.card(id_, ":lock: ended")
        first, second = [loaded.request for loaded in await store.load_many([before, after])]
        assert stepped < second.created_at < second.granted_at < second.ends_at < second.closed_at < await store.now()
        assert (first.ends_at - first.granted_at, second.ends_at - second.granted_at) == (6, 5)
        assert first.closed_at > first.ends_at
        assert {first.ending, second.ending} == {Ending.EXPIRED}
    assert await town.standing() == set()
