"""A rule approves what it was written for and nothing else: it widens no right to ask, and no cap."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.request import Person
from bot.core.verdict import Members
from bot.policy import authorization, rules
from bot.policy.catalog import Catalog, Choice
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.field_types import Sensitivity
from bot.policy.rule import Rule
from bot.policy.rule_shapes import SENTENCES, RuleShape, ThenShape, WhenShape
from bot.policy.rules import Ruling
from tests.house import POLICY, catalog, person
from tests.policy.policies import broken, mistakes
from tests.policy.policies import catalog as parsed

MIA, DAN = person("T1", "mia"), person("T1", "dan")
NOW = 1_795_000_000.0
FACTS = Circumstances(now=NOW, begins=NOW)
ROSTER = {
    "dba": Members(users=frozenset({"UDAN", "UEVE"})),
    "security": Members(identities=frozenset({"sam@example.com", "kim@example.com"})),
    "platform": Members(identities=frozenset({"pat@example.com"})),
}
DARK = {**ROSTER, "dba": Members(known=False)}
RULE = "{when: {sensitivity: low, requester_in: [dba], at_most: 1h}, then: approve, budget: 3/day}"


def ruled(*written: str) -> Catalog:
    """The house's policy with these rules."""
    return catalog(POLICY + "rules:\n" + "".join(f"  - {rule}\n" for rule in written or (RULE,)))


def wanted(whole: Catalog, what: str = "debug", who: Person = DAN, duration: int = 1800) -> RequestedAccess:
    """Who requests what, for how many seconds."""
    choice = whole.find(what)
    assert choice is not None
    return RequestedAccess(requester=who, what=choice.name, roles=choice.roles, duration=duration)


def judged(whole: Catalog, form: RequestedAccess, used: int = 0, roster: Any = ROSTER, facts: Any = FACTS) -> Ruling:
    """What the rules make of it, of each of which so many were used."""
    return rules.judge(whole, roster, form, facts, {rule.key: used for rule in whole.rules}, why=True)


def short_of(ruling: Ruling, n: int = 1) -> tuple[str, ...]:
    """The conditions of a rule that do not hold or cannot be told."""
    return tuple(name for name, _ in ruling.findings[n - 1].short_of)


def test_what_a_rule_is_for_is_approved_by_it() -> None:
    whole = ruled()
    by = judged(whole, wanted(whole), used=1).by
    assert by is not None
    assert (by.n, by.sensitivity, by.requester_in, by.at_most, by.used, by.budget) == (1, "low", ("dba",), 3600, 2, 3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"who": MIA}, "requester_in"),
        ({"duration": 3601}, "at_most"),
        ({"what": "vault/admin"}, "sensitivity"),
        ({"what": "vault/shared"}, "sensitivity"),
        ({"what": "both"}, "sensitivity"),
    ],
)
def test_each_condition_that_does_not_hold_is_the_reason(change: dict[str, Any], why: str) -> None:
    whole = ruled()
    ruling = judged(whole, wanted(whole, **change))
    assert ruling.by is None
    assert why in short_of(ruling)


def test_a_budget_that_is_used_up_or_was_not_counted_approves_nothing() -> None:
    whole = ruled()
    assert short_of(judged(whole, wanted(whole), used=3)) == ("budget",)
    assert rules.judge(whole, ROSTER, wanted(whole), FACTS, {}).by is None


def test_a_group_that_nobody_tells_of_holds_nobody() -> None:
    whole = ruled()
    assert judged(whole, wanted(whole), roster=DARK).findings[0].short_of == (("requester_in", None),)
    assert judged(whole, wanted(whole), roster={}).by is None


@pytest.mark.parametrize(
    ("what", "asked", "approved"),
    [
        ("[debug]", "debug", True),
        ("[debug]", "vault/read-only", False),
        ("[vault/read-only]", "debug", True),
        ("[vault]", "debug", True),
        ("[vault/admin]", "debug", False),
        ("[both]", "debug", False),
    ],
)
def test_what_it_is_for_may_be_named(what: str, asked: str, approved: bool) -> None:
    whole = ruled(f"{{when: {{sensitivity: low, at_most: 1h, what: {what}}}, then: approve, budget: 1/day}}")
    assert (judged(whole, wanted(whole, asked, MIA)).by is not None) == approved


