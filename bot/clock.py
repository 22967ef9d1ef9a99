"""Sleeps until something may be due, or a hint says so, and tells the store's time; it trusts no host's clock.

A hint that is lost makes nothing late. Hints are a publish of each commit and, where the server sends them, the
lapse of a TTL key. The truth is the due set: whoever waits here looks there.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.core.errors import StoreAway

log = logging.getLogger(__name__)

_LAPSED = "__keyevent@*__:expired"
_RECONNECT = 1.0
_ASK_TIME = 5.0
"""Seconds between two questions for the store's time: a machine that slept is behind for as long at most."""
MOST_OFF = 2.0
"""Seconds by which the host's clock may differ from the store's before it is said."""


class Hints:
    """Wakes all who wait when the store hints that something may be due."""

    def __init__(self, redis: Redis, wake: str) -> None:
        """``redis`` must be a client without a read timeout of its own; ``wake`` is the channel of commits."""
        self._redis, self._wake = redis, wake
        self._waiting: set[asyncio.Event] = set()

    async def listen(self) -> None:
        """Listen until cancelled, and connect again whenever the connection is lost."""
        while True:
            try:
                await self._hear()
            except (RedisError, OSError) as error:
                log.warning("no hints for now, deadlines are kept without them: %s", type(error).__name__)
            await asyncio.sleep(_RECONNECT)

    async def _hear(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._wake)
            await pubsub.psubscribe(_LAPSED)
            self.hint()  # whatever was published while nobody listened
            async for _ in pubsub.listen():
                self.hint()

    def hint(self) -> None:
        """Wake all who wait."""
        for event in self._waiting:
            event.set()

    def waiter(self) -> Callable[[float], Awaitable[None]]:
        """A wait of one's own: returns after so many seconds, or at the first hint since it last returned."""
        event = asyncio.Event()
        self._waiting.add(event)

        async def wait(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
            event.clear()

        return wait


class StoreTime:
    """The store's time between two questions for it, carried on by this process' steady clock.

    A host clock that is put forward or back changes nothing about it. ``ask`` answers Redis' time and raises
    `StoreAway`; ``stepped`` is called when the host's clock was put since the last answer.
    """

    def __init__(self, ask: Callable[[], Awaitable[float]], stepped: Callable[[], None] = lambda: None) -> None:
        """Until the first answer it is the host's."""
        self._ask, self._stepped = ask, stepped
        self._told, self._at = time.time(), time.monotonic()
        self._ahead: float | None = None

    def now(self) -> float:
        """Unix seconds."""
        return self._told + time.monotonic() - self._at

    async def refresh(self) -> None:
        """Ask the store. While it is away, the steady clock alone carries on."""
        before = time.monotonic()
        with contextlib.suppress(StoreAway):
            told = await self._ask()
            self._at = (before + time.monotonic()) / 2
            self._told = told
        self._notice(time.time() - self.now())

    async def keep(self, stop: asyncio.Event) -> None:
        """Ask again and again until told to stop."""
        while not stop.is_set():
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _ASK_TIME)

    def _notice(self, ahead: float) -> None:
        """Say it when the host's clock is off, or was put, by what no network explains."""
        was, self._ahead = self._ahead, ahead
        put = was is not None and abs(ahead - was) >= MOST_OFF
        if put:
            self._stepped()
        if abs(ahead) >= MOST_OFF and (put or was is None or abs(was) < MOST_OFF):
            way = "ahead of" if ahead > 0 else "behind"
            log.error("this machine's clock is %.0f s %s the store's, which is what counts: set it", abs(ahead), way)


def ticks() -> AsyncIOScheduler:
    """A scheduler that only ticks in this process: it stores nothing, and a missed tick is made up once."""
    defaults = {"coalesce": True, "misfire_grace_time": 3600, "max_instances": 1}
    return AsyncIOScheduler(job_defaults=defaults)


def anew(scheduler: AsyncIOScheduler) -> None:
    """Have what ticks every so many seconds tick at once, and from then on: it counts by a clock that was put."""
    for job in scheduler.get_jobs():
        if isinstance(job.trigger, IntervalTrigger):
            job.modify(next_run_time=dt.datetime.now(scheduler.timezone))
