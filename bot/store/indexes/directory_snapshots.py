"""What the worker last read from directories and calendars: sealed, with its age; other processes ask none of them.

A snapshot counts for one policy, by its generation, and only while it is young. One that is missing, old, of another
policy or without our MAC says nothing: its groups and calendars are unknown, never empty. Write access to Redis can
delete one, or put back one of ours that is young still, for a process that has not seen a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import ValidationError

from bot.core.frozen import Frozen
from bot.core.identity import identity_or_none
from bot.policy.catalog import Catalog
from bot.store.encoding import away, seconds, text
from bot.store.store import Store

GROUPS_COUNT: Final = 300.0
"""Seconds for which who is in a group counts, since the directory said so."""
GROUPS_COUNT_FRESH: Final = 120.0
"""The same where a critical role is decided: two looks of the worker's."""
CALENDARS_COUNT: Final = 3600.0
"""Seconds for which a calendar counts: it is known days ahead, so a short outage changes nothing."""
KEPT: Final = 86_400
"""Seconds for which a snapshot is there for operators to look at."""
_AHEAD: Final = 5.0
"""Seconds by which the store's clock may go back, as when a replica takes over."""
_DIRECTORY, _CALENDAR = "directory snapshot", "calendar snapshot"


class GroupSnapshot(Frozen):
    """Who was in a group at a time, by e-mail address; not ``whole``: there were others, whom nobody named."""

    people: tuple[str, ...] = ()
    at: float
    whole: bool = True


class DirectorySnapshot(Frozen):
    """A directory as of ``at``, Unix seconds of the store's clock. ``groups`` by their names in the policy.

    ``problem``: why the last look failed, wholly or for a group; '' where it went well.
    """

    name: str
    generation: str
    at: float
    groups: Mapping[str, GroupSnapshot] = {}
    problem: str = ""


class CalendarSnapshot(Frozen):
    """A calendar as of ``at``: when an event of it is on, from ``since`` until ``until``, Unix seconds."""

    name: str
    generation: str
    at: float
    since: float = 0.0
    until: float = 0.0
    busy: tuple[tuple[float, float], ...] = ()
    problem: str = ""


_Snapshot = TypeVar("_Snapshot", DirectorySnapshot, CalendarSnapshot)


@dataclass(frozen=True)
class Snapshots:
    """All that are ours, of whatever age and policy, at a time of the store's clock."""

    now: float = 0.0
    directories: Mapping[str, DirectorySnapshot] = field(default_factory=dict)
    calendars: Mapping[str, CalendarSnapshot] = field(default_factory=dict)

    def members(self, catalog: Catalog, count: float = GROUPS_COUNT) -> dict[str, frozenset[str]]:
        """Who is in each group of a directory, by identity; a group that is not known is left out."""
        found: dict[str, frozenset[str]] = {}
        for name, shape in catalog.groups.items():
            snapshot = self.directories.get(shape.directory or "")
            group = snapshot.groups.get(name) if snapshot and snapshot.generation == catalog.policy_hash else None
            if group is None or not group.whole or not self._young(group.at, count):
                continue
            people = {identity_or_none(address) for address in group.people}
            if None not in people:
                found[name] = frozenset(who for who in people if who)
        return found

    def frozen(self, catalog: Catalog, calendar: str, at: float) -> bool | None:
        """Whether an event of the calendar is on then; None where that is not known."""
        snapshot = self.calendars.get(calendar)
        if snapshot is None or snapshot.generation != catalog.policy_hash or calendar not in catalog.calendars:
            return None
        if not self._young(snapshot.at, CALENDARS_COUNT) or not snapshot.since <= at < snapshot.until:
            return None
        return any(start <= at < end for start, end in snapshot.busy)

    def _young(self, at: float, count: float) -> bool:
        return -_AHEAD <= self.now - at < count


@dataclass(frozen=True)
class KnownCalendars:
    """The calendars of one policy, as they are known at one time."""

    snapshots: Snapshots
    catalog: Catalog

    def frozen(self, name: str, at: float) -> bool | None:
        """Whether an event of the calendar is on then, Unix seconds; None where that is not known."""
        return self.snapshots.frozen(self.catalog, name, at)


class DirectorySnapshots:
    """The snapshots of one workspace. Its verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._redis, self._keys, self._authorship, self._found = (
            store.redis,
            store.keys,
            store.authorship,
            store.forged_values,
        )
        self._newest: dict[str, float] = {}
        """When the newest snapshot was made that this process saw, by its key."""

    async def read(self, directories: Sequence[str], calendars: Sequence[str]) -> Snapshots:
        """Those of these names, in one round trip; none where there are no names."""
        if not directories and not calendars:
            return Snapshots()
        keys = [*map(self._keys.directory, directories), *map(self._keys.calendar, calendars)]
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.mget(keys)
            at, values = await away(pipe.execute())
        found = dict(zip(keys, values, strict=True))
        return Snapshots(
            seconds(at),
            self._opened(DirectorySnapshot, _DIRECTORY, directories, self._keys.directory, found),
            self._opened(CalendarSnapshot, _CALENDAR, calendars, self._keys.calendar, found),
        )

    async def groups(self, catalog: Catalog) -> Snapshots:
        """The directories that a policy's groups are of."""
        return await self.read(sorted({g.directory for g in catalog.groups.values() if g.directory}), [])

    async def calendars(self, catalog: Catalog) -> KnownCalendars:
        """The calendars of a policy."""
        return KnownCalendars(await self.read([], sorted(catalog.calendars)), catalog)

    async def write(self, snapshot: DirectorySnapshot | CalendarSnapshot) -> None:
        """Keep it in place of the one before."""
        directory = isinstance(snapshot, DirectorySnapshot)
        key = self._keys.directory(snapshot.name) if directory else self._keys.calendar(snapshot.name)
        body = json.dumps(snapshot.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        value = self._authorship.wrapped(_DIRECTORY if directory else _CALENDAR, body)
        await away(self._redis.set(key, value, ex=KEPT))

    def _opened(
        self,
        shape: type[_Snapshot],
        what: str,
        names: Sequence[str],
        key: Callable[[str], str],
        found: Mapping[str, bytes | None],
    ) -> dict[str, _Snapshot]:
        opened: dict[str, _Snapshot] = {}
        for name in names:
            value = text(found[key(name)])
            body = self._authorship.unwrapped(what, value)
            if value and not body:
                self._found.wrong_mac(key(name), value.rpartition("|")[2])
            try:
                snapshot = shape.model_validate_json(body) if body else None
            except ValidationError:  # another version of this product wrote it
                continue
            if snapshot is not None and snapshot.name != name:
                self._found.moved(key(name))
            # Under another name than its own it was put there by somebody else. One that is older than one before may
            # be of a worker that was slow: it is not believed, and is no forgery.
            if snapshot is None or snapshot.name != name or snapshot.at < self._newest.get(key(name), 0.0) - _AHEAD:
                continue
            self._newest[key(name)] = max(snapshot.at, self._newest.get(key(name), 0.0))
            opened[name] = snapshot
        return opened
