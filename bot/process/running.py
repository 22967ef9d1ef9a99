"""Starts the parts of a process as tasks, and ends them by their stop event, in the reverse order of their start."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from bot import tasks
from bot.background import Run

GRACE = 25.0
"""Seconds that what is in hand may take at the end, under the 30 that most hosts give."""
START_WITHIN = 2.0
"""Seconds for which a start waits for something that can be made up for later: revoking on time waits for nothing."""


def start(
    stack: contextlib.AsyncExitStack, wake: Callable[[], None], runs: Mapping[str, Run]
) -> dict[str, asyncio.Task[None]]:
    """Start parts that end together, when the stack is unwound. ``wake`` ends the waits that know no stop event."""
    stop = asyncio.Event()
    started = {name: asyncio.create_task(_run(run, stop), name=name) for name, run in runs.items()}
    stack.push_async_callback(_finish, set(started.values()), stop, wake)
    return started


async def _run(run: Run, stop: asyncio.Event) -> None:
    await run(stop)


async def _finish(parts: set[asyncio.Task[None]], stop: asyncio.Event, wake: Callable[[], None]) -> None:
    """Tell the parts to stop, all at once, and wait for what they have in hand."""
    stop.set()
    wake()
    _, unfinished = await asyncio.wait(parts, timeout=GRACE)
    await tasks.end(unfinished)
