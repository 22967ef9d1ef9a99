"""`jit policy explain` says what each rule does to a request, and why the others do nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli.main import main
from tests.cli.test_policy_cases import CONDITIONS, GROUPS
from tests.house import POLICY

ALWAYS = ("--at", "2026-12-01 10:00+00:00", "--for", "1h", "--denied", "0", "--live", "0")


def explained(folder: Path, *words: str, policy: str = POLICY + CONDITIONS) -> Result:
    (folder / "jit.yaml").write_text(policy, encoding="utf-8")
    (folder / "g.test.yaml").write_text(f"{GROUPS}cases: [{{as: mia@example.com, what: debug, expect: asks}}]\n")
    files = ("--file", str(folder / "jit.yaml"), "--groups", str(folder / "g.test.yaml"))
    return CliRunner().invoke(main, ["policy", "explain", *words, *files])


def lines(folder: Path, *words: str) -> list[str]:
    done = explained(folder, *words)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_it_says_what_comes_of_it_and_what_each_rule_does(tmp_path: Path) -> None:
    said = lines(tmp_path, "debug", "--as", "mia@example.com", "--ticket", "INC-42", *ALWAYS)
    assert said[0] == (
        "approved-by-rule: Approved by rule 1: low risk, up to 4 h, unless 3 or more live grants (1 of 3 uses today)."
    )
    assert said[1] == "for 1h"
    assert [line.partition(": no effect; ")[2] for line in said[2:]] == [
        "",
        "not met: starting Fri 16:00-06:00 (UTC)",
        "not met: unless a ticket in the reason exists in jira",
        "not met: unless up to 1h",
        "not met: denied at least 2 times within 1d",
    ]
    assert said[2] == (
        "rule 1: approve, 3/day (low risk at most, up to 4h, unless 3 or more live grants): takes effect"
    )
    assert said[3].startswith('rule 2: deny: "Nothing on a Friday evening." (starting Fri 16:00-06:00 (UTC)): ')


def test_what_is_not_given_is_unknown_and_makes_it_stricter(tmp_path: Path) -> None:
    said = lines(tmp_path, "debug", "--as", "mia@example.com", "--at", "2026-12-01 10:00+00:00", "--for", "1h")
    assert said[0].startswith("refused: Rule 5 of the policy may deny this (You were denied twice today)")
    assert said[3].endswith("takes effect; unknown: unless a ticket in the reason exists in jira")
    assert said[1].endswith("no effect; not met: unless 3 or more live grants (unknown)")


def test_of_a_request_that_a_stricter_rule_reaches_the_approving_one_says_so(tmp_path: Path) -> None:
    said = lines(tmp_path, "debug", "--as", "mia@example.com", *ALWAYS, "--ticket", "OPS-1")
    assert said[0] == "asks dba, security: Needs 2 approvals: one from @dba, one from @security."
    assert said[2].endswith("no effect; another rule is stricter")


def test_machines_read_each_condition(tmp_path: Path) -> None:
    done = explained(tmp_path, "debug", "--as", "mia@example.com", "--ticket", "INC-42", *ALWAYS, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["verdict"], found["lasts"], found["effective"]) == ("approved-by-rule", 3600, [1])
    assert [rule["takes_effect"] for rule in found["rules"]] == [True, False, False, False, False]
    assert found["rules"][3]["short_of"] == {"unless at_most": False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as", "nobody"), "--as"),
        (("--as", "mia@example.com", "--at", "noon"), "--at: write a day"),
        (("--as", "mia@example.com", "--for", "soon"), "no duration"),
        (("--as", "mia@example.com", "--frozen", "release"), "no rule names a calendar 'release'"),
        (("--as", "mia@example.com", "--input", "x"), "--input is written NAME=VALUE"),
    ],
)
def test_a_wrong_option_is_named(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = explained(tmp_path, "debug", *words)
    assert done.exit_code == 2
    assert said in done.stderr
