"""What a rule of the policy approves at once; it only decides who need not be asked, and never who may ask.

Judged after `policy.may_request` has said yes, on today's policy and on groups as they are known now. A group that
nobody tells of holds nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from bot.core.frozen import Frozen
from bot.core.request import ByRule, Person, Request
from bot.core.verdict import Roster
from bot.policy.catalog import Catalog, Choice, RoleRef, Rule

WINDOW = 86_400
"""Seconds over which a person's approvals by a rule are counted: any 24 hours, so that no midnight doubles them."""
SENTENCES: Mapping[str, str] = {
    "sensitivity": "every role that is asked for is at most that sensitive",
    "requester_in": "who asks is surely in one of these groups",
    "at_most": "it is asked for no longer than that",
    "what": "it is one of these templates, or every role of it is one of these roles or on one of these systems",
    "when": "the conditions that must all hold",
    "then": "what comes of it; `approve` is all there is",
    "budget": "so many are approved for a person within 24 hours, and the next one waits for people",
}
"""What each key of a rule means."""


class Unmet(StrEnum):
    """The condition of a rule that does not hold."""

    SENSITIVITY = "sensitivity"
    """A role is more sensitive, or is none of today's policy."""
    ASKER_IN = "requester_in"
    """Who asks is in none of its groups, as far as they are known."""
    AT_MOST = "at_most"
    """It is asked for longer."""
    WHAT = "what"
    """Something else is asked for."""
    BUDGET = "budget"
    """As many as it has were approved for this person within 24 hours."""


class Ruling(Frozen):
    """What the rules make of a submission: the one that approves it, and why those before it do not.

    It relies on the person's counters, which must not have moved when it is recorded (see `Spelling.submission`).
    """

    by: ByRule | None = None
    unmet: tuple[tuple[Rule, tuple[Unmet, ...]], ...] = ()

    @property
    def key(self) -> str:
        """Under which name it is counted; empty where nothing is."""
        return self.by.key if self.by else ""


def judge(
    catalog: Catalog,
    roster: Roster,
    requester: Person,
    choice: Choice,
    duration: int,
    used: Mapping[str, int],
    now: float,
) -> Ruling:
    """The first rule of the policy that holds and is not used up. ``used``: approvals within `WINDOW`, by key.

    A rule that is not counted counts as used up: whoever asks must have looked.
    """
    failed: list[tuple[Rule, tuple[Unmet, ...]]] = []
    for rule in catalog.rules:
        so_far = used.get(rule.key, rule.budget)
        reasons = _unmet(catalog, roster, rule, requester, choice.name, choice.roles, duration, now)
        reasons += (Unmet.BUDGET,) if so_far >= rule.budget else ()
        if not reasons:
            return Ruling(by=_as_it_stands(rule, so_far + 1), unmet=tuple(failed))
        failed.append((rule, reasons))
    return Ruling(unmet=tuple(failed))


def still(catalog: Catalog, roster: Roster, request: Request, now: float) -> bool | None:
    """Whether the rule that approved a request is in today's policy and holds; None while a directory does not tell.

    What it used up was counted when it was asked for, and is not counted again.
    """
    by = request.rule
    rule = next((each for each in catalog.rules if by is not None and each.key == by.key), None)
    if rule is None:
        return False
    roles = tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)
    reasons = _unmet(catalog, roster, rule, request.requester, request.what, roles, request.duration, now)
    if reasons == (Unmet.ASKER_IN,) and any(not (g in roster and roster[g].known) for g in rule.requester_in):
        return None
    return not reasons


def applying(catalog: Catalog, roster: Roster, requester: Person, choice: Choice, now: float) -> list[Rule]:
    """The rules by which this person could have it at once, if it is short enough and their budget allows."""
    return [
        rule
        for rule in catalog.rules
        if not _unmet(catalog, roster, rule, requester, choice.name, choice.roles, 0, now)
    ]


def _unmet(
    catalog: Catalog,
    roster: Roster,
    rule: Rule,
    requester: Person,
    what: str,
    roles: tuple[RoleRef, ...],
    duration: int,
    now: float,  # noqa: ARG001  # no condition depends on the time yet
) -> tuple[Unmet, ...]:
    """The conditions of a rule that do not hold, its budget aside."""
    holds = {
        Unmet.SENSITIVITY: _harmless(catalog, rule, roles),
        Unmet.ASKER_IN: not rule.requester_in or _in_any(roster, rule.requester_in, requester),
        Unmet.AT_MOST: duration <= rule.at_most,
        Unmet.WHAT: not rule.what or what in rule.what or all(_named(rule, ref) for ref in roles),
    }
    return tuple(condition for condition, it_does in holds.items() if not it_does)


def _harmless(catalog: Catalog, rule: Rule, roles: Iterable[RoleRef]) -> bool:
    """Whether each role is of today's policy, and as harmless as the rule says."""
    found = [catalog.role(ref.system, ref.role) for ref in roles]
    return bool(found) and all(role is not None and role.sensitivity in rule.covers for role in found)


def _named(rule: Rule, ref: RoleRef) -> bool:
    return ref.system in rule.what or f"{ref.system}/{ref.role}" in rule.what


def _in_any(roster: Roster, groups: Iterable[str], person: Person) -> bool:
    return any(group in roster and roster[group].holds(person) for group in groups)


def _as_it_stands(rule: Rule, used: int) -> ByRule:
    return ByRule(
        n=rule.n,
        key=rule.key,
        sensitivity=rule.sensitivity,
        requester_in=rule.requester_in,
        at_most=rule.at_most,
        what=rule.what,
        used=used,
        budget=rule.budget,
    )
