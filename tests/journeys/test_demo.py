"""The README's first command: the whole story by itself, with connections that are really refused and accepted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_it_is_refused_accepted_refused_by_time_and_accepted_refused_by_hand(tmp_path: Path) -> None:
    # Bolt reads a token of its own from the environment, and says so.
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SLACK_BOT_TOKEN": "xoxb-of-another-bot"}
    words = [sys.executable, "-m", "bot", "demo", "--fast"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"REFUSED|ACCEPTED", done.stdout) == ["REFUSED", "ACCEPTED", "REFUSED", "ACCEPTED", "REFUSED"]
    assert "Access expired" in done.stdout
    assert "You ended it early" in done.stdout
    assert done.stderr == "", "nothing is wrong, so nothing is warned of"
