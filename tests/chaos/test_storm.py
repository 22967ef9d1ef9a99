"""A short storm, for every run of the tests; `python -m tests.chaos.storm` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys


def test_after_a_storm_nothing_is_open_and_the_books_are_right() -> None:
    words = [sys.executable, "-m", "tests.chaos.storm", "--requests", "120", "--seconds", "12"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["requests"] == 120
    hurt = ("workers killed", "workers stopped and resumed", "Redis killed and started")
    assert sum(found.get(kind, 0) for kind in hurt) > 5
