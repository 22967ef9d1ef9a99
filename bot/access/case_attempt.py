"""Turns a case of a policy test into a request to try out: the groups, and the usage that the case assumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from bot.access.break_glass_verdict import EarlierUses
from bot.access.policy_case import Attempt, CaseApproval, Count
from bot.access.submit import RequestForm
from bot.core.identity import identity_of
from bot.core.request import Person
from bot.core.usage import DAY, PastDenial, Usage, UsageEntry, names
from bot.core.verdict import Members
from bot.policy.break_glass import SHORTEST_REASON
from bot.policy.case_shapes import CaseShape, CasesShape
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances

NOBODY = "somebody@example.invalid"
"""The requester where a case names only groups."""
_EARLIER = "J-PAST"
"""The id of the requests that a case assumes."""
_LONG_AGO = 30 * DAY


def attempt_of(file: CasesShape, case: CaseShape, catalog: Catalog, now: float) -> Attempt:
    """The attempt that a case describes, requested at ``now``."""
    reason = fitting_reason(catalog, case.what, SHORTEST_REASON if case.break_glass else 0)
    requested_for = person(case.requested_for) if case.requested_for else None
    form = RequestForm(
        what=case.what,
        duration=case.duration,
        reason=reason if case.reason is None else case.reason,
        starts_at=now + case.start if case.start else 0.0,
        inputs=case.inputs,
        requested_for=requested_for,
    )
    requester, after = person(case.who.person or NOBODY), case.after or 0
    begins = form.starts_at or now
    frozen = {name: name in case.frozen for name in catalog.calendar_names}
    overdue = _EARLIER if case.review_overdue else ""
    return Attempt(
        requester,
        _roster(file, case, catalog),
        form,
        {rule.key: case.used for rule in catalog.rules},
        tuple(CaseApproval(person(each.who), each.after or after) for each in case.approved_by),
        Circumstances(now=now, begins=begins, frozen=frozen),
        case.tickets,
        _counted(case, catalog, requested_for or requester, now),
        case.accepted,
        after,
        EarlierUses(overdue, case.break_glass_used) if case.break_glass else None,
        case.proved,
    )


def person(address: str) -> Person:
    """Somebody by their e-mail address."""
    identity = identity_of(address)
    return Person(workspace="T0", id=identity, identity=identity, email=address, name=address.partition("@")[0])


def fitting_reason(catalog: Catalog, what: str, shortest: int = 0) -> str:
    """A reason that is accepted, for a case that does not test reasons."""
    choice = catalog.find(what)
    example = choice.reason.example if choice and choice.reason.example else "policy test "
    return example.ljust(max(choice.reason.min_length if choice else 0, shortest), ".")


def _roster(file: CasesShape, case: CaseShape, catalog: Catalog) -> dict[str, Members]:
    roster: dict[str, Members] = {}
    for name, group in catalog.groups.items():
        people = group.people if group.is_listed else file.groups.get(name, ())
        also = [NOBODY] if name in case.who.groups else []
        roster[name] = Members(identities=frozenset(map(identity_of, [*people, *also])))
    return roster


def _counted(case: CaseShape, catalog: Catalog, holder: Person, now: float) -> Count:
    """The usage of each role and system that the case assumes, of this person and of everybody."""
    choice = catalog.find(case.what)
    roles = [f"{ref.system}/{ref.role}" for ref in choice.roles] if choice else []
    uses = [*_held(case, holder, now), *(each for role in roles for each in _used(case, role, holder, now))]
    denials = [(role, _denial(holder, now - ago)) for role in roles for ago in case.denied]

    def counted(scopes: Iterable[str], now: float) -> Mapping[str, Usage]:  # noqa: ARG001  # the entries have times
        return {
            scope: Usage(
                uses=tuple(use for role, use in uses if scope in names(*_parts(role))),
                denials=tuple(denial for role, denial in denials if scope in names(*_parts(role))),
            )
            for scope in scopes
        }

    return counted


def _held(case: CaseShape, holder: Person, now: float) -> Iterator[tuple[str, UsageEntry]]:
    """The roles that this person has: approved long ago, so that they count toward no day and no week."""
    for role in case.holds:
        yield role, _entry(_EARLIER, holder.id, holder.identity, now - _LONG_AGO, live=True)


def _used(case: CaseShape, role: str, holder: Person, now: float) -> Iterator[tuple[str, UsageEntry]]:
    """Live and recent requests: those that are not this person's belong to others."""
    lately, mine, others = case.approved_lately, case.approved_lately.per_person, count(1)
    for _ in range(case.live - case.holds.count(role)):
        yield role, _entry(f"live-{next(others)}", f"other-{next(others)}", "", now - _LONG_AGO, live=True)
    today = [holder.id] * mine.per_day + ["other"] * (lately.per_day - mine.per_day)
    before = [holder.id] * (mine.per_week - mine.per_day)
    before += ["other"] * (lately.per_week - len(today) - len(before))
    for who, at in [*((who, now) for who in today), *((who, now - 2 * DAY) for who in before)]:
        yield role, _entry(f"past-{role}-{next(others)}", who, "", at, live=False)


def _entry(id_: str, by: str, identity: str, at: float, *, live: bool) -> UsageEntry:
    return UsageEntry(id=id_, by=by, identity=identity, requested_at=at, approved_at=at, opened=True, live=live)


def _denial(who: Person, at: float) -> PastDenial:
    return PastDenial(id=_EARLIER, by=who.id, identity=who.identity, at=at)


def _parts(role: str) -> tuple[str, str]:
    system, _, name = role.partition("/")
    return system, name
