"""Sleeps until something may be due, or until a hint says so; a hint that is lost makes nothing late.

Hints are a publish of each commit and, where the server sends them, the lapse of a TTL key. The truth is the
due set: whoever waits here looks there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_LAPSED = "__keyevent@*__:expired"
_RECONNECT = 1.0


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


def ticks() -> AsyncIOScheduler:
    """A scheduler that only ticks in this process: it stores nothing, and a missed tick is made up once."""
    defaults = {"coalesce": True, "misfire_grace_time": 3600, "max_instances": 1}
    return AsyncIOScheduler(job_defaults=defaults)
