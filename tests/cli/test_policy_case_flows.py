"""`jit policy test` knows requests for others, escalation, break-glass, limits and conflicts as the bot judges them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_policy_cases import run_cases
from tests.policy.flows import FLOWS

MIA = "as: mia@example.com, what: debug, duration: 1h"
FOR_MIA = "as: pat@example.com, for: mia@example.com, what: debug, duration: 1h"
ACCEPTED = f"{FOR_MIA}, accepted: true"
SAM = "as: sam@example.com, what: debug, break_glass: true"


def passes(folder: Path, case: str, policy: str = FLOWS) -> None:
    done = run_cases(folder, f"{{{case}}}", policy=policy)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "case",
    [
        f"{FOR_MIA}, expect: awaits-consent, sentence: mia has to accept it within 30 min",
        f"{FOR_MIA}, after: 2d, expect: expired, sentence: mia did not accept it",
        f"{FOR_MIA}, approved_by: [dan@example.com], expect: refused, sentence: There is no request",
        f"{ACCEPTED}, expect: {{asks: [dba]}}",
        f"{ACCEPTED}, approved_by: [dan@example.com], expect: approved",
        f"{ACCEPTED}, approved_by: [pat@example.com], expect: refused, sentence: You can't approve your own",
        f"{ACCEPTED}, approved_by: [mia@example.com], expect: refused, sentence: You can't approve your own",
        "as: dan@example.com, for: mia@example.com, what: debug, expect: refused, sentence: for others",
        "as: pat@example.com, for: mia@example.com, what: vault/admin, expect: refused, sentence: for others",
        f"{FOR_MIA}, denied: 10m, expect: refused, sentence: Nobody can request",
        f"{FOR_MIA}, holds: [vault/shared], expect: refused, sentence: mia has",
    ],
)
def test_a_request_for_somebody_else_waits_for_them_and_neither_of_the_two_approves_it(
    case: str, tmp_path: Path
) -> None:
    passes(tmp_path, case)


def test_neither_of_the_two_counts_even_where_both_are_approvers(tmp_path: Path) -> None:
    ours = FLOWS.replace("may_ask_for: [platform]", "may_ask_for: [dba]")
    case = "as: dan@example.com, for: mia@example.com, what: debug, accepted: true, approved_by: [dan@example.com]"
    passes(tmp_path, f"{case}, expect: refused, sentence: You can't approve your own", policy=ours)
    only = "as: dan@example.com, for: eve@example.com, what: debug"
    passes(tmp_path, f"{only}, expect: refused, sentence: not enough other active people", policy=ours)


def test_who_is_asked_for_may_be_approved_by_a_rule_once_they_accept(tmp_path: Path) -> None:
    rule = "rules: [{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 2/day}]\n"
    passes(tmp_path, f"{FOR_MIA}, expect: awaits-consent", policy=FLOWS + rule)
    passes(tmp_path, f"{ACCEPTED}, expect: approved-by-rule, rules: [1]", policy=FLOWS + rule)
    passes(tmp_path, f"{ACCEPTED}, used: 2, expect: {{asks: [dba]}}", policy=FLOWS + rule)


@pytest.mark.parametrize(
    "case",
    [
        f"{MIA}, after: 29m, expect: {{asks: [dba]}}",
        f"{MIA}, after: 30m, expect: {{asks: [dba or security]}}, sentence: from @dba or @security",
        f"{ACCEPTED}, after: 30m, expect: {{asks: [dba or security]}}",
        f"{MIA}, after: 29m, approved_by: [sam@example.com], expect: refused, sentence: Only `dba` can approve this",
        f"{MIA}, after: 30m, approved_by: [sam@example.com], expect: approved",
        f"{MIA}, approved_by: [{{as: sam@example.com, after: 40m}}], expect: approved",
        f"{MIA}, after: 40m, approved_by: [{{as: sam@example.com, after: 10m}}], expect: refused",
        f"{MIA}, after: 7d, expect: expired, sentence: 'Too few approved it within'",
        f"{MIA}, after: 7d, approved_by: [dan@example.com], expect: refused",
    ],
)
def test_later_others_may_answer_too_and_in_the_end_nobody(case: str, tmp_path: Path) -> None:
    passes(tmp_path, case)


def test_a_later_step_escalates_once_the_one_before_is_filled(tmp_path: Path) -> None:
    steps = "steps: [{owner: true, escalate: {after: 30m, to: [security]}}]"
    ordered = FLOWS.replace(
        steps, "ordered: true, steps: [{owner: true}, {any_of: [platform], escalate: {after: 30m, to: [security]}}]"
    )
    dan = "approved_by: [{as: dan@example.com, after: 20m}]"
    passes(tmp_path, f"{MIA}, {dan}, after: 49m, expect: {{asks: [platform]}}", policy=ordered)
    passes(tmp_path, f"{MIA}, {dan}, after: 50m, expect: {{asks: [platform or security]}}", policy=ordered)


@pytest.mark.parametrize(
    "case",
    [
        f"{SAM}, expect: break-glass, lasts: 1h, review_within: 1d",
        f"{SAM}, duration: 30m, expect: break-glass, lasts: 30m, sentence: An owner reviews it within 1 d",
        f"{SAM}, duration: 2h, expect: refused, sentence: 2 h is too long",
        f"{SAM}, reason: fire, expect: refused, sentence: the minimum is 10 characters",
        f"{SAM}, break_glass_used: 2, expect: break-glass",
        f"{SAM}, break_glass_used: 3, expect: refused, sentence: You used break-glass 3 times within 1 d",
        f"{SAM}, live: 3, denied: 10m, approved_lately: {{per_day: 5}}, expect: break-glass",
        f"{SAM}, holds: [vault/shared], expect: refused, sentence: Nobody may hold both",
        f"{SAM}, review_overdue: true, expect: {{asks: [dba]}}, sentence: An owner of the system has to approve this",
        f"{SAM}, review_overdue: true, approved_by: [dan@example.com], expect: approved",
        f"{SAM}, review_overdue: true, live: 3, expect: refused, sentence: is full",
        "as: mia@example.com, what: debug, break_glass: true, expect: refused, sentence: may use break-glass",
        "as: sam@example.com, what: vault/shared, break_glass: true, expect: refused, sentence: has no break-glass",
    ],
)
def test_break_glass_is_judged_as_the_bot_judges_it(case: str, tmp_path: Path) -> None:
    passes(tmp_path, case)


@pytest.mark.parametrize(
    "case",
    [
        f"{MIA}, live: 2, expect: asks",
        f"{MIA}, live: 3, expect: refused, sentence: is full",
        f"{MIA}, holds: [vault/read-only], expect: refused, sentence: You already have one request",
        f"{MIA}, approved_lately: {{per_day: 4, per_week: 8, per_person: {{per_day: 1}}}}, expect: asks",
        f"{MIA}, approved_lately: {{per_day: 5}}, expect: refused, sentence: approved 5 times within 24 hours",
        f"{MIA}, approved_lately: {{per_week: 9}}, expect: refused, sentence: approved 9 times within 7 days",
        f"{MIA}, approved_lately: {{per_person: {{per_day: 2}}}}, expect: refused, sentence: 2 times for you within 24",
        f"{MIA}, denied: 10m, expect: refused, sentence: was denied less than 1 h ago",
        f"{MIA}, denied: [61m, 2h], expect: asks",
        f"{MIA}, holds: [vault/shared], expect: refused, sentence: Nobody may hold both",
        f"{MIA}, holds: [vault/admin], expect: asks",
        "as: mia@example.com, what: vault/shared, holds: [vault/read-only], expect: refused, sentence: Nobody may hold",
    ],
)
def test_what_is_live_or_used_up_leaves_room_or_not(case: str, tmp_path: Path) -> None:
    passes(tmp_path, case)


def test_what_is_live_counts_for_the_whole_system(tmp_path: Path) -> None:
    two = FLOWS.replace("approvers: [dba]\n", "approvers: [dba]\n    limits: {live: 2}\n", 1)
    passes(
        tmp_path, "as: mia@example.com, what: vault/shared, live: 2, expect: refused, sentence: '`vault` is full'", two
    )
    passes(tmp_path, "as: dan@example.com, what: vault/admin, holds: [vault/shared], expect: asks", two)


def test_what_came_instead_is_said_in_the_same_words(tmp_path: Path) -> None:
    done = run_cases(
        tmp_path,
        f"{{{FOR_MIA}, expect: asks}}",
        f"{{{SAM}, expect: break-glass, review_within: 2d}}",
        f"{{{MIA}, after: 30m, approved_by: [dan@example.com], expect: refused}}",
        policy=FLOWS,
    )
    assert done.exit_code == 1
    said = [line.partition("t.test.yaml:")[2] or line for line in done.stdout.splitlines()]
    assert said[1:] == [
        "4:5 pat@example.com, debug, for mia@example.com, 1h",
        "  - asks",
        "  + awaits-consent: mia has to accept it within 30 min; then it goes to the approvers.",
        "5:5 sam@example.com, break-glass, debug",
        "  - break-glass, reviewed within 2d",
        "  + break-glass, reviewed within 1d: Access without approval for 1 h. An owner reviews it within 1 d.",
        "6:5 mia@example.com, debug, 1h, after 30m, approved by dan@example.com",
        "  - refused",
        "  + approved: Approved: every step has its approvals.",
        "3 failed, 0 passed",
    ]


def test_machines_read_the_same(tmp_path: Path) -> None:
    case = f"{{{SAM}, review_overdue: true, expect: break-glass}}"
    done = run_cases(tmp_path, case, policy=FLOWS, options=("--json",))
    assert done.exit_code == 1
    [found] = json.loads(done.stdout)["cases"]
    assert (found["came"], found["wrong"], found["passed"]) == ("asks dba", "verdict", False)
    assert "is overdue" in found["sentence"]
