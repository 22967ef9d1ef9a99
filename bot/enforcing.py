"""While a lockdown stands, what is live under it is ended, whatever became of who declared it; it lifts nothing.

Each worker looks, so that a process which was in the middle of a grant when the lockdown came has what it opened
closed by any of them. A worker that starts asks the archive what it knows of lockdowns, before it opens anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.core.errors import NotFound, StoreAway, Tampered
from bot.core.events import Withdrawn
from bot.core.lockdown import Lock
from bot.core.model import Ending, Request
from bot.desk import Desk
from bot.record.archive import Archive, NoArchive
from bot.record.seals import Entry
from bot.record.search import noted
from bot.stopping import LIVE
from bot.store.lockdowns import ID

log = logging.getLogger(__name__)

_PACE = 1.0
"""Seconds between two looks while one stands; a new one is looked at as soon as it is heard of."""
_REMEMBER_AGAIN = 60.0
_SEAL_AFTER = 3600.0
"""Seconds that a process has run before it seals with its own key: until then others may have only the old one."""


@dataclass
class Enforcing:
    """Ends what lockdowns end. ``wait``: see `Worker`; ``archive`` opens the archive, which may not be there yet."""

    desk: Desk
    wait: Callable[[float], Awaitable[None]]
    archive: Callable[[], Archive] | None = None
    _remembered: bool = field(default=False, init=False)
    _asked_at: float = field(default=-1e9, init=False)
    _looked_at: float = field(default=-1e9, init=False)
    _revision: int = field(default=-1, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _sealed: bool = field(default=False, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Enforce until told to stop."""
        while not stop.is_set():
            try:
                await self._beat()
            except StoreAway as error:
                log.warning("the store is away, no lockdown can be seen: %s", error)
            except Exception:
                log.exception("what a lockdown ends could not be ended; it is tried again")
            await self.wait(_PACE)

    async def _beat(self) -> None:
        now = time.monotonic()
        if not self._remembered and now - self._asked_at > _REMEMBER_AGAIN:
            await self.remember()
        if not self._sealed and now - self._began > _SEAL_AFTER:
            await self.desk.store.lockdowns.seal_anew()
            self._sealed = True
        standing = await self.desk.store.lockdowns.read()
        new = standing.revision != self._revision
        self._revision = standing.revision
        if standing.locks and (new or now - self._looked_at >= _PACE):
            self._looked_at = now
            await self.enforce()

    async def enforce(self) -> int:
        """End all that is live where a lockdown stands. How many were ended."""
        standing, ended = await self.desk.store.lockdowns.read(), 0
        for loaded in await self.desk.store.open_at_all() if standing.locks else ():
            request = loaded.request
            locks = standing.over(leg.role.system for leg in request.legs)
            if locks and request.state in LIVE and await self._end(request, locks[0]):
                ended += 1
        if ended:
            log.warning("%s live requests are ended: a lockdown stands", ended)
        return ended

    async def _end(self, request: Request, lock: Lock) -> bool:
        reason = f"lockdown by {lock.operator.name}: {lock.reason}"
        while request.state in LIVE:
            at = await self.desk.store.now()
            event = Withdrawn(at=at, by="worker", ending=Ending.REVOKED, reason=reason)
            if await self.desk.step(None, request, event):
                return True
            try:
                request = (await self.desk.get(request.id)).request
            except (NotFound, Tampered):  # told elsewhere
                return False
        return False

    async def remember(self) -> None:
        """Ask the archive for the last lockdown that it knows of: an older one in the store is a doubt."""
        self._asked_at = time.monotonic()
        if self.archive is None:
            self._remembered = True
            return
        try:
            revision = await asyncio.to_thread(_archived, self.archive, self.desk.store.workspace)
        except NoArchive as error:
            log.info("whether there was a lockdown is not known from the archive yet: %s", error)
            return
        self.desk.store.lockdowns.at_least(revision)
        self._remembered = True


def _archived(open_: Callable[[], Archive], workspace: str) -> int:
    """The highest revision that the archive tells of: whoever makes up a higher one only has all stopped."""
    archive = open_()
    try:
        return max((_revision(entry) for entry in noted(archive, workspace, ID)), default=0)
    finally:
        archive.close()


def _revision(entry: Entry) -> int:
    try:
        said = json.loads(entry.event)
    except ValueError:  # somebody else wrote it
        return 0
    revision = said.get("revision") if isinstance(said, dict) else None
    return revision if isinstance(revision, int) else 0
