"""Restores due times that somebody removed from the due set, or postponed; it makes no step that is due.

The due set is Redis' sorted set of requests, its scores the times of their next steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bot.store.record_headers import RecordHeaders
from bot.store.store import Store

log = logging.getLogger(__name__)

_MAX_POSTPONEMENT: Final = 900.0
"""Seconds ahead; no claim of ours postpones a due time by more."""
_OVERDUE_AFTER: Final = 1.5
"""Seconds past its due time after which a step that nobody made is due again; doubled each time, to `_MAX_PAUSE`."""
_MAX_PAUSE: Final = 60.0


@dataclass
class DueTimes:
    """One workspace. ``is_in_progress``: whether this process has a claim on a request."""

    store: Store
    headers: RecordHeaders
    is_in_progress: Callable[[str], bool] = lambda _: False
    _next_restore: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)

    async def restore(self, id_: str, due: float | None, score: float | None, now: float) -> bool:
        """Make a request due at ``due``, unless its ``score`` in the due set is right. Whether the score was set."""
        if due is None or (score is not None and score <= max(due, now)):
            self._next_restore.pop(id_, None)
            return False
        if score is None or score > max(due, now) + _MAX_POSTPONEMENT:
            log.critical("%s: its due entry was removed or postponed by somebody else; it is restored", id_)
            self.store.foreign_keys.add("due")  # tamper_alarms.py reports it
            return await self.headers.set_due(id_, due)
        # A claim of ours postpones the due time, too: it counts as lost only after longer than any step takes.
        if now < due + _OVERDUE_AFTER or self.is_in_progress(id_):
            return False
        at, pause = self._next_restore.get(id_, (0.0, _OVERDUE_AFTER))
        if time.monotonic() < at:
            return False
        self._next_restore[id_] = time.monotonic() + pause, min(pause * 2, _MAX_PAUSE)
        return await self.headers.set_due(id_, due)
