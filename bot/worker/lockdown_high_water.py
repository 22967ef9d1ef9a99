"""The high-water marks (newest revisions) of lockdowns, delegations, approvers' groups and factors, by the archive.

If the store has an older lockdown record than its mark, everything is locked down; an older record of the others
counts as missing. The archive is the audit log outside Redis. A worker reads the marks from it before it grants
anything; while the archive does not answer, it retries each minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.queries import events_about
from bot.background import Done, Loop
from bot.core.audit_chain import AuditEntry
from bot.core.errors import StoreAway
from bot.store.factors import ID as FACTORS
from bot.store.lockdowns import ID
from bot.store.store import Store
from bot.store.workspace_values import DELEGATIONS, GROUP_MEMBERS

_INTERVAL = 60.0


@dataclass
class LockdownHighWater:
    """Raises the high-water marks of one process, not only that of lockdowns.

    ``archive`` opens the archive, which may not exist yet.
    """

    store: Store
    archive: Callable[[], Archive]

    async def run(self, stop: asyncio.Event) -> None:
        """Read until the archive has answered once; later revisions this process sees in the store."""
        expected = (StoreAway, NoArchive)
        await Loop("reading the newest revisions from the archive", self._run_once, _INTERVAL, expected).run(stop)

    async def _run_once(self) -> None:
        await self.read()
        raise Done

    async def read(self) -> None:
        """Read the archive once. Raises `NoArchive`."""
        revisions, people = await asyncio.to_thread(_archived, self.archive, self.store.workspace)
        self.store.lockdowns.at_least(revisions[ID])
        self.store.delegations.at_least(revisions[DELEGATIONS])
        self.store.members.at_least(revisions[GROUP_MEMBERS])
        self.store.factors.register.at_least(revisions[FACTORS], people)


def _archived(open_: Callable[[], Archive], workspace: str) -> tuple[dict[str, int], dict[str, int]]:
    """The newest revisions in the archive, and those of each person's factors.

    A forged newer one only takes away: it locks everything down, ends delegations, makes factors prove nothing.
    """
    archive = open_()
    try:
        ids = (ID, DELEGATIONS, GROUP_MEMBERS)
        revisions = {id_: _newest(events_about(archive, workspace, id_), "revision") for id_ in ids}
        enrolled = events_about(archive, workspace, FACTORS)
    finally:
        archive.close()
    people: dict[str, list[AuditEntry]] = {}
    for entry in enrolled:
        people.setdefault(str(_fields(entry).get("identity", "")), []).append(entry)
    revisions[FACTORS] = _newest(enrolled, "register")
    return revisions, {identity: _newest(entries, "revision") for identity, entries in people.items() if identity}


def _newest(entries: Iterable[AuditEntry], name: str) -> int:
    found = (_fields(entry).get(name) for entry in entries)
    return max((each for each in found if isinstance(each, int)), default=0)


def _fields(entry: AuditEntry) -> Mapping[str, Any]:
    try:
        fields = json.loads(entry.event)
    except ValueError:  # not written by us
        return {}
    return fields if isinstance(fields, dict) else {}
