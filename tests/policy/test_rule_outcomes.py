"""What cannot be told makes nothing easier, the order of rules decides nothing but which one approves, deny wins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.core.verdict import Code, Members
from bot.policy import conditions, rules
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.rule import rule_of
from bot.policy.rule_shapes import HoursShape, RuleShape, WhenShape
from bot.policy.rules import Ruling
from tests.house import catalog, person

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC).timestamp()
"""A Monday."""
DAN = person("T1", "dan")
POLICY = """
version: 1
workspace:
  audit_channel: C0AUDIT01
  mfa: {request: off}
groups:
  dba: {slack_usergroup: S0DBA0001}
  on-call: {slack_usergroup: S0CALL001}
  platform: {people: [pat@example.com, kim@example.com]}
systems:
  vault:
    title: Vault
    provider: sandbox
    channel: C0VAULT01
    approvers: [platform]
    on_call: on-call
    roles:
      ops:
        grants: {door: {ask: ticket}}
        asks: {ticket: {pattern: "[A-Z]+-[0-9]+", example: INC-42}}
        sensitivity: low
        max: 8h
        may_ask: [everyone]
      deploy: {grants: {door: b}, sensitivity: medium, max: 8h, may_ask: [everyone]}
  hall:
    title: Hall
    provider: sandbox
    channel: C0VAULT01
    approvers: [platform]
    roles:
      ops: {grants: {door: c}, sensitivity: low, max: 8h, may_ask: [everyone]}
templates:
  debug: {title: Debug, roles: [vault/ops], durations: [30m, 4h]}
tickets:
  jira: {url: "https://jira.example.com/{ticket}", secret: "env:JIRA_SECRET"}
"""
HOUSE = catalog(POLICY)
ROSTER = {
    "dba": Members(users=frozenset({"UDAN"})),
    "on-call": Members(users=frozenset({"UDAN"})),
    "platform": Members(identities=frozenset({"pat@example.com", "kim@example.com"})),
}
FACTS = Circumstances(
    now=NOW,
    begins=NOW,
    frozen={"release": True},
    denials={"vault/ops": (NOW - 60, NOW - 50), "hall/ops": (), "vault/deploy": ()},
    live={"vault/ops": 3, "hall/ops": 0, "vault/deploy": 0},
    tickets={("jira", "INC-42"): True},
)
"""Everything holds of dan's request for vault/ops."""
APPROVE = {"then": "approve", "budget": "3/day"}
OUTCOMES: Mapping[str, dict[str, Any]] = {
    "approve": APPROVE,
    "deny": {"then": {"deny": "Not now"}},
    "require": {"then": {"require": {"steps": [{"any_of": ["platform"]}]}}},
    "shorten": {"then": {"shorten": "10m"}},
}
CONDITIONS: Mapping[str, dict[str, Any]] = {
    "requester_in": {"requester_in": ["dba"]},
    "on_call": {"on_call": True},
    "frozen": {"frozen": ["release"]},
    "denied_lately": {"denied_lately": {"count": 2, "within": "1h"}},
    "live": {"live": 3},
    "ticket": {"ticket": {"check": "jira", "input": "ticket"}},
}
"""Those that can be unknown; the others are told by the request, the policy and the time."""
UNTOLD: Mapping[str, tuple[dict[str, Members], dict[str, Any]]] = {
    "requester_in": ({"dba": Members(known=False)}, {}),
    "on_call": ({"on-call": Members(known=False)}, {}),
    "frozen": ({}, {"frozen": {}}),
    "denied_lately": ({}, {"denials": {}}),
    "live": ({}, {"live": {"vault/ops": None}}),
    "ticket": ({}, {"tickets": {}}),
}
FALSE: Mapping[str, tuple[dict[str, Members], dict[str, Any]]] = {
    "requester_in": ({"dba": Members()}, {}),
    "on_call": ({"on-call": Members()}, {}),
    "frozen": ({}, {"frozen": {"release": False}}),
    "denied_lately": ({}, {"denials": {"vault/ops": (NOW - 60,)}}),
    "live": ({}, {"live": {"vault/ops": 2}}),
    "ticket": ({}, {"tickets": {("jira", "INC-42"): False}}),
}


