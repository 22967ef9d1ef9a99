"""Who may ask, answer, take away and read; each check gives its reasons, and what cannot be told is a no.

Everything here is judged on today's policy and on groups as they are known now: nothing that a button, a
message or an earlier verdict says is believed.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.request import Person, Request, Review, Verb
from bot.core.verdict import Code, Reason, Roster, Verdict
from bot.policy import matching
from bot.policy.catalog import EVERYONE, Catalog, Choice, Role, RoleRef
from bot.policy.field_types import Sensitivity
from bot.policy.steps import before, could_fill, groups_of, groups_of_role, steps_of, steps_of_roles
from bot.policy.tally import StepTally, Tally


def may_request(catalog: Catalog, roster: Roster, requester: Person, choice: Choice, now: float) -> Verdict:
    """Whether this person may ask for every role of the choice, and somebody could approve it."""
    reasons: list[Reason] = []
    fillable = could_fill(catalog, roster, requester, choice.roles, now)
    for ref in choice.roles:
        role = catalog.role(ref.system, ref.role)
        if role is None or not _may_request(role, roster, requester):
            reasons.append(Reason(code=Code.MAY_NOT_ASK, about=(f"{ref.system}/{ref.role}",)))
            reasons += _unknown(roster, role.may_ask if role else ())
        elif f"{ref.system}/{ref.role}" not in fillable:
            reasons.append(Reason(code=Code.NOBODY_TO_APPROVE, about=(f"{ref.system}/{ref.role}",)))
            steps = steps_of_roles(catalog, roster, requester, (ref,), now)
            reasons += _unknown(roster, (group for step in steps for group in step.any_of))
    return Verdict(reasons=tuple(reasons))


def may_review(catalog: Catalog, roster: Roster, request: Request, reviewer: Person, now: float) -> Verdict:
    """Whether this person's answer, yes or no, would count now."""
    if same(reviewer, request.requester):
        return _no(Code.OWN_REQUEST)
    so_far = tally(catalog, roster, request, now)
    groups = tuple(dict.fromkeys(g for step in so_far.steps if not step.step.skipped_by for g in step.any_of))
    if not _in_any(roster, groups, reviewer):
        return Verdict(reasons=(Reason(code=Code.NOT_AN_APPROVER, about=groups), *_unknown(roster, groups)))
    yes = Review(verb=Verb.APPROVE, by=reviewer, at=now, duration=request.duration)
    # With none open (somebody whose answer counts again has come back to a group), any answer completes it.
    if so_far.complete or tally(catalog, roster, request, now, also=yes).people < so_far.people:
        return Verdict()
    for step in so_far.open:
        if step.waits and _in_any(roster, step.any_of, reviewer):
            return Verdict(reasons=(Reason(code=Code.NOT_YET_OPEN, about=so_far.comes_before(step)),))
    return _no(Code.ALREADY_FILLED)


def may_still_request(
    catalog: Catalog,
    roster: Roster,
    request: Request,
    now: float,  # noqa: ARG001  # nothing in it depends on the time yet
) -> Verdict:
    """Whether who asked still may ask for every role of the request, so that it can be approved."""
    reasons: list[Reason] = []
    for leg in request.legs:
        role = catalog.role(leg.role.system, leg.role.role)
        if role is not None and not _may_request(role, roster, request.requester):
            reasons.append(Reason(code=Code.REQUESTER_MAY_NOT, about=(leg.role.name,)))
            reasons += _unknown(roster, role.may_ask)
    return Verdict(reasons=tuple(reasons))


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
        if told and not _in_any(roster, role.may_ask, requester):
            names.append(f"{system}/{name}")
    return tuple(names)


def may_revoke(catalog: Catalog, roster: Roster, request: Request, person: Person) -> Verdict:
    """Whether this person may take the access away: an approver of it, or an operator."""
    groups = _responsible(catalog, request)
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.MAY_NOT_REVOKE, about=groups), *_unknown(roster, groups)))


def may_stop(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may stop all that is new, and have it lifted: an operator of the workspace."""
    groups = catalog.workspace.operators
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_OPERATOR, about=groups), *_unknown(roster, groups)))


def is_requester(request: Request, person: Person) -> Verdict:
    """Whether this person may cancel or release the request, or see its secret: only the requester may."""
    return Verdict() if same(person, request.requester) else _no(Code.NOT_THE_REQUESTER)


def may_read(catalog: Catalog, roster: Roster, request: Request, person: Person) -> Verdict:
    """Whether this person may know of the request at all."""
    return Verdict() if same(person, request.requester) else may_revoke(catalog, roster, request, person)


def may_audit(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may read the record of everybody."""
    groups = catalog.workspace.auditors
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_AUDITOR, about=groups), *_unknown(roster, groups)))


