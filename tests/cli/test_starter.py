"""Each template is a policy without mistakes, passes its own tests, and does what its name says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from bot.cli.main import main
from bot.cli.starter import TEMPLATES
from bot.policy import json_schema
from bot.policy.yaml_source import Source, read
from tests.readme import GUIDES


def test_each_template_has_its_files_and_there_are_no_others() -> None:
    found = {path.name for path in (GUIDES / "templates").iterdir()}
    assert found == {f"{name}{suffix}" for name in TEMPLATES for suffix in (".yaml", ".test.yaml")}
    guide = (GUIDES / "policy.md").read_text(encoding="utf-8")
    assert [name for name in TEMPLATES if f"(templates/{name}.yaml)" not in guide] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_written_alone_is_good_and_passes_its_tests(name: str, tmp_path: Path) -> None:
    run, file, tests = CliRunner(), tmp_path / "prod.yaml", tmp_path / "prod.test.yaml"
    written = run.invoke(main, ["init", "--template", name, str(file)])
    assert (written.exit_code, "jit policy test" in written.stdout) == (0, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prod.test.yaml", "prod.yaml"]
    assert "jit policy check prod.yaml && jit policy test prod.test.yaml" in file.read_text(encoding="utf-8")
    assert run.invoke(main, ["policy", "check", str(file)]).exit_code == 0
    done = run.invoke(main, ["policy", "test", str(tests)])
    assert (done.exit_code, "failed" in done.stdout) == (0, False), done.output
    data = read(Source("prod.yaml", file.read_text(encoding="utf-8"))).data
    assert list(Draft202012Validator(json_schema.schema()).iter_errors(data)) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("read-only-debug", "durations: [30m, 1h]", "durations: [30m, 1h, 2h]"),
        ("read-only-debug", "approvers: [dba]", "approvers: [platform]"),
        ("production-deploy", "may_ask: [deployers]", "may_ask: [everyone]"),
        ("on-call-debug", "      requester_in: [on-call]", "      # requester_in: [on-call]"),
        ("on-call-debug", "budget: 3/day", "budget: 4/day"),
        ("production-push", "            - {any_of: [sre], escalate: {after: 30m, to: [platform]}}\n", ""),
        ("production-push", "ordered: true ", "ordered: false "),
        ("break-glass", "may_ask: [on-call, leads]", "may_ask: [everyone]"),
        ("admin-dual-control", "            - {any_of: [dba]}\n", ""),
        ("admin-dual-control", "may_ask: [admins]", "may_ask: [admins, dba]"),
    ],
)
def test_a_template_that_was_weakened_fails_its_tests(name: str, old: str, new: str, tmp_path: Path) -> None:
    run, file = CliRunner(), tmp_path / "jit.yaml"
    run.invoke(main, ["init", "--template", name, str(file)])
    text = file.read_text(encoding="utf-8")
    assert old in text
    # A longer preset needs a longer cap, too.
    file.write_text(text.replace(old, new).replace("max: 1h  ", "max: 8h  "), encoding="utf-8")
    done = run.invoke(main, ["policy", "test", str(tmp_path / "jit.test.yaml")])
    assert (done.exit_code, "FAILED" in done.stdout) == (1, True), done.output
