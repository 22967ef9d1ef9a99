"""Finds requesters who have access and are outside all the groups that may request it; it revokes nothing.

For systems that have a role restricted to groups, it caches who requested which roles, and whose right to request
them was lost by the last policy and roster (the members of groups as known now). A group that is not fully known takes
no right away. ``exposure`` is the exposure index: the users with live or pending access.
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
    _judged_by: tuple[str, Roster] | None = None

    async def restricted_ids(self, catalog: Catalog) -> Collection[str]:
        """The ids of open requests, also those being revoked, for roles restricted to groups; loads only new ones."""
        roles = lost_rights.roles_restricted_to_groups(catalog)
        ids = await self.exposure.open_on({system for system, _ in roles})
        for id_ in self._roles_of.keys() - ids:
            del self._roles_of[id_]
        loaded = await self.exposure.load(sorted(ids - self._roles_of.keys())[:_MAX_LOADS])
        self._roles_of |= {request.id: _requested_roles(request) for request in loaded}
        if roles == self._roles:
            to_check, still_restricted = {request.id for request in loaded}, self._restricted & self._roles_of.keys()
        else:  # the policy restricts other roles by now: check all again
            to_check, still_restricted = set(self._roles_of), set[str]()
        self._roles = roles
        now_restricted = {id_ for id_ in to_check if not roles.isdisjoint(self._roles_of[id_].roles)}
        self._restricted = still_restricted | now_restricted
        return self._restricted

    async def lost(self, catalog: Catalog, roster: Roster, also_read: Collection[str]) -> list[Request]:
        """The current records of requests whose requester surely may not request them now.

        ``also_read``: ids of more requests to return, whether or not their requester may request them.
        """
        if self._judged_by != (catalog.policy_hash, roster):
            self._judged_by, self._checked, self._lost = (catalog.policy_hash, roster), set(), set()
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
