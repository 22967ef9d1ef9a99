"""Peers that prove nothing hold places, seconds and bytes of a server within bounds, and keep nobody else from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot import descriptors, dropped_connections, http_server
from bot.http_connections import Bounds
from tests.test_http_server import BODY, SECRET, answer, request, signed

ROOT = Path(__file__).parents[1]
OURS, OTHER = "127.0.0.1", "127.0.0.2"
LONG = 30.0
"""Seconds after which something that must happen soon did not."""


async def become(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(LONG):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@dataclass
class Door:
    """A guarded app that is served within bounds. ``busy``: it answers nobody before ``free`` is set."""

    serving: http_server.Serving
    dropped: list[str]
    free: asyncio.Event
    begun: asyncio.Queue[int]
    peers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def peer(self, address: str = OURS, raw: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Somebody who connects, says this much, and waits."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.serving.port, local_addr=(address, 0))
        self.peers.append(writer)
        writer.write(raw)
        return reader, writer

    async def asks(self, address: str = OURS) -> int:
        """The status that a command of Slack's gets."""
        reader, writer = await self.peer(address, request(BODY, signed(BODY)))
        try:
            return (await asyncio.wait_for(answer(reader), LONG)).status
        finally:
            writer.close()

    async def have(self, count: int) -> None:
        """Wait until so many are connected."""
        await become(lambda: len(self.serving.connections) == count)


