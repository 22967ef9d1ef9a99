"""What cannot be closed is loud, can be looked at, and can be taken out of the books by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.core.model import State
from bot.keyring import KeyRing
from bot.store.keys import home
from bot.store.store import Store
from providers.systems.sandbox import Fault, Sandbox, SandboxConfig
from tests.house import POLICY, House
from tests.servers import RedisServer

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
async def desk(redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """A house whose provider never closes, and the environment of an operator."""
    ring, client = KeyRing.generate(), Redis.from_url(redis.socket_url)
    broken = Sandbox(SandboxConfig(faults=(Fault(verb="revoke", does="unsure"),), settles_within=0.05))
    house = await House(Store(client, workspace, ring), systems={"vault": broken}, margin=0.0).open()
    await client.set(home("xoxb-1"), f'{{"home": "{workspace}"}}')
    (tmp_path / "jit.yaml").write_text(POLICY)
    env = {"SLACK_BOT_TOKEN": "xoxb-1", "REDIS_URL": redis.socket_url, "JIT_KEYS": ring.spelled(), "PYTHONPATH": ROOT}
    yield house, {**env, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "JIT_POLICY": str(tmp_path / "jit.yaml")}
    await client.aclose()


def jit(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Type it."""
    return subprocess.run(
        [sys.executable, "-m", "bot", "requests", *words], env=env, capture_output=True, text=True, check=False
    )


async def test_a_stuck_request_is_listed_alarmed_and_closed_by_hand(desk: tuple[House, dict[str, str]]) -> None:
    house, env = desk
    assert jit(env, "stuck").returncode == 0
    request = await house.granted(what="vault/shared")
    await house.desk.release(house.actor("mia"), request.id)
    while (stuck := await house.now(request.id)).legs[0].tries < 3:
        await house.work()
    assert stuck.state is State.REVOKING
    alarms = [key async for key in house.store.redis.hscan_iter(house.store.keys.rows, f"{request.id}|alarm:*")]
    assert len(alarms) == 1

    assert request.id in jit(env, "list").stdout
    listed = jit(env, "stuck")
    assert listed.returncode == 1
    assert "3 tries" in listed.stdout
    assert '"state": "revoking"' in jit(env, "show", request.id.lower()).stdout

    assert "Please say" in jit(env, "close", request.id, "--reason", ".").stderr
    closed = jit(env, "close", request.id, "--reason", "the server was taken down")
    assert closed.returncode == 0, closed.stderr
    ended = await house.now(request.id)
    assert ended.state is State.ENDED
    assert "not read back: the server was taken down" in str(ended.legs[0].outcome)
    assert await house.store.redis.keys(f"jit:{{{house.store.workspace}}}:holds:*") == []
    assert "ended" in jit(env, "close", request.id, "--reason", "once more").stderr


async def test_an_operator_is_told_what_is_wrong_in_a_sentence(desk: tuple[House, dict[str, str]]) -> None:
    _, env = desk
    assert "There is no request" in jit(env, "show", "J-ZZZZ").stderr
    assert "knows no workspace" in jit({**env, "SLACK_BOT_TOKEN": "xoxb-2"}, "list").stderr
    away = jit({**env, "REDIS_URL": "redis://127.0.0.1:1/0"}, "list")
    assert away.returncode == 1
    assert "store does not answer" in away.stderr
    assert "Traceback" not in away.stderr
