"""A writer to Redis and hostile holders, for half a minute each; `python -m tests.chaos.hostile` is the long form."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.servers import postgres_bin

SEED = "7"


@pytest.fixture(autouse=True)
def _postgresql_is_here() -> None:
    postgres_bin(None)


def played(*words: str) -> dict[str, Any]:
    """What one short run came to; it fails with all that was found."""
    command = [sys.executable, "-m", "tests.chaos.hostile", "--seed", SEED, "--minutes", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == [], done.stderr[-8000:]
    assert done.returncode == 0
    return found


@pytest.mark.timeout(450)
def test_who_can_write_to_redis_opens_nothing_keeps_nothing_open_and_has_nothing_said() -> None:
    # Beside other tests nothing is said of seconds: what is kept open by somebody stays open.
    found = played("--part", "writer", "--seconds", "20", "--within", "40")
    assert found["counts"]["grants"] > 0
    assert found["counts"]["mutations"] > 0
    assert found["counts"]["clicks of those who may not"] > 0


@pytest.mark.timeout(450)
def test_no_holder_can_act_five_seconds_after_their_end() -> None:
    found = played("--part", "holder")
    assert found["holders"]["abilities"] > 0
    assert found["holders"]["nobody got in on"] == []
