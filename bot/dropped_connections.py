"""Counts and logs the connections that a server dropped, by reason; it drops none."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

_SAY = 60.0
"""Seconds between two lines of the log: a flood fills no disk."""
_REASONS = {
    "slow": "too slow",
    "full": "for want of a place",
    "address": "since their address has half of all places",
    "bytes": "since too many bytes were held",
    "descriptors": "since this process may open no more files",
    "error": "that could not be accepted",
}
REASONS = tuple(_REASONS)


class DropLog:
    """What one port dropped. ``told`` hears of each drop."""

    def __init__(self, port: int, told: Callable[[str], None]) -> None:
        """Nothing was dropped yet."""
        self._port, self._told = port, told
        self._said_at, self._unsaid = -_SAY, Counter[str]()

    def count(self, reason: str) -> None:
        """One was dropped."""
        self._unsaid[reason] += 1
        self._told(reason)
        now = time.monotonic()
        if now - self._said_at < _SAY:
            return
        self._said_at = now
        counted = ", ".join(f"{count} {_REASONS[why]}" for why, count in self._unsaid.most_common())
        level = logging.INFO if set(self._unsaid) == {"slow"} else logging.WARNING
        log.log(level, "port %d: dropped connections that proved nothing: %s", self._port, counted)
        self._unsaid.clear()
