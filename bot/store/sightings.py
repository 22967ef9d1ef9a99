"""Who was seen gone, and when first: what the next look, in whichever process, goes on from; it revokes nobody.

None of it bears a seal, since nothing here opens anything: who can write to Redis can have access taken away sooner,
or a mass change confirmed, and the audit trail tells of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.core.model import Frozen
from bot.store.store import Store
from bot.store.wire import away, script, text

KEPT = 600
"""Seconds without another look after which what was seen is forgotten."""
_HELD = 3600
"""Seconds after which a mass change that is still held back is told again."""
_CONFIRMED = 3600
_PAGE = 200


class Sighting(Frozen):
    """Somebody's account, or what a request of theirs rests on, is gone. Unix seconds of the store's clock.

    ``by``: the policy by which a request was judged, empty for an account.
    """

    user: str
    first: float
    last: float
    by: str = ""


class Held(Frozen):
    """What somebody would lose. ``request``, the Slack ``user`` whose it is, their address, and why."""

    request: str
    user: str
    who: str
    what: str
    why: str


_HOLDS = TypeAdapter(tuple[Held, ...])


class Sightings:
    """The sightings of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._hold = script(store.redis, "hold")

    async def elected(self, holder: str, seconds: float) -> bool:
        """Whether this process is the one that looks, for so many seconds from now; 0 gives it up."""
        return await self._store.lease(self._keys.leavers, holder, seconds)

    # what was seen

    async def seen(self, now: float) -> dict[str, Sighting]:
        """The sightings by user or request id that are not too old, or from a clock that was turned back since."""
        found = await away(self._redis.hgetall(self._keys.seen_gone))
        read = {text(what): _sighting(value) for what, value in found.items()}
        return {what: one for what, one in read.items() if one and one.first <= one.last <= now < one.last + KEPT}

    async def keep(self, seen: Mapping[str, Sighting]) -> None:
        """These are all the sightings as of now."""
        key = self._keys.seen_gone
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            if seen:
                pipe.hset(key, mapping={what: one.model_dump_json() for what, one in seen.items()})
                pipe.expire(key, KEPT)
            await away(pipe.execute())

    # hints: somebody may be gone

    async def hint(self, user: str) -> None:
        """Look at this person soon; of those who have nothing open nothing is noted."""
        if await away(self._redis.exists(self._keys.mine(user))):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.sadd(self._keys.hinted, user)
                pipe.expire(self._keys.hinted, KEPT)
                await away(pipe.execute())

    async def hinted(self) -> frozenset[str]:
        """Who is to be looked at soon."""
        return frozenset(text(user) for user in await away(self._redis.smembers(self._keys.hinted)))

    async def heeded(self, users: Iterable[str]) -> None:
        """They were looked at."""
        if known := tuple(users):
            await away(self._redis.srem(self._keys.hinted, *known))

    # a mass change

    async def hold(self, holds: Iterable[Held], facts: Mapping[str, Any], row: str) -> None:
        """Tell, in the audit trail and by the message of ``row``, what is held back until somebody confirms it."""
        keys = [self._keys.audit, self._keys.seq, self._keys.outbox, self._keys.rows, self._keys.held]
        event = self._store.whence.on(json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
        body = _HOLDS.dump_json(tuple(holds)).decode()
        await away(self._hold(keys=keys, args=[event, row, body, _HELD, self._keys.wake]))

    async def held(self) -> tuple[Held, ...]:
        """What is held back, as it was told last."""
        try:
            return _HOLDS.validate_json(text(await away(self._redis.get(self._keys.held))) or "[]")
        except ValidationError:  # somebody else wrote it: told anew
            return ()

    async def let_go(self) -> None:
        """Nothing is held back any more."""
        await away(self._redis.delete(self._keys.held))

    async def confirm(self, users: Iterable[str], by: str) -> None:
        """A person takes it on themself that these have left; for an hour. Audited before it counts."""
        known = sorted(set(users))
        await self._store.note("leavers_confirmed", json.dumps({"by": by, "users": known}))
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self._keys.confirmed, *known)
            pipe.expire(self._keys.confirmed, _CONFIRMED)
            await away(pipe.execute())

    async def confirmed(self) -> frozenset[str]:
        """Whose leaving a person has confirmed."""
        return frozenset(text(user) for user in await away(self._redis.smembers(self._keys.confirmed)))


def _sighting(value: bytes | str) -> Sighting | None:
    try:
        return Sighting.model_validate_json(value)
    except ValidationError:  # somebody else wrote it: it was not seen
        return None
