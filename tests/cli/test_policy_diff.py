"""`jit policy diff` says at the terminal, and to machines, who gains and loses what, and what has other terms."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from bot.cli.main import main
from tests.house import POLICY


def compared(folder: Path, new: str, *options: str) -> Result:
    (folder / "old.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "new.yaml").write_text(new, encoding="utf-8")
    return CliRunner().invoke(main, ["policy", "diff", str(folder / "old.yaml"), str(folder / "new.yaml"), *options])


NEW = POLICY.replace("may_ask: [dba]", "may_ask: [security]").replace("max: 1h", "max: 2h")


def test_people_groups_and_roles_are_told_and_counted(tmp_path: Path) -> None:
    done = compared(tmp_path, NEW)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "Gained rights",
        "  + kim@example.com: request vault/admin",
        "  + sam@example.com: request vault/admin",
        "Lost rights",
        "  - the user group S0DBA0001 (size unknown here): request vault/admin",
        "~ role vault/admin changed",
        "    max: 1h -> 2h",
        "    may request: dba (size unknown here) -> security (2 people)",
        "rights gained by 2, lost by 1, 1 role changed",
    ]


def test_machines_get_the_same(tmp_path: Path) -> None:
    found = json.loads(compared(tmp_path, NEW, "--json").stdout)
    assert found["same"] is False
    assert found["gained"][0] == {"who": "kim@example.com", "verb": "request", "role": "vault/admin"}
    [change] = found["changes"]
    assert (change["kind"], change["name"], change["how"]) == ("role", "vault/admin", "changed")
    assert {"name": "max", "was": "1h", "now": "2h"} in change["details"]


def test_the_same_policy_is_said_to_be_the_same(tmp_path: Path) -> None:
    assert compared(tmp_path, f"# a comment\n{POLICY}").stdout == "The policies say the same.\n"


def test_what_is_not_compared_is_not_called_the_same(tmp_path: Path) -> None:
    one, other = (
        f"{{when: {{sensitivity: low, at_most: {longest}}}, then: approve, budget: 1/day}}" for longest in ("1h", "2h")
    )
    (tmp_path / "a.yaml").write_text(f"{POLICY}rules: [{one}, {other}]\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(f"{POLICY}rules: [{other}, {one}]\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["policy", "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])
    assert done.stdout == "The policies differ in nothing that is compared, such as only in the order of rules.\n"


def test_a_policy_with_mistakes_cannot_be_compared(tmp_path: Path) -> None:
    done = compared(tmp_path, POLICY.replace("approvers", "aprovers"))
    assert (done.exit_code, "new.yaml:" in done.stderr) == (2, True)
