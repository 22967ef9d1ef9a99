"""A difference of policies names each role, template, rule and group that has other terms, with the size of groups."""

from __future__ import annotations

import pytest

from bot.policy.catalog import Catalog
from bot.policy.loader import facts, installed
from bot.policy.parse import parse
from bot.policy.policy_diff import Detail, TermChange, compare
from bot.policy.yaml_source import Source
from providers.systems import registry
from tests.house import POLICY, catalog

BEFORE = catalog()
RULE = "\nrules:\n  - {when: {sensitivity: low, at_most: 1h}, then: approve, budget: 3/day}\n"
DBA = "one of dba (size unknown here)"


def changes(text: str) -> tuple[TermChange, ...]:
    return compare(BEFORE, catalog(text)).changes


HALLS = "choice: [hall, attic, yard]"


def asking(room: str) -> Catalog:
    """The policy whose shared role asks which door."""
    asks = f"grants: {{door: {{ask: room}}, shared: true}}\n        asks: {{room: {{{room}}}}}"
    return catalog(POLICY.replace("grants: {door: hall, shared: true}", asks))


def test_the_same_policy_differs_in_nothing() -> None:
    assert compare(BEFORE, catalog(f"# another layout\n{POLICY}")).same


ADMIN, SHARED = "vault/admin", "vault/shared"
SECOND = "one of security (2 people)"


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("max: 1h", "max: 2h", TermChange("role", ADMIN, "changed", (Detail("max", "1h", "2h"),))),
        (
            "sensitivity: critical",
            "sensitivity: high",
            TermChange("role", ADMIN, "changed", (Detail("sensitivity", "critical", "high"),)),
        ),
        (
            "any_of: [security]",
            "any_of: [security, platform], count: 2",
            TermChange(
                "role",
                ADMIN,
                "changed",
                (
                    Detail(
                        "approvers",
                        f"{DBA}, and {SECOND}",
                        f"{DBA}, and 2 of security (2 people) or platform (1 person)",
                    ),
                ),
            ),
        ),
        (
            "steps: [{any_of: [dba]}",
            "ordered: true\n          steps: [{owner: true, escalate: {after: 30m, to: [platform]}}",
            TermChange(
                "role",
                ADMIN,
                "changed",
                (
                    Detail(
                        "approvers",
                        f"{DBA}, and {SECOND}",
                        f"first {DBA} (owners, after 30m also platform (1 person)), then {SECOND}",
                    ),
                ),
            ),
        ),
        (
            "{any_of: [security]}",
            "{any_of: [security], skip_if_requester_in: [platform]}",
            TermChange(
                "role",
                ADMIN,
                "changed",
                (
                    Detail(
                        "approvers",
                        f"{DBA}, and {SECOND}",
                        f"{DBA}, and {SECOND} (not if the requester is in platform (1 person))",
                    ),
                ),
            ),
        ),
        (
            "durations: [30m, 1h, 4h]",
            "durations: [30m]",
            TermChange("template", "debug", "changed", (Detail("durations", "30m, 1h, 4h", "30m"),)),
        ),
        (
            "people: [pat@example.com]",
            "people: [pat@example.com, eve@example.com]",
            TermChange(
                "group",
                "platform",
                "changed",
                (
                    Detail("size", "1 person", "2 people"),
                    Detail("who", "pat@example.com", "eve@example.com, pat@example.com"),
                ),
            ),
        ),
        (
            "operators: [platform]",
            "pending: 2h",
            TermChange(
                "workspace",
                "workspace",
                "changed",
                (Detail("pending", "4h", "2h"), Detail("operators", "platform (1 person)", "")),
            ),
        ),
        (
            "templates:",
            RULE.strip() + "\ntemplates:",
            TermChange("rule", "low risk at most, up to 1h", "added", (Detail("budget", "", "3/day"),)),
        ),
    ],
)
def test_what_has_other_terms_is_named_once_and_nothing_else_is(old: str, new: str, change: TermChange) -> None:
    [found] = changes(POLICY.replace(old, new))
    assert (found.kind, found.name, found.how) == (change.kind, change.name, change.how)
    assert sorted(map(str, found.details)) == sorted(map(str, change.details))


