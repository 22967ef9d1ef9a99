"""Ends tasks, and calls that take too long. Every task of ours that is cancelled is cancelled here.

A cancellation is a request, and can be lost: on Python 3.11 `asyncio.wait_for` swallows one that comes at the moment at
which what it waits for is done. So we call `within` instead, and a task is asked more than once: a library may not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds after which a task that does not end is left behind: nothing may keep a process from ending."""
_AGAIN = 0.5


async def within(call: Awaitable[T], seconds: float) -> T:
    """What the call answers in so many seconds. Raises `TimeoutError`; no cancellation is lost."""
    async with asyncio.timeout(seconds):
        return await call


async def end(tasks: Collection[asyncio.Task[Any]], within: float = PATIENCE) -> None:
    """Cancel the tasks, again until they hear it, and wait for them; what does not end in time is named in the log.

    Their errors are theirs: none is raised here.
    """
    loop = asyncio.get_running_loop()
    left, until = {task for task in tasks if not task.done()}, loop.time() + within
    turns = 0
    while left and (remaining := until - loop.time()) > 0:
        turns += 1
        for _ in range(turns):
            for task in left:
                task.cancel()
            # A task in a tight loop may be met at the same deaf moment each time: later rounds ask on several turns.
            await asyncio.sleep(0)
        _, left = await asyncio.wait(left, timeout=min(_AGAIN, remaining))
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten
    for task in left:
        log.error("%s does not end; it is left behind", task.get_name())


async def until_stopped(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    """Wait until the task is done, whose error is raised, or ``stop`` is set; then it is ended."""
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        await end((task, stopping))
