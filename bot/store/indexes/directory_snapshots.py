"""What the worker last read from directories and calendars: sealed, with its age; other processes ask none of them.

A snapshot counts for one policy, by its generation, and only while it is young. One that is missing, old, of another
policy or without our MAC says nothing: its groups and calendars are unknown, never empty. Write access to Redis can
delete one, or put back one of ours that is young still, for a process that has not seen a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
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
READ_NOW: Final = 5.0
"""Seconds since a group was read, after which it is read again for a click that decides about a critical role by it."""
CALENDARS_COUNT: Final = 3600.0
"""Seconds for which a calendar counts: it is known days ahead, so a short outage changes nothing."""
KEPT: Final = 86_400
"""Seconds for which a snapshot is there for operators to look at."""
LATELY: Final = 900.0
"""Seconds for which somebody counts as found inactive lately: many at once are held against who was read since."""
_AHEAD: Final = 5.0
"""Seconds by which the store's clock may go back, as when a replica takes over."""
_DIRECTORY, _CALENDAR, _INACTIVE = "directory snapshot", "calendar snapshot", "inactive people"


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


class InactivePerson(Frozen):
    """Somebody whose account in a directory is disabled, or ``gone``: known by its id, and not there any more.

    ``since``: the first look that found it so, and each one after; ``at``: the last one.
    """

    gone: bool = False
    since: float
    at: float


class InactivePeople(Frozen):
    """Those of a directory who may not use their accounts, by identity, as of ``at``.

    ``source``: the directory's fingerprint. ``sample``: how many people were read since the first of those who were
    lately found so, whatever was found.
    """

    name: str
    source: str
    at: float
    people: Mapping[str, InactivePerson] = {}
    sample: int = 0
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


_Snapshot = TypeVar("_Snapshot", DirectorySnapshot, CalendarSnapshot, InactivePeople)


@dataclass(frozen=True)
class Snapshots:
    """All that are ours, of whatever age and policy, at a time of the store's clock."""

    now: float = 0.0
    directories: Mapping[str, DirectorySnapshot] = field(default_factory=dict)
    calendars: Mapping[str, CalendarSnapshot] = field(default_factory=dict)
    people: Mapping[str, InactivePeople] = field(default_factory=dict)

    def inactive(self, catalog: Catalog) -> dict[str, str]:
        """Who may not use their account in a directory of the policy, by identity, and in which directory."""
        return {who: name for name, listed in self.inactive_people(catalog).items() for who in listed.people}

    def inactive_people(self, catalog: Catalog) -> dict[str, InactivePeople]:
        """The same, as it was read. However old it is: a directory that is silent says of nobody that they are back."""
        return {
            name: listed
            for name, listed in self.people.items()
            if name in catalog.directories and listed.source == catalog.directories[name].fingerprint
        }

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

    def not_read_now(self, catalog: Catalog, groups: Collection[str]) -> set[str]:
        """Those of the groups that are of directories, and were not read just now."""
        found = set[str]()
        for name in groups:
            shape = catalog.groups.get(name)
            snapshot = self.directories.get(shape.directory or "") if shape else None
            group = snapshot.groups.get(name) if snapshot and snapshot.generation == catalog.policy_hash else None
            if shape and shape.directory and not (group and self._young(group.at, READ_NOW)):
                found.add(name)
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

    async def read(self, directories: Sequence[str], calendars: Sequence[str], people: Sequence[str] = ()) -> Snapshots:
        """Those of these names, in one round trip; none where there are no names. ``people``: of these directories."""
        if not (directories or calendars or people):
            return Snapshots()
        keys = [*map(self._keys.directory, directories), *map(self._keys.calendar, calendars)]
        keys += map(self._keys.inactive, people)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.mget(keys)
            at, values = await away(pipe.execute())
        found = dict(zip(keys, values, strict=True))
        return Snapshots(
            seconds(at),
            self._opened(DirectorySnapshot, _DIRECTORY, directories, self._keys.directory, found),
            self._opened(CalendarSnapshot, _CALENDAR, calendars, self._keys.calendar, found),
            self._opened(InactivePeople, _INACTIVE, people, self._keys.inactive, found),
        )

    async def groups(self, catalog: Catalog) -> Snapshots:
        """The directories that a policy's groups are of, and who is inactive in any directory."""
        of_groups = sorted({g.directory for g in catalog.groups.values() if g.directory})
        return await self.read(of_groups, [], sorted(catalog.directories))

    async def inactive(self, catalog: Catalog) -> Snapshots:
        """Who is inactive in the directories of a policy."""
        return await self.read([], [], sorted(catalog.directories))

    async def calendars(self, catalog: Catalog) -> KnownCalendars:
        """The calendars of a policy."""
        return KnownCalendars(await self.read([], sorted(catalog.calendars)), catalog)

    async def write(self, snapshot: DirectorySnapshot | CalendarSnapshot | InactivePeople) -> None:
        """Keep it in place of the one before."""
        what, key = {
            DirectorySnapshot: (_DIRECTORY, self._keys.directory),
            CalendarSnapshot: (_CALENDAR, self._keys.calendar),
            InactivePeople: (_INACTIVE, self._keys.inactive),
        }[type(snapshot)]
        body = json.dumps(snapshot.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        await away(self._redis.set(key(snapshot.name), self._authorship.wrapped(what, body), ex=KEPT))

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
