"""What cannot be closed is loud, can be looked at, and can be taken out of the books by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import own_request
from bot.core.request import State
from bot.playground import LocalSlack
from bot.startup import identity_of
from bot.store.keyring import KeyRing
from bot.store.keys import home
from bot.store.known_home import KnownHome
from bot.store.redis.client import Link
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.house import POLICY, House
from tests.servers import RedisServer, redis_server

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
async def context(redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """A house whose provider never closes, and the environment of an operator."""
    ring, client = KeyRing.generate(), Redis.from_url(redis.socket_url)
    broken = Sandbox(SandboxConfig(faults=(SandboxFault(verb="revoke", does="unsure"),), settles_within=0.05))
    house = await House(Store(client, workspace, ring), systems={"vault": broken}).open()
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


async def test_a_stuck_request_is_listed_alarmed_and_closed_by_hand(context: tuple[House, dict[str, str]]) -> None:
    house, env = context
    nothing = jit(env, "stuck")
    assert (nothing.returncode, nothing.stdout) == (0, "None.\n")
    assert jit(env, "list").stdout == "None.\n"
    request = await house.granted(what="vault/shared")
    await own_request.release(house.context, house.actor("mia"), request.id)
    while (stuck := await house.now(request.id)).legs[0].tries < 3:
        await house.work()
    assert stuck.state is State.REVOKING
    alarms = [key async for key in house.store.redis.hscan_iter(house.store.keys.rows, f"{request.id}|alarm:*")]
    assert len(alarms) == 1

    assert request.id in jit(env, "list").stdout
    listed = jit(env, "stuck")
    assert listed.returncode == 1
    assert "3 tries" in listed.stdout
    [row] = map(json.loads, jit(env, "stuck", "--json").stdout.splitlines())
    assert (row["id"], row["state"], row["requester"], row["stuck"]) == (
        request.id,
        "revoking",
        "mia@example.com",
        True,
    )
    assert json.loads(jit(env, "list", "--json").stdout)["id"] == request.id
    assert '"state": "revoking"' in jit(env, "show", request.id.lower()).stdout

    assert "Please give a reason" in jit(env, "close", request.id, "--reason", ".").stderr
    closed = jit(env, "close", request.id, "--reason", "the server was taken down")
    assert closed.returncode == 0, closed.stderr
    ended = await house.now(request.id)
    assert ended.state is State.ENDED
    assert "not verified: the server was taken down" in str(ended.legs[0].outcome)
    assert await house.store.redis.keys(f"jit:{{{house.store.workspace}}}:shared:*") == []
    assert "ended" in jit(env, "close", request.id, "--reason", "once more").stderr


async def test_an_operator_is_told_what_is_wrong_in_a_sentence(context: tuple[House, dict[str, str]]) -> None:
    _, env = context
    assert "There is no request" in jit(env, "show", "J-ZZZZ").stderr
    assert "knows no workspace" in jit({**env, "SLACK_BOT_TOKEN": "xoxb-2"}, "list").stderr
    away = jit({**env, "REDIS_URL": "redis://127.0.0.1:1/0"}, "list")
    assert away.returncode == 2
    assert "Storage isn't responding" in away.stderr
    assert "Traceback" not in away.stderr


async def started(env: dict[str, str], ring: KeyRing, workspace: str, home: Path) -> None:
    """What a start of a workspace's bot leaves in the store."""
    link = Link(env["REDIS_URL"])
    async with LocalSlack(team=workspace) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await identity_of(client, KnownHome(link, slack.bot_token), ring, home)
    await link.aclose()


def everything(env: dict[str, str]) -> list[subprocess.CompletedProcess[str]]:
    """Each command that needs the store and not Slack."""
    words = (["requests", "list"], ["requests", "stuck"], ["offboarding"], ["lockdown"], ["reconcile", "--dry-run"])
    command = [sys.executable, "-m", "bot"]
    return [subprocess.run([*command, *w], env=env, capture_output=True, text=True, check=False) for w in words]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A store that no other test's workspace is in."""
    with redis_server() as made:
        yield made


async def test_without_a_bot_token_each_command_serves_the_only_workspace_that_is_there(
    context: tuple[House, dict[str, str]], server: RedisServer, tmp_path: Path
) -> None:
    house, env = context
    env = {**env, "REDIS_URL": server.socket_url}
    del env["SLACK_BOT_TOKEN"]
    ring = house.store.ring
    for done in everything(env):
        assert done.returncode == 2
        assert "no bot with these keys (JIT_KEYS, JIT_HOME) has started on this store" in done.stderr
    await started(env, ring, house.store.workspace, tmp_path / "home")
    for done in everything(env):
        assert done.returncode == 0, done.stderr
    # Whoever can write to Redis cannot lead an operator elsewhere.
    client = Redis.from_url(server.socket_url)
    await client.set(home("xoxb-of-nobody"), '{"home": "T0EVIL001"}')
    await client.aclose()
    assert [done.returncode for done in everything(env)] == [0] * 5
    await started(env, ring, "T0OTHER99", tmp_path / "other")
    done = jit(env, "list")
    assert done.returncode == 2
    assert "several workspaces" in done.stderr
    assert house.store.workspace in done.stderr
    assert "set SLACK_BOT_TOKEN" in done.stderr


async def test_who_only_looks_needs_no_policy_and_who_decides_is_told_where_it_is_looked_for(
    context: tuple[House, dict[str, str]],
) -> None:
    house, env = context
    request = await house.granted(what="vault/shared")
    del env["JIT_POLICY"]
    assert request.id in jit(env, "list").stdout
    assert jit(env, "show", request.id).returncode == 0
    done = jit(env, "revoke", request.id, "--reason", "INC-5 leaked")
    assert done.returncode == 2
    assert "jit.yaml:1:1: it cannot be read: No such file or directory; set JIT_POLICY to where yours is" in done.stderr
