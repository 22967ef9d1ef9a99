"""The high-water mark (newest revision) of the lockdown record, from the archive: an older one in the store locks down.

The archive is the audit log outside Redis. A worker reads the mark from it before it grants anything; while the archive
does not answer, it retries each minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.queries import noted
from bot.background import Done, Loop
from bot.core.audit_chain import AuditEntry
from bot.core.errors import StoreAway
from bot.store.lockdowns import ID
from bot.store.store import Store

_PACE = 60.0


@dataclass
class LockdownHighWater:
    """Raises the high-water mark of one process. ``archive`` opens the archive, which may not exist yet."""

    store: Store
    archive: Callable[[], Archive]

    async def run(self, stop: asyncio.Event) -> None:
        """Read until the archive has answered once: of later lockdowns this process learns from the store."""
        expected = (StoreAway, NoArchive)
        await Loop("reading the last lockdown from the archive", self._turn, _PACE, expected).run(stop)

    async def _turn(self) -> None:
        await self.read()
        raise Done

    async def read(self) -> None:
        """Read the archive once. Raises `NoArchive`."""
        revision = await asyncio.to_thread(_archived, self.archive, self.store.workspace)
        self.store.lockdowns.at_least(revision)


def _archived(open_: Callable[[], Archive], workspace: str) -> int:
    """The newest revision in the archive. A forged newer one only locks everything down."""
    archive = open_()
    try:
        return max((_revision(entry) for entry in noted(archive, workspace, ID)), default=0)
    finally:
        archive.close()


def _revision(entry: AuditEntry) -> int:
    try:
        said = json.loads(entry.event)
    except ValueError:  # not written by us
        return 0
    revision = said.get("revision") if isinstance(said, dict) else None
    return revision if isinstance(revision, int) else 0
