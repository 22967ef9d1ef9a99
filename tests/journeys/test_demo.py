"""The README's first command: the whole story by itself, with connections that are really refused and accepted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_it_is_refused_accepted_refused_by_time_and_accepted_refused_by_hand(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    words = [sys.executable, "-m", "bot", "demo", "--fast"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"REFUSED|ACCEPTED", done.stdout) == ["REFUSED", "ACCEPTED", "REFUSED", "ACCEPTED", "REFUSED"]
    assert "Its time was up" in done.stdout
    assert "You gave it back" in done.stdout
