"""A hundred ask in one channel at once; `python -m tests.chaos.flood` is the long form."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.chaos.flood import WAITS


def test_of_a_hundred_that_ask_at_once_in_one_channel_none_is_lost_and_each_card_ends_as_the_record_says() -> None:
    words = [sys.executable, "-m", "tests.chaos.flood", "--requests", "100", "--scale", "20"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["refused"] == {}
    assert found["committed"] == 100
    assert found["wrong"] == []
    assert found["given up"] == 0
    assert found["told to wait by Slack"] >= WAITS
    assert set(found["states"]) == {"pending", "cancelled", "active"}
