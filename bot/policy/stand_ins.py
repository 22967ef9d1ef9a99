"""Whose approval counts for a group: its people's, or that of whoever stands in for one of them now.

A stand-in uses the right of the approver who named them: both together fill one place. A stand-in of a stand-in never
counts, since only the group's own people can be stood in for. For a critical role somebody who joined lately does not
count. Everything is judged on today's policy and on groups as they are known now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.delegation import Delegation, Delegations, same_person
from bot.core.request import Person, Request, Review
from bot.core.verdict import Code, Members, Reason, Roster, Verdict
from bot.policy.catalog import Catalog


def fresh_for(catalog: Catalog, *, critical: bool) -> int:
    """Seconds for which somebody who joined a group does not count in a step of a critical role, or of another."""
    return catalog.workspace.fresh_member if critical else 0


@dataclass(frozen=True)
class Moment:
    """When it is judged. ``fresh``: as `fresh_for` says; ``decided``: of a request that was approved before."""

    now: float
    fresh: int = 0
    decided: bool = False


def counts(catalog: Catalog, roster: Roster, groups: Iterable[str], review: Review, at: Moment) -> bool:
    """Whether an approval counts for a step of these groups."""
    approver = review.stands_in_for
    if approver is None:
        return any(_settled(roster.get(group), review.by, at.now, at.fresh) for group in groups)
    if at.decided:
        # Its delegation was in force when it was given; it may be over since. Both must still be in their groups.
        given = Delegation(id=review.delegation, person=approver, stand_in=review.by, at=at.now, until=at.now + 1)
        return any(_in_force(catalog, roster, group, given, at.now, at.fresh) for group in groups)
    return any(
        delegation.id == review.delegation
        and same_person(delegation.stand_in, review.by)
        and same_person(delegation.person, approver)
        and _in_force(catalog, roster, group, delegation, at.now, at.fresh)
        for group in groups
        if group in roster
        for delegation in roster[group].delegations
    )


def ways(
    catalog: Catalog, roster: Roster, groups: Sequence[str], person: Person, now: float
) -> tuple[Delegation | None, ...]:
    """In which rights this person can answer for the groups: None for their own, then those they stand in by."""
    own: tuple[Delegation | None, ...] = (None,) if any(_settled(roster.get(g), person, now, 0) for g in groups) else ()
    found = standing_in(catalog, roster, groups, now)
    return (*own, *(delegation for delegation in found if same_person(delegation.stand_in, person)))


def standing_in(catalog: Catalog, roster: Roster, groups: Iterable[str], now: float) -> tuple[Delegation, ...]:
    """The delegations by which somebody can answer for these groups now."""
    found = {
        delegation.id: delegation
        for group in groups
        if group in roster
        for delegation in roster[group].delegations
        if _in_force(catalog, roster, group, delegation, now, 0)
    }
    return tuple(found.values())


def may_stand_in(catalog: Catalog, roster: Roster, groups: Iterable[str], person: Person) -> bool:
    """Whether the person stands in for somebody of the groups, so that they may know of what waits there.

    The roster has no delegation that is over; of one that ends this second it may.
    """
    return any(
        same_person(delegation.stand_in, person) and _in_force(catalog, roster, group, delegation, delegation.at, 0)
        for group in groups
        if group in roster
        for delegation in roster[group].delegations
    )


def of_stand_in(roster: Roster, person: Person) -> tuple[Delegation, ...]:
    """The delegations by which this person stands in for somebody of a group."""
    all_ = {each.id: each for members in roster.values() for each in members.delegations}
    return tuple(each for each in all_.values() if same_person(each.stand_in, person))


def given_by(review: Review, way: Delegation | None) -> Review:
    """The review as it is given in that right."""
    if way is None:
        return review
    return review.model_copy(update={"stands_in_for": way.person, "delegation": way.id})


def linked(roster: Roster, one: Person, other: Person, now: float) -> bool:
    """Whether one of them stands in for the other: then neither approves the other's requests."""
    return any(same_person(one, partner) for partner in _partners(roster, other, now))


def linked_to_any(roster: Roster, one: Person, others: Iterable[Person], now: float) -> bool:
    """The same with any of the others."""
    return any(linked(roster, one, other, now) for other in others)


def never_counting(roster: Roster, parties: Sequence[Person], now: float) -> frozenset[str]:
    """Those whose request it is, and everybody with whom one of them is linked so: by identity, and by account."""
    people = (person for party in parties for person in (party, *_partners(roster, party, now)))
    return frozenset(who for person in people for who in (person.identity, person.id))


def _partners(roster: Roster, person: Person, now: float) -> Iterable[Person]:
    for members in roster.values():
        for delegation in members.delegations:
            if delegation.is_active(now) and same_person(delegation.person, person):
                yield delegation.stand_in
            elif delegation.is_active(now) and same_person(delegation.stand_in, person):
                yield delegation.person


