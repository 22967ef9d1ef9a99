"""What goes on after Slack was answered, since it takes longer than the three seconds: bounded, and ended with us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot import tasks

log = logging.getLogger(__name__)

_GRACE = 5.0
"""Seconds that what is in hand may take at the end."""


class BackgroundTasks:
    """Tasks that outlive the answer to Slack."""

    def __init__(self) -> None:
        """None yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin it; it words its own errors, so that one that gets here is a fault of ours, and only logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Let it finish for a while, and then no more."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_GRACE)
            await tasks.end(left)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s broke: %s", task.get_name(), error, exc_info=error)