@contextlib.asynccontextmanager
async def door(most: int = 100, *, large: int = 0, busy: bool = False, **bounds: Any) -> AsyncIterator[Door]:
    free, begun, dropped = asyncio.Event(), asyncio.Queue[int](), list[str]()
    if not busy:
        free.set()

    async def app(scope: http_server.Scope, receive: http_server.Receive, send: http_server.Send) -> None:
        body = (await receive())["body"]
        begun.put_nowait(len(body))
        await free.wait()
        headers = [(b"content-length", str(large or len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(large // 2**20):
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
        await send({"type": "http.response.body", "body": b"" if large else body})

    serving = await http_server.serve(
        http_server.guard(app, SECRET), "127.0.0.1", 0, Bounds(most, **bounds), dropped.append
    )
    made = Door(serving, dropped, free, begun)
    try:
        yield made
    finally:
        free.set()
        for writer in made.peers:
            writer.transport.abort()
        await serving.stop()


async def gone(reader: asyncio.StreamReader) -> bytes:
    """What it was told until its connection ended."""
    try:
        return await asyncio.wait_for(reader.read(), LONG)
    except ConnectionError:
        return b""


# seconds


@pytest.mark.parametrize("said", [b"", b"POST /slack/events HTTP/1.1\r\nHost: jit\r\n"], ids=["nothing", "half a head"])
async def test_who_sends_no_whole_head_in_time_is_gone(said: bytes) -> None:
    async with door(head=0.2) as house:
        reader, _ = await house.peer(raw=said)
        assert await gone(reader) == b""
        await house.have(0)
        assert house.dropped == ["slow"]


@pytest.mark.parametrize("first", [True, False], ids=["the first", "the next"])
async def test_a_head_that_comes_byte_by_byte_has_the_same_time_as_any(first: bool) -> None:
    async with door(head=3.0) as house:
        reader, writer = await house.peer(raw=b"" if first else request(BODY, signed(BODY)))
        if not first:
            assert (await answer(reader)).status == 200
        ended = asyncio.create_task(gone(reader))
        for n in range(10_000):
            if ended.done():
                break
            writer.write(b"POST /slack/events HTTP/1.1\r\nX: "[n : n + 1] or b"a")
            await asyncio.wait({ended}, timeout=0.05)
        assert ended.done()
        assert n < 5000, "it is the time that ended it, not the length"
        assert house.dropped == ["slow"]


async def test_a_body_of_which_half_comes_is_told_so_and_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE", 0.2)
    async with door() as house:
        reader, _ = await house.peer(raw=request(b"", signed(BODY) | {"Content-Length": "100"}) + BODY[:10])
        assert b" 408 " in await gone(reader)
        await house.have(0)


async def test_who_never_reads_the_answer_is_gone() -> None:
    async with door(large=2**26, answer=1.0) as house:
        reader, writer = await house.peer(raw=request(BODY, signed(BODY)))
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's type of it has no reading
        await house.have(1)
        await house.have(0)
        assert house.dropped == ["slow"]
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await gone(reader)) < 2**26


async def test_the_end_is_not_held_up_by_who_proves_nothing() -> None:
    async with door() as house:
        half = request(b"", signed(BODY) | {"Content-Length": "100"}) + BODY[:10]
        peers = [await house.peer(raw=raw) for raw in (b"", half, b"POST ") * 10]
        reader, _ = await house.peer(raw=request(BODY, signed(BODY)))
        assert (await answer(reader)).status == 200
        await house.have(31)
        began = time.monotonic()
        await house.serving.stop()
        assert time.monotonic() - began < 8, "less than the time that what is in hand has"
        await asyncio.gather(*(gone(reader) for reader, _ in peers))


# places


async def test_who_comes_when_all_places_are_held_by_silent_peers_is_answered() -> None:
    async with door(20) as house:
        silent = [await house.peer(address) for address in [OURS] * 10 + [OTHER] * 10]
        await house.have(20)
        for _ in range(5):
            assert await house.asks("127.0.0.3") == 200
        assert set(house.dropped) == {"full"}
        await asyncio.gather(*(gone(reader) for reader, _ in silent[:1]))


async def test_of_one_address_half_of_all_places_may_be_taken_and_its_own_oldest_goes() -> None:
    async with door(20) as house:
        other, _ = await house.peer(OTHER)
        await house.have(1)
        silent = [await house.peer() for _ in range(30)]
        await asyncio.gather(*(gone(reader) for reader, _ in silent[:20]))
        assert house.dropped == ["address"] * 20
        assert await house.asks() == 200
        assert not other.at_eof()
        assert len(house.serving.connections) in {10, 11}


async def test_where_all_places_are_taken_the_greediest_address_gives_one() -> None:
    async with door(10) as house:
        modest = [(await house.peer(f"127.0.1.{n}"))[0] for n in range(1, 6)]
        greedy = [(await house.peer())[0] for _ in range(5)]
        await house.have(10)
        for n in range(1, 4):
            reader, _ = await house.peer(f"127.0.2.{n}", request(BODY, signed(BODY)))
            assert (await answer(reader)).status == 200
        await asyncio.gather(*(gone(reader) for reader in greedy[:3]))
        assert [reader.at_eof() for reader in modest] == [False] * 5


async def test_who_was_proven_goes_last_and_who_is_being_served_never() -> None:
    async with door(10) as house:
        reader, writer = await house.peer(raw=request(BODY, signed(BODY)))
        assert (await answer(reader)).status == 200
        for _ in range(50):
            await house.peer()
        await house.have(5)
        writer.write(request(BODY, signed(BODY)))
        assert (await answer(reader)).status == 200

    async with door(4, busy=True) as house:
        served = [await house.peer(raw=request(BODY, signed(BODY))) for _ in range(2)]
        for _ in served:
            await asyncio.wait_for(house.begun.get(), LONG)
        refused = [await house.peer() for _ in range(5)]
        await asyncio.gather(*(gone(reader) for reader, _ in refused))
        house.free.set()
        assert [(await asyncio.wait_for(answer(reader), LONG)).status for reader, _ in served] == [200, 200]


async def test_a_request_without_a_proof_is_refused_and_holds_nothing() -> None:
    async with door(8) as house:
        for _ in range(40):
            reader, _ = await house.peer(raw=request(BODY, {}))
            assert (await asyncio.wait_for(answer(reader), LONG)).status == 401
        assert await house.asks() == 200


# bytes


async def test_of_those_who_send_much_and_prove_nothing_the_greatest_goes_and_a_small_request_gets_in() -> None:
    half = request(b"", signed(BODY) | {"Content-Length": "60000"}) + bytes(50_000)
    async with door(held=200_000) as house:
        for _ in range(20):
            await house.peer(raw=half)
        await become(lambda: house.dropped.count("bytes") >= 16)
        assert await house.asks() == 200
        assert set(house.dropped) == {"bytes"}


async def test_a_head_is_bounded() -> None:
    async with door() as house:
        reader, _ = await house.peer(raw=b"POST /slack/events HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert b" 400 " in await gone(reader)


# descriptors and lines


async def test_garbage_gets_no_line_in_the_log_and_drops_get_one_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with door(8) as house:
        for raw in (b"\x16\x03\x01", b"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"\r\n" * 50) * 20:
            await house.peer(raw=raw)
        for _ in range(100):
            await house.peer()
        assert await house.asks() == 200
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert [line for line in said if "dropped connections" not in line] == []
    assert len(said) == 1


SERVER = """
import asyncio, logging, sys
from bot import http_server
from bot.http_connections import Bounds

logging.basicConfig(level=logging.INFO)

async def ready() -> None:
    return None

async def numbers() -> tuple[str, bytes]:
    return "text/plain", b""

async def main() -> None:
    # More places than descriptors, as where something else has taken them.
    serving = await http_server.serve(http_server.ops(ready, numbers), "127.0.0.1", 0, Bounds(10_000))
    print(serving.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await serving.stop()

asyncio.run(main())
"""


async def test_a_process_that_may_open_no_more_files_goes_on_and_says_so_once() -> None:
    words = ["sh", "-c", f'ulimit -n 64; exec "{sys.executable}" -c "$0"', SERVER]
    process = subprocess.Popen(  # noqa: ASYNC220  # it is there at once
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    port = int(await asyncio.to_thread(process.stdout.readline))
    writers: list[asyncio.StreamWriter] = []
    try:
        writers += [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(300)]
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(request(b"", {"Content-Length": ""}, "GET /readyz"))
            assert (await asyncio.wait_for(answer(reader), LONG)).status == 200
    finally:
        for writer in writers:
            writer.transport.abort()
        _, said = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, said
    assert "may open no more files" in said
    assert len(said.splitlines()) < 5, said


def test_a_process_raises_its_limit_and_keeps_a_reserve() -> None:
    code = "from bot import descriptors as d; import logging; logging.basicConfig(); print(d.raise_limit(), d.places())"
    for soft, hard, said, warned in (
        (256, 4096, "4096 1024", False),
        (1024, 1024, "1024 512", False),
        (100, 400, "400 100", True),
    ):
        words = ["sh", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "{sys.executable}" -c "{code}"']
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.strip() == said
        assert ("raise `ulimit -n`" in done.stderr) is warned
    assert descriptors.RESERVED + http_server.OPS_PLACES <= 1024


def test_each_reason_is_told_of_in_the_guide() -> None:
    guide = (ROOT / "bot" / "guides" / "metrics.md").read_text(encoding="utf-8")
    row = re.search(r"`jit_connections_dropped_total`.*", guide)
    assert row
    assert [reason for reason in dropped_connections.REASONS if f"`{reason}`" not in row[0]] == []
