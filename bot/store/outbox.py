"""What is still to be told, and where it was told; it never forgets a row before its message is posted.

A row is ``<request>|<audience>`` at the version that asked for it; the same row asked for twice is one row.
A post is ``posting <seconds>`` while its outcome is unknown, ``<channel> <ts>`` once Slack has told where it stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.store.store import Store
from bot.store.wire import away, script, seconds, text

_MOST_DEAD = 1000
_MOST_TRIED, _MOST_REMEMBERED = 500, 10_000


@dataclass(frozen=True)
class Row:
    """One notice to be given. ``seq`` is the audit event it tells, for audiences that have one an event."""

    request: str
    audience: str
    version: int

    @property
    def name(self) -> str:
        """As it is stored."""
        return f"{self.request}|{self.audience}"

    @property
    def kind(self) -> str:
        """Who is told, without which event or end it is about."""
        return self.audience.partition(":")[0]

    @property
    def seq(self) -> int | None:
        """The audit event's number, None for a projection of the whole record."""
        _, _, seq = self.audience.partition(":")
        return int(seq) if seq.isdigit() else None

    @property
    def copy(self) -> tuple[str, str] | None:
        """The channel and ts of the second copy that is to be removed, if that is what the row asks for."""
        kind, _, where = self.audience.partition(":")
        channel, _, ts = where.partition(" ")
        return (channel, ts) if kind == "copy" else None


@dataclass(frozen=True)
class Post:
    """Where a notice stands in Slack; ``ts`` is empty while that is unknown."""

    channel: str
    ts: str


