"""Which roles somebody surely may not request any more, by today's policy and groups; it decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.request import Person, Request
from bot.core.verdict import Roster
from bot.policy.catalog import Catalog


def resting_on_groups(catalog: Catalog) -> frozenset[tuple[str, str]]:
    """The roles that are for the people of some groups to ask, who do not come and go by shifts; by system and name."""
    return frozenset(
        (system, name)
        for system, owner in catalog.systems.items()
        for name, role in owner.roles.items()
        if catalog.rests_on_groups(role)
    )


def lost(catalog: Catalog, roster: Roster, request: Request) -> tuple[str, ...]:
    """The roles of the request that who asked surely may not ask for any more; what is not told is not lost.

    A group without anybody is no answer: Slack keeps none, so whoever says so is mistaken.
    """
    return outside(catalog, roster, request.requester, [(leg.role.system, leg.role.role) for leg in request.legs])


def outside(catalog: Catalog, roster: Roster, requester: Person, roles: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The same of roles by system and name."""
    names: list[str] = []
    for system, name in roles:
        role = catalog.role(system, name)
        if role is None or not catalog.rests_on_groups(role):
            continue
        groups = [roster[group] for group in role.may_ask if group in roster]
        told = len(groups) == len(role.may_ask) and all(g.known and (g.users or g.identities) for g in groups)
        if told and not any(group.holds(requester) for group in groups):
            names.append(f"{system}/{name}")
    return tuple(names)
