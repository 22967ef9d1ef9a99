"""What waits in the store, and for how long: a snapshot of bounded cost for metrics, which changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.request import Request, State
from bot.store.audit_stream import AuditStream
from bot.store.encoding import away, seconds, text
from bot.store.outbox import Outbox
from bot.store.store import Store

_MOST = 1_000
"""Open requests, those due first, of which it is looked up whether they are being closed."""
_SOON = 330.0
"""Seconds within which whatever is being closed is due again: longer than the longest pause between two tries."""
_MOST_OVERDUE = 200
"""Of those that are overdue, the longest, whose systems are looked up."""
_MOST_READ = 200
_AT_ONCE = 25
"""Records that are opened in one go, before others have their turn: some milliseconds."""


@dataclass(frozen=True)
class Backlog:
    """At one moment; ages are in seconds, and 0 where nothing waits.

    ``overdue`` is of the oldest due step, ``overdue_in`` that of each system; ``late_in``: how long past its end the
    oldest access of a system is that is not verified as revoked; ``closing_in``: how many of a system's requests are
    being closed, whatever ended them. ``pending``: undecided requests, ``pending_age``: of the oldest of them.
    """

    open: int = 0
    due: int = 0
    overdue: float = 0.0
    pending: int = 0
    pending_age: float = 0.0
    rows: int = 0
    rows_age: float = 0.0
    dead: int = 0
    unsealed: int = 0
    unsealed_age: float = 0.0
    overdue_in: Mapping[str, float] = field(default_factory=dict)
    late_in: Mapping[str, float] = field(default_factory=dict)
    closing_in: Mapping[str, int] = field(default_factory=dict)


class Lookout:
    """Looks at one workspace. ``outbox`` is that of whoever posts here, if somebody does."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        """Nothing is sent before the first look."""
        self._store, self._outbox, self._stream = store, outbox, AuditStream(store)
        self._redis, self._keys = store.redis, store.keys

    async def read(self, systems: Sequence[str], channels: Sequence[str]) -> Backlog:
        """One look, at these systems and channels. Raises `StoreAway`."""
        keys = self._keys
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(keys.due, 0, _MOST - 1, withscores=True)
            pipe.zcard(keys.due)
            pipe.llen(keys.dead)
            time, scored, opened, dead = await away(pipe.execute())
        now = seconds(time)
        first = [(text(id_), float(at)) for id_, at in scored]
        ripe = [(id_, now - at) for id_, at in first if at <= now]
        pending, pending_age = await self._pending(channels, now)
        closing = await self._closing([id_ for id_, at in first if at <= now + _SOON])
        rows, rows_age = await self._outbox.age()
        unsealed, unsealed_age = await self._unsealed()
        return Backlog(
            open=int(opened),
            due=await self._due(ripe, now),
            overdue=max((age for _, age in ripe), default=0.0),
            pending=pending,
            pending_age=pending_age,
            rows=rows,
            rows_age=rows_age,
            dead=int(dead),
            unsealed=unsealed,
            unsealed_age=unsealed_age,
            overdue_in=await self._overdue(ripe[:_MOST_OVERDUE], systems),
            **_by_system(closing, now, systems),
        )

    async def _due(self, ripe: Sequence[tuple[str, float]], now: float) -> int:
        """How many are due; counted by the store only where they are more than were looked at."""
        return len(ripe) if len(ripe) < _MOST else int(await away(self._redis.zcount(self._keys.due, "-inf", now)))

    async def _overdue(self, ripe: Sequence[tuple[str, float]], systems: Sequence[str]) -> dict[str, float]:
        """How long the oldest that is overdue has been, by system; 0 for those that have none."""
        if not ripe or not systems:
            return dict.fromkeys(systems, 0.0)
        ids = [id_ for id_, _ in ripe]
        async with self._redis.pipeline(transaction=False) as pipe:
            for system in systems:
                pipe.smismember(self._keys.of_system(system), ids)
            found = await away(pipe.execute())
        ages = [age for _, age in ripe]
        return {
            system: _oldest(age for age, member in zip(ages, members, strict=True) if member)
            for system, members in zip(systems, found, strict=True)
        }

    async def _pending(self, channels: Sequence[str], now: float) -> tuple[int, float]:
        """How many wait for a decision, and for how long the oldest has."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for channel in channels:
                pipe.zcard(self._keys.waiting(channel))
                pipe.zrange(self._keys.waiting(channel), 0, 0, withscores=True)
            found = await away(pipe.execute())
        return sum(map(int, found[::2])), _oldest(now - at for first in found[1::2] for _, at in first)

    async def _closing(self, ids: Sequence[str]) -> list[Request]:
        """Of those, the requests that are being closed and bear our seal, the first of them."""
        if not ids:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.exists(self._keys.pending(id_), self._keys.active(id_))
            standing = await away(pipe.execute())
        wanted = [id_ for id_, stands in zip(ids, standing, strict=True) if not stands][:_MOST_READ]
        found: list[Request] = []
        for n in range(0, len(wanted), _AT_ONCE):
            found += [loaded.request for loaded in await self._store.load_ours(wanted[n : n + _AT_ONCE])]
            await asyncio.sleep(0)
        return [request for request in found if request.state is State.REVOKING]

    async def _unsealed(self) -> tuple[int, float]:
        """How many audit events are not sealed yet, and how old the oldest of them is."""
        mark = await self._stream.checkpoint()
        last = mark.head.last if mark else 0
        reading = await self._stream.read(last, 1)
        if reading.seq <= last:
            return 0, 0.0
        return reading.seq - last, _oldest(reading.now - entry.at for entry in reading.entries)


def _by_system(requests: Sequence[Request], now: float, systems: Sequence[str]) -> dict[str, Any]:
    late, closing = dict.fromkeys(systems, 0.0), dict.fromkeys(systems, 0)
    for request in requests:
        for system in {leg.role.system for leg in request.legs} & set(systems):
            closing[system] += 1
            if request.ends_at:
                late[system] = max(late[system], now - request.ends_at)
    return {"late_in": late, "closing_in": closing}


def _oldest(ages: Iterable[float]) -> float:
    return max(0.0, max(ages, default=0.0))
