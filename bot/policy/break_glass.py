"""Break-glass: who may take access at once without approval, for how long, and who reviews it; it records nothing.

A role names in its ``break_glass`` who may use it. An owner of a system is one of its ``approvers``. A group whose
members nobody tells holds nobody: at least one group of ``who`` lists people, so that it works without Slack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bot.core.frozen import Frozen
from bot.core.request import Person, Request
from bot.core.verdict import Code, Members, Reason, Roster, Verdict
from bot.policy import stand_ins
from bot.policy.authorization import same_person
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.schema import BreakGlassShape

MAX_PER_DAY: Final = 3
"""How often one person may use break-glass within 24 hours."""
SHORTEST_REASON: Final = 10
"""Characters of a reason, which is all that a reviewer has to go by."""


class BreakGlassTerms(Frozen):
    """The least that the roles of a request allow, in seconds."""

    at_most: int
    review_within: int


def refs(request: Request) -> tuple[RoleRef, ...]:
    """The roles of a request."""
    return tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)


def terms(catalog: Catalog, roles: Iterable[RoleRef]) -> BreakGlassTerms | None:
    """For how long these roles together can be had by break-glass; None where one of them cannot."""
    found = [_terms(catalog, ref) for ref in roles]
    known = [glass for glass in found if glass]
    if not known or len(known) != len(found):
        return None
    return BreakGlassTerms(
        at_most=min(glass.at_most for glass in known),
        review_within=min(glass.review_within for glass in known),
    )


def may_break_glass(catalog: Catalog, roster: Roster, person: Person, roles: Iterable[RoleRef]) -> Verdict:
    """Whether this person may have every one of the roles by break-glass."""
    reasons: list[Reason] = []
    for ref in roles:
        name, glass = f"{ref.system}/{ref.role}", _terms(catalog, ref)
        if glass is None:
            reasons.append(Reason(code=Code.NO_BREAK_GLASS, about=(name,)))
        elif not _in_any(roster, glass.who, person):
            reasons.append(Reason(code=Code.MAY_NOT_BREAK_GLASS, about=(name,)))
            dark = _dark(roster, glass.who)
            reasons += [Reason(code=Code.UNKNOWN_GROUP, about=dark)] if dark else []
    return Verdict(reasons=tuple(reasons))


def by_list(catalog: Catalog, roster: Roster, roles: Iterable[RoleRef]) -> bool:
    """Whether a group that may use it could not be read, so that the policy's lists of people decided alone."""
    groups = (group for ref in roles if (glass := _terms(catalog, ref)) for group in glass.who)
    return bool(_dark(roster, groups))


def owners(catalog: Catalog, request: Request) -> tuple[str, ...]:
    """The groups that own its systems, in the order of the request."""
    systems = (catalog.systems.get(leg.role.system) for leg in request.legs)
    return tuple(dict.fromkeys(group for system in systems if system for group in system.approvers))


def may_review(catalog: Catalog, roster: Roster, request: Request, person: Person, now: float) -> Verdict:
    """Whether this person may review the break-glass access: an owner of one of its systems, and no party.

    The requester is a party, and so is whoever requested it for them, and who stands in for one of these, or is stood
    in for by one. An operator may where nobody else owns them.
    """
    if any(same_person(person, party) for party in request.parties):
        return Verdict(reasons=(Reason(code=Code.OWN_BREAK_GLASS),))
    if stand_ins.linked_to_any(roster, person, request.parties, now):
        return Verdict(reasons=(Reason(code=Code.LINKED_BREAK_GLASS),))
    if request.break_glass and request.break_glass.review:
        return Verdict(reasons=(Reason(code=Code.ALREADY_REVIEWED, about=(request.id,)),))
    groups = reviewers(catalog, roster, request, now)
    if _in_any(roster, groups, person):
        return Verdict()
    dark = _dark(roster, groups)
    unknown = (Reason(code=Code.UNKNOWN_GROUP, about=dark),) if dark else ()
    return Verdict(reasons=(Reason(code=Code.NOT_AN_OWNER, about=groups), *unknown))


def reviewers(catalog: Catalog, roster: Roster, request: Request, now: float) -> tuple[str, ...]:
    """The groups whose people may review it: the owners; the operators too where nobody else surely owns it."""
    groups = owners(catalog, request)
    members = [roster.get(group, Members(known=False)) for group in groups]
    parties = stand_ins.never_counting(roster, request.parties, now)
    if any(not group.known or group.people - parties for group in members):
        return groups
    return tuple(dict.fromkeys((*groups, *catalog.workspace.operators)))


def overdue(requests: Sequence[Request], now: float) -> Request | None:
    """The first of a person's requests whose review is overdue."""
    return next((each for each in requests if is_overdue(each, now)), None)


def is_overdue(request: Request, now: float) -> bool:
    """Whether its review is outstanding past its time."""
    glass = request.break_glass
    return glass is not None and request.lacks_review and (glass.overdue > 0 or now >= glass.review_by)


def was_overdue(request: Request, at: float) -> bool:
    """Whether its review, which is still outstanding, was overdue at that time already."""
    glass = request.break_glass
    return glass is not None and request.lacks_review and glass.review_by <= at


def _terms(catalog: Catalog, ref: RoleRef) -> BreakGlassShape | None:
    role = catalog.role(ref.system, ref.role)
    return role.break_glass if role else None


def _in_any(roster: Roster, groups: Iterable[str], person: Person) -> bool:
    return any(group in roster and roster[group].holds(person) for group in groups)


def _dark(roster: Roster, groups: Iterable[str]) -> tuple[str, ...]:
    """Those of the groups whose members nobody tells."""
    return tuple(dict.fromkeys(group for group in groups if not (group in roster and roster[group].known)))
