"""Limits and conflicts in a policy: what is read, what is a mistake, and what a comparison says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.core.request import Person
from bot.core.usage import DAY, WEEK, PastDenial, Usage, UsageEntry
from bot.policy import limits
from bot.policy.limits import UsageLimitsShape
from bot.policy.policy_diff import compare
from tests.policy.policies import WHOLE, catalog, mistakes

ROOT = Path(__file__).parents[2]
NOW = 2_000_000_000.0
MIA = Person(workspace="T1", id="UMIA", identity="mia@example.com", email="mia@example.com")
BILLING = """\
  billing:
    title: Billing
    provider: sandbox
    channel: C0BILL001
    approvers: [dba]
    roles: {approve: {grants: {door: billing}, max: 1h, may_ask: [everyone]}}
templates:
"""


def of_role(text: str) -> str:
    """The whole policy, with limits of `prod-db/admin`."""
    return WHOLE.replace("        max: 1h\n", f"        max: 1h\n        limits: {text}\n")


def with_conflicts(text: str) -> str:
    """The whole policy, with another system and conflicts."""
    return f"{WHOLE.replace('templates:', BILLING.rstrip(), 1)}conflicts: {text}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "it limits nothing"),
        ("{per_person: {}}", "it limits nothing"),
        ("{live: 0}", "greater than or equal to 1"),
        ("{live: 501}", "less than or equal to 500"),
        ("{live: 1h}", "whole number"),
        ("{per_day: 3, per_week: 2}", "`per_week` is less than `per_day`"),
        ("{live: 1, per_person: {live: 2}}", "`per_person` allows more than `live` allows everybody together"),
        ("{cooldown: 31d}", "a cooldown is at most 30d"),
        ("{cooldown: 60}", "write it like 30m"),
        ("{lives: 3}", "there is no key `lives` here"),
        ("{max_per_day: 3}", "write `limits: {per_day: 10}`"),
    ],
)
def test_what_cannot_be_a_limit_is_a_mistake(text: str, said: str) -> None:
    found = [f"{mistake.sentence}; {mistake.hint}" for mistake in mistakes(of_role(text))]
    assert len(found) == 1
    assert said in found[0]


def test_the_key_that_people_type_gets_the_suggestion_of_the_one_that_there_is() -> None:
    [mistake] = mistakes(WHOLE.replace("        max: 1h\n", "        max: 1h\n        max_per_day: 3\n"))
    assert mistake.hint == "write `limits: {per_day: 10}`"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[prod-db/admin, prod-db/admin]]", "both sides are the same"),
        ("[[prod-db/admin, prod-db]]", "one role is on both sides"),
        ("[[prod-db, billing], [billing, prod-db]]", "this conflict is entry 1 already"),
        ("[[prod-db, biling]]", "did you mean `billing`?"),
        ("[[prod-db/admn, billing]]", "did you mean `prod-db/admin`"),
        ("[[prod-db, debug]]", "`debug` is a template"),
        ("[[prod-db]]", "write two names in brackets"),
        ("[[prod-db, billing, prod-db/admin]]", "write two names in brackets"),
        ("[prod-db]", "write two names in brackets"),
    ],
)
def test_what_cannot_be_a_conflict_is_a_mistake(text: str, said: str) -> None:
    found = [f"{mistake.sentence}; {mistake.hint}" for mistake in mistakes(with_conflicts(text))]
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("sides", ["[prod-db/read-only, billing/approve]", "[billing, prod-db]"])
def test_a_template_with_both_sides_is_a_mistake(sides: str) -> None:
    both = with_conflicts(f"[{sides}]").replace(
        "roles: [prod-db/read-only]\n    durations: [30m, 1h, 4h]",
        "roles: [prod-db/read-only, billing/approve]\n    durations: [30m]",
    )
    [mistake] = mistakes(both)
    assert "nobody may hold together" in mistake.sentence
    assert mistake.path == "templates.debug.roles"


def test_what_is_counted_is_what_has_limits_and_the_sides_of_conflicts() -> None:
    assert catalog(WHOLE).counted_scopes == frozenset()
    assert catalog(of_role("{live: 1}")).counted_scopes == {"prod-db/admin"}
    assert catalog(with_conflicts("[[prod-db, billing/approve]]")).counted_scopes == {"prod-db", "billing/approve"}


def test_limits_change_no_digest_of_a_role() -> None:
    roles = [catalog(text).systems["prod-db"].roles["admin"] for text in (WHOLE, of_role("{live: 1}"))]
    assert roles[0].digest == roles[1].digest, "what is granted is the same"


def test_a_comparison_says_which_limits_and_conflicts_changed() -> None:
    before, after = (
        catalog(of_role("{live: 1}")),
        catalog(of_role("{live: 2, per_person: {per_week: 1}, cooldown: 1h}")),
    )
    [change] = compare(before, after).changes
    [detail] = change.details
    assert (change.name, detail.name, detail.was) == ("prod-db/admin", "limits", "1 at a time")
    assert detail.now == "2 at a time, 1 in 7 days for each person, not again within 1 h after a denial"
    plain, sides = catalog(with_conflicts("[]")), catalog(with_conflicts("[[prod-db/admin, billing]]"))
    [change] = compare(plain, sides).changes
    assert [(d.name, d.was, d.now) for d in change.details] == [("conflicts", "", "billing and prod-db/admin")]


def test_the_examples_of_the_guide_are_good() -> None:
    guide = ROOT.joinpath("bot/guides/policy.md").read_text(encoding="utf-8")
    [limited] = re.findall(r"    limits: (\{.*\})\n", guide)[:1] or re.findall(r"  limits: (\{.*\})\n", guide)
    assert catalog(of_role(limited)).counted_scopes == {"prod-db/admin"}
    [pairs] = re.findall(r"```yaml\nconflicts:\n(.*?)```", guide, re.DOTALL)
    assert len(re.findall(r"\[[a-z/-]+, [a-z/-]+\]", pairs)) == 2


def use(n: int, ago: float, *, by: str = "USAM", live: bool = False) -> UsageEntry:
    """A request that was approved so long ago."""
    return UsageEntry(id=f"J-222{n}", by=by, requested_at=NOW - ago, approved_at=NOW - ago, live=live)


def test_a_day_is_any_24_hours_and_a_week_any_7_days() -> None:
    shape = UsageLimitsShape(per_day=1, per_week=2)
    inside, outside = Usage(uses=(use(2, DAY - 1),)), Usage(uses=(use(2, DAY + 1),))
    hit = limits.reached(shape, "x", inside, MIA, NOW)
    assert hit
    assert (hit.kind, hit.until) == ("per_day", NOW + 1)
    assert limits.reached(shape, "x", outside, MIA, NOW) is None
    week = Usage(uses=(use(2, WEEK - 1), use(3, DAY + 1)))
    hit = limits.reached(shape, "x", week, MIA, NOW)
    assert hit
    assert (hit.kind, hit.until) == ("per_week", NOW + 1)


def test_of_several_limits_the_one_that_lasts_longest_is_named() -> None:
    shape = UsageLimitsShape(per_day=2, per_week=2)
    hit = limits.reached(shape, "x", Usage(uses=(use(2, 60), use(3, 30))), MIA, NOW)
    assert hit
    assert (hit.kind, hit.until) == ("per_week", NOW - 60 + WEEK)


def test_a_cooldown_is_of_the_last_denial_of_that_person() -> None:
    shape = UsageLimitsShape.model_validate({"cooldown": "1h"})
    denials = tuple(
        PastDenial(id=f"J-222{n}", by=by, identity=identity, at=NOW - ago)
        for n, (by, identity, ago) in enumerate(
            [("UMIA", "", 3000), ("UMIA2", "mia@example.com", 600), ("USAM", "sam@example.com", 1)]
        )
    )
    hit = limits.in_cooldown(shape, "x", Usage(denials=denials), MIA, NOW)
    assert hit
    assert hit.until == NOW + 3000
    assert limits.in_cooldown(shape, "x", Usage(denials=denials), MIA, NOW + 3000) is None


def test_what_counts_no_more_is_dropped_and_what_is_live_never() -> None:
    usage = Usage(
        uses=(use(2, 2 * WEEK, live=True), use(3, DAY - 1), use(4, DAY + 1)),
        denials=(PastDenial(id="J-2222", by="UMIA", at=NOW - 50), PastDenial(id="J-2223", by="UMIA", at=NOW - 150)),
    )
    kept = limits.pruned(usage, NOW, DAY, 100)
    assert [each.id for each in kept.uses] == ["J-2222", "J-2223"]
    assert [each.id for each in kept.denials] == ["J-2222"]
