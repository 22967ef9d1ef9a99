"""Rows of figures as they become known, and what is done meanwhile."""

from __future__ import annotations

import os
import sys
import time

Row = tuple[str, str, str]
"""What was measured, the figure, and its goal."""
_WIDTHS = (70, 50)
_BEGAN = time.monotonic()


def heading() -> None:
    """What the columns are."""
    show(("what", "measured", "goal"))


def show(row: Row) -> None:
    """One row, now."""
    what, measured, goal = row
    print(f"{what:<{_WIDTHS[0]}} | {measured:<{_WIDTHS[1]}} | {goal}", flush=True)


def progress(doing: str) -> None:
    """What is done now, for whoever waits; and how busy the machine is with it and all else."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(
        f"  {time.monotonic() - _BEGAN:5.0f} s  {doing} (load {load:.1f} of {cores} cores)", file=sys.stderr, flush=True
    )
