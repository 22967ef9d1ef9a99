"""Our records of a system, and the drift that was reported of it. It calls no provider and judges nothing.

The reported drift of a system is one key, so that drift is reported once until it changes. Each entry has a MAC: write
access to Redis can have drift reported again, and can hide none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.errors import Tampered
from bot.core.request import Request
from bot.store.encoding import away, script, text
from bot.store.leader import Leader
from bot.store.store import Store

_WEEK = 7 * 86_400


@dataclass(frozen=True)
class DriftEvent:
    """The audit event of one case of drift. ``row``: the outbox row of its own message; empty for none."""

    request: str
    fields: Mapping[str, Any]
    row: str = ""


class DriftIndex:
    """The records and the reported drift of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._found = script(store.redis, "found")

    # records

    async def record(self, id_: str) -> Request | None:
        """The request of that id; None where there is no record with our MAC."""
        try:
            loaded = await self._store.load(id_)
        except Tampered:
            return None
        return loaded.request if loaded else None

    async def open_on(self, system: str) -> list[Request]:
        """The open requests on a system. A record without our MAC hides no other."""
        found = await away(self._redis.smembers(self._keys.of_system(system)))
        ids = sorted(text(id_) for id_ in found)
        try:
            return [loaded.request for loaded in await self._store.load_many(ids)]
        except Tampered:
            records = [await self.record(id_) for id_ in ids]
        return [request for request in records if request is not None]

    # one process at a time

    def system_lease(self, system: str, holder: str) -> Leader:
        """The lease on comparing a system; each step asks for as many seconds as it may take."""
        return Leader(self._store, self._keys.reconciling(system), 0.0, holder)

    def interval_claim(self, system: str, number: int, holder: str, seconds: float) -> Leader:
        """The claim on the comparison of this interval: the first process that asks has it; idempotent."""
        return Leader(self._store, self._keys.reconciled(system, number), seconds, holder)

    # reported drift

    async def reported(self, system: str) -> dict[str, str]:
        """The kind of each reported drift, by what it is."""
        found = await away(self._redis.hgetall(self._keys.found(system)))
        sealed = {text(what): text(how) for what, how in found.items()}
        kinds = {what: self._store.authorship.unwrapped(f"found {system} {what}", how) for what, how in sealed.items()}
        for what, how in sealed.items():
            if not kinds[what]:
                self._store.forged_values.wrong_mac(self._keys.found(system), how.rpartition("|")[2])
        return {what: how for what, how in kinds.items() if how}

    async def report(
        self,
        system: str,
        events: Sequence[DriftEvent],
        reported: Mapping[str, str],
        *,
        summary: Mapping[str, Any] | None = None,
        row: str = "",
    ) -> None:
        """Audit new drift, its summary and message, and store all that is ``reported`` by now, in one script."""
        keys, at, event_args = (
            [*self._store.event_keys, self._keys.found(system)],
            await self._store.now(),
            self._store.event_args,
        )
        encoded = [
            event_args("found", _json(event.fields), at, id_=event.request, rows=[event.row] if event.row else [])
            for event in events
        ]
        if summary is not None:
            encoded.append(event_args("reconciled", _json(summary), at, rows=[row] if row else []))
        words: list[str] = [str(_WEEK), self._keys.wake, str(len(encoded))]
        for each in encoded:
            words += each
        words.append(str(len(reported)))
        for what, how in reported.items():
            words += [what, self._store.authorship.wrapped(f"found {system} {what}", how)]
        await away(self._found(keys=keys, args=words))


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
