"""What the worker read from directories, as a decision in Slack needs it: who is in groups, and who is inactive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bot.core.errors import NotAMember
from bot.core.request import Person
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_people import DirectoryPeople
from bot.store.indexes.directory_snapshots import GROUPS_COUNT, DirectorySnapshots, Snapshots
from bot.store.indexes.read_requests import GroupReadRequests
from bot.store.store import Store

_AGAIN = 0.04
"""Seconds between two looks for what the worker was asked for."""


@dataclass(frozen=True)
class SnapshotFacts:
    """The snapshots at one time, for one policy."""

    snapshots: Snapshots
    catalog: Catalog
    inactive: Mapping[str, str]
    """Who may not use their account in a directory, by identity, and in which directory."""

    def groups(self, count: float = GROUPS_COUNT) -> dict[str, frozenset[str]]:
        """Who is in each group of a directory, by identity, as far as it counts; ``count``: for so many seconds."""
        return self.snapshots.members(self.catalog, count)

    def nobody(self, identities: Mapping[str, str]) -> set[str]:
        """The inactive by identity, and by account. ``identities``: those of accounts, as far as they are known."""
        return {*self.inactive, *(user for user, who in identities.items() if who in self.inactive)}

    def require_active(self, person: Person) -> None:
        """Raises `NotAMember` for somebody whose account in a directory is disabled or gone."""
        if person.identity in self.inactive:
            raise NotAMember("inactive", directory=self.inactive[person.identity])


@dataclass
class DirectoryGroups:
    """The directories of one workspace, which are asked nothing. Its verbs raise `StoreAway`."""

    store: Store
    catalog: Callable[[], Catalog]

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.snapshots, self.people = DirectorySnapshots(self.store), DirectoryPeople(self.store)
        self.read_requests = GroupReadRequests(self.store)

    async def facts(self) -> SnapshotFacts:
        """What is known now."""
        catalog = self.catalog()
        snapshots = await self.snapshots.groups(catalog)
        return SnapshotFacts(snapshots, catalog, snapshots.inactive(catalog))

    async def groups(self) -> dict[str, frozenset[str]]:
        """Who is in each group of a directory, by identity, as far as that is known."""
        return (await self.facts()).groups()

    async def fresh(self, groups: Collection[str]) -> SnapshotFacts:
        """What is known, once all of these groups that are of directories were read just now.

        A worker is asked for those that are not, and waited for without an end: whoever calls gives it one.
        """
        facts = await self.facts()
        if missing := facts.snapshots.not_read_now(facts.catalog, groups):
            await self.read_requests.add(missing)
        while facts.snapshots.not_read_now(facts.catalog, groups):
            await asyncio.sleep(_AGAIN)
            facts = await self.facts()
        return facts

    async def require_active(self, person: Person) -> None:
        """Have a worker look the person up soon. Raises `NotAMember` for somebody who is known to be inactive."""
        if not (catalog := self.catalog()).directories:
            return
        await self.people.want(person.identity)
        snapshots = await self.snapshots.inactive(catalog)
        SnapshotFacts(snapshots, catalog, snapshots.inactive(catalog)).require_active(person)
