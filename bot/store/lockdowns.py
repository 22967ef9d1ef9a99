"""Which lockdowns stand, sealed, in one value that the commit script compares; it never takes a doubt for "none".

A commit that begins anything is guarded by the value that this process has opened and judged: once a lockdown is
written, none that was judged before it goes through, on whatever replica. The value bears the key ring's seal and a
revision. One that is missing although there was one, that is older than one seen before, or that we did not seal is a
doubt, and a doubt is a lockdown of everything, told in the audit channel and lifted as any other.

Whoever can write to Redis can therefore stop everything, and can lift nothing: with one hole. An older value that was
ours is known for older by whoever saw the newer one: by each process that runs, and by a worker that starts, from the
archive. While nobody who saw it runs, and where the archive has lost it too, it passes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from bot.core.errors import LockedDown, StoreAway
from bot.core.lockdown import Lock, Operator, Standing
from bot.keyring import KeyRing
from bot.store.changes import Guard
from bot.store.keys import Keys
from bot.store.wire import away, script, seconds, text

log = logging.getLogger(__name__)

SEAL = "lockdown"
"""What the key ring's subkey for lockdowns is called."""
ID = "lockdown"
"""Under what its audit events are found."""
AUDIT = "audit"
"""In a row, the audit channel, whichever that is when it is told."""
AUDIENCE = "lockdown:#"
DECLARED, VOTED, LIFTED, DOUBTED = "locked_down", "lift_voted", "lifted", "lockdown_doubted"
_TRIES = 20
_US = Operator(by="worker", name="JIT Access")


_AGAIN = 3600
"""Seconds after which a doubt that could not be written down is told again."""


class Doubtful(Exception):
    """What stands there cannot be believed; the text says why."""


class Unreadable(Doubtful):
    """Another key sealed it: this process is one that was not given it, or a forger made one up."""


class Lockdowns:
    """The lockdowns of one workspace. Its verbs raise `StoreAway`."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        ring: KeyRing,
        workspace: str,
        note: Callable[..., Awaitable[bool]],
        whence: Callable[[str], str] = str,
    ) -> None:
        """Register the script; nothing is sent. ``note`` is `Store.note`, ``whence`` `Whence.on`."""
        self._whence = whence
        self._redis, self._keys, self._ring, self._workspace = redis, keys, ring, workspace
        self._note, self._write = note, script(redis, "lockdown")
        self._floor = 0
        self._known: Standing | None = None
        self._value = ""
        self._readable = True

    # reading

    async def read(self) -> Standing:
        """All that stand now; one of everything where that cannot be told."""
        for _ in range(_TRIES):
            value = text(await away(self._redis.get(self._keys.lockdown)))
            try:
                standing = self._opened(value)
            except Doubtful as doubt:
                if locked := await self._doubted(value, doubt):
                    return locked
                continue
            self._remember(value, standing)
            return standing
        raise StoreAway("which lockdowns stand changes faster than it can be read")

    async def guard(self, systems: Sequence[str]) -> Guard:
        """Holds while none stands over these systems. Raises `LockedDown` where one does."""
        if self._known is None or self._known.over(systems):
            await self.read()
        if self._known and (locks := self._known.over(systems)):
            raise LockedDown(locks[0])
        return Guard("EQUALS", self._keys.lockdown, self._value)

    async def require(self, systems: Iterable[str]) -> None:
        """Raises `LockedDown` while one stands over these systems."""
        if locks := (await self.read()).over(systems):
            raise LockedDown(locks[0])

    @property
    def readable(self) -> bool:
        """Whether what was read last is under a key that this process has: else it is changed elsewhere."""
        return self._readable

    def at_least(self, revision: int) -> None:
        """There was this revision, by another record: an older one is a doubt from here on."""
        self._floor = max(self._floor, revision)
        if self._known and self._known.revision < self._floor:
            self._known = None  # whatever was judged by it is judged again

    # writing

    async def write(
        self, before: Standing, after: Standing, kind: str, facts: Mapping[str, Any], to: Iterable[str]
    ) -> bool:
        """Change them, with the audit event and a message to each channel of ``to``; False when they moved on."""
        if before != self._known:
            return False
        return await self._written(self._value, after, kind, facts, to)

    async def seal_anew(self) -> None:
        """Under the key that is current now, before the old one is thrown away."""
        standing = await self.read()
        current = f"|{self._ring.ids[0]}:"
        if standing.revision and standing == self._known and self._value and current not in self._value:
            await self._written(self._value, standing, "", {}, ())

    async def _written(
        self, expected: str, after: Standing, kind: str, facts: Mapping[str, Any], to: Iterable[str]
    ) -> bool:
        k, value = self._keys, self._sealed(after)
        rows = [f"{channel}|{AUDIENCE}" for channel in dict.fromkeys((AUDIT, *to))] if kind else []
        event = self._whence(json.dumps({**facts, "revision": after.revision}, ensure_ascii=False))
        keys, words = [k.lockdown, k.audit, k.seq, k.outbox, k.rows], [expected, value, kind, event, k.wake, *rows]
        if text(await away(self._write(keys=keys, args=words))) != "WRITTEN":
            return False
        self._remember(value, after)
        return True

    # what cannot be believed

    async def _doubted(self, value: str, doubt: Doubtful) -> Standing | None:
        """Everything is locked down, and told; None when it was changed meanwhile, and is to be read again."""
        log.critical("the record of the lockdowns cannot be believed (%s): nothing is opened", doubt)
        now = seconds(await away(self._redis.time()))
        reason = f"the record of the lockdowns cannot be believed: {doubt}"
        before = self._known or Standing()
        before = before.model_copy(update={"revision": max(self._floor, before.revision)})
        after = before.locked(Lock(system="", operator=_US, reason=reason, at=now))
        facts = {"by": _US.by, "name": _US.name, "system": "", "reason": reason}
        if not isinstance(doubt, Unreadable):
            return after if await self._written(value, after, DOUBTED, facts, ()) else None
        # Written over, it would be a doubt to those who have the key, in a workspace that has no trouble.
        said, row = json.dumps(facts, ensure_ascii=False), f"{AUDIT}|{AUDIENCE}"
        await self._note(DOUBTED, said, id_=ID, window=_AGAIN, once=f"{DOUBTED} {reason}", row=row)
        self._value, self._known, self._readable = value, after, False
        return after

    def _remember(self, value: str, standing: Standing) -> None:
        self._value, self._known, self._readable = value, standing, True
        self._floor = max(self._floor, standing.revision)

    def _sealed(self, standing: Standing) -> str:
        body = json.dumps(standing.model_dump(mode="json", exclude_defaults=True))
        return f"{body}|{self._ring.mac(SEAL, self._bound(body))}"

    def _opened(self, value: str) -> Standing:
        if not value:
            if self._floor:
                raise Doubtful("it is gone")
            return Standing()
        body, _, tag = value.rpartition("|")
        if (key := tag.partition(":")[0]) not in self._ring.ids:
            raise Unreadable(f"the key {key[:16]!r} that sealed it is not among JIT_KEYS here")
        if not self._ring.verify(SEAL, self._bound(body), tag):
            raise Doubtful("it does not bear our seal")
        try:
            standing = Standing.model_validate_json(body)
        except ValidationError:
            raise Doubtful("another version of this product wrote it") from None
        if standing.revision < self._floor:
            raise Doubtful("it is an older one, put back")
        known = self._known
        if known and known.revision == standing.revision and known != standing:
            raise Doubtful("there are two of one revision")
        return standing

    def _bound(self, body: str) -> bytes:
        return f"{self._workspace}\0{body}".encode()