def house(*written: dict[str, Any]) -> Catalog:
    """The policy with these rules."""
    found = tuple(rule_of(n, RuleShape.model_validate(rule)) for n, rule in enumerate(written, start=1))
    return HOUSE.model_copy(update={"rules": found})


def wanted(what: str = "vault/ops", duration: int = 1800, reason: str = "", **inputs: str) -> RequestedAccess:
    choice = HOUSE.find(what)
    assert choice is not None
    given = inputs or {"ticket": "INC-42"}
    return RequestedAccess(requester=DAN, what=what, roles=choice.roles, duration=duration, reason=reason, inputs=given)


def judged(
    whole: Catalog,
    form: RequestedAccess,
    changed: tuple[dict[str, Members], dict[str, Any]] = ({}, {}),
    *,
    why: bool = False,
) -> Ruling:
    roster, facts = changed
    used = dict.fromkeys((rule.key for rule in whole.rules), 0)
    return rules.judge(whole, {**ROSTER, **roster}, form, FACTS.model_copy(update=facts), used, why=why)


def written(outcome: str, when: dict[str, Any], unless: dict[str, Any]) -> dict[str, Any]:
    """A rule; one that approves has the conditions that it never lacks."""
    always = {"sensitivity": "low", "at_most": "1h"} if outcome == "approve" else {}
    return {"when": {**always, **when}, "unless": unless, **OUTCOMES[outcome]}


def effect(ruling: Ruling) -> str:
    """The one outcome of a policy with one rule."""
    if ruling.denied:
        return "deny"
    if ruling.required_steps:
        return "require"
    return "shorten" if ruling.shortened else "approve" if ruling.by else "none"


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("part", ["when", "unless"])
def test_what_cannot_be_told_is_true_for_what_is_stricter_and_false_for_what_approves(
    outcome: str, condition: str, part: str
) -> None:
    when, unless = (CONDITIONS[condition], {}) if part == "when" else ({}, CONDITIONS[condition])
    whole = house(written(outcome, when, unless))
    holds, fails = (({}, {}), FALSE[condition]) if part == "when" else (FALSE[condition], ({}, {}))
    assert effect(judged(whole, wanted(), holds)) == outcome
    assert effect(judged(whole, wanted(), fails)) == "none"
    unknown = judged(whole, wanted(), UNTOLD[condition])
    assert effect(unknown) == ("none" if outcome == "approve" else outcome)
    name = condition if part == "when" else f"unless {condition}"
    assert (name, None) in unknown.findings[0].short_of
    if outcome == "deny":
        assert [reason.code for reason in unknown.verdict.reasons] == [Code.RULE_UNSURE]
        assert unknown.verdict.unknown
    assert unknown.surely_required == ()


# any rules

WHENS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(value[name]) for name, value in CONDITIONS.items()},
        "what": st.sampled_from([["debug"], ["vault"], ["hall/ops"]]),
        "hours": st.sampled_from([{"days": ["monday"]}, {"from": "18:00", "to": "09:00"}]),
    },
)
RULES = st.lists(
    st.builds(written, st.sampled_from(sorted(OUTCOMES)), WHENS, WHENS).map(
        lambda rule: rule | {"when": {"sensitivity": "low", "at_most": "2h", **rule["when"]}}
    ),
    max_size=5,
)
FORMS = st.sampled_from(["vault/ops", "debug", "hall/ops", "vault/ops + hall/ops"]).flatmap(
    lambda what: st.sampled_from([600, 1800, 7201]).map(lambda seconds: wanted(what, seconds))
)
TOLD = st.lists(st.sampled_from([*FALSE.items()]), max_size=6).map(
    lambda found: (
        dict(itertools.chain(*(roster.items() for _, (roster, _) in found))),
        dict(itertools.chain(*(facts.items() for _, (_, facts) in found))),
    )
)


