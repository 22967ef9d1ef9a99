"""Sightings of deactivated users, and when each was first: any process goes on from them. It revokes nobody.

None of it has a MAC, since nothing here grants anything: write access to Redis can have access revoked sooner, or a
mass change confirmed, and the audit log shows both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.core.frozen import Frozen
from bot.store.encoding import away, script, text
from bot.store.store import Store

KEPT = 600
"""Seconds without another poll after which a sighting expires."""
_HELD = 3600
"""Seconds after which a mass change that is still held back is reported again."""
_CONFIRMED = 3600
_PAGE = 200
_IN_DIRECTORY = "directory "


class Sighting(Frozen):
    """Somebody's account, or what a request of theirs rests on, is gone. Unix seconds of the store's clock.

    ``by``: the policy by which a request was judged, or `directory_sighting` of one where the account is gone there;
    empty for an account of Slack.
    """

    user: str
    first: float
    last: float
    by: str = ""

    @property
    def in_directory(self) -> bool:
        """Whether it is about an account in a directory."""
        return self.by.startswith(_IN_DIRECTORY)

    @property
    def in_groups(self) -> bool:
        """Whether it is about the groups that a request rests on."""
        return bool(self.by) and not self.in_directory


def directory_sighting(name: str) -> str:
    """What a sighting is ``by`` that is about an account in this directory."""
    return f"{_IN_DIRECTORY}{name}"


class HeldAccess(Frozen):
    """What somebody would lose. ``request``, the Slack ``user`` whose it is, their address, and why."""

    request: str
    user: str
    who: str
    what: str
    why: str


_HOLDS = TypeAdapter(tuple[HeldAccess, ...])


class Sightings:
    """The sightings of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._hold = script(store.redis, "hold")

    # what was seen

    async def seen(self, now: float) -> dict[str, Sighting]:
        """The sightings by user or request id that are not too old, or from a clock that was turned back since."""
        found = await away(self._redis.hgetall(self._keys.seen_gone))
        read = {text(what): _sighting(value) for what, value in found.items()}
        return {what: one for what, one in read.items() if one and one.first <= one.last <= now < one.last + KEPT}

    async def save(self, seen: Mapping[str, Sighting]) -> None:
        """Replace the stored sightings by these."""
        key = self._keys.seen_gone
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            if seen:
                pipe.hset(key, mapping={what: one.model_dump_json() for what, one in seen.items()})
                pipe.expire(key, KEPT)
            await away(pipe.execute())

    # hints: somebody may be gone

    async def hint(self, user: str) -> None:
        """Have this user polled soon; ignored for somebody without an open request."""
        if await away(self._redis.exists(self._keys.mine(user))):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.sadd(self._keys.hinted, user)
                pipe.expire(self._keys.hinted, KEPT)
                await away(pipe.execute())

    async def hinted(self) -> frozenset[str]:
        """The users to be polled soon."""
        return frozenset(text(user) for user in await away(self._redis.smembers(self._keys.hinted)))

    async def clear_hints(self, users: Iterable[str]) -> None:
        """Remove hints, of users who were polled."""
        if known := tuple(users):
            await away(self._redis.srem(self._keys.hinted, *known))

    # a mass change

    async def hold_back(self, holds: Iterable[HeldAccess], fields: Mapping[str, Any], row: str) -> None:
        """Audit and report by ``row`` a mass change that is held back until somebody confirms it."""
        event = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        arguments = self._store.event_args("alarm", event, await self._store.now(), rows=[row])
        body = self._store.authorship.wrapped("held", _HOLDS.dump_json(tuple(holds)).decode())
        keys = [*self._store.event_keys, self._keys.held]
        await away(self._hold(keys=keys, args=[body, str(_HELD), self._keys.wake, *arguments]))

    async def held(self) -> tuple[HeldAccess, ...]:
        """What is held back, as it was reported last."""
        try:
            value = text(await away(self._redis.get(self._keys.held)))
            body = self._store.authorship.unwrapped("held", value)
            if value and not body:
                self._store.forged_values.wrong_mac(self._keys.held, value.rpartition("|")[2])
            return _HOLDS.validate_json(body or "[]")
        except ValidationError:  # somebody else wrote it: told anew
            return ()

    async def release_held(self) -> None:
        """Delete what is held back: it needs no confirmation any more."""
        await away(self._redis.delete(self._keys.held))

    async def confirm(self, users: Iterable[str], by: str) -> None:
        """A person confirms, for an hour, that these have left. Audited before it counts."""
        known = sorted(set(users))
        await self._store.audit_event("offboarding_confirmed", json.dumps({"by": by, "users": known}))
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
