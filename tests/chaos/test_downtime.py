"""Two hundred grants come to their end while no worker runs; `python -m tests.chaos.downtime` is the long form."""

from __future__ import annotations

import json
import subprocess
import sys

from bot.worker.worker import BATCH


def test_what_ended_while_no_worker_ran_is_closed_in_order_of_its_end_as_soon_as_one_does() -> None:
    words = [sys.executable, "-m", "tests.chaos.downtime", "--grants", "200", "--back", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["open when all had come to their end"] == found["revokes started"] == 200
    assert found["still open"] == []
    assert found["before their end"] == 0
    # Oldest first. One whose commit a busy machine holds up is overtaken, so it is the median that counts: of what is
    # claimed together, in any order, it would be some twenty, and of all of it some sixty.
    assert found["places out of order, median"] <= BATCH // 8
