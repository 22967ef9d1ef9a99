"""Which roles somebody surely may not request any more, by today's policy and groups; it decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.request import Person, Request
from bot.core.verdict import Roster
from bot.policy.catalog import Catalog, Role


def roles_restricted_to_groups(catalog: Catalog) -> frozenset[tuple[str, str]]:
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
    names = outside(catalog, roster, request.requester, [(leg.role.system, leg.role.role) for leg in request.legs])
    return tuple(name for name in names if not _kept_by_break_glass(catalog, roster, request, name))


def outside(catalog: Catalog, roster: Roster, requester: Person, roles: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The same of roles by system and name."""
    names: list[str] = []
    for system, name in roles:
        role = catalog.role(system, name)
        if role is None or not catalog.rests_on_groups(role):
            continue
        if _surely_in_none(roster, role.may_ask, requester):
            names.append(f"{system}/{name}")
    return tuple(names)


def _surely_in_none(roster: Roster, names: tuple[str, ...], person: Person) -> bool:
    groups = [roster[group] for group in names if group in roster]
    told = len(groups) == len(names) and all(g.known and (g.users or g.identities) for g in groups)
    return told and not any(group.holds(person) for group in groups)


def _kept_by_break_glass(catalog: Catalog, roster: Roster, request: Request, name: str) -> bool:
    """Whether its requester may still use break-glass for the role, as far as that is known."""
    system, _, short = name.partition("/")
    role = catalog.role(system, short)
    groups = break_glass_groups(request, role) if role else ()
    return bool(groups) and not _surely_in_none(roster, groups, request.requester)


def break_glass_groups(request: Request, role: Role) -> tuple[str, ...]:
    """The groups by which break-glass access, or what an owner approves in its place, is kept; else none."""
    by_break_glass = request.break_glass is not None or request.only_required
    return role.break_glass.who if by_break_glass and role.break_glass else ()
