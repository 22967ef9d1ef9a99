"""Counts the use of limited roles and systems again from the audit log and the records, and repairs their ledgers.

A ledger (bot/store/indexes/usage.py) that is missing, forged, older than this process knows or of another policy is
written again; each is compared at the start and every few minutes. Before a worker grants, it counts for itself: a
ledger that somebody restored lets a request through to its approvers, and grants nothing. It judges by the functions
that judge a start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.access.role_usage import RoleUsage
from bot.access.usage import refs_of
from bot.audit.trail import TrailUnknown
from bot.background import Loop
from bot.core.errors import StoreAway
from bot.core.request import Request, State
from bot.core.usage import PastDenial, Usage, UsageEntry, concerns, has_place, use_of
from bot.policy import conflicts
from bot.policy.catalog import Catalog
from bot.policy.counted import approvals_kept, denials_kept, names_of
from bot.store.indexes.usage import StoredUsage
from bot.store.store import Store
from bot.worker.recovery import Recovery

log = logging.getLogger(__name__)

PACE: Final = 1.0
"""Seconds between two looks at the ledgers."""
COMPARED_EACH: Final = 300.0
"""Seconds after which ledgers that look well are counted again all the same."""
_REWRITTEN_EACH: Final = 86_400.0
"""Seconds after which a ledger is written again, so that it does not expire."""
_PAGE: Final = 200
"""Records that are read at a time."""
_REMEMBERED: Final = 10_000
"""Requests that are over and remembered."""
_APPROVALS: Final = ("approved", "approved_by_rule", "consented", "break_glass_used", "switched_to_break_glass")


class UsageUnknown(Exception):
    """It cannot be counted now: a request that may count has no record, and its events do not tell either."""


@dataclass
class UsageCounter:
    """The counts of one worker process. ``recovery``: has the audit log; without it only records are counted."""

    store: Store
    policy: Callable[[], Catalog]
    recovery: Recovery | None
    pace: float = PACE
    _generation: str = field(default="", init=False)
    _scopes: frozenset[str] = field(default=frozenset(), init=False)
    _compared: float = field(default=-COMPARED_EACH, init=False)
    _over: dict[str, Request] = field(default_factory=dict, init=False)
    """Requests that are over, which count for a day or a week and do not change."""

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the ledgers right until ``stop`` is set; a turn that fails is retried."""
        expected = (StoreAway, TrailUnknown, UsageUnknown)
        await Loop("counting the use of limited roles", self.turn, self.pace, expected).run(stop)

    async def turn(self) -> None:
        """Repair the ledgers that are unknown; compare all of them when it is time.

        Raises `TrailUnknown`, `UsageUnknown`.
        Where the policy limits nothing, nothing is sent.
        """
        catalog = self.policy()
        if catalog.generation != self._generation:
            await self._adopt(catalog)
        if not catalog.counted:
            return
        read = await self.store.usage.read(sorted(catalog.counted), catalog.generation)
        whole = time.monotonic() - self._compared >= COMPARED_EACH
        todo = {name: each for name, each in read.items() if whole or each.usage is None}
        if not todo or await self.store.policy.held() != catalog.generation:
            return
        found = await self.count(catalog, todo, read)
        now = await self.store.now()
        for name, each in todo.items():
            await self._repair(catalog, each, found[name], now)
        if whole:
            self._compared = time.monotonic()

    async def _adopt(self, catalog: Catalog) -> None:
        """Another policy: what it does not count, nobody keeps up to date from here on."""
        await self.store.usage.forget(sorted(self._scopes - catalog.counted))
        self._generation, self._scopes, self._compared = catalog.generation, catalog.counted, -COMPARED_EACH

    async def _repair(self, catalog: Catalog, each: StoredUsage, found: Usage, now: float) -> None:
        lacks = _lacking(each.usage, found) if each.usage else set()
        if each.usage and not lacks and now - each.at < _REWRITTEN_EACH:
            return
        if await self.store.usage.replace(each, found, catalog.generation, now) and (lacks or (each.stored and each.n)):
            why = f"it lacked {', '.join(sorted(lacks))}" if lacks else "it was missing, not ours, or of another policy"
            log.warning("the usage of %s was counted again: %s", each.scope, why)

    # before a grant

    async def exceeds(self, request: Request) -> str:
        """Why an approved request may not be granted after all; empty where it may.

        Counted here and now, whatever the ledgers say. Raises `TrailUnknown`, `UsageUnknown`.
        """
        catalog = self.policy()
        held = frozenset(names_of(refs_of(request)))
        others = {other for _, other in conflicts.opposite(catalog.conflicts, held)}
        # Limits do not stop break-glass: it waits for no count of them.
        scopes = others if request.break_glass else (held & catalog.counted) | others
        if not scopes:
            return ""
        unknown = {name: StoredUsage(name, b"", None, 0) for name in scopes}
        found = await self.count(catalog, unknown, {})
        counted = {name: StoredUsage(name, b"", usage, 0) for name, usage in found.items()}
        return RoleUsage(catalog, refs_of(request), counted).exceeds(request, windows=True)

    # count

    async def count(
        self, catalog: Catalog, scopes: Iterable[str], ledgers: Mapping[str, StoredUsage]
    ) -> dict[str, Usage]:
        """The use of these roles and systems, by the records of all requests that may count, and by their events.

        ``ledgers``: as they were read; a request that only a ledger knows, and that nothing shows to be over, counts.
        """
        names = list(scopes)
        now = await self.store.now()
        approvals = max((approvals_kept(catalog, name) for name in names), default=0)
        denials = max((denials_kept(catalog, name) for name in names), default=0)
        requests = await self._open()
        lately = await self._of_kinds(_APPROVALS, now - approvals) if approvals else set()
        denied = await self._of_kinds(("denied",), now - denials) if denials else set()
        listed = {use.id for each in ledgers.values() if each.usage for use in each.usage.uses if use.live}
        requests |= await self._requests((lately | denied | listed) - set(requests))
        found = {name: self._counted(catalog, name, requests.values(), now) for name in names}
        for name, each in ledgers.items():
            if name in found and each.usage:
                lost = [use for use in each.usage.uses if use.live and use.id not in requests]
                found[name] = Usage(uses=(*found[name].uses, *lost), denials=found[name].denials)
        return found

    async def _open(self) -> dict[str, Request]:
        """The requests that are open, by the set of due times and by the audit log."""
        loaded = await self.store.open_at_all()
        found = {each.request.id: each.request for each in loaded if not each.rolled_back}
        for id_ in found:
            self._over.pop(id_, None)  # the id was given out again
        if self.recovery is None:
            return found
        await self.recovery.trail.refresh()
        known = set(self.recovery.trail.open)
        found |= await self._requests(known - set(found))
        if lost := sorted(known - set(found)):
            raise UsageUnknown(f"{', '.join(lost[:5])}: open by the audit log, and its role is not known")
        return found

    async def _of_kinds(self, kinds: Iterable[str], since: float) -> set[str]:
        if self.recovery is None:
            return set()
        return {entry.id for entry in await self.recovery.trail.of_kinds(kinds, since)}

    async def _requests(self, wanted: set[str]) -> dict[str, Request]:
        """Requests by their records, or where those are missing or not trusted, by their events."""
        found = {id_: self._over[id_] for id_ in wanted if id_ in self._over}
        ids = sorted(wanted - set(found))
        for n in range(0, len(ids), _PAGE):
            loaded = await self.store.load_ours(ids[n : n + _PAGE])
            found |= {each.request.id: each.request for each in loaded if not each.rolled_back}
            await asyncio.sleep(0)  # however many there are, the loop is for others too
        for id_ in ids:
            if id_ not in found and (known := await self._truth(id_)):
                found[id_] = known
        self._over |= {id_: request for id_, request in found.items() if request.is_over}
        while len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]
        return found

    async def _truth(self, id_: str) -> Request | None:
        return await self.recovery.truth(id_) if self.recovery else None

    def _counted(self, catalog: Catalog, scope: str, requests: Iterable[Request], now: float) -> Usage:
        approvals, denials = approvals_kept(catalog, scope), denials_kept(catalog, scope)
        is_side = any(scope in pair for pair in catalog.conflicts)
        uses, past = list[UsageEntry](), list[PastDenial]()
        for request in requests:
            if not concerns(request, scope):
                continue
            lately = request.approved_at > now - approvals
            if (has_place(request, scope) and (request.approved_at or is_side)) or (request.approved_at and lately):
                uses.append(use_of(request, scope))
            if request.state is State.DENIED and request.closed_at > now - denials:
                who = request.requester
                past.append(PastDenial(id=request.id, by=who.id, identity=who.identity, at=request.closed_at))
        return Usage(uses=tuple(uses), denials=tuple(past))


def _lacking(known: Usage, found: Usage) -> set[str]:
    """What was counted, and a ledger does not have: requests, and denials."""
    uses, denials = {use.id for use in known.uses}, {denial.id for denial in known.denials}
    # One that is undecided in the ledger, and approved by its record, is known with its approval (`_by_records`).
    return {use.id for use in found.uses if use.id not in uses} | {
        denial.id for denial in found.denials if denial.id not in denials
    }
