"""The lockdowns in force, with a MAC, in one value that the commit script compares. It fails closed.

Every commit that begins or lengthens access is guarded by the value that this process has read and judged: once a
lockdown is written, no commit that was judged before it succeeds, on any replica. The value has a revision. A value
that is missing, older than its high-water mark or without our MAC is a doubt, and a doubt locks everything down, is
posted in the audit channel, and is lifted like any lockdown.

So write access to Redis can stop everything and lift nothing, with one exception: an older value with a valid MAC is
detected by the processes that saw a newer one, and by a worker that starts from the archive. While none of them runs,
and where the archive has lost the newer one too, it passes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from bot.core.errors import LockedDown, StoreAway
from bot.core.lockdown import Lock, Lockdowns, Operator
from bot.store.encoding import away, script, seconds, text
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.types import CommitGuard

log = logging.getLogger(__name__)

SEAL = "lockdown"
"""What the key ring's subkey for lockdowns is called."""
ID = "lockdown"
"""The request id of its audit events."""
AUDIT = "audit"
"""In a row, the audit channel, whichever that is when it is told."""
AUDIENCE = "lockdown:#"
DECLARED, VOTED, LIFTED, UNCERTAIN = "locked_down", "lift_voted", "lifted", "lockdown_doubted"
_TRIES = 20
_US = Operator(by="worker", name="JIT Access")


_AGAIN = 3600
"""Seconds after which a doubt that could not be recorded is alarmed again."""


class Doubtful(Exception):
    """The value cannot be believed; the text says why."""


class Unreadable(Doubtful):
    """Its MAC is of a key that this process does not have: a rotation that it missed, or a forgery."""


class LockdownStore:
    """The lockdowns of one workspace. Its verbs raise `StoreAway`."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        ring: KeyRing,
        workspace: str,
        note: Callable[..., Awaitable[bool]],
        event_args: Callable[..., tuple[str, ...]],
    ) -> None:
        """Register the script; nothing is sent. ``note`` is `Store.audit_event`, ``event_args`` the store's."""
        self._event_arguments = event_args
        self._redis, self._keys, self._ring, self._workspace = redis, keys, ring, workspace
        self._note, self._write = note, script(redis, "sealed_value")
        self._floor = 0
        self._known: Lockdowns | None = None
        self._value = ""
        self._readable = True

    # reading

    async def read(self) -> Lockdowns:
        """The lockdowns in force; one of everything where that cannot be read."""
        for _ in range(_TRIES):
            found: Any = await away(self._redis.get(self._keys.lockdown))
            value = text(found)
            try:
                standing = self._opened(value)
            except Doubtful as doubt:
                # Compared as bytes: a forged value may be invalid UTF-8.
                if locked := await self._doubted(value, found or b"", doubt):
                    return locked
                continue
            self._remember(value, standing)
            return standing
        raise StoreAway("the lockdowns change faster than they can be read")

    async def guard(self, systems: Sequence[str]) -> CommitGuard:
        """Holds while none of these systems is locked down. Raises `LockedDown` where one is."""
        if self._known is None or self._known.over(systems):
            await self.read()
        if self._known and (locks := self._known.over(systems)):
            raise LockedDown(locks[0])
        return CommitGuard("EQUALS", self._keys.lockdown, self._value)

    async def require(self, systems: Iterable[str]) -> None:
        """Raises `LockedDown` while one of these systems is locked down."""
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
        self, before: Lockdowns, after: Lockdowns, kind: str, fields: Mapping[str, Any], to: Iterable[str]
    ) -> bool:
        """Change them, with the audit event and a message to each channel of ``to``; False when they moved on."""
        if before != self._known:
            return False
        return await self._written(self._value, after, kind, fields, to)

    async def re_sign(self) -> None:
        """Under the key that is current now, before the old one is thrown away."""
        standing = await self.read()
        current = f"|{self._ring.ids[0]}:"
        if standing.revision and standing == self._known and self._value and current not in self._value:
            await self._written(self._value, standing, "", {}, ())

    async def _written(
        self, expected: str | bytes, after: Lockdowns, kind: str, fields: Mapping[str, Any], to: Iterable[str]
    ) -> bool:
        k, value = self._keys, self._sealed(after)
        rows = [f"{channel}|{AUDIENCE}" for channel in dict.fromkeys((AUDIT, *to))] if kind else []
        arguments: tuple[str, ...] = ()
        if kind:
            event = json.dumps({**fields, "revision": after.revision}, ensure_ascii=False)
            at = seconds(await away(self._redis.time()))
            arguments = self._event_arguments(kind, event, at, id_=ID, rows=rows)
        keys = [k.audit, k.seq, k.outbox, k.rows, k.lockdown]
        if text(await away(self._write(keys=keys, args=[expected, value, k.wake, *arguments]))) != "WRITTEN":
            return False
        self._remember(value, after)
        return True

    # what cannot be believed

    async def _doubted(self, value: str, found: bytes, doubt: Doubtful) -> Lockdowns | None:
        """Everything is locked down, and told; None when it was changed meanwhile, and is to be read again."""
        log.critical("the record of the lockdowns failed its integrity check (%s): nothing is granted", doubt)
        now = seconds(await away(self._redis.time()))
        reason = f"the record of the lockdowns cannot be believed: {doubt}"
        before = self._known or Lockdowns()
        before = before.model_copy(update={"revision": max(self._floor, before.revision)})
        after = before.locked(Lock(system="", operator=_US, reason=reason, at=now))
        fields = {"by": _US.by, "name": _US.name, "system": "", "reason": reason}
        if not isinstance(doubt, Unreadable):
            return after if await self._written(found, after, UNCERTAIN, fields, ()) else None
        # Written over, it would be a doubt to those who have the key, in a workspace that has no trouble.
        event, row = json.dumps(fields, ensure_ascii=False), f"{AUDIT}|{AUDIENCE}"
        await self._note(UNCERTAIN, event, id_=ID, window=_AGAIN, once=f"{UNCERTAIN} {reason}", row=row)
        self._value, self._known, self._readable = value, after, False
        return after

    def _remember(self, value: str, standing: Lockdowns) -> None:
        self._value, self._known, self._readable = value, standing, True
        self._floor = max(self._floor, standing.revision)

    def _sealed(self, standing: Lockdowns) -> str:
        body = json.dumps(standing.model_dump(mode="json", exclude_defaults=True))
        return f"{body}|{self._ring.mac(SEAL, self._bound(body))}"

    def _opened(self, value: str) -> Lockdowns:
        if not value:
            if self._floor:
                raise Doubtful("it is gone")
            return Lockdowns()
        body, _, tag = value.rpartition("|")
        if (key := tag.partition(":")[0]) not in self._ring.ids:
            # The key's name may be anybody's words: they are for the log, and for nobody's screen.
            log.error("the lockdowns are sealed by the key %r, which is not among JIT_KEYS here", key[:16])
            raise Unreadable("the key that sealed it is not among JIT_KEYS here")
        if not self._ring.verify(SEAL, self._bound(body), tag):
            raise Doubtful("it does not bear our seal")
        try:
            standing = Lockdowns.model_validate_json(body)
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
