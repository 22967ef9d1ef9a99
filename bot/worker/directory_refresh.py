"""Reads the directories and calendars of the policy each minute, and stores sealed snapshots for the other processes.

One process of a workspace does so at a time. Without an answer the previous snapshot stays, and ages; a refusal
deletes it. It makes no decision.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bot.background import Loop
from bot.core.identity import identity_or_none
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_snapshots import (
    CalendarSnapshot,
    DirectorySnapshot,
    DirectorySnapshots,
    GroupSnapshot,
)
from bot.store.leader import Leader
from bot.store.store import Store
from bot.worker.source_calls import Failed, Key, SourceCalls
from providers.directories.base import Directory, NoAnswer, Refused
from providers.directories.ical.calendar import AHEAD, BEFORE, Calendar, busy

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two reads of the same source."""
_BEAT = 1.0
"""Seconds between two renewals of the lease, and between two checks for a new policy."""
_LEASE = 45.0
"""Well over what one turn may take."""
_MOST_PEOPLE = 2_000
"""People in a group: a group that has more counts as not wholly known."""
_MOST_BUSY = 5_000
_LONGEST_PROBLEM = 300


GroupAnswerAt = tuple[float, GroupSnapshot | None]
"""When a group was read, and what was said; None for a refusal."""


@dataclass(frozen=True)
class Sources:
    """The providers of the directories and calendars of one policy, by name."""

    directories: Mapping[str, Directory] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)


