"""Work that belongs to a date, claimed once by whoever comes first, with what it has told; it does none of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.store.store import Store
from bot.store.wire import away, script, text

_KEPT = 40 * 86_400
"""Seconds for which it is known that a date's work was claimed; far longer than it would be made up."""
_ONCE = 10
"""Seconds in which somebody who asks again for the same has asked once."""


class Dated:
    """The dated work of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._dated = script(store.redis, "dated")

    async def claimed(self, days: Sequence[str]) -> list[str]:
        """Those of the days (ISO) whose digest was claimed."""
        found: Any = await away(self._redis.mget([self._keys.digest(day) for day in days]))
        return [day for day, claim in zip(days, found, strict=True) if claim is not None]

    async def claim(self, day: str, facts: Mapping[str, Any], rows: Sequence[str]) -> bool:
        """Claim the digest of a day, and have its rows given; False when somebody else did."""
        return await self._once(self._keys.digest(day), _KEPT, "digest", facts, rows)

    async def asked(self, what: str, facts: Mapping[str, Any], rows: Sequence[str]) -> bool:
        """Note that somebody reads the record, and have the answer given; False for the same, asked just before."""
        return await self._once(self._keys.seen(what), _ONCE, "read", facts, rows)

    async def _once(self, key: str, ttl: int, kind: str, facts: Mapping[str, Any], rows: Sequence[str]) -> bool:
        k = self._keys
        event = self._store.whence.on(json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
        answer = await away(
            self._dated(keys=[key, k.audit, k.seq, k.outbox, k.rows], args=[ttl, kind, event, k.wake, *rows])
        )
        return text(answer[0]) == "CLAIMED"
