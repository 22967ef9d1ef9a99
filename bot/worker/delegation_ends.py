"""Ends delegations whose time is up, and those of deactivated accounts, and notes it in the audit log.

Nothing waits for it: a delegation that is over counts for nothing at the moment when it is over.
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

PACE = 10.0
"""Seconds between two looks; sooner where one ends before."""
_SOONEST = 0.2


@dataclass
class DelegationEnds:
    """The loop of one worker; any number of them may run it. ``accounts``: the state of accounts in Slack now."""

    context: AccessContext
    accounts: Callable[[Sequence[str]], Awaitable[AccountStates]]
    pace: float = PACE
    _changes: DirectoryChanges = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._changes = DirectoryChanges(self.context.store)

    async def run(self, stop: asyncio.Event) -> None:
        """End them until ``stop`` is set."""
        await Loop("ending delegations", self.turn, self.pace).run(stop)

    async def turn(self) -> float:
        """End what is over. After how many seconds to look again."""
        await delegate.end_over(self.context)
        found, now = await self.context.store.delegations.read()
        people = [person for each in found.each for person in (each.person, each.stand_in)]
        # An event or the check of addresses says that they may be gone; Slack is asked, so that neither ends anything.
        marked = (await self._changes.read()).gone.keys()
        if suspected := sorted({who.id for who in people if not marked.isdisjoint((who.id, who.identity))}):
            gone = (await self.accounts(suspected)).gone
            await delegate.end_of_gone(self.context, gone)
        soonest = min((each.until - now for each in found.each), default=self.pace)
        return max(_SOONEST, min(self.pace, soonest))