def strictness(ruling: Ruling, form: RequestedAccess) -> tuple[bool, frozenset[Any], int, bool]:
    """How hard it is made: denied, what is required, how long it may be, whether people have to approve."""
    least = ruling.shortened.duration if ruling.shortened else form.duration
    return bool(ruling.denied), frozenset(ruling.required_steps), -least, ruling.by is None


@given(RULES, FORMS, TOLD, st.sets(st.sampled_from(sorted(UNTOLD))))
def test_no_unknown_loosens_anything(
    some: list[dict[str, Any]], form: RequestedAccess, told: tuple[dict[str, Members], dict[str, Any]], dark: set[str]
) -> None:
    whole = house(*some)
    roster, facts = dict(told[0]), dict(told[1])
    known = strictness(judged(whole, form, (roster, facts)), form)
    for name in dark:
        roster |= UNTOLD[name][0]
        facts |= {key: {} for key in UNTOLD[name][1]}
    unknown = strictness(judged(whole, form, (roster, facts)), form)
    assert unknown[0] >= known[0]
    assert unknown[1] >= known[1]
    assert unknown[2] >= known[2]
    assert unknown[3] >= known[3]


@given(RULES, FORMS, TOLD)
def test_whoever_does_not_ask_why_gets_the_same_ruling(
    some: list[dict[str, Any]], form: RequestedAccess, told: tuple[dict[str, Members], dict[str, Any]]
) -> None:
    whole = house(*some)
    short, full = judged(whole, form, told), judged(whole, form, told, why=True)
    assert short.model_copy(update={"findings": ()}) == full.model_copy(update={"findings": ()})
    assert [each for each in short.findings if each.takes_effect] == [
        each for each in full.findings if each.takes_effect
    ]
    assert len(full.findings) == len(whole.rules)
    assert short.surely_required == full.surely_required


@given(RULES, FORMS, TOLD, st.randoms())
def test_their_order_decides_nothing_but_which_one_approves(
    some: list[dict[str, Any]], form: RequestedAccess, told: tuple[dict[str, Members], dict[str, Any]], shuffle: Any
) -> None:
    other = list(some)
    shuffle.shuffle(other)
    one, two = judged(house(*some), form, told), judged(house(*other), form, told)
    assert bool(one.denied) == bool(two.denied)
    assert sorted((s.any_of, s.count) for s in one.required_steps) == sorted(
        (s.any_of, s.count) for s in two.required_steps
    )
    assert (one.shortened and one.shortened.duration) == (two.shortened and two.shortened.duration)
    assert (one.by is None) == (two.by is None)


@given(RULES, FORMS, TOLD, RULES)
def test_a_stricter_rule_more_makes_nothing_easier(
    some: list[dict[str, Any]],
    form: RequestedAccess,
    told: tuple[dict[str, Members], dict[str, Any]],
    more: list[dict[str, Any]],
) -> None:
    stricter = [rule for rule in more if rule["then"] != "approve"]
    assume(stricter)
    fewer, all_ = judged(house(*some), form, told), judged(house(*some, *stricter), form, told)
    assert bool(all_.denied) >= bool(fewer.denied)
    assert set(all_.required_steps) >= set(fewer.required_steps)
    assert (all_.by is None) >= (fewer.by is None)


# what wins


def test_deny_wins_then_require_and_what_needs_more_people_is_approved_by_no_rule() -> None:
    approve = written("approve", {}, {})
    require, deny = written("require", {"live": 3}, {}), written("deny", {"frozen": ["release"]}, {})
    assert effect(judged(house(approve, require), wanted())) == "require"
    assert judged(house(approve, require), wanted()).by is None
    assert effect(judged(house(approve, require, deny), wanted())) == "deny"


