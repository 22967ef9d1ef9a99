"""Keeps since when people are in the approvers' groups, so that somebody new approves no critical role at once.

One worker of a workspace looks each half minute. What nobody has kept before is new: everybody in a group that is
seen for the first time counts from then on. Only where the archive (the audit log outside Redis) shows that no
workspace of this name was ever looked at, its people are taken to have been there before.
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
from bot.audit.archive.queries import noted
from bot.background import Loop
from bot.core.errors import StoreAway
from bot.core.group_members import BEFORE, GroupMembers, Look, looked
from bot.core.verdict import Roster
from bot.policy import authorization
from bot.store.leader import Leader
from bot.store.workspace_values import GROUP_MEMBERS

log = logging.getLogger(__name__)

PACE = 30.0
_LEASE = 90.0
_WHOLE_WITHIN = 60.0
"""Seconds that the first look of all waits for groups that a directory does not tell yet."""
_MOST_NAMED = 50
"""People of a group that an audit event names; of more, it says how many."""
_AGAIN = 0.2


@dataclass
class MembersWatch:
    """The loop of one worker. ``roster``: the groups as they are known now. ``archive`` opens the archive."""

    context: AccessContext
    roster: Callable[[], Awaitable[Roster]]
    archive: Callable[[], Archive]
    pace: float = PACE
    seen: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once the groups were looked at, by this worker or another one."""
    _began: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        store = self.context.store
        self.leader = Leader(store, store.keys.members_turn, _LEASE)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop`` is set."""
        try:
            await Loop("watching the approvers' groups", self.turn, self.pace, (StoreAway, NoArchive)).run(stop)
        finally:
            await self.leader.resign()

    async def turn(self) -> float | None:
        """Look, if this process leads. After how many seconds to look again; None for the pace."""
        if not await self.leader.elected():
            self.seen.set()
            return None
        watched = authorization.watched(self.context.catalog())
        if not watched or await self._look(watched):
            self.seen.set()
            return None
        return _AGAIN

    async def _look(self, watched: tuple[str, ...]) -> bool:
        """Look at these groups once; whether it is kept what was seen."""
        members = self.context.store.members
        before, now = await members.read()
        first_of_all = not before.revision and not members.doubted and await asyncio.to_thread(self._never_looked)
        roster = await self.roster()
        told = {name: roster[name] for name in watched if name in roster}
        # A group without anybody is no answer: Slack keeps none.
        people = {name: one.users | one.identities for name, one in told.items() if one.known}
        found = {name: who for name, who in people.items() if who}
        if first_of_all and len(found) < len(watched) and time.monotonic() - self._began < _WHOLE_WITHIN:
            return False
        look = looked(before, found, now, BEFORE if first_of_all else now)
        if not look.news:
            return True
        after = GroupMembers(revision=members.next_revision, groups=look.members)
        return await members.write(after, GROUP_MEMBERS, _facts(look, before_us=first_of_all), id_=GROUP_MEMBERS)

    def _never_looked(self) -> bool:
        """Whether the archive has no look at the groups of this workspace. Raises `NoArchive`."""
        archive = self.archive()
        try:
            return not noted(archive, self.context.store.workspace, GROUP_MEMBERS)
        finally:
            archive.close()


def _facts(look: Look, *, before_us: bool) -> dict[str, Any]:
    """What the audit log keeps of a look. ``before_us``: the people of new groups are taken to have been there."""
    return {
        "by": "worker",
        "first": {name: len(look.members[name]) for name in look.first},
        **({"since": "before"} if before_us and look.first else {}),
        "joined": _named(look.joined),
        "left": _named(look.left),
    }


def _named(people: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {
        group: [*who[:_MOST_NAMED], *([f"and {len(who) - _MOST_NAMED} more"] if len(who) > _MOST_NAMED else [])]
        for group, who in people.items()
    }
