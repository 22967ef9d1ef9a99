"""The provider ``redis`` on a real Redis and on a real Valkey."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio as aioredis
from pydantic import SecretStr, ValidationError
from redis.exceptions import NoPermissionError

from providers.systems.base import Order, Presence, Prior, Refused, Secret
from providers.systems.conformance import (
    Bench,
    Lives,
    OwnConformance,
    RevealingConformance,
    ServerConformance,
)
from providers.systems.conformance_bench import granted, real_server
from providers.systems.conformance_closing import ClosingConformance
from providers.systems.conformance_connecting import ConnectingConformance
from providers.systems.conformance_hazards import Wire
from providers.systems.conformance_prolonging import ProlongingConformance
from providers.systems.redis import RedisAcl, RedisConfig
from providers.systems.redis_rules import RedisParams, mark
from tests.servers import RedisServer, redis_server

BOT = "jit-bot"
_MOST_MESSAGES = 40
NEEDS = "+acl +client|list +client|kill +info +ping +multi +exec +watch +unwatch +set +get +del ~jit:*"


class RedisBench(Bench):
    """A server with a bot that has the documented rights and no more."""

    provider = RedisAcl
    params = {"keys": ["app:*"], "commands": ["+@read", "+@write"]}  # noqa: RUF012  # each bench only reads it
    other_params = {"keys": ["b:*"], "commands": ["+@read"]}  # noqa: RUF012

    def __init__(self, server: RedisServer) -> None:
        """Make the bot and some data."""
        self.running = server
        self.server = ("127.0.0.1", server.port)
        self.password = secrets.token_urlsafe(16)
        self.hidden = (self.password,)
        with redis.Redis.from_url(server.socket_url) as admin:
            admin.execute_command("ACL", "SETUSER", BOT, "reset", "on", f">{self.password}", *NEEDS.split())
            admin.set("app:1", "one")
            admin.set("secret:1", "not for you")

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """By TCP, with an id: these servers have no aclfile."""
        url = f"redis://{BOT}:{self.password}@127.0.0.1:{port or self.running.port}/0"
        return {"url": url, "id": "the-test-redis", "timeout": 0.3}

    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Log in and read."""
        try:
            async with self.as_user(order, secret) as user:
                return bool(await user.get("app:1") == b"one")
        except redis.AuthenticationError:
            return False

    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """A connection of one's own, which does not reconnect."""
        assert secret is not None
        pool = aioredis.Redis.from_url(
            self.running.url, username=secret.username, password=secret.password.get_secret_value()
        )
        connection = await pool.connection_pool.get_connection()  # type: ignore[no-untyped-call]  # it has no types

        async def lives() -> bool:
            try:
                await connection.send_command("GET", "app:1", check_health=False)
                return bool(await connection.read_response() == b"one")
            except (redis.RedisError, OSError):
                await pool.aclose()
                return False

        return lives

    async def stand(self, order: Order) -> None:
        """An administrator's user of that name."""
        self._admin("ACL", "SETUSER", order.subject.native, "reset", "on", ">theirs", "~x", "+get")

    async def stands(self, order: Order) -> bool:
        """Whether it logs in."""
        with redis.Redis.from_url(self.running.socket_url, username=order.subject.native, password="theirs") as theirs:
            return theirs.get("x") is None

    async def tamper(self, order: Order) -> None:
        """Give it more."""
        self._admin("ACL", "SETUSER", order.subject.native, "~secret:*")

    async def fence_is_down(self, order: Order) -> None:
        """Wait until no grant of this order may land any more."""
        async with asyncio.timeout(5), aioredis.Redis.from_url(self.running.url) as admin:
            while await admin.exists(f"jit:fence:{order.subject.native}"):  # noqa: ASYNC110  # it lapses
                await asyncio.sleep(0.01)

    def _admin(self, *words: str) -> Any:
        with redis.Redis.from_url(self.running.socket_url, decode_responses=True) as admin:
            return admin.execute_command(*words)

    @asynccontextmanager
    async def as_user(self, order: Order, secret: Secret | None) -> AsyncIterator[Any]:
        """A client with that login."""
        password = secret.password.get_secret_value() if secret else ""
        user = aioredis.Redis.from_url(self.running.url, username=order.subject.native, password=password)
        async with user:
            yield user


class TestRedis(
    OwnConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ProlongingConformance,
    ServerConformance,
):
    """Debian's Redis."""

    @pytest.fixture
    def bench(self, debian_redis: RedisServer) -> RedisBench:
        """On a server of this worker's."""
        return RedisBench(debian_redis)


class TestValkey(
    OwnConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ProlongingConformance,
    ServerConformance,
):
    """The embedded Valkey."""

    @pytest.fixture
    def bench(self, valkey: RedisServer) -> RedisBench:
        """On a server of this worker's."""
        return RedisBench(valkey)


@pytest.fixture
def bench(debian_redis: RedisServer) -> RedisBench:
    return RedisBench(debian_redis)


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
    for n in range(1, _MOST_MESSAGES):
        order = await bench.order(system)
        async with Wire(real_server(bench), hold=n) as wire:
            receipt = await granted(bench.build(wire.port), order, Prior(present=False))
            assert (receipt is None) is wire.struck
            if not wire.struck:
                return
            await bench.fence_is_down(order)
            before = await system.verify(order, None)
            await wire.release()
            assert await system.verify(order, None) is before
    pytest.fail("no grant came through")


async def test_a_revoke_stops_the_grants_that_are_on_their_way(
    bench: RedisBench, system: RedisAcl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.systems.redis.FENCE_TIMEOUTS", 1000)
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
