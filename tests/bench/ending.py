"""Deadline → revoke started with many live grants, as many due at one instant, and a worker that has nothing to do.

Beside it, keyspace notifications alone: how late Redis tells that as many TTL keys lapsed among as many others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bot.core.events import EVENT
from bot.playground import LocalSlack
from bot.store.indexes.exposure import ExposureIndex
from bot.store.store import Store
from tests.bench.acknowledging import environment
from tests.bench.granting import RING, WORKSPACE, fill
from tests.bench.printing import Row, progress
from tests.bench.starting import ready
from tests.house import POLICY, House
from tests.servers import RedisServer, free_port, program

WORKERS = 3
_APART = 500
"""Grants that end one by one, over so many seconds:"""
_OVER = 10.0
_INTERVAL = 0.02
"""Seconds that making a live grant takes at most; known better when some were made."""
_PATIENCE = 20.0
"""Seconds after the last deadline for which an `access_expired` event is waited for."""
_SETTLING, _IDLE = 5.0, 20.0
"""Seconds after its start in which a process may be busy, and over which it is watched then."""


async def measure(server: RedisServer, beside: RedisServer, live: int, at_once: int) -> AsyncGenerator[Row, None]:
    """The rows of the table. ``beside``: a server for the TTL keys alone; ``at_once``: due at one instant."""
    many = f"{live:,} live"
    async with Redis.from_url(server.socket_url) as client, Redis.from_url(beside.socket_url) as other:
        house, told = await House(Store(client, WORKSPACE, RING)).open(), Lapses(other)
        # As the first worker of a store does at its start.
        await ExposureIndex(house.store).build(house.store.now)
        progress(f"making {live:,} live grants")
        await told.fill(live)
        await fill(house, live)
        with tempfile.TemporaryDirectory() as home:
            shift = Shift(server, house, told, Path(home))
            progress(f"{_APART} end one by one")
            apart = await shift.closed([random.uniform(0, _OVER) for _ in range(_APART)])
            what = f"deadline → revoke started, {many}, {WORKERS} workers, p50 / p99"
            yield what, apart.shown, "p99 under 50 ms"
            yield "beside it, `access_expired` events alone, p50 / p99", apart.told, ""
            progress(f"{at_once:,} end at one instant")
            instant = await shift.closed([n / 1e6 for n in range(at_once)])
            yield f"{at_once:,} due at one instant, closed and read back, a second", f"{instant.rate:,.0f}", "1,000"
            yield "processor time a close, all workers / Redis", instant.cost, ""
            yield "their deadline → revoke started, first / p50 / last", instant.span, ""
            yield "their order: places overtaken, at most", f"{instant.overtaken:,}", "oldest first"
            yield "beside it, `access_expired` events alone, p50 / p99", instant.told, ""
            progress("a worker with nothing to do")
            yield f"CPU of an idle worker process, {many}", f"{await shift.idle():.1f} %", "under 2 %"
            yield "of it, waiting for the next deadline", f"{await shift.idle_alone():.1f} %", ""


@dataclass(frozen=True)
class Closing:
    """Grants that came to their end. ``late`` and ``heard``: seconds after it; ``order`` by deadline, as started.

    ``workers``, ``redis``: seconds of processor time that they took from the first deadline to the last read-back.
    """

    count: int
    late: list[float]
    order: list[int]
    heard: list[float]
    seconds: float
    workers: float
    redis: float

    @property
    def cost(self) -> str:
        """The processor time of one close: so many closes a second keep one core busy."""
        ours, theirs = (1000 * spent / self.count for spent in (self.workers, self.redis))
        return f"{ours:.2f} / {theirs:.2f} ms, {1000 / (ours + theirs):,.0f} a second a core"

    @property
    def rate(self) -> float:
        """How many were closed a second, from the first deadline to the last read-back."""
        return self.count / self.seconds

    @property
    def shown(self) -> str:
        """How late the revokes were started."""
        return f"{_at(self.late, 50) * 1000:.1f} / {_at(self.late, 99) * 1000:.1f} ms"

    @property
    def told(self) -> str:
        """How late the events came, and how many came at all before nobody waited any more."""
        if not self.heard:
            return f"none of {self.count:,} in {_PATIENCE:.0f} s"
        figures = f"{_at(self.heard, 50):.1f} / {_at(self.heard, 99):.1f} s"
        return f"{figures}, {len(self.heard):,} of {self.count:,} in {_PATIENCE:.0f} s"

    @property
    def span(self) -> str:
        """When the first, the one in the middle and the last were started."""
        late = sorted(self.late)
        return " / ".join(f"{late[n]:.2f}" for n in (0, len(late) // 2, -1)) + " s"

    @property
    def overtaken(self) -> int:
        """By how many places the order differs from that of the deadlines."""
        return max(abs(n - place) for n, place in enumerate(self.order))


class Lapses:
    """TTL keys in a server of their own, and what it says of their end."""

    def __init__(self, redis: Redis) -> None:
        """Nothing is sent."""
        self._redis, self._runs = redis, 0

    async def fill(self, live: int) -> None:
        """So many keys that lapse in an hour."""
        for first in range(0, live, 10_000):
            async with self._redis.pipeline(transaction=False) as pipe:
                for n in range(first, min(live, first + 10_000)):
                    pipe.set(f"live::{n}", "1", ex=3600)
                await pipe.execute()

    async def heard(self, ends: Sequence[float]) -> list[float]:
        """How late the end of each of so many keys is told; those that are not told in time are left out."""
        self._runs += 1
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe("__keyevent@*__:expired")
            async with self._redis.pipeline(transaction=False) as pipe:
                for n, at in enumerate(ends):
                    pipe.set(f"due:{self._runs}:{n}", "1", pxat=int(at * 1000) + 1)
                await pipe.execute()
            late: list[float] = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(ends) - time.time() + _PATIENCE):
                    async for message in pubsub.listen():
                        late += self._late(message, ends)
                        if len(late) == len(ends):
                            break
        return late

    def _late(self, message: Mapping[str, Any], ends: Sequence[float]) -> list[float]:
        """How late an event of this run is; nothing for another."""
        if message["type"] != "pmessage":
            return []
        _, run, n = message["data"].decode().split(":")
        return [time.time() - ends[int(n)]] if run == str(self._runs) else []


@dataclass
class Shift:
    """Worker processes over grants that come to their end. ``home``: a directory for what they write down."""

    server: RedisServer
    house: House
    told: Lapses
    home: Path
    interval: float = _INTERVAL

    async def closed(self, offsets: Sequence[float]) -> Closing:
        """Let so many grants end, each so many seconds after one moment, with the workers there."""
        redis, keys = self.house.store.redis, self.house.store.keys
        others = await redis.zcard(keys.due)
        async with self._working() as (diaries, workers):
            began = time.time()
            begin = began + 2 + len(offsets) * self.interval
            ends = [begin + offset for offset in offsets]
            hearing = asyncio.create_task(self.told.heard(ends))
            due = await fill(self.house, len(ends), ends)
            made = time.time()
            self.interval = 2 * (made - began) / len(ends)
            await asyncio.sleep(begin - time.time())
            spent = [_busy(worker) for worker in (*workers, self.server.process.pid)]
            await self._over(others)
            spent = [_busy(w) - s for w, s in zip((*workers, self.server.process.pid), spent, strict=True)]
            heard = await hearing
            last: Any = await redis.xrevrange(keys.audit, count=1)
        started = _started(diaries, due)
        if min(due.values()) < made:
            raise RuntimeError("this machine is too slow to make the grants before they end")
        places = {id_: n for n, id_ in enumerate(sorted(due, key=due.__getitem__))}
        return Closing(
            count=len(ends),
            late=[at - due[id_] for id_, at in started.items()],
            order=[places[id_] for id_ in sorted(started, key=started.__getitem__)],
            heard=heard,
            seconds=EVENT.validate_json(last[0][1][b"event"]).at - begin,
            workers=sum(spent[:-1]),
            redis=spent[-1],
        )

    async def _over(self, others: int) -> None:
        """Wait until none but the others is due any more."""
        redis, due = self.house.store.redis, self.house.store.keys.due
        async with asyncio.timeout(300):
            while await redis.zcard(due) > others:  # noqa: ASYNC110  # other processes change it
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[tuple[list[Path], list[int]]]:
        """The workers' diaries, which are there when they have ended, and their process ids."""
        diaries = [self.home / f"diary{n}" for n in range(WORKERS)]
        log = self.home / "output"
        words = [(self.server.socket_url, str(diary)) for diary in diaries]
        processes = [program("tests.bench.closer", *each, log=log) for each in words]
        try:
            await self._heard_of(len(processes))
            yield diaries, [process.pid for process in processes]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
                process.wait()

    async def _heard_of(self, count: int) -> None:
        """Wait until so many listen for commits."""
        async with asyncio.timeout(30):
            while await self._listeners() < count:  # noqa: ASYNC110  # other processes change it
                await asyncio.sleep(0.05)

    async def _listeners(self) -> int:
        [(_, count)] = await self.house.store.redis.pubsub_numsub(self.house.store.keys.wake)
        return int(count)

    async def idle_alone(self) -> float:
        """How busy the part is that waits for the next deadline, in percent of one processor."""
        process = program(
            "tests.bench.closer", self.server.socket_url, str(self.home / "idle"), log=self.home / "output"
        )
        try:
            await self._heard_of(1)
            return await _watched(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    async def idle(self) -> float:
        """How busy a whole worker process is that has nothing to do, in percent of one processor.

        It serves another system than the one that the grants are on: comparing that one with the books is work.
        """
        keys = self.house.store.keys
        await self.house.store.redis.delete(keys.audit, keys.seq, keys.outbox, keys.rows)
        async with LocalSlack(team=WORKSPACE) as slack:
            ops, log = free_port(), self.home / "output"
            env = environment(slack, self.server, self.home, free_port(), ops)
            (self.home / "jit.yaml").write_text(POLICY.replace("vault:", "cellar:").replace("vault/", "cellar/"))
            words = ("run", "--role", "worker")
            process = program("bot", *words, log=log, **{**env, "JIT_KEYS": RING.spelled(), "JIT_HOME": str(self.home)})
            try:
                await ready(f"http://127.0.0.1:{ops}/readyz")
                return await _watched(process)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()


def _started(diaries: Sequence[Path], due: Mapping[str, float]) -> dict[str, float]:
    """When each was first told to close."""
    lines = [line.split() for diary in diaries for line in diary.read_text().splitlines()]
    started: dict[str, float] = {}
    for id_, at in lines:
        if id_ in due:
            started[id_] = min(float(at), started.get(id_, float(at)))
    return started


async def _watched(process: subprocess.Popen[bytes]) -> float:
    """How busy it is once it has settled, in percent of one processor."""
    await asyncio.sleep(_SETTLING)
    before = _busy(process.pid)
    await asyncio.sleep(_IDLE)
    return (_busy(process.pid) - before) / _IDLE * 100


def _busy(process: int) -> float:
    """The seconds of processor time that a process has had (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _at(taken: Sequence[float], percent: int) -> float:
    return sorted(taken)[min(len(taken) - 1, len(taken) * percent // 100)]
