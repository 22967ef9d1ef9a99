"""The outbox: notifications to be delivered, and where each was posted. A row is kept until it is delivered.

A row is ``<request>|<audience>`` at the version that asked for it; asking twice is idempotent. A place is ``posting
<seconds>`` while the outcome is unknown, then ``<channel> <ts> <MAC>``.

Write access to Redis is not enough to have something posted, moved or removed: a row that the bot did not ask for
(`RowOrigin`) is removed with one alarm, and a place without our MAC is ignored.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.events import EVENT, Event
from bot.store.encoding import away, script, seconds, text
from bot.store.outbox_origin import RowOrigin
from bot.store.outbox_rows import OnItsWay, PostedMessage, Row, is_row
from bot.store.record_seal import Authorship
from bot.store.store import Store

__all__ = ["OnItsWay", "Outbox", "PostedMessage", "Row"]

log = logging.getLogger(__name__)

_MOST_DEAD = 1000
_HOUR = 3_600
_SOUND = re.compile(r"[A-Za-z0-9_-]{1,40}\|[a-z_]{1,20}(?:@[A-Z0-9]{1,40})?:[0-9]{1,16}")
_MOST_TRIED, _MOST_REMEMBERED = 500, 10_000


class Outbox:
    """The outbox of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._announced, self._posting, self._stands = (
            script(self._redis, name) for name in ("announced", "posting", "stands")
        )
        self._since: dict[str, float] = {}
        self._origin = RowOrigin(store.redis, store.keys, store.authorship)
        self._places: dict[str, dict[str, PostedMessage]] = {}
        self._gone: dict[str, set[PostedMessage]] = {}

    @property
    def _signs(self) -> Authorship:
        return self._store.authorship

    async def ready(self, most: int) -> tuple[list[Row], float | None, float]:
        """The rows that are due now, oldest first; when the next is due; and Redis' time."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._keys.outbox, 0, most, withscores=True)
            time, scored = await away(pipe.execute())
        now = seconds(time)
        ripe = [name for name, at in scored[:most] if at <= now]
        names = [text(name) for name in ripe if is_row(name)]
        for name in ripe:
            if not is_row(name):
                await self._refuse(name)
        if len(self._since) > _MOST_REMEMBERED:
            self._since.clear()
        for name in names:
            self._since.setdefault(name, now)
        later = [at for _, at in scored if at > now]
        return await self._versions(names), min(later, default=None), now

    async def _versions(self, names: Sequence[str]) -> list[Row]:
        """The rows of these names that the bot asked for; the others are removed."""
        if not names:
            return []
        values = [text(value) for value in await away(self._redis.hmget(self._keys.rows, list(names)))]
        rows = [Row.parsed(name, value) for name, value in zip(names, values, strict=True)]
        asking = await self._origin.entries([row.seq for row in rows if row.seq])
        found: list[Row] = []
        for row, value in zip(rows, values, strict=True):
            if row.seq and row.seq not in asking and _SOUND.fullmatch(row.name):
                await self.bury(row, "its audit event is gone")
            elif self._origin.ours(row, value, asking.get(row.seq or 0)):
                found.append(row)
            elif value or not await self._origin.gone(row.name):
                await self._refuse(row.name)
        return found

    async def _refuse(self, name: str | bytes) -> None:
        """Remove a row that the bot did not ask for, with one alarm an hour."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.outbox, name)
            pipe.hdel(self._keys.rows, name)
            await away(pipe.execute())
        self._since.pop(text(name), None)
        log.error("a notice that the bot did not ask for was removed: %r", name[:200])
        said = "a notice that the bot did not ask for was removed: somebody has write access to Redis, look who"
        fields = json.dumps({"alarm": "outbox_foreign", "said": said})
        await self._store.audit_event("alarm", fields, window=_HOUR, once="outbox_foreign", row="record|record:#")

    async def ask(self, rows: Sequence[Row]) -> None:
        """Enqueue rows at their versions; a row that waits already is not enqueued twice."""
        if not rows:
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.rows, mapping={row.name: self.worth(row) for row in rows})
            pipe.zadd(self._keys.outbox, {row.name: 0.0 for row in rows}, nx=True)
            pipe.publish(self._keys.wake, "")
            await away(pipe.execute())

    def worth(self, row: Row) -> str:
        """The stored value of a row that no event asks for: its version, with a MAC."""
        return f"{row.version} {self._signs.sign('row', row.name, str(row.version))}"

    async def done(self, row: Row, version: int) -> bool:
        """Delivered as of ``version``; False when a later commit asks for it again."""
        keys = [self._keys.outbox, self._keys.rows]
        told = await away(self._announced(keys=keys, args=[row.name, version]))
        self._since.pop(row.name, None)
        return bool(told == b"DONE")

    async def defer(self, row: Row, until: float) -> None:
        """Not before ``until``, Unix seconds."""
        await away(self._redis.zadd(self._keys.outbox, {row.name: until}, xx=True))

    async def hold(self, row: Row, until: float) -> None:
        """Not before ``until``, and not counted as late: it is shown elsewhere meanwhile."""
        await self.defer(row, until)
        self._since.pop(row.name, None)

    async def bury(self, row: Row, error: str) -> None:
        """Move a row that can never be delivered to the dead-letter list, with why, for the doctor."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.outbox, row.name)
            pipe.hdel(self._keys.rows, row.name)
            line = f"{row.name}|{error[:200]}"
            pipe.lpush(self._keys.dead, f"{self._signs.sign('dead', line)} {line}")
            pipe.ltrim(self._keys.dead, 0, _MOST_DEAD - 1)
            await away(pipe.execute())
        self._since.pop(row.name, None)

    async def dead(self) -> list[str]:
        """The dead-letter list, latest first; lines without our MAC are left out."""
        found = [text(line).partition(" ") for line in await away(self._redis.lrange(self._keys.dead, 0, -1))]
        ours = [self._signs.signed(tag, "dead", line) for tag, _, line in found]
        for (tag, _, _), signed in zip(found, ours, strict=True):
            if not signed:
                self._store.forged_values.wrong_mac(self._keys.dead, tag)
        return [line for (_, _, line), signed in zip(found, ours, strict=True) if signed]

    async def waiting(self) -> int:
        """How many rows wait."""
        return int(await away(self._redis.zcard(self._keys.outbox)))

    async def age(self) -> tuple[int, float]:
        """How many rows wait, and for how many seconds the oldest has.

        A deferred row has a later score, so this process remembers since when it has tried its rows.
        """
        tried = sorted(self._since, key=self._since.__getitem__)[:_MOST_TRIED]
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zcard(self._keys.outbox)
            # A row that was asked for without an event has the score 0, and therefore no age.
            pipe.zrange(self._keys.outbox, "(0", "+inf", byscore=True, offset=0, num=1, withscores=True)
            if tried:
                pipe.zmscore(self._keys.outbox, tried)
            time, waiting, first, *scores = await away(pipe.execute())
        for name, score in zip(tried, scores[0] if scores else [], strict=True):
            if score is None:  # another process delivered it
                self._since.pop(name, None)
        starts = [at for _, at in first] + [self._since[name] for name in tried if name in self._since]
        return int(waiting), max(0.0, seconds(time) - min(starts, default=math.inf))

    # where it was posted

    async def posts(self, request: str) -> dict[str, PostedMessage]:
        """Where each audience's message of a request is.

        What this process remembers goes before a place that is missing or forged, so that deleting a place has
        nothing posted twice.
        """
        found = await away(self._redis.hgetall(self._keys.posts(request)))
        posts = {text(audience): self._post(request, text(audience), text(value)) for audience, value in found.items()}
        # Another task may have removed a place while its value was on the way here.
        gone = self._gone.get(request, set())
        current = {audience: post for audience, post in posts.items() if post and post not in gone}
        for audience, post in current.items():
            if post.ts:
                self._remember(request, audience, post)
        return current | self._places.get(request, {})

    def _remember(self, request: str, audience: str, post: PostedMessage) -> None:
        self._places.setdefault(request, {})[audience] = post
        if len(self._places) > _MOST_REMEMBERED:
            del self._places[next(iter(self._places))]

    def _forget(self, request: str, audience: str) -> None:
        if post := self._places.get(request, {}).pop(audience, None):
            self._gone.setdefault(request, set()).add(post)
        if len(self._gone) > _MOST_REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def _post(self, request: str, audience: str, value: str) -> PostedMessage | None:
        """A place; None where its MAC is not ours."""
        channel, _, rest = value.partition(" ")
        if channel == "posting":
            return PostedMessage("", "")
        ts, _, tag = rest.partition(" ")
        if self._signs.signed(tag, "post", request, audience, channel, ts):
            return PostedMessage(channel, ts)
        self._store.forged_values.wrong_mac(self._keys.posts(request), tag)
        return None

    async def _believed(self, request: str, audience: str) -> None:
        """Remove a forged place before a true one is noted."""
        key = self._keys.posts(request)
        if text(await away(self._redis.type(key))) not in {"hash", "none"}:
            await away(self._redis.delete(key))
        known = await away(self._redis.hget(key, audience))
        if known is not None and self._post(request, audience, text(known)) is None:
            log.error("%s|%s: the place of its message is not what the bot noted, and is forgotten", request, audience)
            await away(self._redis.hdel(key, audience))

    async def posting(self, row: Row, seconds: float) -> None:
        """Record first: the outcome is unknown until `posted`, for at most so long. Raises `OnItsWay`."""
        await self._mark(row, seconds, "")

    async def unknown(self, row: Row, seconds: float) -> None:
        """No answer came: not again before so many seconds, unless it shows up. Raises `OnItsWay` if it has."""
        await self._mark(row, seconds, row.name)

    async def posted(self, row: Row, channel: str, ts: str) -> None:
        """Slack answered with its place; if another copy showed up meanwhile, this one will be removed."""
        await self._note(row.request, row.audience, channel, ts, answered="1")

    async def uploaded(self, row: Row, file: str) -> None:
        """Slack has the file that belongs to the row, and shows it to nobody yet."""
        key = self._keys.posts(row.request)
        async with self._redis.pipeline(transaction=True) as pipe:
            tag = self._signs.sign("post", row.request, _ticket(row), "file", file)
            pipe.hset(key, _ticket(row), f"file {file} {tag}")
            pipe.expire(key, self._ttl)
            await away(pipe.execute())

    async def upload(self, row: Row) -> str | None:
        """The file that was uploaded for the row before; None where there is none."""
        found = await away(self._redis.hget(self._keys.posts(row.request), _ticket(row)))
        post = self._post(row.request, _ticket(row), text(found)) if found is not None else None
        return post.ts or None if post else None

    async def not_posted(self, row: Row) -> None:
        """Slack definitely refused it, or it was deleted: there is no place."""
        self._forget(row.request, row.audience)
        await away(self._redis.hdel(self._keys.posts(row.request), row.audience))

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows our own message: noted if it was waited for; a second copy will be removed."""
        await self._note(request, audience, channel, ts, answered="")

    async def event(self, row: Row) -> Event | None:
        """The event of the request that asked for the row; None where none did, or it is gone."""
        entry = await self._asking(row)
        return EVENT.validate_json(entry[b"event"]) if entry and entry[b"version"] != b"0" else None

    async def audit_event(self, row: Row) -> Mapping[str, Any] | None:
        """The audit event that asked for the row and changed no request; None where none did, or it is gone."""
        entry = await self._asking(row)
        return dict(json.loads(text(entry[b"event"]))) if entry and entry[b"version"] == b"0" else None

    async def _asking(self, row: Row) -> Mapping[bytes, bytes] | None:
        # Judged again: since the row was read, its number may have been given to another event of ours.
        entry = (await self._origin.entries([row.seq])).get(row.seq) if row.seq else None
        return entry if entry and self._origin.ours(row, "", entry) else None

    async def waits(self, request: str, audience: str) -> bool:
        """Whether that notification is still to be delivered."""
        return await away(self._redis.zscore(self._keys.outbox, Row(request, audience, 0).name)) is not None

    async def _mark(self, row: Row, seconds: float, ours: str) -> None:
        await self._believed(row.request, row.audience)
        keys = [self._keys.posts(row.request), self._keys.outbox]
        words = [row.audience, f"{seconds:.6f}", str(self._ttl), ours]
        match await away(self._posting(keys=keys, args=words)):
            case [b"STANDS"]:
                raise OnItsWay(0.0)
            case [b"WAITS", left]:
                raise OnItsWay(float(left))

    async def _note(self, request: str, audience: str, channel: str, ts: str, answered: str) -> None:
        await self._believed(request, audience)
        keys = [self._keys.posts(request), self._keys.outbox, self._keys.rows]
        place = self._signs.sign("post", request, audience, channel, ts)
        copy = self.worth(Row(request, f"copy:{channel} {ts}", 0))
        words = [request, audience, channel, ts, str(self._ttl), self._keys.wake, answered, place, copy]
        noted = text(await away(self._stands(keys=keys, args=words)))
        if noted == "NOTED" and answered:
            self._remember(request, audience, PostedMessage(channel, ts))

    @property
    def _ttl(self) -> int:
        return self._store.retention + 7 * 86_400


def _ticket(row: Row) -> str:
    return f"upload:{row.audience}"
