"""Ends live requests while a lockdown is in force, even if the process that declared it has died; it lifts nothing.

Every worker does so, without a leader: a grant that was in flight when the lockdown was declared may complete after
a pass, and the next pass of any worker ends it. A request is live while it is being granted or
active; a leg is one role of a request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.access.context import AccessContext
from bot.access.revoke import LIVE
from bot.background import Loop
from bot.core.errors import NotFound, Tampered
from bot.core.events import EndedEarly
from bot.core.lockdown import Lock
from bot.core.request import Ending, Request

log = logging.getLogger(__name__)

_INTERVAL = 1.0
"""Seconds between two passes while a lockdown is in force; a new lockdown is enforced as soon as it is read."""


@dataclass
class LockdownEnforcer:
    """Ends the requests that a lockdown covers. ``wait`` returns after so many seconds, or sooner."""

    context: AccessContext
    wait: Callable[[float], Awaitable[None]]
    _last_pass_at: float = field(default=-1e9, init=False)
    _revision: int = field(default=-1, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Enforce until ``stop`` is set."""
        await Loop("enforcing lockdowns", self._run_once, _INTERVAL, wait=self.wait).run(stop)

    async def _run_once(self) -> None:
        lockdowns = await self.context.store.lockdowns.read()
        # Each commit and each due time wakes this loop: without a new revision it waits for the interval all the same.
        new = lockdowns.revision != self._revision
        self._revision = lockdowns.revision
        if lockdowns.locks and (new or time.monotonic() - self._last_pass_at >= _INTERVAL):
            self._last_pass_at = time.monotonic()
            await self.enforce()

    async def enforce(self) -> int:
        """End every live request that a lockdown covers; returns how many."""
        lockdowns, ended = await self.context.store.lockdowns.read(), 0
        for loaded in await self.context.store.open_at_all() if lockdowns.locks else ():
            request = loaded.request
            locks = lockdowns.over(leg.role.system for leg in request.legs)
            if locks and request.state in LIVE and await self._end(request, locks[0]):
                ended += 1
        if ended:
            log.warning("%s live requests are ended: a lockdown is in force", ended)
        return ended

    async def _end(self, request: Request, lock: Lock) -> bool:
        reason = f"lockdown by {lock.operator.name}: {lock.reason}"
        while request.state in LIVE:
            at = await self.context.store.now()
            event = EndedEarly(at=at, by="worker", ending=Ending.REVOKED, reason=reason)
            if await self.context.commit(None, request, event):
                return True
            # Another commit came first: check the newer version.
            try:
                request = (await self.context.find_by_id(request.id)).request
            except (NotFound, Tampered):  # the worker raises the alarm
                return False
        return False
