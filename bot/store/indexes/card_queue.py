"""The queue of requests that wait in a channel with more of them than cards: which have a card, and which is next.

The commit keeps the queue, in the order of the requests; a request without a card is a deferred row of the outbox. No
state is in the process, so any process goes on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.notifications import CARD, CROWD
from bot.store.encoding import away, text
from bot.store.outbox import Outbox, Row
from bot.store.store import Store

ROOM = 20
"""Requests of a channel that wait for a decision and have a card of their own there."""
_GATHERS = 2.0
"""Seconds within which all that changes is one update: Slack takes fifty a minute."""
_MOST = 2_000


class CardQueue:
    """The queues of one workspace's channels. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Take the store; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys

    async def has_room(self, channel: str, request: str) -> bool:
        """Whether so few wait before this one that it gets a card; also one that is not in the queue."""
        rank: Any = await away(self._redis.zrank(self._keys.waiting(channel), request))
        return rank is None or int(rank) < ROOM

    async def deferred(self, channel: str) -> list[str]:
        """The requests that wait without a card of their own, the first to get one first."""
        if not (ids := await self._line(channel, ROOM, _MOST)):
            return []
        names = [name for id_ in ids for name in _cards(id_, channel)]
        scores: Any = await away(self._redis.zmscore(self._keys.outbox, names))
        waits = {name for name, score in zip(names, scores, strict=True) if score is not None}
        # The first of its cards waits, too, while another one is posted: then it is deferred in that channel alone.
        elsewhere = await self._posted_here(channel, [id_ for id_ in ids if _card(id_) in waits])
        return [id_ for id_ in ids if waits & set(_cards(id_, channel)) and id_ not in elsewhere]

    async def _posted_here(self, channel: str, ids: Sequence[str]) -> set[str]:
        """Those of which a card of their own for this channel is posted."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hexists(self._keys.posts(id_), f"{CARD}:{channel}")
            posted: Any = await away(pipe.execute()) if ids else []
        return {id_ for id_, there in zip(ids, posted, strict=True) if there}

    async def with_room(self, channel: str) -> list[str]:
        """The requests that have a card."""
        return await self._line(channel, 0, ROOM - 1)

    async def move_to_front(self, channel: str, request: str) -> None:
        """Put a request first, since somebody sent a reminder: it gets the next card, however many there are."""
        await away(self._redis.zadd(self._keys.waiting(channel), {request: 0}, xx=True))
        await self.post_soon(channel, [request])

    async def remove(self, channel: str, requests: Sequence[str]) -> None:
        """Remove requests that wait no more; only a forger could have put them here."""
        if requests:
            await away(self._redis.zrem(self._keys.waiting(channel), *requests))

    async def post_soon(self, channel: str, requests: Sequence[str]) -> None:
        """Deliver their deferred cards of this channel now."""
        if requests:
            now = await self._store.now()
            rows = {name: now for id_ in requests for name in _cards(id_, channel)}
            await away(self._redis.zadd(self._keys.outbox, rows, xx=True, lt=True))

    async def request_summary(self, channel: str) -> None:
        """Enqueue the channel's summary again."""
        now = await self._store.now()
        row = Row(channel, CROWD, int(now * 1000))
        name = row.name
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.rows, name, Outbox(self._store).worth(row))
            pipe.zadd(self._keys.outbox, {name: now + _GATHERS}, nx=True)
            await away(pipe.execute())

    async def summary_posted(self, channel: str) -> bool:
        """Whether a summary is in the channel, or may be."""
        return CROWD in await Outbox(self._store).posts(channel)

    async def has_summary(self, channel: str) -> bool:
        """Whether a summary is in the channel, or is being delivered."""
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


def _cards(request: str, channel: str) -> tuple[str, str]:
    """The rows that its card in a channel may have: only the record says whether the channel is its first."""
    return _card(request), Row(request, f"{CARD}:{channel}", 0).name
