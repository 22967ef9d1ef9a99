"""Who may ask, answer, take away and read; each check gives its reasons, and what cannot be told is a no.

Everything here is judged on today's policy and on groups as they are known now: nothing that a button, a
message or an earlier verdict says is believed.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.delegation import Delegation, same_person
from bot.core.request import Person, Request, Review, Verb
from bot.core.verdict import Code, Reason, Roster, Verdict
from bot.policy import stand_ins
from bot.policy.approval_progress import ApprovalProgress
from bot.policy.catalog import EVERYONE, Catalog, Choice, Role, RoleRef
from bot.policy.field_types import Sensitivity
from bot.policy.lost_rights import break_glass_groups
from bot.policy.recount import approval_progress, in_doubt, is_critical, unknown_groups
from bot.policy.steps import could_fill, groups_of, groups_of_role, steps_of_roles

__all__ = ["ApprovalProgress", "approval_progress", "in_doubt", "is_critical", "same_person"]
"""What is imported above and asked for here too."""


def may_request(
    catalog: Catalog, roster: Roster, requester: Person, choice: Choice, now: float, requested_by: Person | None = None
) -> Verdict:
    """Whether this person may ask for every role of the choice, and somebody else could approve it.

    ``requested_by``: who requests it for them; whether they may is `on_behalf.may_request_for`.
    """
    reasons: list[Reason] = []
    fillable = could_fill(catalog, roster, requester, choice.roles, now, requested_by)
    for ref in choice.roles:
        role = catalog.role(ref.system, ref.role)
        if role is None or not _may_request(role, roster, requester):
            code = Code.PERSON_MAY_NOT_ASK if requested_by else Code.MAY_NOT_ASK
            reasons.append(Reason(code=code, about=(f"{ref.system}/{ref.role}",)))
            reasons += unknown_groups(roster, role.may_ask if role else ())
        elif f"{ref.system}/{ref.role}" not in fillable:
            reasons.append(Reason(code=Code.NOBODY_TO_APPROVE, about=(f"{ref.system}/{ref.role}",)))
            steps = steps_of_roles(catalog, roster, requester, (ref,), now)
            reasons += unknown_groups(roster, (group for step in steps for group in step.any_of))
    return Verdict(reasons=tuple(reasons))


def may_review(catalog: Catalog, roster: Roster, request: Request, reviewer: Person, now: float) -> Verdict:
    """Whether this person's answer, yes or no, would count now."""
    if is_party(request, reviewer):
        return _no(Code.OWN_REQUEST)
    if stand_ins.linked_to_any(roster, reviewer, request.parties, now):
        return _no(Code.LINKED)
    so_far = approval_progress(catalog, roster, request, now, fresh=0)
    groups = _groups(so_far)
    ways = stand_ins.ways(catalog, roster, groups, reviewer, now)
    if not ways:
        unknown = unknown_groups(roster, stand_ins.with_stand_ins(catalog, groups))
        return Verdict(reasons=(Reason(code=Code.NOT_AN_APPROVER, about=groups), *unknown))
    # With none open (somebody whose answer counts again has come back to a group), any answer completes it.
    less = (_missing_after(catalog, roster, request, reviewer, now, way) < so_far.people for way in ways)
    if so_far.complete or any(less):
        return Verdict()
    for step in so_far.open:
        if step.waits and stand_ins.ways(catalog, roster, step.any_of, reviewer, now):
            return Verdict(reasons=(Reason(code=Code.NOT_YET_OPEN, about=so_far.comes_before(step)),))
    return _no(Code.ALREADY_FILLED)


def attribute_review(catalog: Catalog, roster: Roster, request: Request, review: Review, now: float) -> Review:
    """The review, marked with whose right it uses: the reviewer's own, or that of somebody for whom they stand in."""
    ways = stand_ins.ways(
        catalog, roster, _groups(approval_progress(catalog, roster, request, now, fresh=0)), review.by, now
    )
    after = {way.id if way else "": _missing_after(catalog, roster, request, review.by, now, way) for way in ways}
    return stand_ins.given_by(review, min(ways, key=lambda way: after[way.id if way else ""], default=None))


def counts_yet(catalog: Catalog, roster: Roster, request: Request, review: Review, now: float) -> Verdict:
    """Whether an approval counts yet: for a critical role, not if the reviewer joined its groups a short while ago."""
    counted = approval_progress(catalog, roster, request, now, also=review)
    if counted.people <= approval_progress(catalog, roster, request, now, also=review, fresh=0).people:
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.FRESH_MEMBER, about=_groups(counted)),))


