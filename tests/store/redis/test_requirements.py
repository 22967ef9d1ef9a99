"""Whether a Redis is fit to keep the records is found out, told with how to fix it, and at the start obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.app import opened
from bot.settings import load
from bot.startup import CannotStart
from bot.store.keyring import KeyRing
from bot.store.redis.requirements import Level, findings
from tests.house import POLICY
from tests.servers import (
    RedisServer,
    redis_cluster,
    redis_server,
    replica_of,
)


@pytest.fixture
def master() -> Iterator[RedisServer]:
    """A server of its own."""
    with redis_server() as server:
        yield server


@pytest.mark.parametrize(
    ("options", "level", "said"),
    [
        (("--maxmemory-policy", "allkeys-lru"), Level.UNFIT, "maxmemory-policy is allkeys-lru"),
        (("--maxmemory-policy", "volatile-ttl"), Level.UNFIT, "maxmemory-policy is volatile-ttl"),
        (("--appendonly", "no"), Level.WARNING, "the append-only file is off"),
    ],
)
async def test_what_is_wrong_with_a_redis_is_found_with_how_to_fix_it(
    options: tuple[str, ...], level: Level, said: str
) -> None:
    with redis_server(*options) as server:
        async with Redis.from_url(server.url) as client:
            wrong = [finding for finding in await findings(client) if finding.level is not Level.FINE]
    assert [finding.level for finding in wrong] == [level]
    assert wrong[0].said.startswith(said)
    assert wrong[0].fix


async def test_a_node_of_a_cluster_that_is_taken_for_a_server_of_its_own_is_suspect() -> None:
    with redis_cluster(1) as [node]:
        async with Redis.from_url(node.url) as client:
            [suspect] = [finding for finding in await findings(client) if finding.level is not Level.FINE]
            assert suspect.said.startswith("it is a node of a cluster")
            assert {finding.level for finding in await findings(client, "cluster")} == {Level.FINE}


async def test_of_a_redis_that_is_as_it_should_be_nothing_is_to_fix(master: RedisServer) -> None:
    with replica_of(master):
        async with Redis.from_url(master.url) as client:
            found = await findings(client)
    assert {(finding.level, finding.fix) for finding in found} == {(Level.FINE, "")}
    assert "1 replicas follow" in [finding.said for finding in found]


async def test_a_replica_is_unfit_and_a_redis_that_tells_nothing_is_suspect(master: RedisServer) -> None:
    with replica_of(master) as replica:
        async with Redis.from_url(replica.url) as client:
            unfit = [finding for finding in await findings(client) if finding.level is Level.UNFIT]
    assert f"a replica of 127.0.0.1:{master.port}" in unfit[0].said
    async with Redis.from_url(master.url) as admin:
        await admin.acl_setuser("bot", enabled=True, nopass=True, commands=["+ping"])
    async with Redis.from_url(f"redis://bot:x@127.0.0.1:{master.port}") as client:
        [suspect] = await findings(client)
    assert (suspect.level, "+info" in suspect.fix) == (Level.WARNING, True)


@pytest.mark.parametrize("wrong", ["policy", "role"])
async def test_the_bot_does_not_start_over_a_redis_that_would_lose_records(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "jit.yaml").write_text(POLICY)
    options = ("--maxmemory-policy", "allkeys-lfu") if wrong == "policy" else ("--replicaof", "127.0.0.1", "1")
    with redis_server(*options) as server:
        env = {"SLACK_BOT_TOKEN": "xoxb-1", "REDIS_URL": server.url, "JIT_KEYS": KeyRing.generate().spelled()}
        settings = load({**env, "JIT_POLICY": str(tmp_path / "jit.yaml")}, "worker")
        with pytest.raises(CannotStart, match=r"REDIS_URL: (maxmemory-policy is allkeys-lfu|it is a replica).*; set "):
            async with opened(settings, "worker"):
                pass
