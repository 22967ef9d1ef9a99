"""The one check command, for people and CI: `python -m tests.check`. It goes on after a failure, to show them all.

`--quick` runs the tests of the rooms that need no second process, for a look between two edits; `--coverage` says
which lines no test runs, for half as much time again. Other words are pytest's, and then the tests are all that is
run: `python -m tests.check --again=FILE`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
CODE = ["bot", "handlers", "providers", "tests"]
AT_ONCE = ("-n", str(max(3, (os.cpu_count() or 1) + 1)), "--dist", "worksteal")
"""Half of their time is waiting. A worker that is done takes over what the slowest has not begun, of any file."""
CHECKS: list[tuple[str, list[str]]] = [
    ("ruff", [str(BIN / "ruff"), "check", *CODE]),
    ("format", [str(BIN / "ruff"), "format", "--check", *CODE]),
    ("mypy", [str(BIN / "mypy")]),
    ("arrows", [str(BIN / "lint-imports")]),
    ("tests", [str(BIN / "pytest"), *AT_ONCE]),
]
COVERAGE = ("--cov", "--cov-report", "term:skip-covered")
QUICK = (
    "core",
    "policy",
    "access",
    "handlers/views",
    "handlers/notify",
    "handlers/slack",
    "handlers/test_error_messages.py",
    "reports/insights",
    "cards",
    "guide/test_documents.py",
    "guide/test_tutorial.py",
    "test_house_rules.py",
    "test_settings.py",
)
"""What `--quick` runs, below tests/: neither the whole bot nor commands in processes of their own."""

_LONGEST = 5_400
"""Seconds for one check. Each test has a limit of its own, and so has the end of its process: see limits.py."""


def _passed(words: list[str]) -> bool:
    """Run one check; one that hangs shows its stacks, as pytest does on SIGABRT, and ends."""
    process = subprocess.Popen(words, env=os.environ)
    try:
        return process.wait(_LONGEST) == 0
    except subprocess.TimeoutExpired:
        print(f"{words[0]} takes more than {_LONGEST} s", flush=True)
        process.send_signal(signal.SIGABRT)
        return False
    finally:
        process.wait()


def _checks(given: list[str]) -> list[tuple[str, list[str]]]:
    if not given:
        return CHECKS
    if given == ["--coverage"]:
        return [("tests", [*CHECKS[-1][1], *COVERAGE])]
    if given == ["--quick"]:
        rooms = [f"tests/{room}" for room in QUICK]
        return [*CHECKS[:-1], ("tests", [str(BIN / "pytest"), *AT_ONCE, "-q", *rooms])]
    return [("tests", [str(BIN / "pytest"), *AT_ONCE, *given])]


def main(given: list[str]) -> int:
    """Run them all; the number of those that failed."""
    failed = []
    for name, words in _checks(given):
        started = time.monotonic()
        print(f"== {name}", flush=True)
        if not _passed(words):
            failed.append(name)
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
