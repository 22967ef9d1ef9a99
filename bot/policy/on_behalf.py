"""Whether somebody may request access for somebody else; who may have it, and who approves, is in authorization.py.

Judged when it is requested, accepted, approved and started, on today's policy and on groups as they are known then.
"""

from __future__ import annotations

from bot.core.request import Person, Request
from bot.core.verdict import Code, Reason, Roster, Verdict
from bot.policy.authorization import may_request
from bot.policy.catalog import Catalog, Choice, RoleRef


def may_request_for(
    catalog: Catalog, roster: Roster, requested_by: Person, person: Person, choice: Choice, now: float
) -> Verdict:
    """Whether ``requested_by`` may request it for ``person``, who has to be one who may request it themself.

    Who may not request for others learns nothing of what that person may.
    """
    reasons = _may_not(catalog, roster, requested_by, choice.roles)
    return Verdict(reasons=reasons) if reasons else may_request(catalog, roster, person, choice, now, requested_by)


def may_still_request_for(catalog: Catalog, roster: Roster, request: Request) -> Verdict:
    """Whether who requested it for somebody else still may; yes where the requester did themself."""
    if request.requested_by is None:
        return Verdict()
    roles = tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)
    return Verdict(reasons=_may_not(catalog, roster, request.requested_by, roles))


def offered(catalog: Catalog, roster: Roster, requested_by: Person, choice: Choice) -> bool:
    """Whether ``requested_by`` may request it for anybody else."""
    return not _may_not(catalog, roster, requested_by, choice.roles)


def may_consent(request: Request, person: Person) -> Verdict:
    """Whether this person may accept or decline it: only whom it is for, by account and by bound identity."""
    them = request.requester
    if person.id == them.id and person.identity == them.identity:
        return Verdict()
    return Verdict(reasons=(Reason(code=Code.NOT_THE_REQUESTER),))


def _may_not(catalog: Catalog, roster: Roster, requested_by: Person, roles: tuple[RoleRef, ...]) -> tuple[Reason, ...]:
    """Why not: a role whose `may_ask_for` the person is not surely in."""
    found: list[Reason] = []
    for ref in roles:
        role = catalog.role(ref.system, ref.role)
        groups = role.may_ask_for if role else ()
        if not any(group in roster and roster[group].holds(requested_by) for group in groups):
            found.append(Reason(code=Code.MAY_NOT_ASK_FOR, about=(f"{ref.system}/{ref.role}",)))
            dark = tuple(group for group in groups if group not in roster or not roster[group].known)
            found += [Reason(code=Code.UNKNOWN_GROUP, about=dark)] if dark else []
    return tuple(found)
