"""The one check command, for people and CI: `python -m tests.check`. It goes on after a failure, to show them all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
CODE = ["bot", "handlers", "providers", "tests"]
AT_ONCE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
"""Half of their time is waiting. The long ones are not left to the end, where nobody is left to share them."""
CHECKS: list[tuple[str, list[str]]] = [
    ("ruff", [str(BIN / "ruff"), "check", *CODE]),
    ("format", [str(BIN / "ruff"), "format", "--check", *CODE]),
    ("mypy", [str(BIN / "mypy")]),
    ("arrows", [str(BIN / "lint-imports")]),
    ("tests", [str(BIN / "pytest"), *AT_ONCE, "--cov", "--cov-report", "term:skip-covered"]),
]


def main() -> int:
    """Run them all; the number of those that failed."""
    failed = []
    for name, words in CHECKS:
        started = time.monotonic()
        print(f"== {name}", flush=True)
        if subprocess.run(words, check=False, env=os.environ).returncode != 0:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
