"""Which requests were decided lately, or expired undecided, by the audit events that are still in Redis; read only."""

from __future__ import annotations

import time
from typing import Any

from bot.store.encoding import away, text
from bot.store.store import Store

KINDS = frozenset({"approved", "denied", "request_expired"})
_PAGE = 500
_PAGES = 4
"""So many of the latest events are read, and at most once a minute."""
_FRESH = 60.0


class RecentOutcomes:
    """The ids of one workspace, remembered for a minute."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store = store
        self._ids: list[str] = []
        self._read_at = float("-inf")

    async def ids(self) -> list[str]:
        """The requests, the latest outcome first. Raises `StoreAway`."""
        if time.monotonic() - self._read_at >= _FRESH:
            self._ids, self._read_at = await self._read(), time.monotonic()
        return self._ids

    async def _read(self) -> list[str]:
        found: dict[str, None] = {}
        end = "+"
        for _ in range(_PAGES):
            rows: Any = await away(self._store.redis.xrevrange(self._store.keys.audit, end, "-", count=_PAGE))
            for _id, entry in rows:
                # A forged event adds nothing, and what it names is read from its record.
                if text(entry.get(b"kind")) in KINDS and self._store.authorship.ours(entry):
                    found[text(entry.get(b"id"))] = None
            if len(rows) < _PAGE:
                break
            end = f"({text(rows[-1][0])}"
        return list(found)
