"""More requests waiting in a channel than it has room for: which of them have a card of their own, and who is next.

The commit keeps the line of those who wait, in the order of asking; a held card is its row of the outbox, put off.
Nothing here is lost with a process: whoever looks next finds the same line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.notices import CARD, CROWD
from bot.store.outbox import Row
from bot.store.store import Store
from bot.store.wire import away, text

ROOM = 20
"""Requests of a channel that wait for a decision and have a card of their own there."""
_GATHERS = 2.0
"""Seconds within which all that changes is one update: Slack takes fifty a minute."""
_MOST = 2_000


class Crowds:
    """The lines of one workspace's channels. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Take the store; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys

    async def has_room(self, channel: str, request: str) -> bool:
        """Whether so few wait before this one that it gets a card; also one that is not in the line."""
        rank: Any = await away(self._redis.zrank(self._keys.waiting(channel), request))
        return rank is None or int(rank) < ROOM

    async def held(self, channel: str) -> list[str]:
        """The requests that wait without a card of their own, the first to get one first."""
        if not (ids := await self._line(channel, ROOM, _MOST)):
            return []
        scores: Any = await away(self._redis.zmscore(self._keys.outbox, [_card(id_) for id_ in ids]))
        return [id_ for id_, score in zip(ids, scores, strict=True) if score is not None]

    async def in_front(self, channel: str) -> list[str]:
        """Those who have the room."""
        return await self._line(channel, 0, ROOM - 1)

    async def first(self, channel: str, request: str) -> None:
        """Somebody reminds of this one: it is the next to get a card, whatever room there is."""
        await away(self._redis.zadd(self._keys.waiting(channel), {request: 0}, xx=True))
        await self.show([request])

    async def gone(self, channel: str, requests: Sequence[str]) -> None:
        """These wait no more; they would be in the line only if somebody else had written there."""
        if requests:
            await away(self._redis.zrem(self._keys.waiting(channel), *requests))

    async def show(self, requests: Sequence[str]) -> None:
        """Their cards are to be given now, where they were put off."""
        if requests:
            now = await self._store.now()
            await away(self._redis.zadd(self._keys.outbox, {_card(id_): now for id_ in requests}, xx=True, lt=True))

    async def ask(self, channel: str) -> None:
        """Have the channel's summary given anew."""
        name, now = Row(channel, CROWD, 0).name, await self._store.now()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.rows, name, str(int(now * 1000)))
            pipe.zadd(self._keys.outbox, {name: now + _GATHERS}, nx=True)
            await away(pipe.execute())

    async def is_posted(self, channel: str) -> bool:
        """Whether a summary stands in the channel, or may."""
        return bool(await away(self._redis.hexists(self._keys.posts(channel), CROWD)))

    async def is_told(self, channel: str) -> bool:
        """Whether a summary stands in the channel, or is on its way there."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(self._keys.posts(channel), CROWD)
            pipe.zscore(self._keys.outbox, Row(channel, CROWD, 0).name)
            stands, comes = await away(pipe.execute())
        return bool(stands) or comes is not None

    async def _line(self, channel: str, start: int, stop: int) -> list[str]:
        found: Any = await away(self._redis.zrange(self._keys.waiting(channel), start, stop))
        return [text(id_) for id_ in found]


def _card(request: str) -> str:
    return Row(request, CARD, 0).name