def test_the_next_rule_holds_where_the_first_is_used_up() -> None:
    whole = ruled(RULE, "{when: {sensitivity: medium, at_most: 30m}, then: approve, budget: 1/day}")
    first, second = whole.rules
    ruling = rules.judge(whole, ROSTER, wanted(whole), FACTS, {first.key: 3, second.key: 0})
    assert ruling.by is not None
    assert (ruling.by.n, short_of(ruling)) == (2, ("budget",))


def test_its_key_tells_its_conditions_whatever_its_place_and_budget() -> None:
    other = "{when: {sensitivity: low, at_most: 30m}, then: approve, budget: 1/day}"
    one, two = ruled(), ruled(other, RULE.replace("3/day", "4/day"))
    assert one.rules[0].key == two.rules[1].key
    assert one.policy_hash != two.policy_hash


SOME = st.builds(
    Rule,
    n=st.just(1),
    key=st.just("k"),
    when=st.builds(
        WhenShape,
        sensitivity=st.sampled_from(Sensitivity),
        requester_in=st.lists(st.sampled_from(["dba", "security", "platform", "nobody"]), min_size=1, max_size=2).map(
            tuple
        )
        | st.none(),
        at_most=st.integers(5, 500_000).map(lambda seconds: f"{min(seconds, 99_999)}s"),
        what=st.lists(
            st.sampled_from(["debug", "both", "vault", "vault/admin", "vault/read-only"]), min_size=1, max_size=2
        ).map(tuple)
        | st.none(),
    ),
    then=st.just(ThenShape.model_validate("approve")),
    budget=st.integers(1, 20),
)


@given(SOME, st.sampled_from(catalog().choices()), st.sampled_from(["mia", "dan", "sam", "pat"]), st.data())
def test_a_rule_widens_no_right_and_approves_nothing_harmful(
    rule: Rule, choice: Choice, who: str, data: st.DataObject
) -> None:
    whole = catalog().model_copy(update={"rules": (rule,)})
    roster = {name: data.draw(st.sampled_from([members, Members(known=False)])) for name, members in ROSTER.items()}
    at_most, groups = rule.when.at_most or 0, rule.when.requester_in
    duration = data.draw(st.sampled_from([1, at_most, at_most + 1]))
    used = data.draw(st.sampled_from([0, rule.budget - 1, rule.budget, rule.budget + 1]))
    requester = person("T1", who)
    before = authorization.may_request(catalog(), roster, requester, choice, NOW)
    assert authorization.may_request(whole, roster, requester, choice, NOW) == before
    form = RequestedAccess(requester=requester, what=choice.name, roles=choice.roles, duration=duration)
    by = rules.judge(whole, roster, form, FACTS, {"k": used}).by
    if by is None:
        return
    sensitivities = {whole.systems[ref.system].roles[ref.role].sensitivity for ref in choice.roles}
    assert sensitivities <= {"low", "medium"}
    assert "medium" not in sensitivities or rule.when.sensitivity != "low"
    assert duration <= at_most
    assert by.used <= rule.budget
    assert not groups or any(g in roster and roster[g].holds(requester) for g in groups)


@pytest.mark.parametrize("sensitivity", ["high", "critical"])
def test_what_is_high_is_approved_by_no_rule_however_it_came_to_be(sensitivity: str) -> None:
    whole = ruled()
    when = whole.rules[0].when.model_copy(update={"sensitivity": Sensitivity(sensitivity), "requester_in": None})
    whole = whole.model_copy(update={"rules": (whole.rules[0].model_copy(update={"when": when}),)})
    assert judged(whole, wanted(whole)).by is not None
    for what in ("vault/shared", "vault/admin", "both"):
        assert "covers" in short_of(judged(whole, wanted(whole, what)))


# the policy file

