"""Looks people up in the directories that know accounts, some each minute, and stores sealed who is inactive there.

Each is bound to the stable id that the directory gives them first.

It takes nothing away: offboarding does, and `web` refuses what is new. Without an answer nobody's state changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from bot.background import Loop
from bot.core.errors import CouldNotCheck
from bot.core.verdict import Roster
from bot.policy import authorization, stand_ins
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_people import DirectoryPeople, PersonSnapshot
from bot.store.indexes.directory_snapshots import LATELY, InactivePeople, InactivePerson
from bot.store.indexes.exposure import ExposureIndex
from bot.store.indexes.identity_bindings import Bindings
from bot.store.store import Store
from bot.worker.directory_refresh import DirectoryRefresh
from providers.directories.base import NoAnswer, PeopleDirectory, Refused

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two rounds, and so between two looks at somebody who was found inactive."""
MOST_READ = 50
"""People of a directory in one round."""
_MOST_SUSPECTED = 25
"""Of these, people who are inactive as far as is known: the others have to have their turn."""
_MOST_SUBJECTS = 5_000
MOST_INACTIVE = 500
_MOST_REFUSALS = 3
"""In a row, after which a round ends: then it is no person that the directory refuses."""
_LONGEST_PROBLEM = 300


@dataclass
class Subjects:
    """Whom it is about: people with live or pending access, approvers, and who clicked lately.

    ``roster``: the groups as known now. People with access are read from the index some at a time, and kept for as long
    as going through all of it takes.
    """

    store: Store
    roster: Callable[[], Awaitable[Roster]]
    page: int = 200
    _exposed: dict[str, str] = field(default_factory=dict, init=False)
    _cursor: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.exposure, self.people = ExposureIndex(self.store), DirectoryPeople(self.store)

    async def of(self, catalog: Catalog) -> set[str]:
        """Their identities, as far as they are known."""
        roster = await self.roster()
        groups = stand_ins.with_stand_ins(catalog, authorization.deciding(catalog))
        approvers = {who for name in groups if name in roster for who in roster[name].people if "@" in who}
        wanted = await self.people.wanted(MOST_READ)
        return {*wanted, *sorted(approvers | await self._with_access())[:_MOST_SUBJECTS]}

    async def _with_access(self) -> set[str]:
        users = await self.exposure.users_after(self._cursor, self.page)
        self._cursor = users[-1] if users else ""
        requests = await self.exposure.requests_of(users)
        still = await self.exposure.exposed(self._exposed.keys())
        self._exposed = {user: who for user, who in self._exposed.items() if user in still}
        self._exposed |= {user: found[0].requester.identity for user, found in requests.items()}
        return set(self._exposed.values())


