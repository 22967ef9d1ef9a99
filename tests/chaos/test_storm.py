"""A short storm, for every run of the tests; `python -m tests.chaos.storm` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys


def test_after_a_storm_nothing_is_open_the_books_are_right_and_each_notice_was_given() -> None:
    words = [sys.executable, "-m", "tests.chaos.storm", "--requests", "80", "--seconds", "12"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["requests"] == 80
    hurt = ("workers killed", "workers stopped and resumed", "Redis killed and started")
    assert sum(found.get(kind, 0) for kind in hurt) > 5
    assert found["untold"] == []
    assert found["Slack"]["answers that never came"] >= 2
    assert all(found["Slack"][how] > 0 for how in ("ratelimited", "error_500", "drop_before", "hang"))
