"""The approval steps of a request: those of its roles by today's policy, then those that its record requires."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from bot.core.frozen import Frozen
from bot.core.request import Person, Request, RequiredStep
from bot.core.verdict import Roster
from bot.policy import matching
from bot.policy.catalog import Catalog, Role, RoleRef


class RequestStep(Frozen):
    """A step of a request: so many different people out of any of the groups, for the role ``name``.

    ``n``: its place among the steps of its role, from 1. One that is required of the whole request is counted with the
    first role.
    """

    name: str
    n: int
    any_of: tuple[str, ...]
    count: int
    required: RequiredStep | None = None
    """What the record requires beyond the policy's own steps; None for a step of the role."""


def steps_of(catalog: Catalog, roster: Roster, request: Request, now: float) -> tuple[RequestStep, ...]:
    """For each role of the request its steps in order, and after them those that the record requires.

    Steps of roles follow today's policy, required ones the record.
    """
    roles = [RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs]
    steps = list(steps_of_roles(catalog, roster, request.requester, roles, now))
    names = [leg.role.name for leg in request.legs]
    for required in request.required_steps:
        name = required.role if required.role in names else names[0]
        n = sum(step.name == name for step in steps) + 1
        steps.append(RequestStep(name=name, n=n, any_of=required.any_of, count=required.count, required=required))
    return tuple(steps)


def steps_of_roles(
    catalog: Catalog,
    roster: Roster,  # noqa: ARG001  # a step may depend on who is in which group
    requester: Person,  # noqa: ARG001  # and on who requests
    roles: Iterable[RoleRef],
    now: float,  # noqa: ARG001  # and on the time
) -> tuple[RequestStep, ...]:
    """The same of roles that nobody has requested yet. One that the policy does not have has a step for nobody."""
    found: list[RequestStep] = []
    for ref in roles:
        name, role = f"{ref.system}/{ref.role}", catalog.role(ref.system, ref.role)
        if role is None:
            found.append(RequestStep(name=name, n=1, any_of=(), count=1))
            continue
        found += [
            RequestStep(name=name, n=n, any_of=step.any_of, count=step.count)
            for n, step in enumerate(role.steps, start=1)
        ]
    return tuple(found)


def groups_of(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """Every group whose people can approve the request at some time, in the order of the steps."""
    roles = (catalog.role(leg.role.system, leg.role.role) for leg in request.legs)
    of_roles = (group for role in roles if role for group in groups_of_role(role))
    required = (group for step in request.required_steps for group in step.any_of)
    return tuple(dict.fromkeys((*of_roles, *required)))


def groups_of_role(role: Role) -> tuple[str, ...]:
    """The same of a role."""
    return tuple(dict.fromkeys(group for step in role.steps for group in step.any_of))


def could_fill(
    catalog: Catalog, roster: Roster, requester: Person, roles: tuple[RoleRef, ...], now: float
) -> frozenset[str]:
    """The roles (``system/role``) whose steps others can fill at the same time, each place by a person of its own."""
    steps = steps_of_roles(catalog, roster, requester, roles, now)
    places = [step for step in steps for _ in range(step.count)]
    # As many people as there are places are enough for each place: of thousands, the others change nothing.
    filled = matching.fillable([_others(roster, step, requester, len(places)) for step in places])
    names = frozenset(f"{ref.system}/{ref.role}" for ref in roles)
    return names - {step.name for n, step in enumerate(places) if n not in filled}


def _others(roster: Roster, step: RequestStep, requester: Person, most: int) -> frozenset[str]:
    """So many of those who may be able to fill a step, each person once, and never the requester."""
    known = [roster[group] for group in step.any_of if group in roster and roster[group].known]
    people = (islice(members.people - {requester.identity, requester.id}, most) for members in known)
    return frozenset(who for some in people for who in some)