def test_the_shortest_of_all_wins_and_what_is_shorter_anyway_is_left() -> None:
    longer = {"when": {"live": 1}, "then": {"shorten": "20m"}}
    found = judged(house(longer, written("shorten", {"live": 1}, {})), wanted()).shortened
    assert found is not None
    assert (found.rule, found.asked, found.duration) == (2, 1800, 600)
    assert judged(house(longer), wanted(duration=600)).shortened is None


def test_what_was_shortened_is_approved_only_if_what_was_requested_would_be() -> None:
    whole = house(written("approve", {}, {}), written("shorten", {"live": 1}, {}))
    assert judged(whole, wanted(duration=1800)).by is not None
    assert judged(whole, wanted(duration=7200)).by is None


def test_two_rules_that_require_the_same_people_require_two_of_them() -> None:
    one, other = written("require", {"live": 3}, {}), written("require", {"frozen": ["release"]}, {})
    found = judged(house(one, other), wanted()).required_steps
    assert [(step.any_of, step.count, step.rule) for step in found] == [(("platform",), 1, 1), (("platform",), 1, 2)]
    assert found[0].because == "one of platform"


# one role of several


def test_a_stricter_rule_reaches_one_role_of_several_and_a_rule_that_approves_needs_all() -> None:
    both = wanted("vault/ops + hall/ops")
    assert effect(judged(house(written("deny", {"what": ["hall"]}, {})), both)) == "deny"
    assert effect(judged(house(written("approve", {"what": ["hall"]}, {})), both)) == "none"
    assert effect(judged(house(written("approve", {"what": ["hall", "vault"]}, {})), both)) == "approve"
    # On call for the vault is not on call for the hall.
    assert effect(judged(house(written("approve", {"on_call": True}, {})), both)) == "none"
    assert effect(judged(house(written("deny", {}, {"on_call": True})), both)) == "deny"
    assert effect(judged(house(written("deny", {}, {"on_call": True})), wanted())) == "none"


def test_a_template_that_a_stricter_rule_names_stands_for_its_roles() -> None:
    assert effect(judged(house(written("deny", {"what": ["debug"]}, {})), wanted("vault/ops"))) == "deny"
    assert effect(judged(house(written("deny", {}, {"what": ["debug"]})), wanted("vault/ops"))) == "deny"
    assert effect(judged(house(written("deny", {}, {"what": ["debug"]})), wanted("debug"))) == "none"
    assert effect(judged(house(written("approve", {"what": ["debug"]}, {})), wanted("vault/ops"))) == "none"
    assert effect(judged(house(written("approve", {}, {"what": ["debug"]})), wanted("vault/ops"))) == "none"


