"""The due set: which requests need work now, and the leases by which a worker has them to itself.

A claim is a lease with a fencing token. A worker that lost its claim, and does not know it, commits over nothing: its
record has another version by then.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from redis.asyncio import Redis

from bot.core.errors import Tampered
from bot.core.request import ID_PATTERN
from bot.store.encoding import away, script, seconds, stamp, text
from bot.store.high_water import HighWaterMarks
from bot.store.keys import Keys
from bot.store.record_seal import Sealing
from bot.store.types import ClaimedRequest, Due

log = logging.getLogger(__name__)

_SWEEPS = 50
"""How often entries that are no request's are removed from the due set in one call."""


class DueSet:
    """The due requests of one workspace. ``foreign``: where entries that are not ours are noted, for the alarms."""

    def __init__(self, redis: Redis, keys: Keys, sealing: Sealing, known: HighWaterMarks, foreign: set[str]) -> None:
        """Register the scripts; nothing is sent."""
        self._redis, self._keys, self._sealing, self._known, self._foreign = redis, keys, sealing, known, foreign
        self._claim, self._release, self._renew = (script(redis, name) for name in ("claim", "free", "keep"))

    async def read(self, most: int) -> Due:
        """What is due, and when the next is."""
        for _ in range(_SWEEPS):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.zrange(self._keys.due, 0, most, withscores=True)
                time, rows = await away(pipe.execute())
            strange = [id_ for id_, _ in rows if not re.fullmatch(ID_PATTERN, text(id_))]
            if not strange:
                break
            # A foreign entry with a low score would come before every due request for as long as it is there.
            log.critical("what is due had %s entries that are no request's; they are removed", len(strange))
            self._foreign.add("due")
            await away(self._redis.zrem(self._keys.due, *strange))
            rows = [row for row in rows if row[0] not in strange]
        now = seconds(time)
        ripe = tuple(text(id_) for id_, at in rows[:most] if at <= now)
        later = [at for _, at in rows if at > now]
        # A full page may have hidden more that is due: the next look is at once.
        return Due(ripe, now if len(ripe) == most else min(later, default=None), now)

    async def claim(self, ids: Sequence[str], lease: float, fence: str) -> list[ClaimedRequest]:
        """Take those of the due requests that no other worker holds, for ``lease`` seconds.

        ``fence`` is a fencing token that was never used before (`new_fence`): a worker that hears no answer can still
        release what it may have claimed. A request whose record is missing or was tampered with comes back without a
        request: it stays in the due set.
        """
        # Taken before the answer: a record is older than this process knows only if it was so when it was asked for.
        asked = time.monotonic()
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                await self._claim(keys=[self._keys.record(id_), self._keys.due], args=[id_, lease, fence], client=pipe)
            answers = await away(pipe.execute())
        found = [
            self._claimed(id_, fence, answer)
            for id_, answer in zip(ids, answers, strict=True)
            if text(answer[0]) != "HELD"
        ]
        return [
            replace(one, rolled_back=True) if one.request and self._known.is_rolled_back(one.request, asked) else one
            for one in found
        ]

    async def renew(self, claimed: ClaimedRequest, lease: float) -> bool:
        """Renew the lease of a claim for ``lease`` seconds from now; False when it is no longer ours."""
        keys = [self._keys.record(claimed.id), self._keys.due]
        answer = await away(self._renew(keys=keys, args=[claimed.id, claimed.fence, lease]))
        return text(answer) == "KEPT"

    async def release(self, claimed: ClaimedRequest, not_before: float | None = None) -> bool:
        """Release a claim; False when it is no longer ours."""
        at = "" if not_before is None else stamp(not_before)
        keys = [self._keys.record(claimed.id), self._keys.due]
        answer = await away(self._release(keys=keys, args=[claimed.id, claimed.fence, self._keys.wake, at]))
        return text(answer) == "FREED"

    def _claimed(self, id_: str, fence: str, answer: Sequence[bytes]) -> ClaimedRequest:
        now = float(answer[1])
        if text(answer[0]) == "MISSING":
            return ClaimedRequest(id_, fence, None, now)
        try:
            return ClaimedRequest(id_, fence, self._sealing.open(id_, *answer[2:]), now)
        except Tampered:
            return ClaimedRequest(id_, fence, None, now)


def new_fence() -> str:
    """A fencing token for one claim, which no other claim has."""
    return secrets.token_hex(8)
