"""The provider ``redis`` on a real Redis and on a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr, ValidationError
from redis.exceptions import NoPermissionError

from providers.systems.base import Order, Presence, Prior, Refused, Secret
from providers.systems.conformance.bench import granted, real_server
from providers.systems.conformance.closing import ClosingConformance
from providers.systems.conformance.connecting import ConnectingConformance
from providers.systems.conformance.extending import ExtendingConformance
from providers.systems.conformance.failing import FailingStepConformance
from providers.systems.conformance.failover import FailoverConformance
from providers.systems.conformance.hazards import Wire
from providers.systems.conformance.hostile import HostileConformance
from providers.systems.conformance.rights import RightsConformance
from providers.systems.conformance.server import ServerConformance, each_message
from providers.systems.conformance.suite import (
    OwnConformance,
    RevealingConformance,
)
from providers.systems.redis_acl import RedisAcl, RedisConfig
from providers.systems.redis_acl.rules import RedisParams, mark
from tests.providers.redis_bench import BOT, RedisBench
from tests.servers import RedisServer, redis_server

_MOST_MESSAGES = 40


class OwedConformance(HostileConformance, FailingStepConformance, FailoverConformance, RightsConformance):
    """What every provider owes."""


class TestRedis(
    OwnConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ExtendingConformance,
    ServerConformance,
    OwedConformance,
):
    """Debian's Redis."""

    @pytest.fixture
    def bench(self, debian_redis: RedisServer, another_redis: RedisServer) -> RedisBench:
        """On a server of this worker's."""
        return RedisBench(debian_redis, another_redis)


class TestValkey(
    OwnConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ExtendingConformance,
    ServerConformance,
    OwedConformance,
):
    """The embedded Valkey."""

    @pytest.fixture
    def bench(self, valkey: RedisServer, another_valkey: RedisServer) -> RedisBench:
        """On a server of this worker's."""
        return RedisBench(valkey, another_valkey)


@pytest.fixture
def bench(either_redis: RedisServer) -> RedisBench:
    return RedisBench(either_redis)


@pytest.fixture
async def system(bench: RedisBench) -> AsyncIterator[RedisAcl]:
    system = RedisAcl(RedisConfig.model_validate(bench.config()))
    yield system
    await system.close()


async def test_it_opens_the_keys_and_commands_of_the_role_and_no_others(bench: RedisBench, system: RedisAcl) -> None:
    order = await bench.order(system, {"keys": ["app:*"], "commands": ["+@read", "+info"], "channels": ["app"]})
    receipt = await system.grant(order, await system.inspect(order))
    async with bench.as_user(order, await system.reveal(order, receipt)) as user:
        assert await user.get("app:1") == b"one"
        assert await user.info("server")
        for forbidden in (
            ("GET", "secret:1"),
            ("SET", "app:1", "x"),
            ("KEYS", "*"),
            ("ACL", "LIST"),
            ("EVAL", "", "0"),
        ):
            with pytest.raises(NoPermissionError):
                await user.execute_command(*forbidden)


async def test_a_broad_category_never_brings_a_dangerous_command_along(bench: RedisBench, system: RedisAcl) -> None:
    commands = ["+@write", "+@keyspace", "+@connection", "+@read", "+@blocking", "+@pubsub"]
    order = await bench.order(system, {"keys": ["*"], "commands": commands})
    receipt = await system.grant(order, await system.inspect(order))
    async with bench.as_user(order, await system.reveal(order, receipt)) as user:
        for forbidden in (
            "FLUSHALL",
            "CONFIG GET x",
            "CLIENT KILL TYPE normal",
            "SWAPDB 0 1",
            "FUNCTION FLUSH",
            "SHUTDOWN",
        ):
            with pytest.raises(NoPermissionError):
                await user.execute_command(*forbidden.split())


async def test_nobody_logs_in_before_a_password_was_revealed(bench: RedisBench, system: RedisAcl) -> None:
    order = await bench.order(system)
    await system.grant(order, await system.inspect(order))
    for guess in ("", mark(order.subject.native, RedisParams.model_validate(order.params)), order.id):
        async with bench.as_user(order, _secret(order, guess)) as user:
            with pytest.raises(redis.AuthenticationError):
                await user.get("app:1")


async def test_what_was_given_up_never_lands_once_its_time_is_over(bench: RedisBench, system: RedisAcl) -> None:
    async for struck in each_message(bench, system, hold=True):
        if struck.receipt is None:
            await bench.fence_is_down(struck.order)
            before = await system.verify(struck.order, None)
            await struck.wire.release()
            assert await system.verify(struck.order, None) is before


