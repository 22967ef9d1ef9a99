"""Wakes loops that wait for something to be due: on each commit, and on a keyspace notification of an expired TTL key.

A lost wakeup makes nothing late: loops sleep until the next time of the due set, which is the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot import tasks
from bot.background import Loop

_EXPIRED = "__keyevent@*__:expired"
_RECONNECT = 1.0


class Wakeups:
    """Wakes all who wait in one process."""

    def __init__(self, redis: Redis, channel: str) -> None:
        """``redis`` must be a client without a read timeout of its own; ``channel`` is the one of commits."""
        self._redis, self._channel = redis, channel
        self._waiting: set[asyncio.Event] = set()

    async def listen(self, stop: asyncio.Event) -> None:
        """Listen until told to stop, and connect again whenever the connection is lost."""
        away = (RedisError, OSError)
        await Loop("hearing what may be due", partial(self._run_once, stop), _RECONNECT, expected=away).run(stop)

    async def _run_once(self, stop: asyncio.Event) -> None:
        # The flag ends the loop. The cancellation within only ends the wait for the server, and may be lost.
        await tasks.until_stopped(asyncio.create_task(self._hear(), name="hearing wakeups"), stop)

    async def _hear(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            await pubsub.psubscribe(_EXPIRED)
            self.wake()  # after the subscription: a commit between the last look and it would otherwise be missed
            async for _ in pubsub.listen():
                self.wake()

    def wake(self) -> None:
        """Wake all who wait."""
        for event in self._waiting:
            event.set()

    def waiter(self) -> Callable[[float], Awaitable[None]]:
        """A wait of one's own: returns after so many seconds, or at the first wakeup since it last returned."""
        event = asyncio.Event()
        self._waiting.add(event)

        async def wait(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                await tasks.within(event.wait(), seconds)
            event.clear()

        return wait
