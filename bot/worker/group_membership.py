"""Finds requesters who have access and are outside all the groups that may request it; it revokes nothing.

It caches who requested what on systems where a role is restricted to groups, and the roster (the members of groups as
known now) and the policy hash by which they were judged. A group that is not fully known counts as unchanged.
``exposure`` is the exposure index: the users with live or pending access. A leg is one role of a request.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from bot.core.request import Person, Request
from bot.core.verdict import Roster
from bot.policy import lost_rights
from bot.policy.catalog import Catalog
from bot.store.indexes.exposure import ExposureIndex, is_exposed

_MAX_LOADS = 10_000
"""Requests that one poll reads: more of them, at the start of a process, are read over a few polls."""

Roles = tuple[tuple[str, str], ...]
"""Roles by system and name."""


@dataclass(frozen=True, slots=True)
class RequestedRoles:
    """A requester and the roles requested."""

    requester: Person
    roles: Roles


@dataclass
class GroupMembership:
    """The group-restricted requests of one workspace, as one process knows them."""

    exposure: ExposureIndex
    _roles_of: dict[str, RequestedRoles] = field(default_factory=dict)
    _restricted: set[str] = field(default_factory=set)
    _checked: set[str] = field(default_factory=set)
    _lost: set[str] = field(default_factory=set)
    _roles: frozenset[tuple[str, str]] = frozenset()
    _by: tuple[str, Roster] | None = None

    async def restricted_ids(self, catalog: Catalog) -> Collection[str]:
        """The ids of open requests, also those being revoked, for roles restricted to groups; loads only new ones."""
        roles = lost_rights.roles_restricted_to_groups(catalog)
        ids = await self.exposure.open_on({system for system, _ in roles})
        for id_ in self._roles_of.keys() - ids:
            del self._roles_of[id_]
        fresh = await self.exposure.load(sorted(ids - self._roles_of.keys())[:_MAX_LOADS])
        self._roles_of |= {request.id: _requested_roles(request) for request in fresh}
        new = self._roles_of if roles != self._roles else [request.id for request in fresh]
        unchanged = set[str]() if roles != self._roles else self._restricted & self._roles_of.keys()
        self._roles = roles
        self._restricted = unchanged | {id_ for id_ in new if not roles.isdisjoint(self._roles_of[id_].roles)}
        return self._restricted

    async def lost(self, catalog: Catalog, roster: Roster, also_read: Collection[str]) -> list[Request]:
        """The current records of requests whose requester surely may not request them now.

        ``also_read``: ids of more requests to return, whether or not their requester may request them.
        """
        if self._by != (catalog.policy_hash, roster):
            self._by, self._checked, self._lost = (catalog.policy_hash, roster), set(), set()
        for id_ in self._restricted - self._checked:
            requested = self._roles_of[id_]
            if lost_rights.outside(catalog, roster, requested.requester, requested.roles):
                self._lost.add(id_)
        self._checked, self._lost = set(self._restricted), self._lost & self._restricted
        to_load = self._lost | (self._restricted & set(also_read))
        return [request for request in await self.exposure.load(to_load) if is_exposed(request)]

    async def people(self) -> set[str]:
        """The requesters whose access depends on groups. It goes through the whole index: call it rarely."""
        return {self._roles_of[id_].requester.id for id_ in self._restricted & await self.exposure.ids()}


def _requested_roles(request: Request) -> RequestedRoles:
    return RequestedRoles(request.requester, tuple((leg.role.system, leg.role.role) for leg in request.legs))
