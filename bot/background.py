"""The one background loop: runs a job again and again until a stop event, and never cancels a run.

It is not part of `bot.worker`: the audit log and the announcer, which import no worker, run on it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot import tasks
from bot.core.errors import StoreAway

log = logging.getLogger(__name__)

_RESTART = 1.0

RunOnce = Callable[[], Awaitable[float | None]]
"""Runs the job once. Returns the seconds until the next run is due, or None for the loop's own interval."""
Wait = Callable[[float], Awaitable[None]]
"""Returns after so many seconds, or sooner when there may be something to do."""
Run = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""


class Done(Exception):
    """Raised by a run that was the last one."""


@dataclass
class Loop:
    """Runs a job, ``interval`` seconds apart; ``job`` is its name in the log.

    A run that fails is retried after a pause that doubles up to ``longest`` seconds (0: after the interval). The reason
    is logged once, until there is another reason or a run succeeds; with a trace if the error is not ``expected``.
    """

    job: str
    run_once: RunOnce
    interval: float
    expected: tuple[type[Exception], ...] = (StoreAway,)
    longest: float = 0.0
    level: int = logging.WARNING
    wait: Wait | None = None
    complaint: str = field(default="", init=False)
    """Why the last run failed; empty if it succeeded."""
    _failures: int = field(default=0, init=False)
    _done: bool = field(default=False, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; the current run is finished first."""
        while not (stop.is_set() or self._done):
            seconds = await self.once()
            if self.wait is None:
                await paused(stop, seconds)
            else:
                await tasks.until_stopped(asyncio.ensure_future(_waited(self.wait, seconds)), stop)

    async def once(self) -> float:
        """Run the job once and log a failure. Returns the seconds until the next run is due."""
        try:
            seconds = await self.run_once()
        except Done:
            self._done, seconds = True, 0.0
        except self.expected as error:
            return self._failed(str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001  # nothing else starts the next run
            return self._failed(f"{type(error).__name__}: {error}", error)
        if self.complaint:
            log.info("%s works again", self.job)
        self.complaint, self._failures = "", 0
        return self.interval if seconds is None else seconds

    def _failed(self, why: str, trace: Exception | None = None) -> float:
        if why != self.complaint:
            log.log(
                logging.ERROR if trace else self.level,
                "%s failed, it is tried again: %s",
                self.job,
                why,
                exc_info=trace,
            )
        self.complaint = why
        self._failures += 1
        return max(self.interval, min(self.interval * 2.0 ** min(self._failures, 20), self.longest))


async def _waited(wait: Wait, seconds: float) -> None:
    await wait(seconds)


async def paused(stop: asyncio.Event, seconds: float) -> bool:
    """Let the seconds pass, or fewer where the event is set. Whether it is."""
    with contextlib.suppress(TimeoutError):
        await tasks.within(stop.wait(), seconds)
    return stop.is_set()


async def restarted(name: str, run: Run, stop: asyncio.Event) -> None:
    """Run a part; one that breaks outside of its turns is begun again, and takes down no other part."""
    while not stop.is_set():
        try:
            await run(stop)
        except Exception as error:
            log.critical("%s broke, and is begun again: %s", name, error, exc_info=error)
            await paused(stop, _RESTART)
        else:
            return
