"""Ends delegations whose time is up, and those of deactivated accounts, so that the audit log shows it.

No decision depends on it: a delegation counts for nothing as soon as its time is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bot.access import delegate
from bot.access.context import AccessContext
from bot.background import Loop
from bot.core.verdict import AccountStates
from bot.store.indexes.directory_changes import DirectoryChanges

INTERVAL = 10.0
"""Seconds between two runs; fewer where a delegation ends before."""
_SOONEST = 0.2


@dataclass
class DelegationEnds:
    """The loop of one worker; any number of them may run it. ``accounts``: the state of accounts in Slack now."""

    context: AccessContext
    accounts: Callable[[Sequence[str]], Awaitable[AccountStates]]
    interval: float = INTERVAL
    _changes: DirectoryChanges = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._changes = DirectoryChanges(self.context.store)

    async def run(self, stop: asyncio.Event) -> None:
        """End delegations until ``stop`` is set."""
        await Loop("ending delegations", self.run_once, self.interval).run(stop)

    async def run_once(self) -> float:
        """End what is over. Returns the seconds until the next run."""
        await delegate.end_expired(self.context)
        found, now = await self.context.store.delegations.read()
        people = [person for each in found.each for person in (each.person, each.stand_in)]
        # An event or the check of addresses marked them as possibly gone; only Slack's own answer ends a delegation.
        marked = (await self._changes.read()).gone.keys()
        if suspected := sorted({who.id for who in people if not marked.isdisjoint((who.id, who.identity))}):
            gone = (await self.accounts(suspected)).gone
            await delegate.end_of_deactivated(self.context, gone)
        soonest = min((each.until - now for each in found.each), default=self.interval)
        return max(_SOONEST, min(self.interval, soonest))
