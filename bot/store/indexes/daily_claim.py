"""Work for a date, claimed once by the first process that asks, in the script that enqueues its notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.store.encoding import away, script, text
from bot.store.store import Store

_KEPT = 40 * 86_400
"""Seconds for which a claim is kept; far longer than a missed slot is made up for."""
_ONCE = 10
"""Seconds in which somebody who asks again for the same has asked once."""


class DailyClaims:
    """The claims on work for a date, of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._dated = script(store.redis, "dated")

    async def claimed(self, days: Sequence[str]) -> list[str]:
        """Those digests that were claimed, of the names (a day in ISO, or an edition and its last day)."""
        found: Any = await away(self._redis.mget([self._keys.digest(day) for day in days]))
        claims = zip(days, found, strict=True)
        return [day for day, claim in claims if text(claim) == self._claimed(self._keys.digest(day))]

    async def claim(self, day: str, fields: Mapping[str, Any], rows: Sequence[str]) -> bool:
        """Claim a digest by its name, with its notifications; False when somebody else did."""
        return await self._once(self._keys.digest(day), _KEPT, "digest", fields, rows)

    async def enqueue_once(self, what: str, fields: Mapping[str, Any], rows: Sequence[str]) -> bool:
        """Audit that somebody reads the audit log, and enqueue the answer; False if the same was asked just before."""
        return await self._once(self._keys.seen(what), _ONCE, "read", fields, rows)

    async def _once(self, key: str, ttl: int, kind: str, fields: Mapping[str, Any], rows: Sequence[str]) -> bool:
        event = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        arguments = self._store.event_args(kind, event, await self._store.now(), rows=rows)
        words = [str(ttl), self._claimed(key), self._keys.wake, *arguments]
        answer = await away(self._dated(keys=[*self._store.event_keys, key], args=words))
        return text(answer[0]) == "CLAIMED"

    def _claimed(self, key: str) -> str:
        """What says in a claim's key that we have claimed it; anything else is no claim."""
        return self._store.authorship.mark(key, 0.0)
