"""`jit policy test` judges as the bot does, says what came instead of what was expected, and then ends with 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli.main import main
from tests.house import POLICY

RULES = """
rules:
  - when: {sensitivity: low, at_most: 1h, what: [debug]}
    then: approve
    budget: 3/day
"""
GROUPS = "groups: {dba: [dan@example.com, eve@example.com]}\n"


def run_cases(folder: Path, *cases: str, policy: str = POLICY, options: tuple[str, ...] = ()) -> Result:
    (folder / "jit.yaml").write_text(policy, encoding="utf-8")
    file = folder / "t.test.yaml"
    file.write_text(f"policy: jit.yaml\n{GROUPS}cases:\n{''.join(f'  - {case}{chr(10)}' for case in cases)}")
    return CliRunner().invoke(main, ["policy", "test", str(file), *options])


def came(folder: Path, case: str, policy: str = POLICY) -> tuple[str, str]:
    """What came of a case, and its sentence."""
    [found] = json.loads(run_cases(folder, case, policy=policy, options=("--json",)).stdout)["cases"]
    return found["came"], found["sentence"]


MIA, DAN = "as: mia@example.com", "as: dan@example.com"


@pytest.mark.parametrize(
    ("case", "verdict", "sentence"),
    [
        (f"{MIA}, what: debug, duration: 30m", "asks dba", "Needs 1 approval from @dba."),
        (f"{MIA}, what: both", "asks 2 of dba", "Needs 2 approvals from @dba."),
        (f"{MIA}, what: debug, duration: 9h", "refused", "9 h is too long: the maximum is 4 h."),
        (f"{MIA}, what: debug, reason: why not", "refused", "The reason does not have the required form."),
        (f"{MIA}, what: debug, start: 45d", "refused", "The start has to be at least a minute from now"),
        (f"{MIA}, what: debug, start: 2d", "asks dba", "Needs 1 approval"),
        (f"{MIA}, what: vault/admin", "refused", "in none of the groups that may request `vault/admin`"),
        (f"{DAN}, what: vault/admin", "asks dba, security", "Needs 2 approvals: one from @dba, one from @security."),
        ("as: {groups: [dba]}, what: vault/admin", "asks dba, security", "Needs 2 approvals"),
        (f"{DAN}, what: vault/admin, approved_by: [eve@example.com]", "asks security", "Needs 1 approval"),
        (f"{DAN}, what: vault/admin, approved_by: [DAN@example.com]", "refused", "You can't approve your own request."),
        (f"{DAN}, what: vault/admin, approved_by: [mia@example.com]", "refused", "can approve this."),
        (f"{DAN}, what: vault/admin, approved_by: [eve@example.com, sam@example.com]", "approved", "Approved"),
    ],
)
def test_a_case_is_judged_as_the_bot_judges_a_request(case: str, verdict: str, sentence: str, tmp_path: Path) -> None:
    found = came(tmp_path, f"{{{case}, expect: asks}}")
    assert found[0] == verdict
    assert sentence in found[1]


SHARED = "grants: {door: hall, shared: true}"
ASKING = POLICY.replace(
    SHARED, "grants: {door: {ask: room}, shared: true}\n        asks: {room: {choice: [hall, attic]}}"
)


@pytest.mark.parametrize(
    ("case", "verdict", "sentence"),
    [
        ("what: vault/shared, inputs: {room: attic}", "asks dba", "Needs 1 approval from @dba."),
        ("what: vault/shared, inputs: {room: ' ATTIC '}", "asks dba", "Needs 1 approval from @dba."),
        ("what: vault/shared, inputs: {room: cellar}", "refused", 'Room has no choice "cellar". Choose hall or attic.'),
        ("what: vault/shared", "refused", "Room is missing. Expected: hall or attic."),
        ("what: both, inputs: {room: hall}", "asks 2 of dba", "Needs 2 approvals from @dba."),
        ("what: vault/read-only + vault/shared, inputs: {room: hall}", "asks 2 of dba", "Needs 2 approvals from @dba."),
        ("what: vault/read-only + vault/shared", "refused", "Room is missing."),
    ],
)
def test_what_a_case_gives_for_inputs_is_judged_as_at_the_door(
    case: str, verdict: str, sentence: str, tmp_path: Path
) -> None:
    found = came(tmp_path, f"{{{MIA}, {case}, expect: asks}}", policy=ASKING)
    assert found[0] == verdict
    assert sentence in found[1]


def test_two_roles_that_conflict_are_refused_in_one_request(tmp_path: Path) -> None:
    apart = POLICY[: POLICY.index("  both:")] + "conflicts: [[vault/read-only, vault/shared]]\n"
    found = came(tmp_path, f"{{{MIA}, what: vault/read-only + vault/shared, expect: asks}}", policy=apart)
    assert found[0] == "refused"
    assert "Nobody may hold both `vault/read-only` and `vault/shared`, so they cannot be one request" in found[1]


def test_a_case_that_fails_is_named_with_its_inputs(tmp_path: Path) -> None:
    case = f"{{{MIA}, what: vault/shared, inputs: {{room: attic}}, duration: 1h, expect: refused}}"
    done = run_cases(tmp_path, case, policy=ASKING)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].endswith("t.test.yaml:4:5 mia@example.com, vault/shared, room=attic, 1h")


@pytest.mark.parametrize(
    ("more", "verdict"),
    [("duration: 1h", "approved-by-rule"), ("duration: 4h", "asks dba"), ("duration: 1h, used: 3", "asks dba")],
)
def test_a_rule_approves_as_long_as_it_applies_and_has_budget(more: str, verdict: str, tmp_path: Path) -> None:
    case = f"{{{MIA}, what: debug, {more}, expect: asks}}"
    assert came(tmp_path, case, policy=POLICY + RULES)[0] == verdict


def test_what_came_instead_is_shown_with_its_place_and_it_ends_with_1(tmp_path: Path) -> None:
    good = f"{{{MIA}, what: debug, expect: {{asks: [dba]}}}}"
    done = run_cases(tmp_path, good, f"{{{MIA}, what: vault/admin, duration: 1h, expect: {{asks: [2 of dba]}}}}", good)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].endswith("t.test.yaml .F.")
    assert lines[1].startswith("FAILED ")
    assert lines[1].endswith("t.test.yaml:5:5 mia@example.com, vault/admin, 1h")
    assert lines[2] == "  - asks 2 of dba"
    assert lines[3].startswith("  + refused: You cannot do this: you are in none of the groups")
    assert lines[4] == "1 failed, 2 passed"


@pytest.mark.parametrize(
    ("expect", "failed"),
    [
        ("expect: asks", False),
        ("expect: {asks: [security, dba]}", False),
        ("expect: {asks: [dba]}", True),
        ("expect: {asks: [dba or security, dba]}", True),
        ("expect: approved", True),
        ("expect: asks, sentence: one from @security", False),
        ("expect: asks, sentence: from @platform", True),
    ],
)
def test_a_case_passes_only_with_the_verdict_the_steps_and_the_sentence(
    expect: str, failed: bool, tmp_path: Path
) -> None:
    assert run_cases(tmp_path, f"{{{DAN}, what: vault/admin, {expect}}}").exit_code == int(failed)


def test_a_mistake_in_either_file_is_said_with_its_place(tmp_path: Path) -> None:
    case = f"{{{MIA}, what: debug, expect: asks}}"
    done = run_cases(tmp_path, case.replace("what", "wat"))
    assert done.exit_code == 2
    assert done.stderr.endswith(
        "t.test.yaml:4:27: cases.0.wat: there is no key `wat` here; did you mean `what` or `at`?\n"
    )
    assert done.stderr.count("\n") == 1
    done = run_cases(tmp_path, case, policy=POLICY.replace("approvers", "aprovers"), options=("--json",))
    assert done.exit_code == 2
    assert [mistake["path"] for mistake in json.loads(done.stdout)["mistakes"]] == ["systems.vault.aprovers"]


def test_init_writes_tests_that_pass_beside_the_policy_and_keeps_those_that_are_there(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(main, ["init", str(tmp_path / "prod.yaml")]).exit_code == 0
    done = run.invoke(main, ["policy", "test", str(tmp_path / "prod.test.yaml")])
    assert (done.exit_code, "7 passed" in done.stdout) == (0, True), done.output
    (tmp_path / "prod.yaml").unlink()
    (tmp_path / "prod.test.yaml").write_text("mine")
    done = run.invoke(main, ["init", str(tmp_path / "prod.yaml")])
    assert (done.exit_code, "prod.test.yaml is left as it is" in done.stdout) == (0, True)
    assert (tmp_path / "prod.test.yaml").read_text() == "mine"


def test_the_tests_in_a_folder_are_no_part_of_its_policy(tmp_path: Path) -> None:
    assert run_cases(tmp_path, f"{{{MIA}, what: debug, expect: asks}}").exit_code == 0
    assert CliRunner().invoke(main, ["policy", "check", str(tmp_path)]).exit_code == 0


CONDITIONS = """
tickets: {jira: {url: "https://jira.example.com/{ticket}", secret: "env:JIRA"}}
rules:
  - {when: {sensitivity: low, at_most: 4h}, unless: {live: 3}, then: approve, budget: 3/day}
  - {when: {hours: {days: [friday], from: "16:00", to: "06:00"}}, then: {deny: Nothing on a Friday evening.}}
  - {unless: {ticket: {check: jira, pattern: "[A-Z]+-[0-9]+"}}, then: {require: {steps: [{any_of: [security]}]}}}
  - {when: {what: [vault]}, unless: {at_most: 1h}, then: {shorten: 1h}}
  - {when: {denied_lately: {count: 2, within: 1d}}, then: {deny: You were denied twice today.}}
