"""A second factor as the policy asks for it: of the workspace, of a role, and of nobody who has none."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.proof import ProofUse
from bot.policy import loader, policy_diff, rules
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.mfa import ProofTerms, asks_proof, kinds_that_do
from bot.policy.parse import parse
from bot.policy.permission_diff import shift
from bot.policy.problems import InstalledFactors, InstalledKinds, Mistake, PolicyMistakes
from bot.policy.yaml_source import Source
from providers.systems import registry
from tests.house import person
from tests.policy.policies import WHOLE, marked

READ, ADMIN, GONE = (RoleRef(system="prod-db", role=name) for name in ("read-only", "admin", "gone"))
BOTH = ("totp", "recovery")
OFF = "  mfa: {request: off}\n"
NOTHING = "  mfa: {request: off, break_glass: off}\n"
GLASS = "max: 8h\n        break_glass: {who: [platform], at_most: 1h}"
CRITICAL = ("max: 1h", "max: 1h\n        sensitivity: critical")


def read(*changes: tuple[str, str], kinds: tuple[str, ...] = BOTH) -> Catalog:
    """The policy with each of the changes, where these kinds of factors are installed."""
    text = WHOLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    installed = InstalledKinds(factors=InstalledFactors(kinds))
    return parse([Source("a.yaml", text)], loader.facts, registry.names(), installed)


def mistakes(*changes: tuple[str, str], kinds: tuple[str, ...] = BOTH) -> tuple[Mistake, ...]:
    """What is wrong with it."""
    try:
        read(*changes, kinds=kinds)
    except PolicyMistakes as error:
        return error.mistakes
    return ()


def uses(catalog: Catalog, *roles: RoleRef) -> set[str]:
    """What a proof is asked for."""
    return {use.value for use in ProofUse if asks_proof(catalog, roles, use)}


DEFAULTS = {
    "nothing is said": ("", {"request", "break_glass"}),
    "requests are off": (OFF, {"break_glass"}),
    "all is off": (NOTHING, set()),
    "approvals too": ("  mfa: {approve: required}\n", {"request", "approve", "break_glass"}),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_requests_and_break_glass_are_proved_unless_the_policy_says_otherwise(name: str) -> None:
    line, expected = DEFAULTS[name]
    assert uses(read((OFF, line)), READ) == expected


@pytest.mark.parametrize("use", ["request", "approve", "break_glass"])
def test_a_role_asks_for_more_than_the_workspace(use: str) -> None:
    found = read((OFF, NOTHING), ("max: 8h", f"{GLASS}\n        mfa: {{{use}: required}}"))
    assert uses(found, READ) == {use}
    assert uses(found, ADMIN) == set()
    assert uses(found, ADMIN, READ) == {use}


def test_a_role_may_repeat_what_the_workspace_says() -> None:
    found = read(("max: 8h", "max: 8h\n        mfa: {request: off, approve: off}"))
    assert uses(found, READ) == {"break_glass"}


def test_every_kind_that_is_installed_will_do_unless_some_are_named_and_recovery_codes_always() -> None:
    kinds = ("card", "recovery", "totp")
    assert kinds_that_do(None, kinds) == kinds
    assert kinds_that_do(["totp"], kinds) == ("recovery", "totp")
    assert kinds_that_do(["totp"], ("totp",)) == ("totp",)
    named = read((OFF, "  mfa: {factors: [totp]}\n"), kinds=kinds)
    assert asks_proof(named, [READ], ProofUse.REQUEST) == ProofTerms(factors=("recovery", "totp"))
    assert asks_proof(read((OFF, ""), kinds=kinds), [READ], ProofUse.REQUEST) == ProofTerms(factors=kinds)


def fresh_for(catalog: Catalog, *roles: RoleRef, by_rule: bool = False) -> int:
    terms = asks_proof(catalog, roles, ProofUse.REQUEST, by_rule=by_rule)
    assert terms is not None
    return terms.fresh_for


def test_a_proof_of_before_is_enough_for_low_roles_alone() -> None:
    found = read((OFF, "  mfa: {fresh_for: 15m}\n"))
    assert fresh_for(found, READ) == 900
    assert fresh_for(found, ADMIN) == 0
    assert fresh_for(found, READ, ADMIN) == 0
    assert fresh_for(found, READ, GONE) == 0
    assert fresh_for(found) == 0
    assert fresh_for(found, READ, by_rule=True) == 0
    assert fresh_for(read((OFF, "")), READ) == 0


@pytest.mark.parametrize("use", [ProofUse.APPROVE, ProofUse.BREAK_GLASS])
def test_no_proof_of_before_is_enough_to_approve_or_for_break_glass(use: ProofUse) -> None:
    found = read((OFF, "  mfa: {approve: required, fresh_for: 15m}\n"))
    terms = asks_proof(found, [READ], use)
    assert terms is not None
    assert terms.fresh_for == 0


def test_a_critical_role_needs_a_trusted_factor_and_a_role_that_is_gone_counts_as_one() -> None:
    found = read((OFF, ""), CRITICAL)
    terms = {roles: asks_proof(found, roles, ProofUse.REQUEST) for roles in ((READ,), (ADMIN, READ), (GONE,))}
    assert [found is not None and found.critical for found in terms.values()] == [False, True, True]


def test_a_rule_asks_where_nothing_else_does() -> None:
    found = read((OFF, NOTHING))
    assert asks_proof(found, [READ], ProofUse.REQUEST) is None
    assert asks_proof(found, [READ], ProofUse.REQUEST, by_rule=True) == ProofTerms(factors=BOTH)


def test_who_asked_for_a_role_keeps_it_while_its_terms_of_proof_change() -> None:
    plain, strict = read(), read(("max: 8h", "max: 8h\n        mfa: {request: required, approve: required}"))
    before, after = plain.role("prod-db", "read-only"), strict.role("prod-db", "read-only")
    assert before is not None
    assert after is not None
    assert before.mfa != after.mfa
    assert before.digest == after.digest


FLAWS = {
    "an unknown kind": (OFF, "  mfa: {factors: [‸topt]}\n", "workspace.mfa.factors.0", "`topt`", "`totp`?"),
    "a kind like none": (OFF, "  mfa: {factors: [‸zzz]}\n", "workspace.mfa.factors.0", "`zzz`", "totp, recovery"),
    "a kind twice": (OFF, "  mfa: {factors: ‸[totp, totp]}\n", "workspace.mfa.factors", "twice", ""),
    "no kind": (OFF, "  mfa: {factors: ‸[]}\n", "workspace.mfa.factors", "", ""),
    "recovery codes alone": (OFF, "  mfa: {factors: ‸[recovery]}\n", "workspace.mfa.factors", "stand in", "totp"),
    "too long": (OFF, "  mfa: {fresh_for: ‸16m}\n", "workspace.mfa.fresh_for", "15 minutes at most", ""),
    "a number": (OFF, "  mfa: {fresh_for: ‸15}\n", "workspace.mfa.fresh_for", "write it like 5m, or 0", ""),
    "a word": (OFF, "  mfa: {fresh_for: ‸off}\n", "workspace.mfa.fresh_for", "write it like 5m, or 0", ""),
    "no low role": (
        "sensitivity: low",
        "sensitivity: high",
        "workspace.mfa.fresh_for",
        "`low` roles alone",
        "leave it",
    ),
    "a weaker role": (
        "max: 8h",
        "max: 8h\n        mfa: {break_glass: ‸off}",
        "systems.prod-db.roles.read-only.mfa.break_glass",
        "a role can only be stricter",
        "leave it out, or write `mfa: {break_glass: off}` in `workspace`",
    ),
    "a role without break-glass": (
        "max: 8h",
        "max: 8h\n        mfa: {break_glass: ‸required}",
        "systems.prod-db.roles.read-only.mfa.break_glass",
        "no `break_glass`",
        "leave it out",
    ),
    "a kind of a role": (
        "max: 8h",
        "max: 8h\n        mfa: {‸factors: [totp]}",
        "systems.prod-db.roles.read-only.mfa.factors",
        "no key `factors`",
        "",
    ),
    "a word in place of the keys": (
        "max: 8h",
        "max: 8h\n        mfa: ‸required",
        "systems.prod-db.roles.read-only.mfa",
        "mapping",
        "`mfa: {request: required}`",
    ),
    "where it was": (
        "max: 8h",
        "max: 8h\n        approval: {‸mfa: required}",
        "systems.prod-db.roles.read-only.approval.mfa",
        "no key `mfa`",
        "write `mfa: {approve: required}` beside `approval`",
    ),
}


@pytest.mark.parametrize("name", FLAWS)
def test_what_cannot_be_is_told_with_its_place_and_what_to_write(name: str) -> None:
    old, new, path, phrase, hint = FLAWS[name]
    changes = [(OFF, "  mfa: {request: off, fresh_for: ‸5m}\n")] if name == "no low role" else []
    text = WHOLE
    for was, now in [*changes, (old, new)]:
        text = text.replace(was, now, 1)
    _, marks = marked(text)
    found = mistakes((WHOLE, text.replace("‸", "")))
    assert [(mistake.mark, mistake.path) for mistake in found] == [(marks[0], path)], "\n".join(map(str, found))
    assert phrase in found[0].sentence
    assert hint in found[0].hint


NOBODY = {
    "by default": ([(OFF, "")], [("workspace.mfa.request", " (it is the default)", "mfa: {request: off}")]),
    "as written": ([("off", "required")], [("workspace.mfa.request", "required here, and", "mfa: {request: off}")]),
    "for approvers": ([("off}", "off, approve: required}")], [("workspace.mfa.approve", "none is", "approve: off")]),
    "nowhere": ([], []),
    "for break-glass": ([("max: 8h", GLASS)], [("workspace.mfa.break_glass", "the default", "break_glass: off")]),
    "for a role": (
        [("max: 8h", "max: 8h\n        mfa: {approve: required}")],
        [("systems.prod-db.roles.read-only.mfa.approve", "none is installed", "leave it out")],
    ),
}


@pytest.mark.parametrize("name", NOBODY)
@pytest.mark.parametrize("kinds", [(), ("recovery",)])
def test_a_second_factor_that_nobody_can_have_is_a_mistake(name: str, kinds: tuple[str, ...]) -> None:
    changes, expected = NOBODY[name]
    found = mistakes(*changes, kinds=kinds)
    assert [mistake.path for mistake in found] == [path for path, _, _ in expected], "\n".join(map(str, found))
    for mistake, (_, phrase, hint) in zip(found, expected, strict=True):
        assert phrase in mistake.sentence
        assert hint in mistake.hint


def test_the_factors_that_are_installed_are_known_to_a_policy_that_is_loaded() -> None:
    assert {"totp", "recovery"} <= set(loader.installed().factors.names)


# what a rule asks for

MIA = person("T1", "mia")
FRIDAY = "{when: {hours: {days: [friday]}}, then: {require: {mfa: true}}}"
FROZEN = "{when: {frozen: [freeze]}, then: {require: {mfa: true}}}"
BOTH_OF_A_RULE = "{when: {what: [debug]}, then: {require: {mfa: true, steps: [{any_of: [platform]}]}}}"
APPROVE = "{when: {sensitivity: low, at_most: 8h}, then: approve, budget: 3/day}"
ON_FRIDAY, ON_MONDAY = 1_796_378_400.0, 1_796_032_800.0
CALENDAR = ("groups:\n", 'calendars: {freeze: {ical: "file:/x.ics"}}\ngroups:\n')


def ruled(*written: str) -> Catalog:
    """The policy with these rules."""
    return read((OFF, NOTHING), CALENDAR, ("templates:\n", f"rules: [{', '.join(written)}]\ntemplates:\n"))


def judged(catalog: Catalog, begins: float = ON_FRIDAY, *, why: bool = False, **facts: Any) -> rules.Ruling:
    wanted = RequestedAccess(requester=MIA, what="debug", roles=(READ,), duration=600)
    known = Circumstances(now=begins, begins=begins, **facts)
    return rules.judge(catalog, {}, wanted, known, {rule.key: 0 for rule in catalog.rules}, why=why)


def test_a_rule_requires_a_proof_by_its_conditions() -> None:
    assert judged(ruled(FRIDAY), ON_FRIDAY).requires_proof
    assert not judged(ruled(FRIDAY), ON_MONDAY).requires_proof
    assert not judged(ruled(FRIDAY), ON_MONDAY, why=True).requires_proof, "a rule without an effect is told of alone"
    assert not judged(ruled(APPROVE)).requires_proof
    assert not judged(ruled()).requires_proof


@pytest.mark.parametrize(("known", "expected"), [({"freeze": True}, True), ({"freeze": False}, False), ({}, True)])
def test_a_rule_that_may_apply_requires_a_proof(known: dict[str, bool], *, expected: bool) -> None:
    assert judged(ruled(FROZEN), frozen=known).requires_proof is expected


def test_what_is_proved_may_be_approved_by_a_rule_and_steps_still_win() -> None:
    proved = judged(ruled(FRIDAY, APPROVE))
    assert proved.requires_proof
    assert proved.by is not None
    assert proved.required_steps == ()
    both = judged(ruled(BOTH_OF_A_RULE, APPROVE))
    assert both.requires_proof
    assert both.by is None
    assert [(step.any_of, step.because) for step in both.required_steps] == [(("platform",), "one of platform")]


def test_the_key_of_a_rule_is_the_one_that_it_had() -> None:
    """What a rule approved today is counted under it, and a request names it."""
    steps = "{when: {what: [debug]}, then: {require: {steps: [{any_of: [platform]}]}}}"
    assert [rule.key for rule in ruled(APPROVE, steps).rules] == ["9c4f00e78c485253", "90b41829efef1f5c"]


RULE_FLAWS = {
    "nothing": ("{when: {what: [debug]}, then: {require: ‸{}}}", "`mfa: true`"),
    "a word": ("{when: {what: [debug]}, then: {require: {mfa: ‸required}}}", "this should be True"),
    "a weaker one": ("{when: {what: [debug]}, then: {require: {mfa: ‸false}}}", "this should be True"),
}


@pytest.mark.parametrize("name", RULE_FLAWS)
def test_a_rule_that_requires_nothing_is_a_mistake(name: str) -> None:
    rule, phrase = RULE_FLAWS[name]
    text, marks = marked(WHOLE.replace("templates:\n", f"rules: [{rule}]\ntemplates:\n"))
    found = mistakes((WHOLE, text))
    assert [mistake.mark for mistake in found] == marks, "\n".join(map(str, found))
    assert phrase in found[0].sentence


def test_a_rule_that_nobody_can_meet_is_a_mistake() -> None:
    change = ("templates:\n", f"rules: [{FRIDAY}]\ntemplates:\n")
    assert [mistake.path for mistake in mistakes(change, kinds=())] == ["rules.0.then.require.mfa"]
    assert mistakes(change) == ()


# what changes

STRICT = ("max: 8h", "max: 8h\n        mfa: {request: required, approve: required}")
CHANGES = {
    "a role": (STRICT, "prod-db/read-only", [("second factor", "", "request, approve")]),
    "requests": ((OFF, ""), "workspace", [("mfa request", "off", "required")]),
    "break-glass": ((OFF, NOTHING), "workspace", [("mfa break-glass", "required", "off")]),
    "kinds": (("off}", "off, factors: [totp]}"), "workspace", [("mfa factors", "all that are installed", "totp")]),
    "freshness": (("off}", "off, fresh_for: 5m}"), "workspace", [("mfa fresh for", "", "5m")]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_difference_of_two_policies_names_the_terms_of_proof_and_nobody_gains_or_loses_a_right(name: str) -> None:
    change, about, details = CHANGES[name]
    before, after = read(), read(change)
    found = policy_diff.compare(before, after)
    assert [(each.name, each.how) for each in found.changes] == [(about, "changed")]
    assert [(each.name, each.was, each.now) for each in found.changes[0].details] == details
    assert not found.same
    assert shift(before, after) == shift(before, before)


def test_the_difference_of_two_policies_names_what_a_rule_asks_for() -> None:
    [change] = [each for each in policy_diff.compare(ruled(), ruled(BOTH_OF_A_RULE)).changes if each.kind == "rule"]
    assert [(each.name, each.now) for each in change.details] == [
        ("require", "require one of platform, and a second factor")
    ]
