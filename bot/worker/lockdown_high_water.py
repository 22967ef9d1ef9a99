"""The high-water marks (newest revisions) of the lockdowns, the delegations and the approvers' groups, by the archive.

If the store has an older lockdown record than its mark, everything is locked down; an older record of the others
counts as missing. The archive is the audit log outside Redis. A worker reads the marks from it before it grants
anything; while the archive does not answer, it retries each minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.queries import events_about
from bot.background import Done, Loop
from bot.core.audit_chain import AuditEntry
from bot.core.errors import StoreAway
from bot.store.lockdowns import ID
from bot.store.store import Store
from bot.store.workspace_values import DELEGATIONS, GROUP_MEMBERS

_INTERVAL = 60.0


@dataclass
class LockdownHighWater:
    """Raises the high-water marks of one process. ``archive`` opens the archive, which may not exist yet."""

    store: Store
    archive: Callable[[], Archive]

    async def run(self, stop: asyncio.Event) -> None:
        """Read until the archive has answered once; later revisions this process sees in the store."""
        expected = (StoreAway, NoArchive)
        await Loop("reading the last lockdown from the archive", self._run_once, _INTERVAL, expected).run(stop)

    async def _run_once(self) -> None:
        await self.read()
        raise Done

    async def read(self) -> None:
        """Read the archive once. Raises `NoArchive`."""
        revisions = await asyncio.to_thread(_archived, self.archive, self.store.workspace)
        self.store.lockdowns.at_least(revisions[ID])
        self.store.delegations.at_least(revisions[DELEGATIONS])
        self.store.members.at_least(revisions[GROUP_MEMBERS])


def _archived(open_: Callable[[], Archive], workspace: str) -> dict[str, int]:
    """The newest revisions in the archive. A forged newer one only locks everything down, or ends delegations."""
    archive = open_()
    try:
        ids = (ID, DELEGATIONS, GROUP_MEMBERS)
        return {id_: max(map(_revision, events_about(archive, workspace, id_)), default=0) for id_ in ids}
    finally:
        archive.close()


def _revision(entry: AuditEntry) -> int:
    try:
        fields = json.loads(entry.event)
    except ValueError:  # not written by us
        return 0
    revision = fields.get("revision") if isinstance(fields, dict) else None
    return revision if isinstance(revision, int) else 0