# hours


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        ({"from": "09:00", "to": "18:00"}, "2026-11-30T09:00+01:00", True),
        ({"from": "09:00", "to": "18:00"}, "2026-11-30T08:59:59+01:00", False),
        ({"from": "09:00", "to": "18:00"}, "2026-11-30T17:59:59+01:00", True),
        ({"from": "09:00", "to": "18:00"}, "2026-11-30T18:00+01:00", False),
        ({"days": ["Friday"], "from": "22:00", "to": "06:00"}, "2026-12-04T23:00+01:00", True),
        ({"days": ["friday"], "from": "22:00", "to": "06:00"}, "2026-12-05T05:59+01:00", True),
        ({"days": ["friday"], "from": "22:00", "to": "06:00"}, "2026-12-05T06:00+01:00", False),
        ({"days": ["friday"], "from": "22:00", "to": "06:00"}, "2026-12-04T05:00+01:00", False),
        ({"days": ["friday"], "from": "22:00", "to": "06:00"}, "2026-12-05T23:00+01:00", False),
        ({"from": "18:00", "to": "00:00"}, "2026-12-05T23:59+01:00", True),
        ({"from": "18:00", "to": "00:00"}, "2026-12-06T00:00+01:00", False),
        ({"days": ["saturday", "sunday"]}, "2026-12-05T00:00+01:00", True),
        ({"days": ["saturday", "sunday"]}, "2026-12-06T23:59+01:00", True),
        ({"days": ["saturday", "sunday"]}, "2026-12-07T00:00+01:00", False),
        # The clocks: 09:00 there is 08:00 UTC in winter and 07:00 UTC in summer.
        ({"from": "09:00", "to": "18:00"}, "2026-07-01T07:00+00:00", True),
        ({"from": "09:00", "to": "18:00"}, "2026-07-01T16:00+00:00", False),
        ({"from": "09:00", "to": "18:00"}, "2026-12-01T07:59+00:00", False),
        # 25 October 2026 has 02:30 twice, 28 March 2027 has none.
        ({"from": "02:00", "to": "03:00"}, "2026-10-25T00:30+00:00", True),
        ({"from": "02:00", "to": "03:00"}, "2026-10-25T01:30+00:00", True),
        ({"from": "02:00", "to": "03:00"}, "2026-10-25T02:00+00:00", False),
        ({"from": "02:00", "to": "03:00"}, "2027-03-28T01:00+00:00", False),
    ],
)
def test_hours_are_those_of_the_clocks_there(hours: dict[str, Any], moment: str, *, inside: bool) -> None:
    shape = HoursShape.model_validate({"timezone": "Europe/Berlin", **hours})
    assert conditions.within(shape, at(moment)) == inside


def test_hours_are_judged_at_the_start_of_access() -> None:
    whole = house(written("deny", {"hours": {"days": ["saturday"]}}, {}))
    assert effect(judged(whole, wanted())) == "none"
    assert effect(judged(whole, wanted(), ({}, {"begins": at("2026-12-05T12:00+00:00")}))) == "deny"


# tickets


@pytest.mark.parametrize(
    ("form", "ticket"),
    [
        (wanted(ticket="INC-42"), "INC-42"),
        (wanted(ticket=".."), ""),
        (wanted(ticket="."), ""),
        (wanted(ticket="A" * 101), ""),
        (wanted("hall/ops", ticket="INC-42"), ""),
    ],
)
def test_the_ticket_is_the_input_of_the_role(form: RequestedAccess, ticket: str) -> None:
    shape = WhenShape.model_validate({"ticket": {"check": "jira", "input": "ticket"}}).ticket
    assert shape is not None
    assert conditions.ticket(HOUSE, shape, form, form.roles[0]) == ticket


@pytest.mark.parametrize(
    ("reason", "ticket"),
    [("see INC-42 and INC-43", "INC-42"), ("no ticket", ""), ("", ""), ("inc-42", "")],
)
def test_or_what_fits_the_pattern_first_in_the_reason(reason: str, ticket: str) -> None:
    shape = WhenShape.model_validate({"ticket": {"check": "jira", "pattern": "[A-Z]+-[0-9]+"}}).ticket
    assert shape is not None
    form = wanted(reason=reason)
    assert conditions.ticket(HOUSE, shape, form, form.roles[0]) == ticket


def test_a_request_without_a_ticket_has_none() -> None:
    whole = house(written("deny", {}, CONDITIONS["ticket"]))
    assert effect(judged(whole, wanted("hall/ops"))) == "deny"
    assert effect(judged(whole, wanted())) == "none"


# its key


def test_a_key_changes_with_each_condition_and_each_outcome_but_not_of_a_rule_of_before() -> None:
    plain = written("approve", {"requester_in": ["dba"]}, {})
    assert house(plain).rules[0].key == "973a27434464bffe"
    some = [written(outcome, {"live": 2}, {}) for outcome in OUTCOMES]
    some += [written("approve", CONDITIONS[name], {}) for name in CONDITIONS if name != "requester_in"]
    some += [written("approve", {}, CONDITIONS[name]) for name in CONDITIONS]
    assert len({rule.key for rule in house(plain, *some).rules}) == len(some) + 1
