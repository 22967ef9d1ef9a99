"""One value of a workspace under a MAC and with a number, which a commit can compare; it fails closed.

A value that is gone, older than one that this process has seen, or without our MAC counts as none, and raises an alarm.
So write access to Redis can take such a value away, and make none. An older one with a valid MAC is recognised by every
process that knows a newer number (`at_least`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError
from redis.asyncio import Redis

from bot.core.errors import StoreAway
from bot.store.encoding import away, script, seconds, text
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.types import CommitGuard

log = logging.getLogger(__name__)

_AGAIN = 3600
"""Seconds within which processes that find the same value raise one alarm."""
_ROW = "record|record:#"


class Numbered(Protocol):
    """A pydantic value that counts its changes."""

    @property
    def revision(self) -> int:
        """How many there were."""
        ...

    def model_dump_json(self, *, exclude_defaults: bool = False) -> str:
        """As JSON."""
        ...

    @classmethod
    def model_validate_json(cls, json_data: str) -> Any:
        """From JSON."""
        ...


M = TypeVar("M", bound=Numbered)


@dataclass(frozen=True)
class Wording:
    """What an alarm calls the value, and what its loss means: ``the delegations``, ``nobody stands in``."""

    name: str
    loss: str


class SealedValue(Generic[M]):
    """One value. ``note`` and ``event_args`` are the store's. Its verbs raise `StoreAway`."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        key: str,
        empty: M,
        wording: Wording,
        ring: KeyRing,
        note: Callable[..., Awaitable[bool]],
        event_args: Callable[..., tuple[str, ...]],
    ) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys, self._key, self._ring = redis, keys, key, ring
        self._empty, self._wording, self._note, self._event_arguments = empty, wording, note, event_args
        self._write = script(redis, "sealed_value")
        self._raw: bytes = b""
        self._known: M = empty
        self._floor = 0
        self.doubted = ""
        """Why what was read last is not believed; '' where it is."""

    async def read(self) -> tuple[M, float]:
        """The value, and Redis' time; the empty one where there is none that can be believed."""
        while True:
            floor = self._floor
            raw, now = await self._fetched()
            # What was sent for before a newer value was known may be older than that, and is nobody's doing.
            if self._floor == floor:
                break
        if raw != self._raw or (not self.doubted and self._known.revision < self._floor):
            await self._take(raw)
        return self._known, now

    async def _fetched(self) -> tuple[bytes, float]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.get(self._key)
            time, found = await away(pipe.execute(raise_on_error=False))
        if isinstance(time, Exception):
            raise StoreAway(type(time).__name__) from time
        return (b"" if isinstance(found, Exception) or found is None else found), seconds(time)

    async def _take(self, raw: bytes) -> None:
        value, self.doubted = self._opened(text(raw))
        self._raw, self._known = raw, value
        self._floor = max(self._floor, value.revision)
        if self.doubted:
            sentence = f"the record of {self._wording.name} cannot be believed ({self.doubted}): {self._wording.loss}"
            log.critical("%s", sentence)
            fields = json.dumps({"alarm": "sealed_value", "said": sentence}, ensure_ascii=False)
            await self._note("alarm", fields, window=_AGAIN, once=f"{self._key} {self.doubted}", row=_ROW)

    @property
    def known(self) -> M:
        """What this process read or wrote last."""
        return self._known

    def guards(self) -> tuple[CommitGuard, ...]:
        """Hold while the value is what this process read last, and judged by; none for one that says nothing."""
        return () if self.doubted else (CommitGuard("EQUALS", self._key, text(self._raw)),)

    def guarded_by(self, guard: CommitGuard) -> bool:
        """Whether it is a guard of this value."""
        return guard.key == self._key

    @property
    def next_revision(self) -> int:
        """The number of the next value: above all that were seen."""
        return max(self._floor, self._known.revision) + 1

    def at_least(self, revision: int) -> None:
        """There was this revision, by another record: an older value is not believed from here on."""
        self._floor = max(self._floor, revision)

    async def write(
        self, after: M, kind: str, fields: Mapping[str, Any], *, id_: str = "", rows: Sequence[str] = ()
    ) -> bool:
        """Put it in place of what was read last, with the audit event; without a ``kind`` there is none.

        False where the key holds something else by now: read and judge again. ``rows``: its notifications.
        """
        k, value, arguments = self._keys, self._sealed(after), tuple[str, ...]()
        if kind:
            event = json.dumps({**fields, "revision": after.revision}, ensure_ascii=False)
            at = seconds(await away(self._redis.time()))
            arguments = self._event_arguments(kind, event, at, id_=id_, rows=rows)
        keys = [k.audit, k.seq, k.outbox, k.rows, self._key]
        if text(await away(self._write(keys=keys, args=[self._raw, value, k.wake, *arguments]))) != "WRITTEN":
            return False
        self._raw, self._known, self.doubted = value.encode(), after, ""
        self._floor = max(self._floor, after.revision)
        return True

    async def re_sign(self) -> None:
        """Under the key that is current now, before the old one is thrown away."""
        known, _ = await self.read()
        if self._raw and not self.doubted and f"|{self._ring.ids[0]}:".encode() not in self._raw:
            await self.write(known, "", {})

    def _sealed(self, value: M) -> str:
        body = value.model_dump_json(exclude_defaults=True)
        return f"{body}|{self._ring.mac('sealed_value', self._bound(body))}"

    def _opened(self, value: str) -> tuple[M, str]:
        """What a value says, and why it is not believed."""
        if not value:
            return self._empty, "it is gone" if self._floor else ""
        body, _, tag = value.rpartition("|")
        if tag.partition(":")[0] not in self._ring.ids:
            return self._empty, "the key that sealed it is not among JIT_KEYS here"
        if not self._ring.verify("sealed_value", self._bound(body), tag):
            return self._empty, "it does not have our MAC"
        try:
            found: M = type(self._empty).model_validate_json(body)
        except ValidationError:
            return self._empty, "another version of this product wrote it"
        if found.revision < self._floor:
            return self._empty, "it is an older one, put back"
        return found, ""

    def _bound(self, body: str) -> bytes:
        return f"{self._key}\0{body}".encode()