WRITTEN = {
    "no sensitivity": ("‸when: {at_most: 1h}, then: approve, budget: 1/day", "`sensitivity` is missing", "sensitive"),
    "no duration": ("‸when: {sensitivity: low}, then: approve, budget: 1/day", "`at_most` is missing", "no longer"),
    "high": ("when: {sensitivity: ‸high, at_most: 1h}, then: approve, budget: 1/day", "never by a rule", "medium"),
    "critical": ("when: {sensitivity: ‸critical, at_most: 1h}, then: approve, budget: 1/day", "by people", "medium"),
    "no such sensitivity": (
        "when: {sensitivity: ‸lo, at_most: 1h}, then: approve, budget: 1/day",
        "this should be",
        "",
    ),
    "too many a day": ("when: {sensitivity: low, at_most: 1h}, then: approve, budget: ‸21/day", "at most 20/day", ""),
    "none a day": ("when: {sensitivity: low, at_most: 1h}, then: approve, budget: ‸0/day", "write it like 3/day", ""),
    "a number alone": ("when: {sensitivity: low, at_most: 1h}, then: approve, budget: ‸3", "write it like 3/day", ""),
    "deny": ("when: {sensitivity: low, at_most: 1h}, then: ‸deny, budget: 3/day", "write `approve`, `{deny:", ""),
    "an unknown condition": (
        "when: {sensitivity: low, ‸at_mots: 1h, at_most: 1h}, then: approve, budget: 1/day",
        "no key `at_mots`",
        "`at_most`",
    ),
    "an unknown group": (
        "when: {sensitivity: low, at_most: 1h, requester_in: [‸dbaa]}, then: approve, budget: 1/day",
        "no group `dbaa`",
        "`dba`",
    ),
    "everyone": (
        "when: {sensitivity: low, at_most: 1h, requester_in: [‸everyone]}, then: approve, budget: 1/day",
        "`everyone` is no group",
        "leave `requester_in` out",
    ),
    "something unknown": (
        "when: {sensitivity: low, at_most: 1h, what: [debug, ‸prod-db/read-onyl]}, then: approve, budget: 1/day",
        "nothing called `prod-db/read-onyl`",
        "`prod-db/read-only`",
    ),
}


@pytest.mark.parametrize("name", list(WRITTEN))
def test_a_rule_that_is_not_bounded_is_refused_at_its_place(name: str) -> None:
    written, sentence, hint = WRITTEN[name]
    brace = "‸{" if written.startswith("‸") else "{"
    text, marks = broken("templates:\n", f"rules:\n  - {brace}{written.removeprefix('‸')}}}\ntemplates:\n")
    found = mistakes(text)
    assert len(found) == 1, found
    assert sentence in found[0].sentence
    assert hint in found[0].hint
    assert found[0].mark.line == marks[0].line
    assert found[0].path.startswith("rules.0")


def test_no_budget_is_a_mistake_and_so_are_the_same_conditions_twice() -> None:
    one = "{when: {sensitivity: low, at_most: 1h}, then: approve}"
    text, _ = broken("templates:\n", f"rules:\n  - {one}\ntemplates:\n")
    assert [mistake.sentence for mistake in mistakes(text)] == ["`budget` is missing here"]
    same = one.replace("approve", "approve, budget: 1/day"), one.replace("approve", "approve, budget: 2/day")
    text, _ = broken("templates:\n", f"rules:\n  - {same[0]}\n  - {same[1]}\ntemplates:\n")
    assert [mistake.sentence for mistake in mistakes(text)] == ["rule 1 has the same conditions"]


def test_each_key_of_a_rule_has_a_sentence() -> None:
    assert set(SENTENCES) == set(RuleShape.model_fields) | set(WhenShape.model_fields)


def test_the_example_of_the_starter_is_a_rule() -> None:
    from importlib.resources import files

    text = files("bot").joinpath("guides", "starter.yaml").read_text(encoding="utf-8")
    before, _, example = text.partition("# rules:\n")
    own = itertools.takewhile(lambda line: line.startswith("#   "), example.splitlines())
    lines = [line.removeprefix("# ") for line in own]
    whole = parsed(before + "rules:\n" + "\n".join(lines) + "\n")
    assert [(rule.when.sensitivity, rule.when.at_most, rule.budget) for rule in whole.rules] == [("low", 3600, 3)]