def _groups(so_far: ApprovalProgress) -> tuple[str, ...]:
    """The groups of all steps that are needed."""
    return tuple(dict.fromkeys(g for step in so_far.steps if not step.step.skipped_by for g in step.any_of))


def _missing_after(
    catalog: Catalog, roster: Roster, request: Request, reviewer: Person, now: float, way: Delegation | None
) -> int:
    """How many people are missing once this one has approved in that right."""
    yes = Review(verb=Verb.APPROVE, by=reviewer, at=now, duration=request.duration)
    return approval_progress(catalog, roster, request, now, also=stand_ins.given_by(yes, way), fresh=0).people


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
        if role is None:
            continue
        by_break_glass = _in_any(roster, break_glass_groups(request, role), request.requester)
        # An owner approves in place of the role's approvers only what is break-glass all the same.
        alone = request.only_required and request.awaits_decision
        if not (by_break_glass or (not alone and _may_request(role, roster, request.requester))):
            reasons.append(Reason(code=Code.REQUESTER_MAY_NOT, about=(leg.role.name,)))
            reasons += unknown_groups(roster, role.may_ask)
    return Verdict(reasons=tuple(reasons))


def may_revoke(catalog: Catalog, roster: Roster, request: Request, person: Person) -> Verdict:
    """Whether this person may take the access away: an approver of it, or an operator."""
    groups = _responsible(catalog, request)
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.MAY_NOT_REVOKE, about=groups), *unknown_groups(roster, groups)))


