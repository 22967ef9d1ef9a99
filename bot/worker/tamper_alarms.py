"""Raises an alarm in the audit channel for foreign values that were found in the store; it repairs nothing.

A foreign value, one that the bot did not write, is never quoted: the alarm names only the kind of key.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from bot.background import Loop
from bot.store.audit_stream import AuditStream
from bot.store.quarantine import Client
from bot.store.store import Store

INTERVAL: Final = 1.0
"""Seconds between two reports."""
_SENTENCES: Final = {
    "foreign_kind": "somebody wrote to Redis past the bot: `{name}` had the wrong type. "
    "It was moved to the same key with `:aside` appended, for a day, and the bot goes on.",
    "foreign_lease": "somebody wrote to Redis past the bot: the lease `{name}` was not signed by the bot. "
    "The bot took it over and goes on.",
    "foreign_due": "somebody wrote to Redis past the bot: `{name}` had entries that are not requests, "
    "or due times were missing or postponed. They were corrected, and the bot goes on.",
    "foreign_value": "somebody wrote to Redis past the bot: a value of `{name}` was not signed by the bot for "
    "that key. The bot ignores it and goes on.",
    "put_back": "a value of `{name}` went back to an earlier one: somebody with access to Redis put it there, or "
    "Redis lost its last writes. The bot ignores it and goes on.",
}


@dataclass
class TamperAlarms:
    """The foreign values that one process found."""

    store: Store
    interval: float = INTERVAL

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._stream = AuditStream(self.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Raise alarms until ``stop`` is set; an alarm that fails is raised later."""
        await Loop("raising tamper alarms", self.report, self.interval).run(stop)

    async def report(self) -> None:
        """Record an alarm for each kind of key that was found since the last report, once an hour.

        Raises what the store does.
        """
        store = self.store
        # This is also how each process learns which factors other processes enrolled or reset.
        await store.factors.register.refresh()
        # Values of a wrong type, forged leases, entries of the due set, wrong MACs, restored old values.
        quarantined = store.redis.found if isinstance(store.redis, Client) else set()
        names_by_kind = {
            "foreign_kind": quarantined,
            "foreign_lease": store.leases.forged,
            "foreign_due": store.foreign_keys,
            "foreign_value": store.forged_values.forged,
            "put_back": store.forged_values.put_back,
        }
        for kind, names in names_by_kind.items():
            for name in sorted(names):
                await self._stream.alarm(kind, _SENTENCES[kind].format(name=name))
                names.discard(name)
