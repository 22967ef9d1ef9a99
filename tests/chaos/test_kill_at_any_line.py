"""A kill -9 at any line of the write path leaves no access behind, once a worker runs again.

Here at each third line; `python -m tests.chaos.killing REDIS_SOCKET_URL DIRECTORY` kills at each of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import RedisServer

STEP = 3


@pytest.mark.timeout(900)  # two minutes on a quiet machine
def test_nothing_stands_after_a_kill_at_any_line(redis: RedisServer, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.chaos.killing", redis.socket_url, str(tmp_path), str(STEP)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=840, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == {}
    assert found["survived"] == 0
    assert found["beyond"] <= found["cases"] / 50
    # The corridor is really walked: three requests, five legs, each with its claims, calls and commits.
    assert found["lines"] > 1000
    assert found["cases"] >= found["lines"] / STEP
