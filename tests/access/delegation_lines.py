"""The times that people type after `/jit delegate @kim`, and what is meant: `python -m tests.access.delegation_lines`.

The golden file is written to be argued about. Whoever changes the parser reads its difference line by line.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.access.delegation_line import end_of
from tests.access.request_lines import CLOCK

FILE = Path(__file__).parent / "golden" / "delegation_lines.txt"


def lines() -> list[str]:
    """The typed lines of the golden file."""
    return [line[2:] for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("> ")]


def outcome(typed: str) -> str:
    """Until when, as a clock in Berlin shows it."""
    end = end_of(typed, CLOCK)
    return "not understood" if end is None else f"{datetime.fromtimestamp(end, ZoneInfo(CLOCK.tz)):%a %Y-%m-%d %H:%M}"


def spelled() -> str:
    """The golden file as it should be."""
    out: list[str] = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            out += [line, f"  {outcome(line[2:])}"]
        elif not line.startswith("  "):
            out.append(line)
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    FILE.write_text(spelled(), encoding="utf-8")
