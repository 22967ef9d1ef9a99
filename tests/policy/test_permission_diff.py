"""What a change of the policy gives and takes is told by person, by verb and by role, and nothing else is."""

from __future__ import annotations

from bot.policy.permission_diff import Right, shift
from tests.house import POLICY, catalog

BEFORE = catalog()


def test_the_same_policy_shifts_nothing() -> None:
    assert shift(BEFORE, catalog()).gained == shift(BEFORE, catalog()).lost == ()


def test_who_comes_into_a_group_gains_what_it_may() -> None:
    after = catalog(POLICY.replace("[sam@example.com, kim@example.com]", "[sam@example.com, Eve@example.com]"))
    changed = shift(BEFORE, after)
    assert changed.gained == (Right("eve@example.com", "approve", "vault/admin"),)
    assert changed.lost == (Right("kim@example.com", "approve", "vault/admin"),)


def test_a_role_that_is_taken_away_is_lost_to_all_who_could_have_it() -> None:
    without = POLICY.replace(POLICY[POLICY.index("      shared:") : POLICY.index("      admin:")], "")
    without = without[: without.index("  both:")]
    assert shift(BEFORE, catalog(without)).lost == (
        Right("everyone", "request", "vault/shared"),
        Right("the user group S0DBA0001", "approve", "vault/shared"),
    )


def test_what_changes_no_right_is_no_shift() -> None:
    after = catalog(POLICY.replace("max: 8h", "max: 4h").replace("title: Vault\n", "title: The vault\n"))
    assert shift(BEFORE, after).gained == shift(BEFORE, after).lost == ()


def test_a_new_rule_gives_what_needs_nobodys_answer_and_a_tighter_one_takes_it() -> None:
    when = "{sensitivity: medium, at_most: 1h, requester_in: [security]%s}"
    rule = f"\nrules:\n  - {{when: {when}, then: approve, budget: 3/day}}\n"
    after, verb = catalog(POLICY + rule % ""), "get by rule, up to 1h and 3 a day of"
    gained = (Right("kim@example.com", verb, "vault/read-only"), Right("sam@example.com", verb, "vault/read-only"))
    assert shift(BEFORE, after).gained == gained, "what is high or critical is given by no rule"
    assert shift(BEFORE, catalog(POLICY + rule % ", what: [debug]")).gained == gained
    assert shift(BEFORE, catalog(POLICY + rule % ", what: [vault/admin]")).gained == ()
    shorter = shift(after, catalog(POLICY + (rule % "").replace("1h", "30m")))
    assert shorter.lost == gained
    assert [right.verb for right in shorter.gained] == [verb.replace("1h", "30m")] * 2


def test_who_operates_the_workspace_and_who_reads_its_audit_log_are_rights_too() -> None:
    after = catalog(POLICY.replace("operators: [platform]", "operators: [security]\n  auditors: [platform]"))
    changed = shift(BEFORE, after)
    security = tuple(Right(f"{who}@example.com", "operate", "workspace") for who in ("kim", "sam"))
    assert changed.gained == (security[0], Right("pat@example.com", "read", "audit log"), security[1])
    assert changed.lost == (Right("pat@example.com", "operate", "workspace"),)


def test_whom_a_step_escalates_to_gains_a_right_and_so_does_whoever_skips_one() -> None:
    steps = "{any_of: [dba], escalate: {after: 30m, to: [platform]}}, {any_of: [security], skip_if_requester_in: [dba]}"
    after = catalog(POLICY.replace("{any_of: [dba]}, {any_of: [security]}", steps))
    gained = (
        Right("pat@example.com", "approve after 30m", "vault/admin"),
        Right("the user group S0DBA0001", "skip the approval of security for", "vault/admin"),
    )
    assert shift(BEFORE, after).gained == gained
    assert shift(after, BEFORE).lost == gained


def test_the_owners_of_a_system_may_approve_a_step_of_theirs() -> None:
    after = catalog(POLICY.replace("steps: [{any_of: [dba]}, {any_of: [security]}]", "steps: [{owner: true}]"))
    assert shift(BEFORE, after).gained == ()
    assert {right.who for right in shift(BEFORE, after).lost} == {"kim@example.com", "sam@example.com"}