async def test_a_revoke_stops_the_grants_that_are_on_their_way(
    bench: RedisBench, system: RedisAcl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.systems.redis_acl.session.FENCE_TIMEOUTS", 1000)
    stopped = 0
    for n in range(1, _MOST_MESSAGES):
        order = await bench.order(system)
        async with Wire(real_server(bench), hold=n) as wire:
            grant = asyncio.create_task(granted(bench.build(wire.port), order, Prior(present=False)))
            await wire.strikes_or(grant)
            if not wire.struck:
                break
            await system.revoke(order, Prior(present=False), None)
            await wire.release()
            stopped += await grant is None and await system.verify(order, None) is Presence.ABSENT
    # Whoever was about to watch the fence, to look at it or to pass it, finds that it fell; who had passed it and
    # was about to take it down or to read back, finds the user gone.
    assert stopped == 5


@pytest.mark.parametrize(
    "commands",
    [
        [">password"],
        ["nopass"],
        ["on"],
        ["allcommands"],
        ["+@all"],
        ["-@all"],
        ["+@admin"],
        ["+@dangerous"],
        ["+@scripting"],
        ["+@slow"],
        ["+acl"],
        ["+ACL"],
        ["+acl|setuser"],
        ["+config|set"],
        ["+client|kill"],
        ["+client"],
        ["+function"],
        ["+flushall"],
        ["+get +acl"],
        ["+get\n"],
        ["+@read", "(~* +@all)"],
        ["-get"],
        [],
    ],
)
def test_rules_that_could_reach_past_their_end_are_refused(commands: list[str]) -> None:
    with pytest.raises(ValidationError):
        RedisParams.model_validate({"keys": ["app:*"], "commands": commands})


@pytest.mark.parametrize("pattern", ["", "a b", "a\nb", "é", "x" * 201, "\x00"])
def test_a_pattern_is_one_word(pattern: str) -> None:
    with pytest.raises(ValidationError):
        RedisParams.model_validate({"keys": [pattern], "commands": ["+@read"]})


async def test_an_unknown_command_is_refused_with_the_servers_words(bench: RedisBench, system: RedisAcl) -> None:
    order = await bench.order(system, {"keys": ["a"], "commands": ["+nosuchcommand"]})
    with pytest.raises(Refused, match="nosuchcommand"):
        await system.grant(order, await system.inspect(order))
    assert await system.verify(order, None) is Presence.ABSENT


async def test_over_a_unix_socket(bench: RedisBench) -> None:
    url = f"unix://{BOT}:{bench.password}@{bench.running.directory}/s.sock?db=0"
    system = RedisAcl(RedisConfig.model_validate({"url": url, "id": "here"}))
    order = await bench.order(system)
    receipt = await system.grant(order, await system.inspect(order))
    secret = await system.reveal(order, receipt)
    assert secret.how == f"redis-cli -s {bench.running.directory}/s.sock --user {secret.username} --askpass"
    assert await bench.usable(order, secret)
    await system.close()


async def test_a_bot_without_its_rights_is_told_which(bench: RedisBench) -> None:
    with redis.Redis.from_url(bench.running.socket_url) as admin:
        admin.execute_command("ACL", "SETUSER", "weak-bot", "reset", "on", ">weak", "+info", "+ping")
    url = f"redis://weak-bot:weak@127.0.0.1:{bench.running.port}"
    system = RedisAcl(RedisConfig.model_validate({"url": url, "id": "here"}))
    with pytest.raises(Refused, match=r"\+acl"):
        await system.check()
    await system.close()


async def test_without_an_aclfile_and_an_id_there_is_no_identity(bench: RedisBench) -> None:
    system = RedisAcl(RedisConfig.model_validate({**bench.config(), "id": ""}))
    with pytest.raises(Refused, match="aclfile"):
        await system.check()
    await system.close()


async def test_with_an_aclfile_access_and_identity_survive_a_restart(tmp_path: Path) -> None:
    aclfile = tmp_path / "users.acl"
    aclfile.touch()
    with redis_server("--aclfile", str(aclfile)) as server:
        bench = RedisBench(server)
        system = RedisAcl(RedisConfig.model_validate({**bench.config(), "id": ""}))
        order = await bench.order(system)
        receipt = await system.grant(order, await system.inspect(order))
        await system.close()
    with redis_server("--aclfile", str(aclfile)) as server:
        url = f"redis://{BOT}:{bench.password}@127.0.0.1:{server.port}/0"
        system = RedisAcl(RedisConfig.model_validate({"url": url}))
        health = await system.check()
        assert health.target == order.target
        assert "aclfile" in health.detail
        assert await system.verify(order, receipt) is Presence.PRESENT
        await system.revoke(order, Prior(present=False), receipt)
        await system.close()
    assert order.subject.native not in aclfile.read_text()


@pytest.mark.parametrize("url", ["http://hunter2@x", "redis://u:hunter2@h:notaport/0"])
def test_a_wrong_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValidationError) as told:
        RedisConfig.model_validate({"url": url})
    assert "hunter2" not in str(told.value)


def _secret(order: Order, password: str) -> Secret:
    return Secret(username=order.subject.native, password=SecretStr(password))
