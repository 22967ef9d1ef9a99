"""Durations as people write and read them (``30m``, ``1h30m``, ``2d``); whole seconds inside, nothing guessed."""

from __future__ import annotations

import re

SHORTEST = 5
"""Seconds: enough to try it out; nothing shorter is worth opening."""
LONGEST = 366 * 86_400
_FORM = re.compile(r"^(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?$", re.ASCII)
PATTERN = r"^\s*(?=\d)(?:\d{1,4}[dD])?(?:\d{1,4}[hH])?(?:\d{1,5}[mM])?(?:\d{1,5}[sS])?\s*$"
"""The same form for whoever reads JSON Schema, in any case and with blanks around it."""
_UNITS = ((86_400, "d", "d"), (3600, "h", "h"), (60, "m", "min"), (1, "s", "s"))


class NotADuration(ValueError):
    """Text that is no duration; its message says which forms are."""


def parse(text: str) -> int:
    """``1h30m`` → 5400. Raises `NotADuration`."""
    found = _FORM.match(text.strip().lower())
    if not found or not any(found.groups()):
        raise NotADuration(f"{text[:20]!r} is no duration; write it like 30m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    seconds += days * 86_400 + hours * 3600 + minutes * 60
    if not SHORTEST <= seconds <= LONGEST:
        raise NotADuration(f"{text[:20]!r} is not between 5s and 366d")
    return seconds


def short(seconds: int) -> str:
    """5400 → ``1h30m``, as it is typed."""
    return "".join(f"{count}{sign}" for count, sign, _ in _parts(seconds)) or "0s"


def words(seconds: int) -> str:
    """5400 → ``1 h 30 min``, as it is read."""
    return " ".join(f"{count} {word}" for count, _, word in _parts(seconds)) or "no time"


def _parts(seconds: int) -> list[tuple[int, str, str]]:
    found = []
    for size, sign, word in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            found.append((count, sign, word))
    return found
