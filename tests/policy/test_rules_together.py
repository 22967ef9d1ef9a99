"""Each rule is judged as if it were alone and asked for the first time, whatever was judged beside it or before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.request import Person
from bot.core.verdict import Members, Roster
from bot.policy import rules
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.field_types import Sensitivity
from bot.policy.rule import rule_of
from bot.policy.rule_shapes import RuleShape
from bot.policy.rule_words import COVERS
from tests.house import catalog, person

NOW = datetime(2026, 11, 30, 22, 30, tzinfo=UTC).timestamp()
"""A Monday, and in Tokyo a Tuesday."""
POLICY = """
version: 1
workspace: {audit_channel: C0AUDIT01, mfa: {request: off}}
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
  debug: {title: Debug, roles: [vault/ops], durations: [30m]}
  both: {title: Both, roles: [vault/deploy, hall/ops], durations: [30m]}
"""
HOUSE = catalog(POLICY)
OTHER = catalog(
    POLICY.replace("    on_call: on-call\n", "").replace("medium", "low").replace("[vault/ops]", "[hall/ops]")
)
"""Nobody is on call in it, `vault/deploy` is low, and `debug` is another role."""

Known = bool | None
Rule = dict[str, Any]
Found = tuple[Known, frozenset[tuple[str, Known]]]


class World(NamedTuple):
    """All that rules are judged on."""

    policy: Catalog
    roster: Roster
    form: RequestedAccess
    facts: Circumstances


GROUPS = st.sampled_from([Members(), Members(users=frozenset({"UDAN"})), Members(known=False)])
FACTS = st.builds(
    Circumstances,
    now=st.just(NOW),
    begins=st.sampled_from([NOW, NOW + 43_200]),
    frozen=st.dictionaries(st.sampled_from(["release", "night"]), st.sampled_from([True, False, None])),
    denials=st.dictionaries(
        st.sampled_from(["vault/ops", "vault/deploy", "hall/ops"]),
        st.sampled_from([(), (NOW - 60,), (NOW - 60, NOW - 7200), None]),
    ),
    live=st.dictionaries(st.sampled_from(["vault/ops", "vault/deploy", "hall/ops"]), st.sampled_from([0, 2, 3, None])),
    tickets=st.dictionaries(
        st.sampled_from([("jira", "INC-42"), ("jira", "OPS-7"), ("desk", "INC-42")]), st.sampled_from([True, False])
    ),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    policy = draw(st.sampled_from([HOUSE, OTHER]))
    choice = policy.find(draw(st.sampled_from(["vault/ops", "debug", "both", "vault/ops + hall/ops"])))
    assert choice is not None
    form = RequestedAccess(
        requester=draw(st.sampled_from([person("T1", "dan"), person("T1", "pat")])),
        what=choice.name,
        roles=choice.roles,
        duration=draw(st.sampled_from([600, 7200])),
        reason=draw(st.sampled_from(["INC-42 and OPS-7", "OPS-7", ""])),
        inputs=draw(st.sampled_from([{"ticket": "INC-42"}, {"change": "INC-42"}, {}])),
    )
    roster = draw(st.fixed_dictionaries({"dba": GROUPS, "on-call": GROUPS}))
    pat = Members(identities=frozenset({"pat@example.com"}))
    return World(policy, {**roster, "platform": pat}, form, draw(FACTS))


CONDITIONS: Mapping[str, st.SearchStrategy[Any]] = {
    "sensitivity": st.sampled_from(["low", "medium"]),
    "requester_in": st.lists(st.sampled_from(["dba", "on-call", "platform"]), min_size=1, unique=True),
    "at_most": st.sampled_from(["10m", "2h"]),
    "what": st.lists(st.sampled_from(["debug", "both", "vault", "hall/ops"]), min_size=1, unique=True),
    "on_call": st.just(True),
    "hours": st.builds(
        lambda some, zone: {**some, "timezone": zone},
        st.sampled_from([{"days": ["monday"]}, {"from": "18:00", "to": "09:00", "days": ["monday", "tuesday"]}]),
        st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
    ),
    "frozen": st.lists(st.sampled_from(["release", "night"]), min_size=1, unique=True),
    "denied_lately": st.fixed_dictionaries({"count": st.sampled_from([1, 2]), "within": st.sampled_from(["1h", "1d"])}),
    "live": st.sampled_from([1, 3]),
    "ticket": st.builds(
        lambda check, found: {"check": check, **found},
        st.sampled_from(["jira", "desk"]),
        st.sampled_from(
            [{"input": "ticket"}, {"input": "change"}, {"pattern": "INC-[0-9]+"}, {"pattern": "OPS-[0-9]+"}]
        ),
    ),
}


def alike(names: Iterable[str]) -> st.SearchStrategy[list[Rule]]:
    """Rules with some of these conditions, so that several of them ask for different things of the same kind."""
    some: st.SearchStrategy[Rule] = st.fixed_dictionaries({}, optional={name: CONDITIONS[name] for name in names})
    then = st.sampled_from([{"then": "approve", "budget": "3/day"}, {"then": {"deny": "Not now"}}])
    rule = st.builds(lambda when, unless, then: {"when": when, "unless": unless, **then}, some, some, then)
    return st.lists(rule, max_size=6)


RULES = st.sets(st.sampled_from(sorted(CONDITIONS)), min_size=1, max_size=3).map(sorted).flatmap(alike)


def found(whole: Catalog, world: World) -> list[Found]:
    """Whether each rule applies, and what it is short of, by the bot."""
    used = dict.fromkeys((rule.key for rule in whole.rules), 0)
    ruling = rules.judge(whole, world.roster, world.form, world.facts, used, why=True)
    brief = rules.judge(whole, world.roster, world.form, world.facts, used)
    assert [each for each in brief.findings if each.takes_effect] == [
        each for each in ruling.findings if each.takes_effect
    ]
    return [(each.applies, frozenset(each.short_of)) for each in ruling.findings]


def with_rules(policy: Catalog, some: Iterable[Rule]) -> Catalog:
    every = tuple(rule_of(n, RuleShape.model_validate(rule)) for n, rule in enumerate(some, start=1))
    return policy.model_copy(update={"rules": every})


# The same from what is written, one condition at a time, with nothing remembered.


def expected(rule: Rule, world: World) -> Found:
    approves = rule["then"] == "approve"
    roles = [list(holding(rule, world, ref, approves=approves)) for ref in world.form.roles]
    each = [conjunction(known for _, known in role) for role in roles]
    applies = conjunction(each) if approves and roles else disjunction(each)
    telling = [role for role, known in zip(roles, each, strict=True) if approves or known is applies]
    short = {(name, known) for role in telling for name, known in role if known is not True}
    return applies, frozenset(() if applies else short)


def holding(rule: Rule, world: World, ref: RoleRef, *, approves: bool) -> Iterable[tuple[str, Known]]:
    for name, value in rule["when"].items():
        yield name, plain(world, ref, name, value, broad=not approves)
    for name, value in rule["unless"].items():
        known = plain(world, ref, name, value, broad=approves)
        yield f"unless {name}", None if known is None else not known
    if approves:
        most = Sensitivity(rule["when"].get("sensitivity", "low"))
        yield COVERS, ranked(world.policy.systems[ref.system].roles[ref.role].sensitivity) <= ranked(most)


def conjunction(some: Iterable[Known]) -> Known:
    all_ = list(some)
    return False if False in all_ else None if None in all_ else True


def disjunction(some: Iterable[Known]) -> Known:
    all_ = list(some)
    return True if True in all_ else None if None in all_ else False


def ranked(sensitivity: str) -> int:
    return ["low", "medium", "high", "critical"].index(sensitivity)


def plain(world: World, ref: RoleRef, name: str, value: Any, *, broad: bool) -> Known:
    """Whether one condition holds."""
    return named_by(world, ref, value, broad=broad) if name == "what" else PLAIN[name](world, ref, value)


def named_by(world: World, ref: RoleRef, names: list[str], *, broad: bool) -> bool:
    means = {world.form.what, ref.system, f"{ref.system}/{ref.role}"}
    for name, template in world.policy.templates.items():
        means |= {name} if broad and ref in template.roles else set()
    return bool(means & set(names))


def in_group(world: World, group: str | None) -> Known:
    if group is None:
        return False
    members, who = world.roster[group], world.form.requester
    return is_listed(members, who) if members.known else None


def is_listed(members: Members, who: Person) -> bool:
    return who.id in members.users or who.identity in members.identities


def in_hours(world: World, _: RoleRef, hours: Rule) -> bool:
    there = datetime.fromtimestamp(world.facts.begins, ZoneInfo(hours["timezone"]))
    day, clock = there.weekday(), f"{there:%H:%M}"
    if "from" in hours and clock < hours["to"]:
        day = (day - 1) % 7
    elif "from" in hours and clock < hours["from"]:
        return False
    return ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"][day] in hours["days"]


def denied(world: World, ref: RoleRef, value: Rule) -> Known:
    times = world.facts.denials.get(f"{ref.system}/{ref.role}")
    seconds = {"1h": 3600, "1d": 86_400}[value["within"]]
    return None if times is None else len([at for at in times if at > NOW - seconds]) >= value["count"]


def live(world: World, ref: RoleRef, least: int) -> Known:
    count = world.facts.live.get(f"{ref.system}/{ref.role}")
    return None if count is None else count >= least


def ticketed(world: World, ref: RoleRef, value: Rule) -> Known:
    if "input" in value:
        asks = world.policy.systems[ref.system].roles[ref.role].asks
        ticket = world.form.inputs.get(value["input"], "") if value["input"] in asks else ""
    else:
        ticket = (re.findall(value["pattern"], world.form.reason) or [""])[0]
    return world.facts.tickets.get((value["check"], ticket)) if ticket else False


PLAIN: Mapping[str, Callable[[World, RoleRef, Any], Known]] = {
    "sensitivity": lambda world, ref, most: (
        ranked(world.policy.systems[ref.system].roles[ref.role].sensitivity) <= ranked(most)
    ),
    "requester_in": lambda world, _, groups: disjunction(in_group(world, group) for group in groups),
    "at_most": lambda world, _, most: world.form.duration <= {"10m": 600, "2h": 7200}[most],
    "on_call": lambda world, ref, _: in_group(world, world.policy.systems[ref.system].on_call),
    "hours": in_hours,
    "frozen": lambda world, _, names: disjunction(world.facts.frozen.get(name) for name in names),
    "denied_lately": denied,
    "live": live,
    "ticket": ticketed,
}


@given(RULES, worlds())
def test_each_of_many_rules_applies_as_its_own_conditions_say(some: list[Rule], world: World) -> None:
    assert found(with_rules(world.policy, some), world) == [expected(rule, world) for rule in some]


@given(RULES, st.lists(worlds(), min_size=2, max_size=4))
def test_nothing_is_kept_from_what_was_judged_before(some: list[Rule], one_after_another: list[World]) -> None:
    # The rules themselves are the same values in both policies, as they are after a reload that changed something else.
    whole = {id(policy): with_rules(policy, some) for policy in (HOUSE, OTHER)}
    same = whole[id(HOUSE)].rules
    for world in one_after_another:
        policy = whole[id(world.policy)].model_copy(update={"rules": same})
        assert found(policy, world) == [expected(rule, world) for rule in some]


@pytest.mark.parametrize("then", ["approve", {"deny": "Not now"}])
def test_a_request_for_no_role_meets_no_rule(then: Any) -> None:
    rule = {"when": {"sensitivity": "low"}, "unless": {}, "then": then} | (
        {"budget": "1/day"} if then == "approve" else {}
    )
    empty = RequestedAccess(requester=person("T1", "dan"), what="nothing", roles=(), duration=600)
    assert found(with_rules(HOUSE, [rule]), World(HOUSE, {}, empty, Circumstances(now=NOW, begins=NOW))) == [
        (False, frozenset())
    ]


SIDE_BY_SIDE: Mapping[str, list[Any]] = {
    "sensitivity": ["low", "medium"],
    "requester_in": [["on-call"], ["dba"], ["platform"], ["on-call", "dba"]],
    "what": [["both"], ["debug"], ["hall/ops"], ["vault"]],
    "hours": [{"days": ["monday"], "timezone": zone} for zone in ("Asia/Tokyo", "UTC")],
    "frozen": [["night"], ["release"]],
    "ticket": [
        {"check": "jira", "input": "change"},
        {"check": "jira", "input": "ticket"},
        {"check": "jira", "pattern": "OPS-[0-9]+"},
        {"check": "jira", "pattern": "INC-[0-9]+"},
    ],
}
"""Values of a condition of which some hold of dan's request for a role of the vault and some do not."""


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_what_one_rule_asks_is_not_answered_with_what_another_asked(name: str) -> None:
    some = [{"when": {name: value}, "unless": {}, "then": {"deny": "Not now"}} for value in SIDE_BY_SIDE[name]]
    choice = HOUSE.find("vault/deploy" if name == "sensitivity" else "vault/ops")
    assert choice is not None
    form = RequestedAccess(
        requester=person("T1", "dan"),
        what=choice.name,
        roles=choice.roles,
        duration=600,
        reason="INC-42 and OPS-7",
        inputs={"ticket": "INC-42"},
    )
    facts = Circumstances(
        now=NOW, begins=NOW, frozen={"release": True, "night": False}, tickets={("jira", "INC-42"): True}
    )
    roster = {"dba": Members(users=frozenset({"UDAN"})), "on-call": Members(), "platform": Members(known=False)}
    for policy in (HOUSE, OTHER, HOUSE):
        for order in (some, some[::-1]):
            wants = [expected(rule, World(policy, roster, form, facts)) for rule in order]
            assert found(with_rules(policy, order), World(policy, roster, form, facts)) == wants
    assert len({applies for applies, _ in wants}) > 1


def test_a_copied_rule_is_judged_by_its_own_conditions() -> None:
    choice = HOUSE.find("vault/ops")
    assert choice is not None
    form = RequestedAccess(requester=person("T1", "dan"), what=choice.name, roles=choice.roles, duration=7200)
    world = World(HOUSE, {}, form, Circumstances(now=NOW, begins=NOW))
    whole = with_rules(HOUSE, [{"when": {"at_most": "10m"}, "unless": {}, "then": {"deny": "Not now"}}])
    assert found(whole, world) == [(False, frozenset({("at_most", False)}))]
    rule = whole.rules[0]
    longer = rule.model_copy(update={"when": rule.when.model_copy(update={"at_most": 7200})})
    assert found(whole.model_copy(update={"rules": (longer,)}), world) == [(True, frozenset())]
