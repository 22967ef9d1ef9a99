"""Who looked at their Home tab within a day, and whose is out of date. It knows no request and publishes nothing.

All of it expires: what is lost here is rebuilt when somebody opens the tab.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.store.encoding import away, text
from bot.store.leader import Leader
from bot.store.store import Store

DAY = 86_400
_MOST = 5_000


class HomeTabIndex:
    """The Home tabs of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Take the store; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys

    async def looked(self, user: str, identity: str) -> None:
        """Somebody looks at theirs now; of the very many only the latest are kept."""
        now, key = await self._store.now(), self._keys.looked
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(key, {f"{user} {identity}": now})
            pipe.zremrangebyscore(key, "-inf", now - DAY)
            pipe.zremrangebyrank(key, 0, -_MOST - 1)
            pipe.expire(key, DAY)
            await away(pipe.execute())

    async def lookers(self) -> dict[str, str]:
        """Who looked at theirs within a day: the identity by Slack user id."""
        now = await self._store.now()
        found: Any = await away(self._redis.zrangebyscore(self._keys.looked, now - DAY, "+inf"))
        parts = (text(member).partition(" ") for member in found)
        return {user: identity for user, _, identity in parts}

    # what is shown there

    async def shown(self, user: str, hash_: str) -> None:
        """Slack shows this view of theirs now."""
        await away(self._redis.set(self._keys.home_of(user), hash_, ex=DAY))

    async def hash_of(self, user: str) -> str:
        """The view that Slack shows, as far as is known; empty where it is not."""
        return text(await away(self._redis.get(self._keys.home_of(user))))

    async def forget(self, user: str) -> None:
        """Slack shows another view than was thought."""
        await away(self._redis.delete(self._keys.home_of(user)))

    # what is out of date

    async def stale(self, users: Iterable[str], at: float = 0) -> None:
        """Publish again, not before ``at`` (Unix seconds); a tab that waits already keeps its time."""
        if known := dict.fromkeys(users, at):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(self._keys.stale, known, nx=True)
                pipe.expire(self._keys.stale, DAY)
                await away(pipe.execute())

    async def next(self) -> tuple[str, float] | None:
        """Whose turn is the next, and in how many seconds; None where nobody waits."""
        now = await self._store.now()
        found: Any = await away(self._redis.zrange(self._keys.stale, 0, 0, withscores=True))
        return (text(found[0][0]), max(0.0, found[0][1] - now)) if found else None

    async def take(self, user: str, rest: float) -> bool:
        """Whether this process is the one that shows it anew; nobody's is within ``rest`` seconds of the last time."""
        key = self._keys.home_rests(user)
        if await Leader(self._store, key, rest).elected():
            return bool(await away(self._redis.zrem(self._keys.stale, user)))
        left = min(rest, max(0, await away(self._redis.pttl(key))) / 1000)
        await away(self._redis.zadd(self._keys.stale, {user: await self._store.now() + left}, xx=True))
        return False


def concerned(lookers: Mapping[str, str], users: frozenset[str], identities: frozenset[str]) -> list[str]:
    """Those of them who are among these users, or have one of these addresses."""
    return [user for user, identity in lookers.items() if user in users or identity in identities]
