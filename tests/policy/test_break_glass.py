"""The break-glass of a role as the policy has it: what could not work is a mistake, and what changed is told."""

from __future__ import annotations

import pytest

from bot.policy import break_glass, permission_diff
from bot.policy.catalog import RoleRef
from bot.policy.permission_diff import Right
from bot.policy.policy_diff import compare
from tests.access.test_break_glass import WITH
from tests.house import POLICY, catalog
from tests.policy.policies import mistakes

GLASS = "break_glass: {who: [oncall, dba], at_most: 30m, review_within: 2h}"
VAULT = (RoleRef(system="vault", role="read-only"),)


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ("break_glass: {who: [nobody], at_most: 30m}", "there is no group `nobody`"),
        ("break_glass: {who: [everyone], at_most: 30m}", "there is no group `everyone`"),
        ("break_glass: {who: [dba], at_most: 30m}", "no group here lists people by address"),
        ("break_glass: {who: [oncall], at_most: 9h}", "9h is longer than the role may be open"),
        ("break_glass: {who: [oncall], at_most: 1h, review_within: 30m}", "a review within 30m is not possible"),
        ("break_glass: {who: [oncall], at_most: 1h, review_within: 31d}", "a review within 31d is not possible"),
        ("break_glass: {who: [], at_most: 1h}", "at least 1"),
        ("break_glass: {who: [oncall]}", "`at_most` is missing here"),
        ("break_glass: {who: [oncall], at_most: 1h, reviewers: [dba]}", "there is no key `reviewers` here"),
    ],
)
def test_what_could_not_work_is_a_mistake(instead: str, said: str) -> None:
    assert GLASS in WITH
    assert any(said in mistake.sentence for mistake in mistakes(WITH.replace(GLASS, instead))), said


def test_somebody_whose_access_nobody_could_review_is_a_mistake() -> None:
    alone = (
        WITH.replace("approvers: [dba]", "approvers: [oncall]")
        .replace("who: [oncall, dba]", "who: [oncall]")
        .replace("oncall: {people: [mia@example.com, dan@example.com]}", "oncall: {people: [pat@example.com]}")
    )
    assert ["nobody else could review" in mistake.sentence for mistake in mistakes(alone)].count(True) == 1


def test_a_review_is_due_within_a_day_where_nothing_is_said() -> None:
    known = catalog(WITH.replace(", review_within: 2h", ""))
    assert break_glass.terms(known, VAULT) == break_glass.BreakGlassTerms(at_most=1800, review_within=86_400)
    assert break_glass.terms(catalog(), VAULT) is None


def test_who_gains_break_glass_and_its_terms_are_told_of_a_change() -> None:
    before, after = catalog(WITH.replace(f"        {GLASS}\n", "")), catalog(WITH)
    gained = permission_diff.shift(before, after).gained
    assert Right("mia@example.com", "use break-glass for", "vault/read-only") in gained
    [change] = [each for each in compare(before, after).changes if each.name == "vault/read-only"]
    assert [(detail.name, detail.was, detail.now) for detail in change.details] == [
        ("break-glass", "", "oncall (2 people) or dba (size unknown here), up to 30m, reviewed within 2h")
    ]


def test_break_glass_changes_nothing_of_what_a_role_grants() -> None:
    one, other = catalog(WITH), catalog(POLICY)
    assert one.systems["vault"].roles["read-only"].digest == other.systems["vault"].roles["read-only"].digest