@dataclass
class PeopleRefresh:
    """The loop of one process: it reads where that process also reads the groups, under the same lease."""

    refresh: DirectoryRefresh
    subjects: Callable[[Catalog], Awaitable[Collection[str]]]
    interval: float = INTERVAL
    refused_at: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    """When a directory last refused to tell of somebody, by its name and their identity: others are read before."""

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.people, self.bindings = DirectoryPeople(self.refresh.store), Bindings(self.refresh.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Read at the interval until ``stop`` is set."""
        await Loop("reading people in directories", self.run_once, self.interval).run(stop)

    async def run_once(self) -> float | None:
        """Read some people in each directory. Returns the seconds until the next round; None for the interval."""
        catalog, sources = self.refresh.catalog(), self.refresh.sources.directories
        directories = {name: each for name, each in sources.items() if isinstance(each, PeopleDirectory)}
        if not directories or not self.refresh.leads(catalog):
            return min(1.0, self.interval)
        subjects = await self.subjects(catalog)
        rounds = (_Round(self, catalog, name, directory) for name, directory in directories.items())
        results = await asyncio.gather(*(each.run(subjects) for each in rounds), return_exceptions=True)
        if error := next((each for each in results if isinstance(each, BaseException)), None):
            raise error
        return None


@dataclass
class _Round:
    """One round in one directory."""

    loop: PeopleRefresh
    catalog: Catalog
    name: str
    directory: PeopleDirectory
    known: dict[str, PersonSnapshot] = field(default_factory=dict)
    inactive: dict[str, InactivePerson] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.catalog.directories[self.name].fingerprint

    async def run(self, subjects: Collection[str]) -> None:
        refresh, key = self.loop.refresh, ("people", self.name)
        listed = (await refresh.snapshots.inactive(self.catalog)).inactive_people(self.catalog).get(self.name)
        self.inactive = dict(listed.people) if listed else {}
        everybody = sorted({*subjects, *self.inactive})
        self.known = await self.loop.people.read(self.name, self.source, everybody)
        await refresh.calls.ask(key, partial(self._read, self._chosen(everybody)))
        now = await refresh.store.now()
        if not refresh.leads(self.catalog):
            log.warning("people of directory %s were read too late to be written; it is repeated", self.name)
            return
        problem = refresh.calls.problem(key)[:_LONGEST_PROBLEM]
        await refresh.snapshots.write(
            InactivePeople(
                name=self.name,
                source=self.source,
                at=now,
                people=dict(sorted(self.inactive.items(), key=lambda each: -each[1].at)[:MOST_INACTIVE]),
                sample=self._sample(now),
                problem=problem,
            )
        )

    def _chosen(self, everybody: Collection[str]) -> list[str]:
        """Whose turn it is: whoever may be inactive, and the others, the longest unread first."""

        def read_at(who: str) -> float:
            at = self.known[who].at if who in self.known else 0.0
            return max(at, self.loop.refused_at.get((self.name, who), 0.0))

        suspected = sorted((who for who in everybody if who in self.inactive), key=read_at)[:_MOST_SUSPECTED]
        others = sorted((who for who in everybody if who not in self.inactive), key=read_at)
        return [*suspected, *others[: MOST_READ - len(suspected)]]

    async def _read(self, chosen: Collection[str]) -> None:
        first, in_a_row = "", 0
        for who in chosen:
            now = await self.loop.refresh.store.now()
            try:
                await self._person(who, now)
            except Refused as error:
                first, in_a_row = first or str(error), in_a_row + 1
                self.loop.refused_at[self.name, who] = now
            else:
                in_a_row = 0
                self.loop.refused_at.pop((self.name, who), None)
            if in_a_row >= _MOST_REFUSALS:
                break
        if first:
            raise Refused(first)

    async def _person(self, who: str, now: float) -> None:
        """Look one up. ``now`` is from before: the answer may be outdated by the time it arrives."""
        before = self.known.get(who)
        found = await self.directory.person(who, now)
        attributes: Mapping[str, str] = found.attributes if found else {}
        person = PersonSnapshot(
            directory=self.name,
            identity=who,
            source=self.source,
            at=now,
            id=found.id if found else before.id if before else "",
            active=found.active if found else None,
            attributes=attributes,
        )
        if not self.loop.refresh.leader.sure:
            raise NoAnswer("another process reads it now")
        await self.loop.people.write(person)
        self.known[who] = person
        if found and found.active:
            await self._bind(who, found.id)
        # Somebody whom the directory never knew is not gone: not everybody has to be in each directory.
        if person.active or not person.id:
            self.inactive.pop(who, None)
        else:
            earlier = self.inactive.get(who)
            since = earlier.since if earlier else now
            self.inactive[who] = InactivePerson(gone=found is None, since=since, at=now)

    async def _bind(self, who: str, id_: str) -> None:
        """Bind the id to the address, or have it refused where it was given to another person."""
        try:
            await self.loop.bindings.bind_directory(who, self.name, id_)
        except CouldNotCheck as error:
            log.warning("an address could not be bound in directory %s: %s", self.name, error)

    def _sample(self, now: float) -> int:
        """How many people were read since the first of those who were lately found inactive."""
        lately = [each.since for each in self.inactive.values() if now - each.since < LATELY]
        return sum(person.at >= min(lately) for person in self.known.values() if person.id) if lately else 0