def may_see_findings(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may see what stands out in the record, and snooze it: an auditor, or an operator."""
    groups = tuple(dict.fromkeys((*catalog.workspace.auditors, *catalog.workspace.operators)))
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_AUDITOR, about=groups), *_unknown(roster, groups)))


def may_snooze(catalog: Catalog, roster: Roster, person: Person, about: Iterable[str]) -> Verdict:
    """Whether this person may have a finding not shown for a while: never one ``about`` themself, by identity."""
    seen = may_see_findings(catalog, roster, person)
    return _no(Code.ABOUT_THEMSELF) if seen.allowed and person.identity in about else seen


def tally(catalog: Catalog, roster: Roster, request: Request, now: float, also: Review | None = None) -> Tally:
    """Which steps the approvals fill, recounted on today's policy and groups; one person fills one place in all roles.

    So each role's own approvers decide about it, and one approval never counts for two. Where a role has its steps in
    order, an approval counts for a step only if it came after all those that fill the step before.
    """
    approvals = _approvals(request, also)
    steps = steps_of(catalog, roster, request, now)
    fits = [
        [n for n, step in enumerate(steps) if not step.skipped_by and _in_any(roster, step.any_of, review.by)]
        for review in approvals
    ]
    firsts = before(steps)
    seated = matching.seat(fits, [matching.Table(step.count, n) for step, n in zip(steps, firsts, strict=True)])
    found: list[StepTally] = []
    for step, first, who in zip(steps, firsts, seated, strict=True):
        waits = first is not None and bool(found[first].missing)
        found.append(StepTally(step=step, by=tuple(approvals[n] for n in who), waits=waits))
    counted = {review.by.identity for each in found for review in each.by}
    return Tally(steps=tuple(found), counted=tuple(r for r in approvals if r.by.identity in counted))


def in_doubt(roster: Roster, request: Request, so_far: Tally) -> tuple[str, ...]:
    """The groups that nobody tells just now, and by which an open step may be filled, or not be needed."""
    counted = {review.by.identity for review in so_far.counted}
    groups = [group for step in so_far.open for group in step.step.unsure]
    if any(review.by.identity not in counted for review in _approvals(request, None)):
        groups += [group for step in so_far.open for group in step.any_of]
    return tuple(group for reason in _unknown(roster, groups) for group in reason.about)


def same(one: Person, other: Person) -> bool:
    """Whether two accounts are one human: by bound identity, or by account (an address may change)."""
    return one.id == other.id or (bool(one.identity) and one.identity == other.identity)


def unchanged(catalog: Catalog, request: Request) -> bool:
    """Whether each role still grants what was asked for."""
    roles = ((leg.role, catalog.role(leg.role.system, leg.role.role)) for leg in request.legs)
    return all(role is not None and role.grants_still(snapshot) for snapshot, role in roles)


def systems_of(catalog: Catalog, roster: Roster, person: Person) -> tuple[str, ...]:
    """The systems that this person answers for: as an approver of one of their roles, or as an operator."""
    operator = _in_any(roster, catalog.workspace.operators, person)
    return tuple(
        name
        for name, system in catalog.systems.items()
        if operator
        or _in_any(roster, system.approvers, person)
        or any(_in_any(roster, groups_of_role(role), person) for role in system.roles.values())
    )


def answers_for(catalog: Catalog, roster: Roster, person: Person, ref: RoleRef) -> bool:
    """Whether this person decides about the role, owns its system, or is an operator: so may know of it."""
    role = catalog.role(ref.system, ref.role)
    owners = catalog.systems[ref.system].approvers if role else ()
    groups = (*(groups_of_role(role) if role else ()), *owners, *catalog.workspace.operators)
    return _in_any(roster, groups, person)


def is_critical(catalog: Catalog, request: Request) -> bool:
    """Whether a role of the request is critical, as it was asked for or as it is today."""
    today = (role.sensitivity for role in _roles(catalog, request))
    return Sensitivity.CRITICAL in {*today, *(leg.role.sensitivity for leg in request.legs)}


def deciding(catalog: Catalog) -> tuple[str, ...]:
    """All the groups whose people decide about anything, or operate the workspace."""
    systems = catalog.systems.values()
    steps = (group for system in systems for role in system.roles.values() for group in groups_of_role(role))
    owners = (group for system in systems for group in system.approvers)
    return tuple(dict.fromkeys((*steps, *owners, *catalog.workspace.operators)))


def concerned(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """The groups that a decision about the request depends on: of its approvers, and those that its requester is in."""
    roles = list(_roles(catalog, request))
    requesters = (group for role in roles for group in role.may_ask if group != EVERYONE)
    skips = (group for role in roles for step in role.steps for group in step.skip_if_requester_in)
    return tuple(dict.fromkeys((*approvers(catalog, request), *requesters, *skips)))


def approvers(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """The groups that are asked at some time, in the order of the policy."""
    return groups_of(catalog, request)


def _roles(catalog: Catalog, request: Request) -> Iterable[Role]:
    for leg in request.legs:
        role = catalog.role(leg.role.system, leg.role.role)
        if role is not None:
            yield role


def _responsible(catalog: Catalog, request: Request) -> tuple[str, ...]:
    systems = [catalog.systems[leg.role.system] for leg in request.legs if leg.role.system in catalog.systems]
    owners = (group for system in systems for group in system.approvers)
    return tuple(dict.fromkeys((*approvers(catalog, request), *owners, *catalog.workspace.operators)))


def _may_request(role: Role, roster: Roster, requester: Person) -> bool:
    return (EVERYONE in role.may_ask and _is_active(roster, requester)) or _in_any(roster, role.may_ask, requester)


def _is_active(roster: Roster, person: Person) -> bool:
    """Whether nothing is known that makes the account nobody's."""
    return not any(person.id in members.nobody for members in roster.values())


def _in_any(roster: Roster, groups: Iterable[str], person: Person) -> bool:
    return any(group in roster and roster[group].holds(person) for group in groups)


def _unknown(roster: Roster, groups: Iterable[str]) -> tuple[Reason, ...]:
    dark = tuple(dict.fromkeys(g for g in groups if g != EVERYONE and not (g in roster and roster[g].known)))
    return (Reason(code=Code.UNKNOWN_GROUP, about=dark),) if dark else ()


def _approvals(request: Request, also: Review | None) -> list[Review]:
    """Each person's approval, once, and never the requester's."""
    all_reviews = (*request.reviews, also) if also else request.reviews
    found: list[Review] = []
    for review in all_reviews:
        known = (request.requester, *(counted.by for counted in found))
        if review.verb is Verb.APPROVE and not any(same(review.by, person) for person in known):
            found.append(review)
    return found


def _no(code: Code) -> Verdict:
    return Verdict(reasons=(Reason(code=code),))
