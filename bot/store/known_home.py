"""Which workspace a bot token was last known to belong to, for every host; whether that is true, it does not say."""

from __future__ import annotations

from redis.asyncio import Redis

from bot.store import keys
from bot.store.encoding import away, text
from bot.store.redis.client import Link

_MOST = 1000


async def known_homes(link: Link) -> dict[str, str]:
    """What every token's workspace was last known to be, by key; of a server, not of a cluster. Raises `StoreAway`."""
    redis: Redis = link.commands(keys.home(""))
    found: list[str] = []
    cursor = -1
    while cursor and len(found) < _MOST:
        cursor, some = await away(redis.scan(max(cursor, 0), match=f"{keys.HOMES}*", count=_MOST))
        found += map(text, some)
    values = await away(redis.mget(found)) if found else []
    return {key: text(value) for key, value in zip(found, values, strict=True) if value}


class KnownHome:
    """What one token's workspace is; the value is its writer's, who signs it. Both verbs raise `StoreAway`."""

    def __init__(self, link: Link, token: str) -> None:
        """Nothing is sent."""
        self.key = keys.home(token)
        self._redis: Redis = link.commands(self.key)

    async def read(self) -> str:
        """What was written last; '' for nothing."""
        return text(await away(self._redis.get(self.key)))

    async def write(self, value: str) -> None:
        """Keep it from now on."""
        await away(self._redis.set(self.key, value))
