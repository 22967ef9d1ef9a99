"""How records stand in Redis, read without opening them: which version, and when they are due; it judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bot.store.encoding import away, seconds, text
from bot.store.store import Store

_FIRST = 2_000
_SCANNED = 500
"""Keys of Redis that are passed by in one page of records."""


class RecordHeader(NamedTuple):
    """``version``: as it says itself, 0 where there is no record. ``score``: when it is due; None for never."""

    id: str
    version: int
    score: float | None


class RecordHeaders:
    """The records of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._redis, self._keys = store.redis, store.keys

    async def read(self, ids: Sequence[str]) -> tuple[float, list[RecordHeader]]:
        """The store's time, and how each record stands."""
        now = seconds(await away(self._redis.time()))
        if not ids:
            return now, []
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hget(self._keys.record(id_), "version")
                pipe.zscore(self._keys.due, id_)
            # What stands in the place of a record may be of any kind.
            rows: Any = await away(pipe.execute(raise_on_error=False))
        versions, scores = rows[::2], rows[1::2]
        return now, [_standing(*row) for row in zip(ids, versions, scores, strict=True)]

    async def due(self) -> list[str]:
        """The requests that are due first."""
        found: Any = await away(self._redis.zrange(self._keys.due, 0, _FIRST - 1))
        return [text(id_) for id_ in found]

    async def page(self, cursor: int) -> tuple[int, list[str]]:
        """Some of the requests that have a record, in no order; and the cursor of the next page, 0 after the last."""
        prefix = self._keys.record("")
        following, names = await away(self._redis.scan(cursor, match=f"{prefix}*", count=_SCANNED))
        return int(following), [text(name).removeprefix(prefix) for name in names]

    async def score(self, id_: str) -> float | None:
        """When it is due."""
        score: float | None = await away(self._redis.zscore(self._keys.due, id_))
        return score

    async def set_due(self, id_: str, due: float) -> bool:
        """Have it due at a time."""
        await away(self._redis.zadd(self._keys.due, {id_: due}))
        await away(self._redis.publish(self._keys.wake, id_))
        return True


def _standing(id_: str, version: object, score: object) -> RecordHeader:
    said = text(version) if isinstance(version, bytes) else ""
    number = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0
    return RecordHeader(id_, number, score if isinstance(score, float) else None)
