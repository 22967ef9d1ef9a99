"""Which groups of directories somebody waits for, who is about to decide: a worker reads them at once.

It has no MAC: write access to Redis can have groups of the policy read a little more often, or not at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from bot.store.encoding import away, text
from bot.store.store import Store

_KEPT: Final = 5
"""Seconds: whoever wanted it has given up by then."""
MOST: Final = 100


class GroupReadRequests:
    """Those of one workspace. Its verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._redis, self._keys = store.redis, store.keys

    async def add(self, groups: Collection[str]) -> None:
        """Have a worker read these groups of the policy now."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self._keys.groups_wanted, *groups)
            pipe.expire(self._keys.groups_wanted, _KEPT)
            pipe.publish(self._keys.wake, "")
            await away(pipe.execute())

    async def take(self) -> set[str]:
        """What is wanted, as anybody may have written it; it is taken out."""
        found: Any = await away(self._redis.spop(self._keys.groups_wanted, MOST))
        return {text(each) for each in found or ()}
