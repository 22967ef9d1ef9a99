"""Tasks end: those that miss a cancellation are told again, and those that never end are left behind and named."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time

import pytest
from redis.asyncio import Redis

from bot import tasks
from bot.store.wakeups import Wakeups
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Unsure
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.servers import RedisServer


async def _asks_for_ever(client: Redis, key: str) -> None:
    while True:
        await client.delete(key)


async def test_a_client_of_redis_swallows_a_cancellation_and_a_task_that_is_ended_here_ends(redis: RedisServer) -> None:
    async with Redis.from_url(redis.socket_url, socket_timeout=30) as client:
        await client.ping()
        deaf = 0
        for turns in range(80):
            task = asyncio.create_task(_asks_for_ever(client, "nothing"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=0.05)
            deaf += not task.done()
            await tasks.end([task])
            assert task.done()
            if deaf:
                break
    assert deaf or sys.version_info >= (3, 12), "the library is mended: the flags may go"


async def test_a_task_that_never_ends_is_named_and_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    over = asyncio.Event()

    async def deaf() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(deaf(), name="the deaf one")
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR):
        await tasks.end([task], within=0.1)
    assert caplog.messages == ["the deaf one does not end; it is left behind"]
    assert not task.done()
    over.set()
    await task


async def test_the_error_of_a_task_that_is_ended_stays_its_own() -> None:
    async def breaks() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("it broke on the way out")

    task = asyncio.create_task(breaks())
    await asyncio.sleep(0)
    await tasks.end([task])
    assert isinstance(task.exception(), OSError)


async def test_who_listens_for_hints_ends_by_a_flag_whether_the_store_answers_or_not(redis: RedisServer) -> None:
    client = Redis.from_url(redis.socket_url)
    hints, stop = Wakeups(client, "wake"), asyncio.Event()
    heard = hints.waiter()
    listening = asyncio.create_task(hints.listen(stop))
    await heard(10)
    stop.set()
    await asyncio.wait_for(listening, 30)
    await client.aclose()

    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = Redis.from_url(f"redis://127.0.0.1:{mute.getsockname()[1]}")
        stop = asyncio.Event()
        listening = asyncio.create_task(Wakeups(silent, "wake").listen(stop))
        await asyncio.sleep(0)
        stop.set()
        await asyncio.wait_for(listening, 30)
        await silent.aclose()


async def test_a_provider_that_is_deaf_to_its_limit_keeps_no_slot_and_no_worker() -> None:
    over = asyncio.Event()

    async def check() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    post = ProviderGateway(Sandbox(SandboxConfig(settles_within=0.05)), 0.05, "vault")
    began = time.monotonic()
    with pytest.raises(Unsure, match="did not answer within"):
        await post.call(check())
    assert time.monotonic() - began < 20
    over.set()
