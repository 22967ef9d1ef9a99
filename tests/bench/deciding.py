"""A verdict of a large policy beside one of a small policy: 500 roles, 50 rules with all conditions, 10,000 members."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from bot.core.verdict import Members, Roster
from bot.policy import authorization, rules
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances, RequestedAccess
from tests.bench.printing import Row
from tests.house import catalog, person

_NOW = 1_773_057_600.0
_TIMES = 200
_MEMBERS = 10_000


def measure() -> list[Row]:
    """The rows of the table."""
    small = median(_taken(_verdict(_policy(1, 1, 0), _roster(10))))
    large = median(_taken(_verdict(_policy(50, 10, 50), _roster(_MEMBERS))))
    what = f"a verdict on a request: 500 roles, 50 rules, {_MEMBERS:,} members"
    return [
        (what, f"{1e3 * large:.2f} ms", "under 0.5 ms"),
        ("the same: 1 role, no rule, 10 members", f"{1e3 * small:.2f} ms", ""),
        ("ratio of the two", f"{large / small:.1f}", ""),
    ]


def _taken(verdict: Callable[[], None]) -> list[float]:
    """Seconds of each."""
    verdict()
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        verdict()
        taken.append(time.perf_counter() - began)
    return taken


def _verdict(policy: Catalog, roster: Roster) -> Callable[[], None]:
    """Whether somebody may request a role, and what rules make of it."""
    requester = person("TBENCH", "p1")
    choice = policy.find("s0/r0")
    assert choice
    wanted = RequestedAccess(
        requester=requester, what=choice.name, roles=choice.roles, duration=1800, reason="INC-42 it burns"
    )
    facts = Circumstances(
        now=_NOW,
        begins=_NOW,
        frozen={"release": False},
        denials={"s0/r0": ()},
        live={"s0/r0": 3},
        tickets={("jira", "INC-42"): True},
    )
    used = {rule.key: 0 for rule in policy.rules}

    def judge() -> None:
        verdict = authorization.may_request(policy, roster, requester, choice, _NOW)
        ruling = rules.judge(policy, roster, wanted, facts, used)
        assert verdict.allowed
        assert ruling.by is None

    return judge


def _roster(members: int) -> Roster:
    people = frozenset(f"p{n}@example.com" for n in range(members))
    return {
        "staff": Members(identities=people),
        "owners": Members(identities=people),
        "calls": Members(identities=people),
    }


def _policy(systems: int, roles: int, count: int) -> Catalog:
    """So many systems with so many roles, and so many rules, each with every condition."""
    text = """
version: 1
workspace: {audit_channel: C0AUDIT01, mfa: {request: off, break_glass: off}}
calendars: {release: {ical: "file:/release.ics"}}
tickets: {jira: {url: "https://jira.example.com/{ticket}", secret: "env:JIRA"}}
groups:
  staff: {slack_usergroup: S0STAFF01}
  owners: {slack_usergroup: S0OWNER01}
  calls: {slack_usergroup: S0CALLS01}
systems:
"""
    for n in range(systems):
        text += f"  s{n}:\n    title: S{n}\n    provider: sandbox\n    config: {{path: /tmp/x}}\n"
        text += "    channel: C0VAULT01\n    approvers: [owners]\n    on_call: calls\n    roles:\n"
        for m in range(roles):
            text += f"      r{m}: {{grants: {{door: d{m}}}, sensitivity: low, max: 8h, may_ask: [staff]}}\n"
    if count:
        text += "rules:\n"
    for n in range(count):
        text += (
            f"  - {{when: {{sensitivity: low, requester_in: [staff], at_most: {n + 31}m, what: [s0], on_call: true, "
            "hours: {days: [monday], from: '00:00', to: '23:59', timezone: Europe/Berlin}, live: 1, "
            "denied_lately: {within: 1d}, ticket: {check: jira, pattern: '[A-Z]+-[0-9]+'}, frozen: [release]}, "
            f"then: {{deny: rule {n}}}}}\n"
        )
    return catalog(text)
