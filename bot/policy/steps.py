"""The approval steps of a request: those of its roles by today's policy, then those that its record requires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from bot.core.escalation import Escalation
from bot.core.frozen import Frozen
from bot.core.request import Person, Request, RequiredStep
from bot.core.verdict import Roster
from bot.policy import matching
from bot.policy.catalog import Catalog, EscalateTo, Role, RoleRef, Step
from bot.policy.field_types import Sensitivity
from bot.policy.stand_ins import fresh_for, never_counting


class RequestStep(Frozen):
    """A step of a request: so many different people out of any of the groups, for the role ``name``.

    ``n``: its place among the steps of its role, from 1. One that is required of the whole request is counted with the
    first role.
    """

    name: str
    n: int
    own: tuple[str, ...]
    """Its groups, without those that it escalated to."""
    count: int
    owner: bool = False
    """Whether its groups are the owners of the system."""
    ordered: bool = False
    """Whether it opens only once the step before it is filled."""
    escalate: EscalateTo | None = None
    """To whom it escalates by today's policy, and when."""
    escalated: tuple[str, ...] = ()
    """The groups that count as well since it escalated."""
    skipped_by: tuple[str, ...] = ()
    """The groups of the requester for which it is not needed; empty for one that is needed."""
    unsure: tuple[str, ...] = ()
    """The groups of which nobody can tell whether the requester is in them, and it is not needed."""
    required: RequiredStep | None = None
    """What the record requires beyond the policy's own steps; None for a step of the role."""

    @property
    def any_of(self) -> tuple[str, ...]:
        """All the groups whose people can fill it now."""
        return tuple(dict.fromkeys((*self.own, *self.escalated)))


def steps_of(
    catalog: Catalog,
    roster: Roster,
    request: Request,
    now: float,  # noqa: ARG001  # a step escalates when its record says so, and not by the time alone
) -> tuple[RequestStep, ...]:
    """For each role of the request its steps in order, and after them those that the record requires.

    Steps of roles follow today's policy, required ones the record, which come alone where it says so: then they are of
    today's owners. A step has escalated only where both say so. Those that are not needed are among them: see
    `RequestStep.skipped_by`.
    """
    legs = () if _only_required(request) else request.legs
    roles = [RoleRef(system=leg.role.system, role=leg.role.role) for leg in legs]
    steps = _of_roles(catalog, roster, request.requester, roles, request.escalations)
    names = [leg.role.name for leg in request.legs]
    for required in request.required_steps:
        name = required.role if required.role in names else names[0]
        same = [step for step in steps if step.name == name]
        # A step of one role comes after those that the role has in order; one of the whole request does not wait.
        ordered = bool(required.role) and any(step.ordered for step in same)
        found = RequestStep(
            name=name,
            n=len(same) + 1,
            own=_own(catalog, request, required),
            count=required.count,
            ordered=ordered,
            required=required,
        )
        steps.append(found)
    return tuple(steps)


def steps_of_roles(
    catalog: Catalog,
    roster: Roster,
    requester: Person,
    roles: Iterable[RoleRef],
    now: float,  # noqa: ARG001  # as in `steps_of`
) -> tuple[RequestStep, ...]:
    """The same of roles that nobody has requested yet. One that the policy does not have has a step for nobody."""
    return tuple(_of_roles(catalog, roster, requester, roles, ()))


def _of_roles(
    catalog: Catalog,
    roster: Roster,
    requester: Person,
    roles: Iterable[RoleRef],
    escalations: Sequence[Escalation],
) -> list[RequestStep]:
    found: list[RequestStep] = []
    for ref in roles:
        name, role = f"{ref.system}/{ref.role}", catalog.role(ref.system, ref.role)
        if role is None:
            found.append(RequestStep(name=name, n=1, own=(), count=1))
            continue
        steps = [
            RequestStep(
                name=name,
                n=n,
                own=step.any_of,
                count=step.count,
                owner=step.owner,
                ordered=role.ordered,
                escalate=step.escalate,
                escalated=_escalated(name, n, step, escalations),
                skipped_by=tuple(g for g in step.skip_if_requester_in if g in roster and roster[g].holds(requester)),
                unsure=tuple(g for g in step.skip_if_requester_in if not (g in roster and roster[g].known)),
            )
            for n, step in enumerate(role.steps, start=1)
        ]
        # The policy's check leaves one that is always needed; without it, all of them are.
        none_left = all(step.skipped_by for step in steps)
        found += [step.model_copy(update={"skipped_by": ()}) if none_left else step for step in steps]
    return found


def _escalated(name: str, n: int, step: Step, escalations: Sequence[Escalation]) -> tuple[str, ...]:
    """The groups that a step has escalated to by its record, as far as today's policy has them for the same step."""
    if step.escalate is None:
        return ()
    mine = [e for e in escalations if e.escalated_at and (e.role, e.step, e.any_of) == (name, n, step.any_of)]
    return tuple(group for group in step.escalate.to if any(group in each.to for each in mine))