"""
TUESDAY, FRIDAY = 'at: "2026-12-01 10:00+00:00"', 'at: "2026-12-04 17:00+01:00"'


@pytest.mark.parametrize(
    "case",
    [
        f"{TUESDAY}, tickets: [INC-42], duration: 1h, expect: approved-by-rule, rules: [1], lasts: 1h",
        f"{TUESDAY}, tickets: [INC-42], duration: 4h, expect: approved-by-rule, rules: [1, 4], lasts: 1h",
        f"{TUESDAY}, tickets: [INC-42], duration: 1h, live: 3, expect: {{asks: [dba]}}, rules: []",
        f"{TUESDAY}, duration: 1h, expect: {{asks: [dba, security]}}, rules: [3]",
        f"{FRIDAY}, duration: 1h, expect: refused, sentence: Friday evening, rules: [2, 3]",
        f"{TUESDAY}, start: 3d7h, tickets: [INC-42], expect: refused, sentence: Friday evening",
        f"{TUESDAY}, tickets: [INC-42], denied: 2, expect: refused, sentence: twice today, rules: [5]",
    ],
)
def test_a_case_says_which_rules_have_an_effect_and_when(case: str, tmp_path: Path) -> None:
    done = run_cases(tmp_path, f"{{{MIA}, what: debug, {case}}}", policy=POLICY + CONDITIONS)
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize(
    ("wrong", "expected", "came_instead"),
    [
        ("rules: [3]", "approved-by-rule, rules 3", "approved-by-rule, rules 1"),
        ("lasts: 30m", "approved-by-rule, lasting 30m", "approved-by-rule, lasting 1h"),
    ],
)
def test_another_rule_or_another_duration_fails_the_case(
    wrong: str, expected: str, came_instead: str, tmp_path: Path
) -> None:
    case = f"{{{MIA}, what: debug, {TUESDAY}, tickets: [INC-42], duration: 1h, expect: approved-by-rule, {wrong}}}"
    done = run_cases(tmp_path, case, policy=POLICY + CONDITIONS)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[2] == f"  - {expected}"
    assert done.stdout.splitlines()[3].startswith(f"  + {came_instead}: ")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("rules: [6]", "the policy has no rule 6; it has 5, numbered from 1"),
        ("frozen: [release]", "no rule names a calendar `release`"),
        ('at: "2026-12-01 10:00"', "write a day, a time and a zone in quotes"),
    ],
)
def test_what_a_case_says_of_rules_is_checked(more: str, sentence: str, tmp_path: Path) -> None:
    done = run_cases(tmp_path, f"{{{MIA}, what: debug, expect: asks, {more}}}", policy=POLICY + CONDITIONS)
    assert done.exit_code == 2
    assert sentence in done.stderr
