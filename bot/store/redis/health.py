"""How the store is and what lies in it, as facts for whoever looks after it; it judges nothing and changes nothing.

Whether a Redis is fit at all is fitness.py's to say.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bot.core.errors import StoreAway, Tampered
from bot.core.request import Request
from bot.store.encoding import away, seconds, text
from bot.store.keys import home
from bot.store.outbox import Outbox
from bot.store.store import Store

_LATELY = 1000
"""How many audit entries are looked through for alarms."""


@dataclass(frozen=True)
class Vitals:
    """``skew``: seconds by which this machine's clock is surely ahead of Redis' (negative: behind).

    ``limit``: ``maxmemory`` in bytes, 0 for none, as ``used``. ``events``, ``fsync``: None where CONFIG is refused.
    """

    skew: float
    used: int
    limit: int
    events: str | None
    fsync: str | None


@dataclass(frozen=True)
class OpenCounts:
    """What one workspace has open, and what went wrong. ``overdue``: seconds since the oldest due thing was due.

    ``silent``: seconds since the oldest notice was to be given. ``tampered``: open requests whose seal does not fit.
    ``missing``: those whose record is gone. ``alarmed``: what, and of which request, in the last thousand entries.
    ``generation``: the policy that the workspace decides by, empty before the first start.
    """

    requests: tuple[Request, ...]
    tampered: tuple[str, ...]
    missing: tuple[str, ...]
    overdue: float
    silent: float
    waiting: int
    dead: tuple[str, ...]
    alarmed: tuple[tuple[str, str], ...]
    generation: str


async def vitals(redis: Redis, clock: Callable[[], float] = time.time) -> Vitals:
    """How the server is. Raises `StoreAway`."""
    # The first call may have to connect: what it takes would count as doubt about the clock.
    await away(redis.ping())
    before = clock()
    told = seconds(await away(redis.time()))
    after = clock()
    memory: dict[str, Any] = {}
    with contextlib.suppress(StoreAway):  # INFO may be refused, and fitness.py says so
        memory = await away(redis.info("memory"))
    return Vitals(
        skew=_surely(before - told, after - told),
        used=int(memory.get("used_memory", 0)),
        limit=int(memory.get("maxmemory", 0)),
        events=await _config(redis, "notify-keyspace-events"),
        fsync=await _config(redis, "appendfsync"),
    )


async def workspace(redis: Redis, token: str) -> str | None:
    """Which workspace the bot of a token serves, as its last start found; None when it never started here."""
    known = await away(redis.get(home(token)))
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):  # what somebody else wrote says nothing
        return str(json.loads(known or "")["home"])
    return None


async def open_counts(store: Store) -> OpenCounts:
    """All that is open. Raises `StoreAway`."""
    redis, keys = store.redis, store.keys
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(keys.due, 0, -1, withscores=True)
        # A row that goes before all others has the score 0, and no age.
        pipe.zrange(keys.outbox, "(0", "+inf", byscore=True, offset=0, num=1, withscores=True)
        pipe.zcard(keys.outbox)
        pipe.xrevrange(keys.audit, count=_LATELY)
        pipe.get(keys.policy)
        at, due, first, waiting, audit, generation = await away(pipe.execute())
    now = seconds(at)
    requests, tampered, missing = await _opened(store, [text(id_) for id_, _ in due])
    return OpenCounts(
        requests=tuple(requests),
        tampered=tuple(tampered),
        missing=tuple(missing),
        overdue=_since(now, due),
        silent=_since(now, first),
        waiting=int(waiting),
        dead=tuple(await Outbox(store).dead()),
        alarmed=tuple(dict.fromkeys(_alarm(store, e) for _, e in audit if _alarms(store, e))),
        generation=text(generation),
    )


async def _opened(store: Store, ids: list[str]) -> tuple[list[Request], list[str], list[str]]:
    requests: list[Request] = []
    tampered, missing = [], []
    for id_ in ids:
        try:
            loaded = await store.load(id_)
        except Tampered:
            tampered.append(id_)
        else:
            requests += [loaded.request] if loaded else []
            missing += [] if loaded else [id_]
    return requests, tampered, missing


def _alarms(store: Store, entry: dict[bytes, bytes]) -> bool:
    """Whether it is an alarm, or none of our events, which is one, too."""
    return entry.get(b"kind") == b"alarm" or not store.authorship.ours(entry)


def _alarm(store: Store, entry: dict[bytes, bytes]) -> tuple[str, str]:
    """What, and of which request; of what is not ours no word is repeated."""
    if not store.authorship.ours(entry):
        return "not ours", ""
    return str(json.loads(entry[b"event"]).get("alarm", "")), text(entry.get(b"id"))


async def _config(redis: Redis, name: str) -> str | None:
    """A setting of the server; managed ones refuse CONFIG."""
    try:
        found: Any = await away(redis.config_get(name))
    except StoreAway:
        return None
    return {text(key): text(value) for key, value in found.items()}.get(name)


def _since(now: float, scored: list[tuple[Any, float]]) -> float:
    return max(0.0, now - scored[0][1]) if scored else 0.0


def _surely(one: float, other: float) -> float:
    """What both bounds allow, nearest to 0: the answer was on its way for some of the time between them."""
    return 0.0 if one <= 0 <= other else min(one, other, key=abs)