def escalations_of(
    steps: Iterable[RequestStep], before: Sequence[Escalation], now: float, decide_by: float
) -> tuple[Escalation, ...]:
    """The escalations of a request whose ``steps`` can be filled now: those that it had, and those that begin now.

    One that is to come is dropped once its step is filled, or is another one by today's policy.
    """
    found = [each for each in before if each.escalated_at]
    known = {(e.role, e.step, e.any_of, e.to): e for e in before}
    for step in steps:
        if step.escalate is None:
            continue
        key = (step.name, step.n, step.own, step.escalate.to)
        if key in known:
            found += [known[key]] if known[key] not in found else []
        elif (at := now + step.escalate.after) < decide_by:
            found.append(Escalation(role=step.name, step=step.n, any_of=step.own, to=step.escalate.to, escalate_at=at))
    return tuple(found)


def first_open(steps: Iterable[RequestStep]) -> tuple[RequestStep, ...]:
    """Those of a new request that can be filled at once: where a role has them in order, its first."""
    found: list[RequestStep] = []
    for step in (step for step in steps if not step.skipped_by):
        if not (step.ordered and any(each.name == step.name for each in found)):
            found.append(step)
    return tuple(found)


def before(steps: Sequence[RequestStep]) -> list[int | None]:
    """For each step, the one that has to be filled first; None for one that waits for no other."""
    found: list[int | None] = []
    last: dict[str, int] = {}
    for n, step in enumerate(steps):
        found.append(last.get(step.name) if step.ordered else None)
        if step.ordered and not step.skipped_by:
            last[step.name] = n
    return found


def groups_of(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """Every group whose people can approve the request at some time, in the order of the steps."""
    legs = () if _only_required(request) else request.legs
    roles = (catalog.role(leg.role.system, leg.role.role) for leg in legs)
    of_roles = (group for role in roles if role for group in groups_of_role(role))
    required = (group for step in request.required_steps for group in _own(catalog, request, step))
    return tuple(dict.fromkeys((*of_roles, *required)))


def _own(catalog: Catalog, request: Request, step: RequiredStep) -> tuple[str, ...]:
    """The groups of a required step: of what an owner approves in place of the approvers, those of today's owners."""
    system = catalog.systems.get(step.role.partition("/")[0]) if request.only_required and not step.rule else None
    return system.approvers if system else step.any_of


def _only_required(request: Request) -> bool:
    """A record that requires nothing keeps the steps of its roles: no request is without any."""
    return request.only_required and bool(request.required_steps)


def groups_of_role(role: Role) -> tuple[str, ...]:
    """The same of a role."""
    return tuple(dict.fromkeys(group for step in role.steps for group in groups_of_step(step)))


def groups_of_step(step: Step) -> tuple[str, ...]:
    """The same of a step."""
    return (*step.any_of, *(step.escalate.to if step.escalate else ()))


def could_fill(
    catalog: Catalog,
    roster: Roster,
    requester: Person,
    roles: tuple[RoleRef, ...],
    now: float,
    requested_by: Person | None = None,
) -> frozenset[str]:
    """The roles (``system/role``) whose steps others can fill at the same time, each place by a person of its own.

    ``requested_by``: who requests it for the requester; neither of the two is one of the others.
    """
    steps = steps_of_roles(catalog, roster, requester, roles, now)
    places = [step for step in steps if not step.skipped_by for _ in range(step.count)]
    # As many people as there are places are enough for each place: of thousands, the others change nothing.
    known = [role for ref in roles if (role := catalog.role(ref.system, ref.role))]
    fresh = fresh_for(catalog, critical=any(role.sensitivity is Sensitivity.CRITICAL for role in known))
    taken = never_counting(roster, (requester, requested_by) if requested_by else (requester,), now)
    joined_by = now - fresh if fresh else None
    filled = matching.fillable([_others(roster, step, taken, len(places), joined_by) for step in places])
    names = frozenset(f"{ref.system}/{ref.role}" for ref in roles)
    return names - {step.name for n, step in enumerate(places) if n not in filled}


def _others(
    roster: Roster, step: RequestStep, taken: AbstractSet[str], most: int, joined_by: float | None
) -> frozenset[str]:
    """So many of those who may be able to fill a step, each person once, and nobody who is ``taken``.

    ``joined_by``: until when they have to have joined the group.
    """
    known = [roster[group] for group in step.any_of if group in roster and roster[group].known]
    all_ = (members.people_since(joined_by) for members in known)
    people = (islice((who for who in them if who not in taken), most) for them in all_)
    return frozenset(who for some in people for who in some)
