"""What the books say of a system, and what was found there and told; it calls no provider and judges nothing.

The told findings of a system are one key, so that a finding is told once until it changes. That key bears no seal:
who can write to Redis can have a finding told again, or not told; the audit trail's gap-free numbers and the logs of
the worker stand against that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.errors import Tampered
from bot.core.model import Request
from bot.store.store import Store
from bot.store.wire import away, script, text

_WEEK = 7 * 86_400


@dataclass(frozen=True)
class Note:
    """One finding on its way to the audit trail. ``row``: of the message that tells it by itself; '' for none."""

    request: str
    facts: Mapping[str, Any]
    row: str = ""


class Found:
    """The books and the findings of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._found = script(store.redis, "found")

    # the books

    async def record(self, id_: str) -> Request | None:
        """The request of that id; None where no record of ours tells of it."""
        try:
            loaded = await self._store.load(id_)
        except Tampered:
            return None
        return loaded.request if loaded else None

    async def open_on(self, system: str) -> list[Request]:
        """The open requests on a system. One that bears no seal of ours keeps no other from being seen."""
        found = await away(self._redis.smembers(self._keys.of_system(system)))
        ids = sorted(text(id_) for id_ in found)
        try:
            return [loaded.request for loaded in await self._store.load_many(ids)]
        except Tampered:
            records = [await self.record(id_) for id_ in ids]
        return [request for request in records if request is not None]

    # one at a time

    async def mine(self, system: str, holder: str, seconds: float) -> bool:
        """Take or renew the right to compare the system with the books; 0 seconds gives it up."""
        return await self._store.lease(self._keys.reconciling(system), holder, seconds)

    async def turn(self, system: str, number: int, holder: str, seconds: float) -> bool:
        """Whether the turn of this number is this holder's: of all who come, it is the first one's."""
        return await self._store.lease(self._keys.reconciled(system, number), holder, seconds)

    # findings

    async def told(self, system: str) -> dict[str, str]:
        """How each finding was when it was told."""
        found = await away(self._redis.hgetall(self._keys.found(system)))
        return {text(what): text(how) for what, how in found.items()}

    async def tell(
        self,
        system: str,
        notes: Sequence[Note],
        told: Mapping[str, str],
        *,
        summary: Mapping[str, Any] | None = None,
        row: str = "",
    ) -> None:
        """Write the findings that are new, what sums them up, its message, and all that is told by now: at once."""
        keys = [self._keys.audit, self._keys.seq, self._keys.outbox, self._keys.rows, self._keys.found(system)]
        on = self._store.whence.on
        words: list[str] = [str(_WEEK), self._keys.wake, "" if summary is None else on(_json(summary)), row]
        words.append(str(len(notes)))
        for note in notes:
            words += [note.request, on(_json(note.facts)), note.row]
        words.append(str(len(told)))
        for what, how in told.items():
            words += [what, how]
        await away(self._found(keys=keys, args=words))


def _json(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
