"""What the rules make of a request: denied, more approvals or a proof required, shortened, approved at once.

A rule gives nobody a right to request. A rule that approves needs each of its conditions surely, for every role of the
request; one that denies, requires or shortens takes effect unless some condition surely does not hold, for any role. So
what cannot be told never makes anything easier. Deny wins, then required steps, then approve; the shortest duration
wins. A required proof is given with the request, so it is no step: what is proved can be approved at once by a rule.
All look at what was requested, never at what another rule made of it: their order decides nothing but which one
approves first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from bot.core.frozen import Frozen
from bot.core.request import ByRule, Request, RequiredStep
from bot.core.rule_effects import Shortened
from bot.core.verdict import Code, Reason, Roster, Verdict
from bot.policy import conditions, matching
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Case, Circumstances, Known, RequestedAccess, every, opposite, some
from bot.policy.rule import Rule
from bot.policy.rule_words import BUDGET, COVERS, UNLESS, requirement, terms, worded
from bot.policy.stand_ins import never_counting
from bot.policy.steps import steps_of

WINDOW = 86_400
"""Seconds over which a person's approvals by a rule are counted: any 24 hours, so that no midnight doubles them."""
_MOST_SAID = 3


class Finding(Frozen):
    """What one rule makes of a request. ``applies``: whether its conditions hold, None where that cannot be told.

    ``short_of``: the conditions that do not hold (False) or cannot be told (None); those of `unless` begin with
    ``unless ``.
    """

    rule: Rule
    applies: Known
    short_of: tuple[tuple[str, Known], ...] = ()

    @property
    def concerns_choice(self) -> bool:
        """Whether the rule is about what is requested, whoever requests it when."""
        return not {("what", False), ("sensitivity", False), (COVERS, False)} & set(self.short_of)

    @property
    def takes_effect(self) -> bool:
        """Whether it does: what approves has to be sure of it, what makes it harder only has to be possible."""
        return self.applies is True if self.rule.approves else self.applies is not False


class Ruling(Frozen):
    """What the rules make of a request, as every one of them was found.

    Of a submission it relies on the person's counters, which must not have moved when it is recorded (see
    `Spelling.submission`).
    """

    findings: tuple[Finding, ...] = ()
    denied: tuple[Finding, ...] = ()
    required_steps: tuple[RequiredStep, ...] = ()
    shortened: Shortened | None = None
    by: ByRule | None = None
    """The rule that approves it."""
    requires_proof: bool = False
    """Whether a rule asks whoever requests it for a second factor (see `asks_proof`)."""

    @property
    def verdict(self) -> Verdict:
        """Whether it may be requested at all, as far as rules say; what surely denies it is said alone."""
        sure = [each for each in self.denied if each.applies is True]
        return Verdict(reasons=tuple(map(_denial, (sure or self.denied)[:_MOST_SAID])))

    @property
    def surely_required(self) -> tuple[RequiredStep, ...]:
        """The steps that are not only required since something cannot be told."""
        sure = {each.rule.n for each in self.findings if each.applies is True}
        return tuple(step for step in self.required_steps if step.rule in sure)


def judge(
    catalog: Catalog,
    roster: Roster,
    wanted: RequestedAccess,
    circumstances: Circumstances,
    used: Mapping[str, int],
    *,
    why: bool = False,
) -> Ruling:
    """What the rules make of it. ``used``: approvals within `WINDOW`, by rule key.

    A rule that is not counted counts as used up: whoever asks must have looked. ``why``: whether somebody asks about
    the rules that have no effect, too; else they are left out of the findings, once a condition fails.
    """
    if not catalog.rules:
        return Ruling()
    roles = _roles(catalog, roster, wanted, circumstances)
    looked_at = (rule for rule in catalog.rules if why or _may_apply(rule, roles))
    findings = tuple(_finding(rule, roles, used) for rule in looked_at)
    effective = [each for each in findings if each.takes_effect]
    denied = tuple(each for each in effective if each.rule.then.deny is not None)
    required = tuple(step for each in effective for step in _steps(each.rule))
    approving = next((each.rule for each in effective if each.rule.approves), None)
    if denied or required or approving is None:
        by = None
    else:
        by = _as_it_stands(approving, used.get(approving.key, approving.budget) + 1)
    shortened = _shortened([each.rule for each in effective], wanted.duration)
    proof = any(each.rule.then.require and each.rule.then.require.mfa for each in effective)
    return Ruling(
        findings=findings, denied=denied, required_steps=required, shortened=shortened, by=by, requires_proof=proof
    )


def still_approves(catalog: Catalog, roster: Roster, request: Request, circumstances: Circumstances) -> Known:
    """Whether the rule that approved a request is in today's policy and holds; None while that cannot be told.

    What it used up was counted when it was asked for, and is not counted again.
    """
    by = request.rule
    rule = next((each for each in catalog.rules if by is not None and each.key == by.key), None)
    if rule is None:
        return False
    return _finding(rule, _roles(catalog, roster, requested_access(request), circumstances), {rule.key: 0}).applies