def test_a_role_that_goes_is_told_with_all_that_it_was() -> None:
    text = POLICY[: POLICY.index("  both:")].replace(
        POLICY[POLICY.index("      shared:") : POLICY.index("      admin:")], ""
    )
    gone = {change.name: change for change in changes(text)}
    assert (gone[SHARED].how, gone["both"].how) == ("removed", "removed")
    terms = {detail.name: (detail.was, detail.now) for detail in gone[SHARED].details}
    assert terms["max"] == ("8h", "")
    assert terms["may request"] == ("everyone", "")
    assert terms["approvers"] == (DBA, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Vault\n", "title: The vault\n"),
        ("channel: C0VAULT01", "channel: C0VAULT02"),
        ("provider: sandbox", "provider: sandbox\n    config: {path: doors}"),
        ("approvers: [dba]", "approvers: [dba]\n    on_call: dba"),
        ("door: hall", "door: cellar"),
        ("max: 1h", "max: 1h\n        title: All of it"),
        ("max: 1h", "max: 1h\n        notify: {mention: none}"),
        ("title: Debug the vault", "title: Look into the vault"),
        ("roles: [vault/read-only]", "roles: [vault/shared]"),
        ("example: INC-42", "example: INC-43"),
        ("hint: Incident or ticket", "hint: Incident"),
        ("example: INC-42", "example: INC-42, min_length: 5"),
        ("example: INC-42", "example: INC-42, required: false"),
        ("S0DBA0001", "S0DBA0002"),
        ("audit_channel: C0AUDIT01", "audit_channel: C0AUDIT02"),
        ("workspace:", "workspace:\n  limits: {open: 3}"),
        ("workspace:", "workspace:\n  insights: {asked-again: off}"),
        ("workspace:", "workspace:\n  retention: 60d"),
        ("workspace:", "workspace:\n  sinks: {file: {kind: file, config: {path: /tmp/x}}}"),
        ("workspace:", "workspace:\n  digest: {at: '09:00'}"),
    ],
)
def test_whatever_is_written_otherwise_is_a_change(old: str, new: str) -> None:
    assert old in POLICY
    text = parse([Source("jit.yaml", POLICY.replace(old, new, 1))], facts, registry.names(), installed())
    assert compare(BEFORE, text).changes != ()


ASKS = '{"choice": ["hall", "attic", "yard"]}'


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("choice: [hall, attic, yard, safe]", '{"choice": ["hall", "attic", "yard", "safe"]}'),
        ("choice: [hall, attic, yard], default: yard", '{"choice": ["hall", "attic", "yard"], "default": "yard"}'),
        ("choice: [hall, attic, yard], title: Which", '{"title": "Which", "choice": ["hall", "attic", "yard"]}'),
        ("pattern: '.+', example: hall", '{"pattern": ".+", "example": "hall"}'),
        ("ssh_public_key: true", '{"ssh_public_key": true}'),
    ],
)
def test_what_a_role_asks_for_is_one_of_its_terms(now: str, said: str) -> None:
    before, after = asking(HALLS), asking(now)
    assert compare(before, after).changes == (
        TermChange("role", SHARED, "changed", (Detail("input room", ASKS, said),)),
    )


def test_another_pattern_is_told_where_its_example_is_the_same() -> None:
    before, after = asking("pattern: '[a-z]+', example: hall"), asking("pattern: '.+', example: hall")
    was, now = '{"pattern": "[a-z]+", "example": "hall"}', '{"pattern": ".+", "example": "hall"}'
    assert compare(before, after).changes == (TermChange("role", SHARED, "changed", (Detail("input room", was, now),)),)


def test_an_input_that_is_new_and_one_that_is_gone_are_told() -> None:
    [added], [gone] = compare(BEFORE, asking(HALLS)).changes, compare(asking(HALLS), BEFORE).changes
    assert Detail("input room", "", ASKS) in added.details
    assert Detail("input room", ASKS, "") in gone.details


def test_a_rule_that_only_moved_is_the_same_rule() -> None:
    other = "  - {when: {sensitivity: low, at_most: 30m}, then: approve, budget: 1/day}\n"
    one, both = catalog(POLICY + RULE), catalog(POLICY + RULE.replace("rules:\n", f"rules:\n{other}"))
    assert [(change.kind, change.name) for change in compare(one, both).changes] == [
        ("rule", "low risk at most, up to 30m")
    ]
