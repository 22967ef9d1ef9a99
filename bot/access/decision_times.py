"""How long approvers took to decide the last requests for the same roles, whoever made them; it names nobody."""

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
TIME_LIMIT = 0.5
"""Seconds that the look-up may take."""


@dataclass(frozen=True)
class DecisionTimes:
    """The last requests. ``decided``: seconds from the request to the decision, of each that was decided."""

    decided: tuple[float, ...] = ()
    expired: int = 0
    """How many of them expired undecided."""

    @property
    def requests(self) -> int:
        """How many requests there are, decided or expired."""
        return len(self.decided) + self.expired

    @property
    def median(self) -> float:
        """The median seconds to a decision; 0 if none was decided."""
        return statistics.median(self.decided) if self.decided else 0.0


class DecisionHistory:
    """The requests of one workspace that people decided lately; those that a rule approved at once are left out."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store, self._outcomes = store, RecentOutcomes(store)

    async def of(self, roles: Iterable[str]) -> DecisionTimes | None:
        """The last `LAST` requests for exactly these roles (``system/role``); None if not read in time."""
        try:
            return await tasks.within(self._of(frozenset(roles)), TIME_LIMIT)
        except (TimeoutError, StoreAway):
            return None

    async def _of(self, roles: frozenset[str]) -> DecisionTimes:
        ids, found = (await self._outcomes.ids())[:_MOST_READ], list[Request]()
        for start in range(0, len(ids), _BATCH):
            batch = await self._store.load_ours(ids[start : start + _BATCH])
            by_id = {loaded.request.id: loaded.request for loaded in batch}
            requests = (by_id[id_] for id_ in ids[start : start + _BATCH] if id_ in by_id)
            found += [each for each in requests if _has_outcome(each) and {leg.role.name for leg in each.legs} == roles]
            if len(found) >= LAST:
                break
        last = found[:LAST]
        decided = tuple(_decided_at(request) - request.created_at for request in last if _decided_at(request))
        return DecisionTimes(decided, len(last) - len(decided))


def _has_outcome(request: Request) -> bool:
    """Whether people decided it, or it expired undecided."""
    return request.rule is None and (bool(_decided_at(request)) or request.state is State.EXPIRED)


def _decided_at(request: Request) -> float:
    """When it was approved or denied; 0 if it was not."""
    return request.approved_at or (request.closed_at if request.state is State.DENIED else 0.0)