def groups_without_approvers(catalog: Catalog, roster: Roster, request: Request, now: float) -> tuple[str, ...]:
    """The roles of a request with a step, of their own or required, that not enough others could fill."""
    steps = [step for step in steps_of(catalog, roster, request, now) for _ in range(step.count)]
    them = never_counting(roster, request.parties, now)
    known = [[roster[g] for g in step.any_of if g in roster and roster[g].known] for step in steps]
    # As many people as there are places are enough for each place: of thousands, the others change nothing.
    people = [
        frozenset(who for m in groups for who in islice((each for each in m.people if each not in them), len(steps)))
        for groups in known
    ]
    filled = matching.fillable(people)
    return tuple(dict.fromkeys(step.name for n, step in enumerate(steps) if n not in filled))


def requested_access(request: Request, lasting: int | None = None) -> RequestedAccess:
    """What was requested, as it was; ``lasting``: seconds in all, where an extension of it is requested."""
    return RequestedAccess(
        requester=request.requester,
        what=request.what,
        roles=tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs),
        duration=request.asked if lasting is None else lasting,
        reason=request.reason,
        inputs={each.name: each.value for leg in request.legs for each in leg.role.inputs},
    )


class _Role(NamedTuple):
    """A role of a request; a template that a rule names stands for its roles (``broad``), or for itself (``exact``)."""

    broad: Case
    exact: Case

    def cases(self, rule: Rule) -> tuple[Case, Case]:
        """For the conditions of `when`, and for those of `unless`."""
        # Whoever names a template to have it approved means that template; to have it denied, whatever it grants.
        return (self.exact, self.broad) if rule.approves else (self.broad, self.exact)


def _roles(
    catalog: Catalog, roster: Roster, wanted: RequestedAccess, circumstances: Circumstances
) -> tuple[_Role, ...]:
    """The roles of a request, for all rules of one judgement."""

    def case(ref: RoleRef, *, broad: bool) -> Case:
        return Case(catalog, roster, wanted, ref, circumstances, broad=broad)

    return tuple(_Role(broad=case(ref, broad=True), exact=case(ref, broad=False)) for ref in wanted.roles)


def _finding(rule: Rule, roles: Sequence[_Role], used: Mapping[str, int]) -> Finding:
    each = [_conditions(rule, role) for role in roles]
    if rule.approves:
        each.append({BUDGET: used.get(rule.key, rule.budget) < rule.budget})
        applies = every(known for found in each for known in found.values()) if roles else False
        missing = each
    else:
        applies = some(every(found.values()) for found in each)
        # Of several roles, those for which it may apply say why it is not sure; else all of them why it does not.
        missing = [found for found in each if every(found.values()) is applies]
    short_of = dict.fromkeys((name, known) for found in missing for name, known in found.items() if known is not True)
    return Finding(rule=rule, applies=applies, short_of=() if applies else tuple(short_of))


def _may_apply(rule: Rule, roles: Sequence[_Role]) -> bool:
    """Whether no condition surely fails, for some role; it stops at the first that does."""
    for role in roles:
        when, unless = role.cases(rule)
        if not (conditions.fails(rule.when, when) or conditions.holds_any(rule.unless, unless)):
            return True
    return False


def _conditions(rule: Rule, role: _Role) -> dict[str, Known]:
    """Each condition of a rule, for one role."""
    when, unless = role.cases(rule)
    found = conditions.judge(rule.when, when)
    against = conditions.judge(rule.unless, unless)
    found |= {f"{UNLESS}{name}": opposite(known) for name, known in against.items()}
    if rule.approves:
        found[COVERS] = when.role is not None and when.role.sensitivity in rule.covers
    return found


def _steps(rule: Rule) -> tuple[RequiredStep, ...]:
    if rule.then.require is None:
        return ()
    because = requirement(rule)
    steps = rule.then.require.steps
    return tuple(RequiredStep(any_of=s.any_of, count=s.count, rule=rule.n, because=because) for s in steps)


def _shortened(effective: list[Rule], asked: int) -> Shortened | None:
    """The shortest duration; None where what was requested is not longer than any."""
    shorter = [(rule.then.shorten, rule.n) for rule in effective if rule.then.shorten is not None]
    least, n = min(shorter, default=(asked, 0))
    return Shortened(rule=n, asked=asked, duration=least) if least < asked else None


def _denial(finding: Finding) -> Reason:
    n, sentence = str(finding.rule.n), finding.rule.then.deny or ""
    if finding.applies is True:
        return Reason(code=Code.DENIED_BY_RULE, about=(n, sentence))
    unsure = " and ".join(worded(finding.rule, name) for name, known in finding.short_of if known is None)
    return Reason(code=Code.RULE_UNSURE, about=(n, sentence, unsure))


def _as_it_stands(rule: Rule, used: int) -> ByRule:
    when = rule.when
    return ByRule(
        n=rule.n,
        key=rule.key,
        sensitivity=when.sensitivity or "",
        requester_in=when.requester_in or (),
        at_most=when.at_most or 0,
        what=when.what or (),
        used=used,
        budget=rule.budget,
        also=tuple(terms(rule)),
    )
