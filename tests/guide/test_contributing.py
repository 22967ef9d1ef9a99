"""What a contributor is told can be done, and the workflow runs the same script as people do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.check import CHECKS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`((?:python|pytest|ruff|mypy|lint-imports|\. )[^`]*)`", TEXT)


def test_it_is_one_page() -> None:
    assert len(TEXT.splitlines()) < 80


def test_commands_are_told() -> None:
    assert {command.split()[0] for command in COMMANDS} == {".", "python", "pytest", "ruff", "lint-imports"}


def test_each_tool_is_one_that_the_checks_run() -> None:
    run = {Path(words[0]).name for _, words in CHECKS}
    chained = [part.split()[0] for command in COMMANDS for part in command.split(" && ")]
    tools = set(chained) - {".", "python", "-k"}
    assert tools == run
    assert [tool for tool in tools if shutil.which(tool, path=str(Path(sys.executable).parent)) is None] == []


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("pytest ")])
def test_the_tests_that_are_named_can_be_collected(command: str) -> None:
    words = [sys.executable, "-m", *command.split(), "--collect-only", "-q"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", TEXT))))
def test_each_module_that_is_to_be_run_can_be(module: str) -> None:
    place = ROOT / module.replace(".", "/")
    file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    assert "__main__" in file.name or 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")


def test_the_page_of_cards_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "cards.html"
    words = [sys.executable, "-m", "tests.cards", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(out)
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_workflow_runs_the_script_that_people_run() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))["jobs"]["check"]
    assert job["steps"][-1]["run"] == ".ci/run"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert job["container"] == "debian:12"
    assert "bare Debian 12" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_the_issue_form_asks_for_what_is_needed() -> None:
    [path] = (ROOT / ".github/ISSUE_TEMPLATE").iterdir()
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(form) == {"name", "description", "body"}
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in fields)
    assert len({part["id"] for part in fields}) == len(fields)
