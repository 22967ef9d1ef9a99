"""Whole processes over a Redis that somebody else writes to: they get ready, and close on time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot.playground import LocalSlack
from bot.store.key_types import KINDS
from bot.store.keys import Keys, home
from tests.journeys.test_processes import Bot, Site, until
from tests.servers import RedisServer, redis_server

LINE = "request debug 10s -- INC-1 the vault is stuck"
PATIENCE = 40.0
"""Seconds within which what lasts 10 is closed, on a busy machine too."""


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of its own."""
    with redis_server() as server:
        yield server


@pytest.fixture
async def site(slack: LocalSlack, own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Site]:
    """A machine of an operator's."""
    slack.limits.on = False
    site = Site(tmp_path, own_redis, slack)
    try:
        yield site
    finally:
        await site.end()


async def poisoned(redis: Redis, keys: Keys, token: str, words: bytes) -> None:
    """Every key that has a name of its own, and all that are there, of another kind."""
    prefix = keys.due.removesuffix("due")
    names = [f"{prefix}{name}" for name in KINDS if "*" not in name] + [home(token)]
    found: Any = await redis.keys(f"{prefix}*")
    for name in {*names, *(each.decode() for each in found)}:
        short = name.removeprefix(prefix)
        kind = KINDS.get(short, "string" if name == home(token) or ":reconciling" in short else "hash")
        await redis.delete(name)
        with contextlib.suppress(ResponseError):
            await (redis.rpush(name, words) if kind == "string" else redis.set(name, words))


async def closed(site: Site) -> None:
    """Wait until nothing stands."""

    async def nothing() -> bool:
        return await site.standing() == []

    await until(nothing, "the door to be closed", PATIENCE)


async def no_crash(bots: list[Bot]) -> None:
    assert [bot.said.count("broke") for bot in bots] == [0] * len(bots)


async def test_processes_that_start_over_keys_of_wrong_kinds_get_ready_and_close(site: Site) -> None:
    first = await site.run("all")
    await site.opened(LINE)
    assert await first.stopped(signal.SIGKILL) == -signal.SIGKILL
    async with site.store() as (redis, keys):
        await poisoned(redis, keys, site.slack.bot_token, b"\xff\x00 <@UPAT> was here")
    second = await site.run("all")
    await closed(site)
    assert second.process.returncode is None
    await no_crash([second])


async def test_what_is_open_is_closed_while_every_key_is_of_a_wrong_kind(site: Site) -> None:
    bot = await site.run("all")
    await site.opened(LINE)
    async with site.store() as (redis, keys):
        for _ in range(3):
            await poisoned(redis, keys, site.slack.bot_token, b"1")
    await closed(site)
    assert bot.process.returncode is None


async def test_who_the_bot_is_is_known_without_slack_though_redis_does_not_say_it(site: Site) -> None:
    first = await site.run("all")
    await site.opened(LINE)
    assert await first.stopped(signal.SIGKILL) == -signal.SIGKILL
    async with site.store() as (redis, _):
        forged = b'{"home":"T0EVIL001","team":"T0EVIL001","bot":"B1","bot_user":"U1","site":"","mac":"k1.00"}'
        await redis.set(home(site.slack.bot_token), forged)
    second = await site.run("worker", SLACK_API_URL="http://127.0.0.1:1/api/")
    await closed(site)
    assert "going on as the workspace it said last" in second.said


async def test_no_value_of_a_field_ends_a_process(site: Site) -> None:
    """Every field, member and word in the store, made into what no number, no JSON and no text is."""
    bot = await site.run("all")
    await site.opened(LINE)
    async with site.store() as (redis, keys):
        found: Any = await redis.keys(keys.due.removesuffix("due") + "*")
        for key in found:
            for word in (b"\xff\xfe", b"nan", b"-1", b"[]", b"1e999", b"9" * 400):
                await spoilt(redis, key, word)
    await closed(site)
    assert bot.process.returncode is None
    await no_crash([bot])


async def spoilt(redis: Redis, key: bytes, word: bytes) -> None:
    """The same kind of value, and another value."""
    with contextlib.suppress(ResponseError):
        match await redis.type(key):
            case b"string":
                await redis.set(key, word)
            case b"hash":
                names: Any = await redis.hkeys(key)
                await redis.hset(key, mapping={**dict.fromkeys(names, word), word: word})
            case b"zset":
                await redis.zadd(key, {word: 0.0, word + b"|card": float("-inf"), b"J-2222|" + word: float("inf")})
            case b"set":
                await redis.sadd(key, word)
            case b"list":
                await redis.lpush(key, word)
            case b"stream":
                await redis.xadd(key, {word: word})
