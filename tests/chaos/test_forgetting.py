"""Redis forgets a few minutes; `python -m tests.chaos.forgetting` is the long form, and does it to hundreds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

GRANTS = 12


def found(*how: str) -> dict[str, Any]:
    """What one loss came to, beside what is the same for each of them."""
    words = [sys.executable, "-m", "tests.chaos.forgetting", *how, "--grants", str(GRANTS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["requests forgotten"] == GRANTS
    assert found["found gone"] == found["given back after the cut"] > 0
    assert found["decisions acknowledged after the cut"] == 2 * GRANTS + found["given back after the cut"]
    assert found["of them not listed"] == found["listed and not lost"] == []
    assert found["still open without a record"] == []
    assert found["left when all is given back"] == []
    return found


def test_a_failover_that_forgets_a_while_leaves_no_access_without_a_record_since_none_was_opened() -> None:
    told = found("failover")
    assert told["opened after it"] == told["open without a record"] == 0


def test_a_failover_with_the_word_that_no_replica_counts_leaves_none_after_one_comparison() -> None:
    told = found("failover", "--replicas", "0")
    assert told["opened after it"] == told["open without a record"] == GRANTS


def test_a_redis_that_is_restored_from_an_older_copy_leaves_none_after_one_comparison() -> None:
    told = found("restore")
    assert told["opened after it"] == told["open without a record"] == GRANTS
