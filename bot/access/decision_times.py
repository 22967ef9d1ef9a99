"""How long the last requests for the same roles took to be decided, of anybody's; numbers only, and no person's."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from bot import tasks
from bot.core.errors import StoreAway
from bot.core.request import Request, State
from bot.store.indexes.recent_outcomes import RecentOutcomes
from bot.store.store import Store

LAST = 5
_BATCH = 20
_MOST_READ = 100
PATIENCE = 0.5
"""Seconds that the look may take."""


@dataclass(frozen=True)
class DecisionTimes:
    """The last requests: for each that was decided, the seconds from the request to the decision."""

    decided: tuple[float, ...] = ()
    expired: int = 0
    """How many nobody decided in time."""

    @property
    def requests(self) -> int:
        """How many there are."""
        return len(self.decided) + self.expired

    @property
    def median(self) -> float:
        """Of those that were decided; 0 where none was."""
        return statistics.median(self.decided) if self.decided else 0.0


class DecisionHistory:
    """The requests of one workspace that people decided lately; what a rule approved took no time and is left out."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store, self._outcomes = store, RecentOutcomes(store)

    async def of(self, roles: Iterable[str]) -> DecisionTimes | None:
        """The last `LAST` for exactly these roles (``system/role``); None where it could not be read in time."""
        try:
            return await tasks.within(self._of(frozenset(roles)), PATIENCE)
        except (TimeoutError, StoreAway):
            return None

    async def _of(self, roles: frozenset[str]) -> DecisionTimes:
        ids, found = (await self._outcomes.ids())[:_MOST_READ], list[Request]()
        for start in range(0, len(ids), _BATCH):
            batch = await self._store.load_ours(ids[start : start + _BATCH])
            kept = {loaded.request.id: loaded.request for loaded in batch}
            requests = (kept[id_] for id_ in ids[start : start + _BATCH] if id_ in kept)
            found += [each for each in requests if _has_outcome(each) and {leg.role.name for leg in each.legs} == roles]
            if len(found) >= LAST:
                break
        last = found[:LAST]
        decided = tuple(_decided_at(request) - request.created_at for request in last if _decided_at(request))
        return DecisionTimes(decided, len(last) - len(decided))


def _has_outcome(request: Request) -> bool:
    """Whether people decided it, or nobody did in time."""
    return request.rule is None and (bool(_decided_at(request)) or request.state is State.EXPIRED)


def _decided_at(request: Request) -> float:
    """When it was approved or denied; 0 where it was not."""
    return request.approved_at or (request.closed_at if request.state is State.DENIED else 0.0)
