"""Whether the bot asked for a row of the outbox: write access to Redis is not enough to have a message posted.

A row that is about an event is believed if that event bears our MAC and asks for it. One that shows a record as it is
needs nothing, since the record itself is authenticated. Any other row bears a MAC of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from bot.core.notifications import (
    CONSENT,
    DECIDED,
    ENDED,
    GRANTED,
    OWNERS,
    RECEIVED,
    REQUESTED_BY,
    REQUESTED_BY_OUTCOME,
    REVIEWED,
    is_card,
    which_end,
    which_question,
)
from bot.core.request import ID_PATTERN
from bot.store.encoding import away, text
from bot.store.keys import Keys
from bot.store.outbox_rows import Row
from bot.store.record_seal import Authorship

_PROJECTIONS = frozenset(
    {RECEIVED, DECIDED, GRANTED, ENDED, CONSENT, REQUESTED_BY, REQUESTED_BY_OUTCOME, REVIEWED, OWNERS, "approvers"}
)
"""What is rendered from the record alone, for those whom the record names: asked for by anybody, it is only right."""
_REQUEST = re.compile(ID_PATTERN)
_MOST_REMEMBERED = 10_000


class RowOrigin:
    """Judges the rows of one workspace's outbox."""

    def __init__(self, redis: Redis, keys: Keys, authorship: Authorship) -> None:
        """Nothing is sent."""
        self._redis, self._keys, self._authorship = redis, keys, authorship
        self._told: dict[str, int] = {}

    async def gone(self, name: str) -> bool:
        """Whether a row without a value was delivered, or written again, between the reads of names and of values."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zscore(self._keys.outbox, name)
            pipe.hexists(self._keys.rows, name)
            listed, valued = await away(pipe.execute())
        return listed is None or bool(valued)

    async def entries(self, numbers: Sequence[int]) -> dict[int, Mapping[bytes, bytes] | None]:
        """The entries under these numbers; None for one that is not ours."""
        if not numbers:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            for seq in numbers:
                pipe.xrange(self._keys.audit, f"{seq}-0", f"{seq}-0")
            answers: Any = await away(pipe.execute())
        found = {seq: answer[0][1] for seq, answer in zip(numbers, answers, strict=True) if answer}
        return {seq: fields if self._authorship.ours(fields) else None for seq, fields in found.items()}

    def ours(self, row: Row, value: str, entry: Mapping[bytes, bytes] | None) -> bool:
        """Whether a row is believed; ``entry``: its audit event, None where that is not ours."""
        if row.seq is not None:
            lines = text(entry[b"rows"]).split("\n") if entry and b"rows" in entry else []
            return f"{row.request}|{row.kind}:#" in lines and self._first(row, entry)
        numbered = which_end(row.audience) is not None or which_question(row.audience) is not None
        if row.audience in _PROJECTIONS or is_card(row.audience) or numbered:
            return _REQUEST.match(row.request) is not None
        version, _, tag = value.partition(" ")
        return self._authorship.signed(tag, "row", row.name, version)

    def _first(self, row: Row, entry: Mapping[bytes, bytes] | None) -> bool:
        """Whether the event has no other number: a replayed copy of an entry asks for nothing."""
        tag = text(entry.get(b"mac")) if entry else ""
        if len(self._told) > _MOST_REMEMBERED:
            self._told.clear()
        return self._told.setdefault(tag, row.seq or 0) == row.seq