@dataclass
class DirectoryRefresh:
    """The loop of one process. ``sources`` are those of the policy that ``catalog`` gives."""

    store: Store
    catalog: Callable[[], Catalog]
    sources: Sources
    failed: Failed = lambda _, __: None
    interval: float = INTERVAL
    _writing: dict[str, asyncio.Lock] = field(default_factory=dict, init=False)
    _known_at: dict[Key, float] = field(default_factory=dict, init=False)
    """Monotonic seconds of the last answer of each source; of several groups, the oldest."""
    _read_at: float = field(default=-1e9, init=False)
    _read_policy_hash: str = field(default="", init=False)
    """The policy hash at the last read."""

    def __post_init__(self) -> None:
        """Build the parts; nothing is read yet."""
        self.snapshots, self.calls = DirectorySnapshots(self.store), SourceCalls(self.failed)
        self.leader = Leader(self.store, self.store.keys.refresher, _LEASE)
        self.loop = Loop("reading the directories", self._run_once, min(_BEAT, self.interval))

    async def run(self, stop: asyncio.Event) -> None:
        """Read at the interval, and at once under a new policy, until ``stop`` is set."""
        try:
            await self.loop.run(stop)
        finally:
            await self.leader.resign()

    def replace_sources(self, sources: Sources) -> None:
        """Take the sources of a new policy, and forget the state of those that changed or are gone."""
        previous, self.sources = self.sources, sources
        for kind, old, new in (
            ("directory", previous.directories, sources.directories),
            ("calendar", previous.calendars, sources.calendars),
        ):
            for name in old:
                if new.get(name) is not old[name]:
                    self.calls.forget(name, kind)
                    self._known_at.pop((kind, name), None)

    def ages(self) -> dict[Key, float]:
        """Seconds since each source was last read, in the process that reads them."""
        now = time.monotonic()
        return {key: now - at for key, at in self._known_at.items()} if self.leader.sure else {}

    async def _run_once(self) -> None:
        catalog = self.catalog()
        if not self.sources.directories and not self.sources.calendars:
            return
        if await self.leader.elected() and (self._read_policy_hash != catalog.policy_hash or self._is_due()):
            if await self.store.policy.current() != catalog.policy_hash:
                # This process has another policy than the workspace: one that has the current policy is to lead.
                await self.leader.resign()
                return
            self._read_at, self._read_policy_hash = time.monotonic(), catalog.policy_hash
            await self.read_all(catalog)

    def leads(self, catalog: Catalog) -> bool:
        """Whether this process surely reads for the workspace, and has begun to by this policy."""
        return self.leader.sure and self._read_policy_hash == catalog.policy_hash

    def _is_due(self) -> bool:
        return time.monotonic() - self._read_at >= self.interval

    async def read_all(self, catalog: Catalog) -> None:
        """Read all sources concurrently."""
        sources = self.sources
        stored = await self.snapshots.read([*sources.directories], [*sources.calendars])
        reads = [
            *(
                self._directory(catalog, name, source, stored.directories)
                for name, source in sources.directories.items()
            ),
            *(self._calendar(catalog, name, source, stored.calendars) for name, source in sources.calendars.items()),
        ]
        results = await asyncio.gather(*reads, return_exceptions=True)
        if error := next((each for each in results if isinstance(each, BaseException)), None):
            raise error

    async def _directory(
        self, catalog: Catalog, name: str, directory: Directory, stored: Mapping[str, DirectorySnapshot]
    ) -> None:
        wanted = [group for group, shape in catalog.groups.items() if shape.directory == name]
        groups = _groups_of(stored.get(name), catalog, name)
        oldest_first = sorted(wanted, key=lambda group: groups[group].at if group in groups else 0.0)
        now = await self.store.now()
        known = await self.read_groups(catalog, name, directory, oldest_first)
        self._note_age(("directory", name), [known[g].at if g in known else None for g in wanted], now)

    async def read_groups(
        self, catalog: Catalog, name: str, directory: Directory, groups: Sequence[str]
    ) -> Mapping[str, GroupSnapshot]:
        """Read some groups of a directory, and store what was said. Returns all of its groups as they are known then.

        Several reads of one directory may overlap: of each group, the newest that was read is kept.
        """
        answers: dict[str, GroupAnswerAt] = {}
        await self.calls.ask(("directory", name), partial(self._groups, catalog, directory, groups, answers))
        async with self._writing.setdefault(name, asyncio.Lock()):
            snapshots = await self.snapshots.read([name], [])
            known = _groups_of(snapshots.directories.get(name), catalog, name)
            for group, (at, answer) in answers.items():
                if group not in known or known[group].at <= at:
                    known.pop(group, None)
                    known |= {group: answer} if answer else {}
            problem = self.calls.problem(("directory", name))[:_LONGEST_PROBLEM]
            now, generation = snapshots.now, catalog.policy_hash
            await self._write(
                DirectorySnapshot(name=name, generation=generation, at=now, groups=known, problem=problem)
            )
        return known

    async def _groups(
        self, catalog: Catalog, directory: Directory, groups: Sequence[str], answers: dict[str, GroupAnswerAt]
    ) -> None:
        """Read the groups, one after the other; a refusal of one does not stop the others."""
        refusals: list[str] = []
        for group in groups:
            # The time before the call: the answer may be outdated by the time it arrives.
            now = await self.store.now()
            try:
                answers[group] = now, await _group(directory, catalog.groups[group].group, now)
            except Refused as error:
                answers[group] = now, None
                refusals.append(f"{group}: {error}")
            except NoAnswer as error:
                raise NoAnswer(f"{group}: {error}", error.after) from None
        if refusals:
            raise Refused("; ".join(refusals))

    async def _calendar(
        self, catalog: Catalog, name: str, calendar: Calendar, stored: Mapping[str, CalendarSnapshot]
    ) -> None:
        now, previous = await self.store.now(), stored.get(name)
        current = previous if previous and previous.generation == catalog.policy_hash else None
        snapshot = current or CalendarSnapshot(name=name, generation=catalog.policy_hash, at=0.0)
        spans: list[tuple[tuple[float, float], ...]] = []

        async def ask_calendar() -> None:
            spans.append(await _busy(calendar, now))

        refused = await self.calls.ask(("calendar", name), ask_calendar)
        if spans:
            snapshot = snapshot.model_copy(
                update={"at": now, "since": now - BEFORE, "until": now + AHEAD, "busy": spans[0]}
            )
        elif refused:
            snapshot = CalendarSnapshot(name=name, generation=catalog.policy_hash, at=0.0)
        problem = self.calls.problem(("calendar", name))
        self._note_age(("calendar", name), [snapshot.at or None], now)
        await self._write(snapshot.model_copy(update={"problem": problem[:_LONGEST_PROBLEM]}))

    def _note_age(self, key: Key, read_times: list[float | None], now: float) -> None:
        """Note since when the source is known; if a part never was, since the first read."""
        if read_times and None not in read_times:
            self._known_at[key] = time.monotonic() - (now - min(at for at in read_times if at is not None))
        else:
            self._known_at.setdefault(key, time.monotonic())

    async def _write(self, snapshot: DirectorySnapshot | CalendarSnapshot) -> None:
        # Without the lease another process may have written a newer snapshot, which this one must not overwrite.
        if self.leader.sure:
            await self.snapshots.write(snapshot)
        else:
            log.warning(
                "reading the directories took longer than the lease: the snapshots are not written; it is repeated"
            )


async def _group(directory: Directory, group: str, now: float) -> GroupSnapshot:
    answer = await directory.members(group, now)
    is_whole = answer.whole and len(answer.people) <= _MOST_PEOPLE
    # An address that is no valid identity could be anybody's: then who is in the group is not wholly known.
    is_whole = is_whole and all(identity_or_none(address) for address in answer.people)
    return GroupSnapshot(people=tuple(sorted(answer.people)[:_MOST_PEOPLE]), at=now - answer.age, whole=is_whole)


def _groups_of(stored: DirectorySnapshot | None, catalog: Catalog, name: str) -> dict[str, GroupSnapshot]:
    """Those of a snapshot that are of this policy, and of this directory in it."""
    if stored is None or stored.generation != catalog.policy_hash:
        return {}
    wanted = {group for group, shape in catalog.groups.items() if shape.directory == name}
    return {group: snapshot for group, snapshot in stored.groups.items() if group in wanted}


async def _busy(calendar: Calendar, now: float) -> tuple[tuple[float, float], ...]:
    spans = busy(await calendar.events(now))
    if len(spans) > _MOST_BUSY:
        raise NoAnswer(f"it is on and off more than {_MOST_BUSY:,} times within 8 days")
    return spans
