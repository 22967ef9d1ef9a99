"""Who is outside all the groups that may ask for what they have; what was judged once is not judged again.

It remembers who asked for what on the systems where not everyone may ask for all, which never changes while it is
open, and by which groups it judged them. It believes no group that is not wholly told, and takes nothing away.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from bot.core import policy
from bot.core.catalog import Catalog
from bot.core.model import Person, Request
from bot.store.stakes import Stakes, at_stake

_AT_ONCE = 10_000
"""Requests that are read in one look: more of them, at the start of a process, are read over a few looks."""

Roles = tuple[tuple[str, str], ...]
"""By system and name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for which roles."""

    asker: Person
    roles: Roles


@dataclass
class Outsiders:
    """Of one workspace, as one process knows them."""

    stakes: Stakes
    _asked: dict[str, Asked] = field(default_factory=dict)
    _resting: set[str] = field(default_factory=set)
    _judged: set[str] = field(default_factory=set)
    _lost: set[str] = field(default_factory=set)
    _roles: frozenset[tuple[str, str]] = frozenset()
    _by: tuple[str, policy.Roster] | None = None

    async def resting(self, catalog: Catalog) -> Collection[str]:
        """The ids of what is open, or closing, of the roles that not everyone may ask for; only new ones are read."""
        roles = policy.resting_on_groups(catalog)
        ids = await self.stakes.on({system for system, _ in roles})
        for id_ in self._asked.keys() - ids:
            del self._asked[id_]
        fresh = await self.stakes.load(sorted(ids - self._asked.keys())[:_AT_ONCE])
        self._asked |= {request.id: _asked(request) for request in fresh}
        new = self._asked if roles != self._roles else [request.id for request in fresh]
        known = set[str]() if roles != self._roles else self._resting & self._asked.keys()
        self._roles = roles
        self._resting = known | {id_ for id_ in new if not roles.isdisjoint(self._asked[id_].roles)}
        return self._resting

    async def lost(self, catalog: Catalog, roster: policy.Roster, also: Collection[str]) -> list[Request]:
        """What who asked surely may not ask for any more, as it is in the record now; ``also`` these, by id."""
        if self._by != (catalog.generation, roster):
            self._by, self._judged, self._lost = (catalog.generation, roster), set(), set()
        for id_ in self._resting - self._judged:
            asked = self._asked[id_]
            if policy.outside(catalog, roster, asked.asker, asked.roles):
                self._lost.add(id_)
        self._judged, self._lost = set(self._resting), self._lost & self._resting
        doubted = self._lost | (self._resting & set(also))
        return [request for request in await self.stakes.load(doubted) if at_stake(request)]

    async def people(self) -> set[str]:
        """Whose it is that rests on groups and could be lost. All of it is looked through: for when it matters."""
        return {self._asked[id_].asker.id for id_ in self._resting & await self.stakes.ids()}


def _asked(request: Request) -> Asked:
    return Asked(request.asker, tuple((leg.role.system, leg.role.role) for leg in request.legs))
