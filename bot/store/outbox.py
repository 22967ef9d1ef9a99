"""What is still to be told, and where it was told; it never forgets a row before its message is posted.

A row is ``<request>|<audience>`` at the version that asked for it; the same row asked for twice is one row.
A post is ``posting <nonce> <seconds>`` while its outcome is unknown, ``<channel> <ts>`` once Slack answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from bot.store.store import Store, _seconds, _text, away

_MOST_DEAD = 1000


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
    def seq(self) -> int | None:
        """The audit event's number, None for a projection of the whole record."""
        _, _, seq = self.audience.partition(":")
        return int(seq) if seq.isdigit() else None


@dataclass(frozen=True)
class Post:
    """Where a notice stands in Slack; ``ts`` is empty while that is unknown, since ``since`` (Unix seconds)."""

    channel: str
    ts: str
    since: float = 0.0


class Outbox:
    """The notices of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        text = files("bot.store").joinpath("lua", "announced.lua").read_text(encoding="utf-8")
        self._announced = self._redis.register_script(text)

    async def ready(self, most: int) -> tuple[list[Row], float | None, float]:
        """The rows to be given now, the oldest first; when the next is; and the store's time."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._keys.outbox, 0, most, withscores=True)
            time, scored = await away(pipe.execute())
        now = _seconds(time)
        names = [_text(name) for name, at in scored[:most] if at <= now]
        later = [at for _, at in scored if at > now]
        return await self._versions(names), min(later, default=None), now

    async def _versions(self, names: Sequence[str]) -> list[Row]:
        if not names:
            return []
        versions = await away(self._redis.hmget(self._keys.rows, list(names)))
        pairs = zip(names, versions, strict=True)
        return [Row(*_parted(name), int(version or 0)) for name, version in pairs]

    async def done(self, row: Row, version: int) -> bool:
        """It was told as of ``version``; False when a later commit asks for it again."""
        keys = [self._keys.outbox, self._keys.rows]
        return bool(await away(self._announced(keys=keys, args=[row.name, version])) == b"DONE")

    async def defer(self, row: Row, until: float) -> None:
        """Not before ``until``, Unix seconds."""
        await away(self._redis.zadd(self._keys.outbox, {row.name: until}, xx=True))

    async def bury(self, row: Row, error: str) -> None:
        """It can never be told (``error`` says why): kept on the dead-letter list, for the doctor."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.outbox, row.name)
            pipe.hdel(self._keys.rows, row.name)
            pipe.lpush(self._keys.dead, f"{row.name}|{error[:200]}")
            pipe.ltrim(self._keys.dead, 0, _MOST_DEAD - 1)
            await away(pipe.execute())

    async def dead(self) -> list[str]:
        """The notices that could not be given, the latest first."""
        return [_text(line) for line in await away(self._redis.lrange(self._keys.dead, 0, -1))]

    async def waiting(self) -> int:
        """How many rows wait."""
        return int(await away(self._redis.zcard(self._keys.outbox)))

    # where it was told

    async def posts(self, request: str) -> dict[str, Post]:
        """Where each audience's message of a request stands."""
        found = await away(self._redis.hgetall(self._keys.posts(request)))
        return {_text(audience): _post(_text(value)) for audience, value in found.items()}

    async def posting(self, row: Row, nonce: str, now: float) -> None:
        """About to post: from here until `posted`, the outcome is unknown."""
        await self._write(row, f"posting {nonce} {now:.3f}")

    async def posted(self, row: Row, channel: str, ts: str) -> None:
        """Slack has it."""
        await self._write(row, f"{channel} {ts}")

    async def not_posted(self, row: Row) -> None:
        """Slack surely refused it: there is nothing to look for."""
        await away(self._redis.hdel(self._keys.posts(row.request), row.audience))

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> bool:
        """Slack shows our own message; False when it is a second copy, which is to be removed."""
        found = (await self.posts(request)).get(audience)
        if found is None or (found.ts and (found.channel, found.ts) != (channel, ts)):
            return False
        if not found.ts:
            await self.posted(Row(request, audience, 0), channel, ts)
        return True

    async def _write(self, row: Row, value: str) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.posts(row.request), row.audience, value)
            pipe.expire(self._keys.posts(row.request), self._store.retention + 7 * 86_400)
            await away(pipe.execute())


def _parted(name: str) -> tuple[str, str]:
    request, _, audience = name.partition("|")
    return request, audience


def _post(value: str) -> Post:
    if value.startswith("posting "):
        return Post("", "", float(value.split()[2]))
    channel, ts = value.split()
    return Post(channel, ts)