class OnItsWay(Exception):
    """The message is posted already, or may be: look again in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        """Keep how long its outcome is still waited for."""
        super().__init__(seconds)
        self.seconds = seconds


class Outbox:
    """The notices of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._announced, self._posting, self._stands = (
            script(self._redis, name) for name in ("announced", "posting", "stands")
        )
        self._since: dict[str, float] = {}

    async def ready(self, most: int) -> tuple[list[Row], float | None, float]:
        """The rows to be given now, the oldest first; when the next is; and the store's time."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._keys.outbox, 0, most, withscores=True)
            time, scored = await away(pipe.execute())
        now = seconds(time)
        names = [text(name) for name, at in scored[:most] if at <= now]
        if len(self._since) > _MOST_REMEMBERED:
            self._since.clear()
        for name in names:
            self._since.setdefault(name, now)
        later = [at for _, at in scored if at > now]
        return await self._versions(names), min(later, default=None), now

    async def _versions(self, names: Sequence[str]) -> list[Row]:
        if not names:
            return []
        versions = await away(self._redis.hmget(self._keys.rows, list(names)))
        pairs = zip(names, versions, strict=True)
        return [Row(*_parted(name), int(version or 0)) for name, version in pairs]

    async def ask(self, rows: Sequence[Row]) -> None:
        """Have these given too, as of their versions; one that waits already waits once."""
        if not rows:
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.rows, mapping={row.name: row.version for row in rows})
            pipe.zadd(self._keys.outbox, {row.name: 0.0 for row in rows}, nx=True)
            pipe.publish(self._keys.wake, "")
            await away(pipe.execute())

    async def done(self, row: Row, version: int) -> bool:
        """It was told as of ``version``; False when a later commit asks for it again."""
        keys = [self._keys.outbox, self._keys.rows]
        told = await away(self._announced(keys=keys, args=[row.name, version]))
        self._since.pop(row.name, None)
        return bool(told == b"DONE")

    async def defer(self, row: Row, until: float) -> None:
        """Not before ``until``, Unix seconds."""
        await away(self._redis.zadd(self._keys.outbox, {row.name: until}, xx=True))

    async def hold(self, row: Row, until: float) -> None:
        """Not before ``until``, and nobody need wonder why: it is told of elsewhere meanwhile."""
        await self.defer(row, until)
        self._since.pop(row.name, None)

    async def bury(self, row: Row, error: str) -> None:
        """It can never be told (``error`` says why): kept on the dead-letter list, for the doctor."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.outbox, row.name)
            pipe.hdel(self._keys.rows, row.name)
            pipe.lpush(self._keys.dead, f"{row.name}|{error[:200]}")
            pipe.ltrim(self._keys.dead, 0, _MOST_DEAD - 1)
            await away(pipe.execute())
        self._since.pop(row.name, None)

    async def dead(self) -> list[str]:
        """The notices that could not be given, the latest first."""
        return [text(line) for line in await away(self._redis.lrange(self._keys.dead, 0, -1))]

    async def waiting(self) -> int:
        """How many rows wait."""
        return int(await away(self._redis.zcard(self._keys.outbox)))

    async def age(self) -> tuple[int, float]:
        """How many rows wait, and for how many seconds the oldest has.

        A row that is put off has a later score, so this process remembers since when it has tried those that it has.
        """
        tried = sorted(self._since, key=self._since.__getitem__)[:_MOST_TRIED]
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zcard(self._keys.outbox)
            # A row that goes before all others has the score 0, and no age.
            pipe.zrange(self._keys.outbox, "(0", "+inf", byscore=True, offset=0, num=1, withscores=True)
            if tried:
                pipe.zmscore(self._keys.outbox, tried)
            time, waiting, first, *scores = await away(pipe.execute())
        for name, score in zip(tried, scores[0] if scores else [], strict=True):
            if score is None:  # another process gave it
                self._since.pop(name, None)
        starts = [at for _, at in first] + [self._since[name] for name in tried if name in self._since]
        return int(waiting), max(0.0, seconds(time) - min(starts, default=math.inf))

    # where it was told

    async def posts(self, request: str) -> dict[str, Post]:
        """Where each audience's message of a request stands."""
        found = await away(self._redis.hgetall(self._keys.posts(request)))
        return {text(audience): _post(text(value)) for audience, value in found.items()}

    async def posting(self, row: Row, seconds: float) -> None:
        """About to post: its outcome is unknown until `posted`, for at most so long. Raises `OnItsWay`."""
        await self._mark(row, seconds, "")

    async def unknown(self, row: Row, seconds: float) -> None:
        """No answer came: not again before so many seconds, unless it shows up. Raises `OnItsWay` if it has."""
        await self._mark(row, seconds, row.name)

    async def posted(self, row: Row, channel: str, ts: str) -> None:
        """Slack's answer says where it stands; if another copy showed up meanwhile, this one will be removed."""
        await self._note(row.request, row.audience, channel, ts, answered="1")

    async def uploaded(self, row: Row, file: str) -> None:
        """Slack has the file that belongs to the row, and shows it to nobody yet."""
        key = self._keys.posts(row.request)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, _ticket(row), f"file {file}")
            pipe.expire(key, self._ttl)
            await away(pipe.execute())

    async def upload(self, row: Row) -> str | None:
        """The file that was uploaded for the row before; None where there is none."""
        found = await away(self._redis.hget(self._keys.posts(row.request), _ticket(row)))
        return text(found).partition(" ")[2] or None

    async def not_posted(self, row: Row) -> None:
        """Slack surely refused it, or it is gone: there is nothing to look for."""
        await away(self._redis.hdel(self._keys.posts(row.request), row.audience))

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows our own message: noted if it was waited for; a second copy will be removed."""
        await self._note(request, audience, channel, ts, answered="")

    async def noted(self, seq: int) -> Mapping[str, Any] | None:
        """What was noted under that number and changed no request; None where that is no note of ours, or is gone."""
        found: Any = await away(self._redis.xrange(self._keys.audit, f"{seq}-0", f"{seq}-0"))
        if not found or found[0][1].get(b"version") != b"0":
            return None
        return dict(json.loads(text(found[0][1][b"event"])))

    async def waits(self, request: str, audience: str) -> bool:
        """Whether that notice is still to be given."""
        return await away(self._redis.zscore(self._keys.outbox, Row(request, audience, 0).name)) is not None

    async def _mark(self, row: Row, seconds: float, ours: str) -> None:
        keys = [self._keys.posts(row.request), self._keys.outbox]
        words = [row.audience, f"{seconds:.6f}", str(self._ttl), ours]
        match await away(self._posting(keys=keys, args=words)):
            case [b"STANDS"]:
                raise OnItsWay(0.0)
            case [b"WAITS", left]:
                raise OnItsWay(float(left))

    async def _note(self, request: str, audience: str, channel: str, ts: str, answered: str) -> None:
        keys = [self._keys.posts(request), self._keys.outbox, self._keys.rows]
        words = [request, audience, channel, ts, str(self._ttl), self._keys.wake, answered]
        await away(self._stands(keys=keys, args=words))

    @property
    def _ttl(self) -> int:
        return self._store.retention + 7 * 86_400


def _parted(name: str) -> tuple[str, str]:
    request, _, audience = name.partition("|")
    return request, audience


def _ticket(row: Row) -> str:
    return f"upload:{row.audience}"


def _post(value: str) -> Post:
    channel, _, ts = value.partition(" ")
    return Post("", "") if channel == "posting" else Post(channel, ts)