def may_lock_down(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may lock down and vote to lift: they are an operator of the workspace."""
    groups = catalog.workspace.operators
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_OPERATOR, about=groups), *unknown_groups(roster, groups)))


def is_requester(request: Request, person: Person) -> Verdict:
    """Whether this person may cancel or release the request, or see its secret: only the requester may."""
    return Verdict() if same_person(person, request.requester) else _no(Code.NOT_THE_REQUESTER)


def is_party(request: Request, person: Person) -> bool:
    """Whether it is this person's request: they get the access, or requested it for who gets it."""
    return any(same_person(person, party) for party in request.parties)


def is_requested_by(request: Request, person: Person) -> bool:
    """Whether this person requested it for somebody else."""
    return request.requested_by is not None and same_person(request.requested_by, person)


def may_read(catalog: Catalog, roster: Roster, request: Request, person: Person) -> Verdict:
    """Whether this person may know of the request at all: of a draft, only those whose request it is."""
    if is_party(request, person):
        return Verdict()
    if request.unseen:
        return _no(Code.NOT_THE_REQUESTER)
    if stand_ins.may_stand_in(catalog, roster, groups_of(catalog, request), person):
        return Verdict()
    return may_revoke(catalog, roster, request, person)


def may_audit(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may read the record of everybody."""
    groups = catalog.workspace.auditors
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_AUDITOR, about=groups), *unknown_groups(roster, groups)))


def may_see_findings(catalog: Catalog, roster: Roster, person: Person) -> Verdict:
    """Whether this person may see what stands out in the record, and snooze it: an auditor, or an operator."""
    groups = tuple(dict.fromkeys((*catalog.workspace.auditors, *catalog.workspace.operators)))
    if _in_any(roster, groups, person):
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_AUDITOR, about=groups), *unknown_groups(roster, groups)))


def may_snooze(catalog: Catalog, roster: Roster, person: Person, about: Iterable[str]) -> Verdict:
    """Whether this person may have a finding not shown for a while: never one ``about`` themself, by identity."""
    seen = may_see_findings(catalog, roster, person)
    return _no(Code.ABOUT_THEMSELF) if seen.allowed and person.identity in about else seen


def roles_unchanged(catalog: Catalog, request: Request) -> bool:
    """Whether each role still grants what was requested."""
    roles = ((leg.role, catalog.role(leg.role.system, leg.role.role)) for leg in request.legs)
    return all(role is not None and role.grants_still(snapshot) for snapshot, role in roles)


def systems_of(catalog: Catalog, roster: Roster, person: Person) -> tuple[str, ...]:
    """The systems that this person oversees: as an approver of one of their roles, an owner, or an operator."""
    operator = _in_any(roster, catalog.workspace.operators, person)
    return tuple(
        name
        for name, system in catalog.systems.items()
        if operator
        or _in_any(roster, system.approvers, person)
        or any(_decides(catalog, roster, role, person) for role in system.roles.values())
    )


def may_have_requests_of(catalog: Catalog, roster: Roster, person: Person) -> tuple[str, ...]:
    """The systems of which there may be requests for this person to approve; `may_read` says of each request."""
    if _in_any(roster, _required_by_rules(catalog), person):
        return tuple(catalog.systems)
    return systems_of(catalog, roster, person)


def may_know_role(catalog: Catalog, roster: Roster, person: Person, ref: RoleRef) -> bool:
    """Whether this person may know of the role: as an approver of it, an owner of its system, or an operator."""
    role = catalog.role(ref.system, ref.role)
    owners = catalog.systems[ref.system].approvers if role else ()
    if role and _decides(catalog, roster, role, person):
        return True
    return _in_any(roster, (*owners, *catalog.workspace.operators), person)


def deciding(catalog: Catalog) -> tuple[str, ...]:
    """All the groups whose people decide about anything, or operate the workspace."""
    systems = catalog.systems.values()
    steps = (group for system in systems for role in system.roles.values() for group in groups_of_role(role))
    owners = (group for system in systems for group in system.approvers)
    return tuple(dict.fromkeys((*steps, *owners, *_required_by_rules(catalog), *catalog.workspace.operators)))


def _required_by_rules(catalog: Catalog) -> tuple[str, ...]:
    """The groups of the steps that rules require, of whatever system."""
    required = (rule.then.require.steps for rule in catalog.rules if rule.then.require)
    return tuple(dict.fromkeys(group for steps in required for step in steps for group in step.any_of))


def watched(catalog: Catalog) -> tuple[str, ...]:
    """The groups of which it matters since when somebody is in them: those that decide, where a role is critical."""
    roles = (role for system in catalog.systems.values() for role in system.roles.values())
    if not catalog.workspace.fresh_member or not any(role.sensitivity is Sensitivity.CRITICAL for role in roles):
        return ()
    return stand_ins.with_stand_ins(catalog, deciding(catalog))


def concerned(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """The groups that a decision about the request depends on: of its approvers, and of those who may request it."""
    roles = list(_roles(catalog, request))
    requesters = [group for role in roles for group in role.may_ask if group != EVERYONE]
    for_others = [group for role in roles for group in role.may_ask_for] if request.requested_by else []
    skips = (group for role in roles for step in role.steps for group in step.skip_if_requester_in)
    by_break_glass = (group for role in roles for group in break_glass_groups(request, role))
    extension = request.extension.required_steps if request.extension else ()
    later = (*(g for role in roles for g in groups_of_role(role)), *(g for step in extension for g in step.any_of))
    return tuple(
        dict.fromkeys((*approvers(catalog, request), *requesters, *for_others, *skips, *by_break_glass, *later))
    )


def approvers(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """The groups that are asked at some time, in the order of the policy."""
    return groups_of(catalog, request)


def _roles(catalog: Catalog, request: Request) -> Iterable[Role]:
    for leg in request.legs:
        role = catalog.role(leg.role.system, leg.role.role)
        if role is not None:
            yield role


def _decides(catalog: Catalog, roster: Roster, role: Role, person: Person) -> bool:
    """Whether the person is an approver of the role, or stands in for one."""
    groups = groups_of_role(role)
    return _in_any(roster, groups, person) or stand_ins.may_stand_in(catalog, roster, groups, person)


def _responsible(catalog: Catalog, request: Request) -> tuple[str, ...]:
    systems = [catalog.systems[leg.role.system] for leg in request.legs if leg.role.system in catalog.systems]
    owners = (group for system in systems for group in system.approvers)
    # The approvers of its roles, too, where an owner approved in their place.
    of_roles = (group for role in _roles(catalog, request) for group in groups_of_role(role))
    return tuple(dict.fromkeys((*approvers(catalog, request), *of_roles, *owners, *catalog.workspace.operators)))


def _may_request(role: Role, roster: Roster, requester: Person) -> bool:
    return (EVERYONE in role.may_ask and _is_active(roster, requester)) or _in_any(roster, role.may_ask, requester)


def _is_active(roster: Roster, person: Person) -> bool:
    """Whether nothing is known that makes the account, or its address, nobody's."""
    return all(members.nobody.isdisjoint((person.id, person.identity)) for members in roster.values())


def _in_any(roster: Roster, groups: Iterable[str], person: Person) -> bool:
    return any(group in roster and roster[group].holds(person) for group in groups)


def _no(code: Code) -> Verdict:
    return Verdict(reasons=(Reason(code=code),))
