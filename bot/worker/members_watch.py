"""Records since when people are in the approvers' groups, so that somebody new approves no critical role at once.

One worker of a workspace looks each half minute. Unknown people are new: everybody in a group that is seen for the
first time counts as a member from then on. Only at the very first look, when the archive (the audit log outside Redis)
has no event of an earlier one, people count as members since before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.access.context import AccessContext
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.queries import events_about
from bot.background import Loop
from bot.core.errors import StoreAway
from bot.core.group_members import BEFORE, GroupMembers, MembershipChanges, compare_members
from bot.core.verdict import Roster
from bot.policy import authorization
from bot.store.leader import Leader
from bot.store.workspace_values import GROUP_MEMBERS

log = logging.getLogger(__name__)

INTERVAL = 30.0
_LEASE = 90.0
_FIRST_LOOK_WAIT = 60.0
"""Seconds that the first look of all waits for groups that no directory has resolved yet."""
_MAX_NAMED = 50
"""People of a group that an audit event names; of any others it has the number."""
_RETRY = 0.2


@dataclass
class MembersWatch:
    """The loop of one worker. ``roster`` returns the groups as known now; ``archive`` opens the archive."""

    context: AccessContext
    roster: Callable[[], Awaitable[Roster]]
    archive: Callable[[], Archive]
    interval: float = INTERVAL
    seen: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set after a look at the groups, by this worker or another one."""
    _began: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        store = self.context.store
        self.leader = Leader(store, store.keys.members_turn, _LEASE)

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the groups at the interval, until ``stop`` is set."""
        try:
            await Loop("watching the approvers' groups", self.run_once, self.interval, (StoreAway, NoArchive)).run(stop)
        finally:
            await self.leader.resign()

    async def run_once(self) -> float | None:
        """Look, if this process leads. Returns the seconds until the next look; None for the interval."""
        if not await self.leader.elected():
            self.seen.set()
            return None
        watched = authorization.watched(self.context.catalog())
        if not watched or await self._look(watched):
            self.seen.set()
            return None
        return _RETRY

    async def _look(self, watched: tuple[str, ...]) -> bool:
        """Look at these groups once. Whether the store has the result; False: look again."""
        members = self.context.store.members
        before, now = await members.read()
        first_look = not before.revision and not members.doubted and await asyncio.to_thread(self._never_looked)
        roster = await self.roster()
        groups = {name: roster[name] for name in watched if name in roster}
        people = {name: group.users | group.identities for name, group in groups.items() if group.known}
        # A group without members counts as not resolved: Slack has no empty user groups.
        found = {name: who for name, who in people.items() if who}
        if first_look and len(found) < len(watched) and time.monotonic() - self._began < _FIRST_LOOK_WAIT:
            return False
        changes = compare_members(before, found, now, BEFORE if first_look else now)
        if not changes.any:
            return True
        after = GroupMembers(revision=members.next_revision, groups=changes.members)
        # Compare and set on the revision: False when another process wrote in between.
        return await members.write(after, GROUP_MEMBERS, _fields(changes, since_before=first_look), id_=GROUP_MEMBERS)

    def _never_looked(self) -> bool:
        """Whether the archive has no event of an earlier look. Raises `NoArchive`."""
        archive = self.archive()
        try:
            return not events_about(archive, self.context.store.workspace, GROUP_MEMBERS)
        finally:
            archive.close()


def _fields(changes: MembershipChanges, *, since_before: bool) -> dict[str, Any]:
    """The audit event of a look. ``since_before``: people of new groups count as members since before."""
    return {
        "by": "worker",
        "first": {name: len(changes.members[name]) for name in changes.first},
        **({"since": "before"} if since_before and changes.first else {}),
        "joined": _named(changes.joined),
        "left": _named(changes.left),
    }


def _named(people: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {
        group: [*who[:_MAX_NAMED], *([f"and {len(who) - _MAX_NAMED} more"] if len(who) > _MAX_NAMED else [])]
        for group, who in people.items()
    }
