"""The store's time, which a monotonic clock continues between two reads, and the scheduler of recurring jobs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.background import Loop
from bot.core.errors import StoreAway

log = logging.getLogger(__name__)

_READ_INTERVAL = 5.0
"""Seconds between two reads of the store's time: a machine that slept is behind for that long at most."""
MAX_SKEW = 2.0
"""Seconds by which the host's clock may differ from the store's before it is logged."""


class StoreClock:
    """The store's time; between two reads this process' monotonic clock continues it.

    Setting the host's clock does not change it. ``ask`` returns Redis' time and raises `StoreAway`; ``stepped`` is
    called when the host's clock was set since the last read.
    """

    def __init__(self, ask: Callable[[], Awaitable[float]], stepped: Callable[[], None] = lambda: None) -> None:
        """Until the first read it is the host's time."""
        self._ask, self._stepped = ask, stepped
        self._store_time, self._read_at = time.time(), time.monotonic()
        self._skew: float | None = None

    def now(self) -> float:
        """Unix seconds."""
        return self._store_time + time.monotonic() - self._read_at

    async def refresh(self) -> None:
        """Read the store's time. While the store is away, the monotonic clock alone carries on."""
        before = time.monotonic()
        with contextlib.suppress(StoreAway):
            store_time = await self._ask()
            self._read_at = (before + time.monotonic()) / 2
            self._store_time = store_time
        self._log_skew(time.time() - self.now())

    async def run(self, stop: asyncio.Event) -> None:
        """Read it repeatedly until ``stop`` is set."""
        await Loop("asking for the store's time", self.refresh, _READ_INTERVAL).run(stop)

    def _log_skew(self, skew: float) -> None:
        """Log when the host's clock is off, or was set, by more than network delay explains."""
        was, self._skew = self._skew, skew
        was_set = was is not None and abs(skew - was) >= MAX_SKEW
        if was_set:
            self._stepped()
        if abs(skew) >= MAX_SKEW and (was_set or was is None or abs(was) < MAX_SKEW):
            way = "ahead of" if skew > 0 else "behind"
            log.error("this machine's clock is %.0f s %s the store's, which is what counts: set it", abs(skew), way)


def new_scheduler() -> AsyncIOScheduler:
    """A scheduler of this process alone: it stores nothing, and runs a job once for all its missed runs."""
    defaults = {"coalesce": True, "misfire_grace_time": 3600, "max_instances": 1}
    return AsyncIOScheduler(job_defaults=defaults)


def tick_now(scheduler: AsyncIOScheduler) -> None:
    """Run interval jobs now and count from now: their next runs were set by a host clock that was changed since."""
    for job in scheduler.get_jobs():
        if isinstance(job.trigger, IntervalTrigger):
            job.modify(next_run_time=dt.datetime.now(scheduler.timezone))
