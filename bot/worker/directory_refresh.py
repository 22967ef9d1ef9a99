"""Reads the directories and calendars of the policy each minute, and seals what they say for the other processes.

One process of a workspace does it at a time. An answer that does not come leaves the one before, which grows old; a
definite no leaves none. It judges nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from bot.worker.provider_gateway import Circuit
from providers.directories.base import Directory, NoAnswer, ProviderError, Refused
from providers.directories.ical.calendar import AHEAD, BEFORE, Calendar, busy

log = logging.getLogger(__name__)

PACE = 60.0
"""Seconds between two looks."""
_BEAT = 1.0
"""Seconds between two renewals of the lease, and within which another policy is noticed."""
_LEASE = 45.0
_BUDGET = 25.0
"""Seconds that all look-ups in one directory, or one calendar, may take together: well within the lease."""
_MOST_PEOPLE = 2_000
"""People in a group: who has more there is no group for this."""
_MOST_BUSY = 5_000
_LONGEST_PROBLEM = 300

Key = tuple[str, str]
"""`directory` or `calendar`, and its name in the policy."""
Failed = Callable[[str, str], None]
"""Observes that a look at a `directory` or `calendar` failed, and its name; raises nothing."""


@dataclass(frozen=True)
class Sources:
    """The directories and calendars of one policy, built."""

    directories: Mapping[str, Directory] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)


def _circuit() -> Circuit:
    """Opens after three looks in a row without an answer; then there is one each two minutes."""
    return Circuit(window=600.0, first=60.0, longest=120.0, most=3)


@dataclass
class _Health:
    """How one source answers this process. ``not_before``: until when it said that it wants no more calls."""

    circuit: Circuit = field(default_factory=_circuit)
    not_before: float = 0.0
    problem: str = ""


@dataclass
class DirectoryRefresh:
    """The loop of one process. ``sources`` are those of the policy that ``catalog`` gives."""

    store: Store
    catalog: Callable[[], Catalog]
    sources: Sources
    failed: Failed = lambda _, __: None
    pace: float = PACE
    _health: dict[Key, _Health] = field(default_factory=dict, init=False)
    _known_at: dict[Key, float] = field(default_factory=dict, init=False)
    """Monotonic seconds as of which each source is known; of several groups, the oldest."""
    _looked_at: float = field(default=-1e9, init=False)
    _by: str = field(default="", init=False)
    """The generation of the policy that was looked at last."""

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self.snapshots = DirectorySnapshots(self.store)
        self.leader = Leader(self.store, self.store.keys.refresher, _LEASE)
        self.loop = Loop("reading the directories", self._turn, min(_BEAT, self.pace))

    async def run(self, stop: asyncio.Event) -> None:
        """Look at each pace, and at once by another policy, until ``stop`` is set."""
        try:
            await self.loop.run(stop)
        finally:
            await self.leader.resign()

    def use(self, sources: Sources) -> None:
        """Take the sources of another policy; those that it has no more are forgotten."""
        before, self.sources = self.sources, sources
        for kind, old, new in (
            ("directory", before.directories, sources.directories),
            ("calendar", before.calendars, sources.calendars),
        ):
            for name in old:
                if new.get(name) is not old[name]:
                    self._health.pop((kind, name), None)
                    self._known_at.pop((kind, name), None)

    def ages(self) -> dict[Key, float]:
        """Seconds since each source was last read, in the process that reads them."""
        now = time.monotonic()
        return {key: now - at for key, at in self._known_at.items()} if self.leader.sure else {}

    async def _turn(self) -> None:
        catalog = self.catalog()
        if not self.sources.directories and not self.sources.calendars:
            return
        if await self.leader.elected() and (self._by != catalog.generation or self._is_due()):
            if await self.store.policy.held() != catalog.generation:
                # A process that decides by the policy in force is to do it.
                await self.leader.resign()
                return
            self._looked_at, self._by = time.monotonic(), catalog.generation
            await self.look(catalog)

    def _is_due(self) -> bool:
        return time.monotonic() - self._looked_at >= self.pace

    async def look(self, catalog: Catalog) -> None:
        """Look at all of them, at the same time."""
        sources = self.sources
        known = await self.snapshots.read([*sources.directories], [*sources.calendars])
        looks = [
            *(self._directory(catalog, name, one, known.directories) for name, one in sources.directories.items()),
            *(self._calendar(catalog, name, one, known.calendars) for name, one in sources.calendars.items()),
        ]
        results = await asyncio.gather(*looks, return_exceptions=True)
        if error := next((each for each in results if isinstance(each, BaseException)), None):
            raise error

    async def _directory(
        self, catalog: Catalog, name: str, directory: Directory, known: Mapping[str, DirectorySnapshot]
    ) -> None:
        asked = {group: shape.group for group, shape in catalog.groups.items() if shape.directory == name}
        before = known.get(name)
        groups = dict(before.groups) if before and before.generation == catalog.generation else {}
        groups = {group: one for group, one in groups.items() if group in asked}
        oldest_first = sorted(asked, key=lambda group: groups[group].at if group in groups else 0.0)
        now = await self.store.now()
        await self._ask(("directory", name), partial(self._groups, directory, asked, oldest_first, groups))
        problem = self._health["directory", name].problem
        self._note_age(("directory", name), [groups[g].at if g in groups else None for g in asked], now)
        await self._write(
            DirectorySnapshot(
                name=name, generation=catalog.generation, at=now, groups=groups, problem=problem[:_LONGEST_PROBLEM]
            )
        )

    async def _groups(
        self, directory: Directory, asked: Mapping[str, str], order: Sequence[str], found: dict[str, GroupSnapshot]
    ) -> None:
        """Ask about one after the other; a definite no about one keeps none from being asked about."""
        noes: list[str] = []
        for group in order:
            try:
                found[group] = await self._group(directory, asked[group])
            except Refused as error:
                found.pop(group, None)
                noes.append(f"{group}: {error}")
            except NoAnswer as error:
                raise NoAnswer(f"{group}: {error}", error.after) from None
        if noes:
            raise Refused("; ".join(noes))

    async def _group(self, directory: Directory, group: str) -> GroupSnapshot:
        # Of before the question: what is told may have changed since it was on its way.
        now = await self.store.now()
        told = await directory.members(group, now)
        whole = told.whole and len(told.people) <= _MOST_PEOPLE
        # An address that no identity can be made of is somebody whom nobody can be told from.
        whole = whole and all(identity_or_none(address) for address in told.people)
        return GroupSnapshot(people=tuple(sorted(told.people)[:_MOST_PEOPLE]), at=now - told.age, whole=whole)

    async def _calendar(
        self, catalog: Catalog, name: str, calendar: Calendar, known: Mapping[str, CalendarSnapshot]
    ) -> None:
        now, before = await self.store.now(), known.get(name)
        kept = before if before and before.generation == catalog.generation else None
        found = kept or CalendarSnapshot(name=name, generation=catalog.generation, at=0.0)
        spans: list[tuple[tuple[float, float], ...]] = []

        async def asked() -> None:
            spans.append(await _busy(calendar, now))

        refused = await self._ask(("calendar", name), asked)
        if spans:
            found = found.model_copy(update={"at": now, "since": now - BEFORE, "until": now + AHEAD, "busy": spans[0]})
        elif refused:
            found = CalendarSnapshot(name=name, generation=catalog.generation, at=0.0)
        problem = self._health["calendar", name].problem
        self._note_age(("calendar", name), [found.at or None], now)
        await self._write(found.model_copy(update={"problem": problem[:_LONGEST_PROBLEM]}))

    async def _ask(self, key: Key, question: Callable[[], Awaitable[None]]) -> bool:
        """Ask a source, within its time, unless it is known not to answer now. Whether it said a definite no."""
        health = self._health.setdefault(key, _Health())
        if time.monotonic() < health.not_before or health.circuit.seconds_to_wait():
            return False
        try:
            async with asyncio.timeout(_BUDGET):
                await question()
        except Refused as error:
            health.circuit.answered()
            self._failed(key, health, str(error))
            return True
        except Exception as error:
            if not isinstance(error, ProviderError | TimeoutError):
                log.exception("an error that nobody expected of %s %s", *key)
            if isinstance(error, NoAnswer) and error.after:
                health.not_before = time.monotonic() + error.after
            health.circuit.failed()
            self._failed(key, health, str(error) if isinstance(error, ProviderError) else "it did not answer in time")
        else:
            health.circuit.answered()
            if health.problem:
                log.info("%s %s can be read again", *key)
            health.problem = ""
        return False

    def _failed(self, key: Key, health: _Health, said: str) -> None:
        if said != health.problem:
            log.warning("%s %s could not be read: %s", *key, said)
        health.problem = said
        self.failed(*key)

    def _note_age(self, key: Key, known: list[float | None], now: float) -> None:
        """Since when it is known; where a part never was, since it was looked at first."""
        if known and None not in known:
            self._known_at[key] = time.monotonic() - (now - min(at for at in known if at is not None))
        else:
            self._known_at.setdefault(key, time.monotonic())

    async def _write(self, snapshot: DirectorySnapshot | CalendarSnapshot) -> None:
        # The lease may be another process's by now, which has read something newer.
        if self.leader.sure:
            await self.snapshots.write(snapshot)
        else:
            log.warning("looking at the directories took too long to keep what they said; it is repeated")


async def _busy(calendar: Calendar, now: float) -> tuple[tuple[float, float], ...]:
    spans = busy(await calendar.events(now))
    if len(spans) > _MOST_BUSY:
        raise NoAnswer(f"it is on and off more than {_MOST_BUSY:,} times within 8 days")
    return spans