def apart(roster: Roster, request: Request, review: Review, now: float) -> bool:
    """Whether an approval is not of those whose request it is: by, for, or linked with none of them."""
    return apart_from(roster, request.parties, (review.by, right_of(review)), now)


def apart_from(roster: Roster, parties: Sequence[Person], people: Iterable[Person], now: float) -> bool:
    """Whether none of the people is one of the parties, or linked with one by a delegation."""
    return not any(same_person(who, party) or linked(roster, who, party, now) for who in people for party in parties)


def right_of(review: Review) -> Person:
    """Whose right an approval uses: one right fills one place, whoever uses it."""
    return review.stands_in_for or review.by


def may_delegate(catalog: Catalog, roster: Roster, person: Person, stand_in: Person) -> Verdict:
    """Whether the policy has this person name that stand-in, for one group at least."""
    if same_person(person, stand_in):
        return Verdict(reasons=(Reason(code=Code.OWN_STAND_IN),))
    own = [name for name in entitling(catalog) if (found := roster.get(name)) and found.holds(person)]
    if not own:
        return Verdict(reasons=(Reason(code=Code.NO_STAND_IN, about=entitling(catalog)),))
    if groups_for(catalog, roster, person, stand_in):
        return Verdict()
    able = tuple(dict.fromkeys(name for group in own for name in catalog.groups[group].may_stand_in))
    return Verdict(reasons=(Reason(code=Code.NOT_A_STAND_IN, about=able), *_unknown(roster, able)))


def groups_for(catalog: Catalog, roster: Roster, person: Person, stand_in: Person) -> tuple[str, ...]:
    """The groups in which this person can be stood in for by that one, as both are in their groups now."""
    return tuple(
        name
        for name in entitling(catalog)
        if name in roster and roster[name].holds(person) and _able(catalog, roster, name, stand_in, 0, 0)
    )


def entitling(catalog: Catalog) -> tuple[str, ...]:
    """The groups whose people may name a stand-in."""
    return tuple(name for name, group in catalog.groups.items() if group.may_stand_in)


def judged_by(roster: Roster, delegations: Delegations, now: float) -> bool:
    """Whether the roster has the delegations that are in force by that record, no other ones and no fewer."""
    lasting = delegations.active(now)
    return all(
        {each for each in members.delegations if each.is_active(now)}
        == {d for d in lasting if _may_hold(members, d.person)}
        for members in roster.values()
    )


def with_stand_ins(catalog: Catalog, groups: Iterable[str]) -> tuple[str, ...]:
    """The groups, and those whose people may stand in for theirs."""
    named = tuple(groups)
    more = (name for group in named if group in catalog.groups for name in catalog.groups[group].may_stand_in)
    return tuple(dict.fromkeys((*named, *more)))


def with_delegations(roster: Mapping[str, Members], delegations: Sequence[Delegation]) -> dict[str, Members]:
    """The roster with the delegations of each group's people."""
    return {
        name: members.model_copy(update={"delegations": theirs})
        if (theirs := tuple(d for d in delegations if _may_hold(members, d.person)))
        else members
        for name, members in roster.items()
    }


def _may_hold(members: Members, person: Person) -> bool:
    """Whether the person is in the group, or may be: who stands in for whom is known while nobody tells its people."""
    return not members.known or members.holds(person)


def _in_force(catalog: Catalog, roster: Roster, group: str, delegation: Delegation, now: float, fresh: int) -> bool:
    """Whether a delegation lets its stand-in answer for the group: its span, the approver, and the stand-in."""
    return (
        delegation.is_active(now)
        and not same_person(delegation.person, delegation.stand_in)
        and _settled(roster.get(group), delegation.person, now, fresh)
        and _able(catalog, roster, group, delegation.stand_in, now, fresh)
    )


def _able(catalog: Catalog, roster: Roster, group: str, stand_in: Person, now: float, fresh: int) -> bool:
    """Whether the policy lets this person stand in for the group's people."""
    shape = catalog.groups.get(group)
    return shape is not None and any(_settled(roster.get(name), stand_in, now, fresh) for name in shape.may_stand_in)


def _settled(members: Members | None, person: Person, now: float, fresh: int) -> bool:
    """Whether the person is surely in the group, and joined it no less than so many seconds ago."""
    return members is not None and members.holds(person) and not (fresh and members.joined_after(person, now - fresh))


def _unknown(roster: Roster, groups: Iterable[str]) -> tuple[Reason, ...]:
    dark = tuple(name for name in groups if not (name in roster and roster[name].known))
    return (Reason(code=Code.UNKNOWN_GROUP, about=dark),) if dark else ()
