"""Which revision each person's factors have at least: what tells a record that was put back from the newest one.

A person's revision only grows. So whatever this process learned, from a register with our MAC or from the audit log,
stays known, and a register that was deleted, forged or put back is written again from what is known, with an alarm.
Every process reads it each second, and learns thereby of each enrolment and reset, whoever's it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from redis.asyncio import Redis

from bot.core.errors import StoreAway
from bot.core.factors import FactorRegister
from bot.store.encoding import away, script, text
from bot.store.keyring import KeyRing
from bot.store.keys import Keys

log = logging.getLogger(__name__)

_SEAL: Final = "factor register"
TAIL: Final = 96
"""Bytes at the end that hold the whole MAC: while they are the same, so is the rest, or it is not ours."""
_UNREAD: Final = b"\0"
"""What no register looks like: it is read, and judged, at the next look."""
_AGAIN: Final = 3600
_ROW: Final = "record|record:#"


class FactorRegisters:
    """The register of one workspace, and what this process knows of it. ``note`` is the store's."""

    def __init__(self, redis: Redis, keys: Keys, ring: KeyRing, note: Callable[..., Awaitable[bool]]) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys, self._ring, self._note = redis, keys, ring, note
        self._write = script(redis, "sealed_value")
        self._people: dict[str, int] = {}
        self._revision = 0
        self._raw: bytes = b""
        self.readable = True
        """Whether it is under a key that this process has: else it is changed elsewhere."""

    # what is known

    @property
    def raw(self) -> bytes:
        """As it was read or written last, for the script that compares it."""
        return self._raw

    @property
    def people(self) -> Mapping[str, int]:
        """The least revision of each person's record that can be believed."""
        return self._people

    def at_least(self, revision: int, people: Mapping[str, int]) -> None:
        """There were these revisions, by the audit log: what Redis has is compared with them at the next look."""
        if revision > self._revision:
            self._raw = _UNREAD
        self._learn(revision, people)

    def _learn(self, revision: int, people: Mapping[str, int]) -> None:
        self._revision = max(self._revision, revision)
        for identity, least in people.items():
            self._people[identity] = max(self._people.get(identity, 0), least)

    # reading

    async def refresh(self, tail: bytes | None = None, *, whole: bool = False) -> None:
        """Read it, where it changed; one that is not believed is written again from what is known, with an alarm.

        ``tail``: how it ends, where that was just read. ``whole``: read it also where it ends as it did, which somebody
        may have put behind something else.
        """
        if not whole and (await self._read_tail() if tail is None else tail) == self._raw[-TAIL:]:
            return
        while True:
            before = self._revision
            raw: Any = await away(self._redis.get(self._keys.factor_register))
            # What was sent for before a newer one was known may be older than that, and is nobody's doing.
            if before == self._revision:
                break
        if doubt := self._take(raw or b""):
            try:
                await self._repair(doubt)
            except StoreAway:
                self._raw = _UNREAD
                raise

    async def _read_tail(self) -> bytes:
        found: Any = await away(self._redis.getrange(self._keys.factor_register, -TAIL, -1))
        return found or b""

    def _take(self, raw: bytes) -> str:
        """Learn what a value says; why it is not the newest, or not ours."""
        self._raw, self.readable = raw, True
        if not raw:
            return "it is gone" if self._revision else ""
        body, _, tag = text(raw).rpartition("|")
        if self._ring.may_lack_key_of(tag):
            self.readable = False
            return "the key that sealed it is not among JIT_KEYS here"
        if not self._ring.verify(_SEAL, self._bound(body), tag):
            return "it does not have our MAC"
        try:
            found = FactorRegister.model_validate_json(body)
        except ValidationError:
            self.readable = False
            return "another version of this product wrote it"
        older = found.revision < self._revision
        self._learn(found.revision, found.people)
        return "it is an older one, put back" if older else ""

    async def _repair(self, doubt: str) -> None:
        # Written over, one that cannot be read here would be a doubt to those who can.
        done = "it is written again from what is known" if self.readable else "no factor is enrolled or reset here"
        said = f"the register of people's factors cannot be believed ({doubt}): {done}"
        log.critical("%s", said)
        facts = json.dumps({"alarm": "factors", "said": said}, ensure_ascii=False)
        # Before it is repaired: where the alarm fails, both are done at the next look.
        await self._note("alarm", facts, window=_AGAIN, once=f"{self._keys.factor_register} {doubt}", row=_ROW)
        if self.readable:
            # Whoever else repairs it at this moment knows as much, or is corrected at the next look.
            await self._replace()

    # writing

    def next(self, people: Mapping[str, int]) -> tuple[FactorRegister, str]:
        """The next register, with these newer revisions, and as it is stored."""
        register = FactorRegister(revision=self._revision + 1, people={**self._people, **people})
        body = register.model_dump_json(exclude_defaults=True)
        return register, f"{body}|{self._ring.mac(_SEAL, self._bound(body))}"

    def written(self, register: FactorRegister, value: str) -> None:
        """It is in its place."""
        self._learn(register.revision, register.people)
        self._raw, self.readable = value.encode(), True

    async def re_sign(self) -> None:
        """Under the key that is current now, before the old one is thrown away."""
        await self.refresh()
        tag = text(self._raw).rpartition("|")[2]
        if self._raw and self.readable and not self._ring.is_current(tag):
            await self._replace()

    async def _replace(self) -> None:
        register, value = self.next({})
        k = self._keys
        keys = [k.audit, k.seq, k.outbox, k.rows, k.factor_register]
        if text(await away(self._write(keys=keys, args=[self._raw, value, k.wake]))) == "WRITTEN":
            self.written(register, value)

    def _bound(self, body: str) -> bytes:
        return f"{self._keys.factor_register}\0{body}".encode()
