"""Receivers that are away for a while and pumps that are killed: nothing is missing, nothing is out of order.

With the real receivers, and processes that really die.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from providers.sinks import registry
from providers.sinks.conformance import SinkBench, numbers
from tests.audit.shipping.test_shipper import Dock, archive, dock
from tests.providers.receivers import Collector, Hec, WebhookReceiver
from tests.providers.rsyslog import rsyslog
from tests.providers.test_sinks import (
    SECRET,
    TOKEN,
    AckBench,
    FileBench,
    OtelBench,
    SplunkBench,
    SyslogBench,
    WebhookBench,
    served,
)
from tests.servers import RedisServer

__all__ = ["archive", "dock"]
_ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["file", "rsyslog, OpenSSL", "rsyslog, GnuTLS", "webhook", "otel", "splunk", "splunk, acks"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SinkBench]:
    match request.param:
        case "file":
            yield FileBench(tmp_path / "log")
        case "rsyslog, OpenSSL" | "rsyslog, GnuTLS":
            with rsyslog(tmp_path / "rsyslog", "ossl" if "OpenSSL" in request.param else "gtls") as server:
                yield SyslogBench(server)
        case "webhook":
            async for receiver in served(WebhookReceiver(secret=SECRET)):
                yield WebhookBench(receiver)
        case "otel":
            async for receiver in served(Collector(token=TOKEN)):
                yield OtelBench(receiver)
        case _:
            acks = "acks" in request.param
            async for receiver in served(Hec(token=TOKEN, acks=acks)):
                yield AckBench(receiver) if acks else SplunkBench(receiver)


async def test_a_receiver_that_is_away_for_a_while_misses_nothing(dock: Dock, bench: SinkBench) -> None:
    dock.seal(30)
    async with dock.shipping(siem=bench.build()) as part:
        await dock.shipped()
        for _ in range(2):
            await bench.stop()
            dock.seal(30)
            await dock.until(lambda: part.trouble("siem"), "it to be noticed")
            dock.seal(30)
            await dock.until(lambda: part.lag()["siem"].events >= 30, "the lag to be known")
            await bench.start()
            await dock.shipped()
    assert await numbers(bench) == list(range(1, dock.sealed + 1))


async def test_another_process_goes_on_where_the_first_was_killed(dock: Dock, bench: SinkBench) -> None:
    dock.seal(30)
    # What a killed one leaves: records that are there, and a cursor that knows nothing of it.
    first = bench.build()
    async with dock.shipping(siem=first):
        await dock.shipped()
    found = dock.cursor()
    assert found
    with dock.archive.begun() as db:
        db.exec_driver_sql("UPDATE jit_cursors SET number = 11")
    dock.seal(30)
    async with dock.shipping(siem=bench.build()):
        await dock.shipped()
    assert await numbers(bench) == list(range(1, 61))


async def shipper(dock: Dock, redis: RedisServer, bench: SinkBench, kills: int) -> asyncio.subprocess.Process:
    words = [redis.socket_url, dock.store.workspace, str(dock.home), dock.store.ring.spelled()]
    kind = next(name for name in registry.names() if registry.find(name) is bench.sink)
    words += [kind, json.dumps(dict(bench.config())), str(kills)]
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.audit.shipper", *words, cwd=_ROOT)


@pytest.mark.parametrize("bench", ["file", "rsyslog, OpenSSL", "splunk, acks"], indirect=True)
async def test_a_pump_that_is_killed_between_a_yes_and_its_cursor_repeats_and_loses_nothing(
    dock: Dock, redis: RedisServer, bench: SinkBench
) -> None:
    for kills in (1, 3, 2):
        dock.seal(30)
        process = await shipper(dock, redis, bench, kills)
        assert await process.wait() == -signal.SIGKILL
    assert len(await bench.received()) > len(await numbers(bench)), "what was not known to be taken is sent again"
    await dock.store.redis.delete(dock.store.keys.shipper)
    async with dock.shipping(siem=bench.build()):
        await dock.shipped()
    assert await numbers(bench) == list(range(1, 91))


@pytest.mark.parametrize("bench", ["file", "rsyslog, OpenSSL", "webhook"], indirect=True)
async def test_a_pump_that_is_killed_wherever_it_is_loses_nothing(
    dock: Dock, redis: RedisServer, bench: SinkBench
) -> None:
    for more in (3, 17, 42):
        dock.seal(80)
        seen = len(await bench.received())
        process = await shipper(dock, redis, bench, 0)
        async with asyncio.timeout(60):
            while len(await bench.received()) < seen + more:  # noqa: ASYNC110  # another process sends
                await asyncio.sleep(0.001)
        process.kill()
        await process.wait()
    await dock.store.redis.delete(dock.store.keys.shipper)
    async with dock.shipping(siem=bench.build()):
        await dock.shipped()
    assert await numbers(bench) == list(range(1, 241))
