"""Recounts the usage of limited roles and systems from the audit log and the records, and repairs their ledgers.

A ledger (bot/store/indexes/usage.py) that is missing, forged, older than this process knows or of another policy is
rewritten; each is compared at the start and every few minutes. Before a grant the worker counts again: with an old
ledger that somebody restored, a request may reach its approvers, but is not granted.
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
from bot.core.usage import PastDenial, Usage, UsageEntry, concerns, is_live, usage_entry
from bot.policy import conflicts
from bot.policy.catalog import Catalog
from bot.policy.counted import approvals_kept, denials_kept, names_of
from bot.store.indexes.usage import StoredUsage
from bot.store.store import Store
from bot.worker.recovery import Recovery

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two reads of the ledgers."""
COMPARE_INTERVAL: Final = 300.0
"""Seconds between two recounts of all ledgers, valid ones included."""
_REWRITE_INTERVAL: Final = 86_400.0
"""Seconds after which a ledger is rewritten, so that it does not expire."""
_PAGE: Final = 200
"""Records that are read at a time."""
_MAX_ENDED: Final = 10_000
"""Ended requests that are cached."""
_APPROVALS: Final = ("approved", "approved_by_rule", "consented", "break_glass_used", "switched_to_break_glass")


class UsageUnknown(Exception):
    """The usage cannot be counted now: a request that may count has neither a record nor readable events."""


@dataclass
class UsageCounter:
    """The counts of one worker process. ``recovery``: has the audit log; without it only records are counted."""

    store: Store
    policy: Callable[[], Catalog]
    recovery: Recovery | None
    interval: float = INTERVAL
    _policy_hash: str = field(default="", init=False)
    _scopes: frozenset[str] = field(default=frozenset(), init=False)
    _compared_at: float = field(default=-COMPARE_INTERVAL, init=False)
    _ended: dict[str, Request] = field(default_factory=dict, init=False)
    """A cache of requests that are over: they count for a day or a week, and do not change."""

    async def run(self, stop: asyncio.Event) -> None:
        """Repair ledgers until ``stop`` is set; a run that fails is retried."""
        expected = (StoreAway, TrailUnknown, UsageUnknown)
        await Loop("counting the use of limited roles", self.run_once, self.interval, expected).run(stop)

    async def run_once(self) -> None:
        """Repair the unknown ledgers, and each `COMPARE_INTERVAL` all of them; nothing if the policy limits nothing.

        Raises `TrailUnknown`, `UsageUnknown`.
        """
        catalog = self.policy()
        if catalog.policy_hash != self._policy_hash:
            await self._adopt(catalog)
        if not catalog.counted_scopes:
            return
        read = await self.store.usage.read(sorted(catalog.counted_scopes), catalog.policy_hash)
        full_run = time.monotonic() - self._compared_at >= COMPARE_INTERVAL
        to_repair = {name: each for name, each in read.items() if full_run or each.usage is None}
        if not to_repair or await self.store.policy.current() != catalog.policy_hash:
            return
        counted = await self.count(catalog, to_repair, read)
        now = await self.store.now()
        for name, each in to_repair.items():
            await self._repair(catalog, each, counted[name], now)
        if full_run:
            self._compared_at = time.monotonic()

    async def _adopt(self, catalog: Catalog) -> None:
        """Take a new policy, and delete the ledgers that it does not need: nobody updates them from now on."""
        await self.store.usage.forget(sorted(self._scopes - catalog.counted_scopes))
        self._policy_hash, self._scopes, self._compared_at = (
            catalog.policy_hash,
            catalog.counted_scopes,
            -COMPARE_INTERVAL,
        )

    async def _repair(self, catalog: Catalog, each: StoredUsage, counted: Usage, now: float) -> None:
        missing = _lacking(each.usage, counted) if each.usage else set()
        if each.usage and not missing and now - each.at < _REWRITE_INTERVAL:
            return
        # Compare and set: False if a commit changed the ledger, or the policy changed, while this counted.
        replaced = await self.store.usage.replace(each, counted, catalog.policy_hash, now)
        if replaced and (missing or (each.stored and each.n)):
            why = (
                f"it lacked {', '.join(sorted(missing))}"
                if missing
                else "it was missing, not ours, or of another policy"
            )
            log.warning("the usage of %s was counted again: %s", each.scope, why)

    # before a grant

    async def why_exceeded(self, request: Request) -> str:
        """Why an approved request may not be granted after all; empty if it may.

        Counted again, whatever the ledgers have. Raises `TrailUnknown`, `UsageUnknown`.
        """
        catalog = self.policy()
        requested = frozenset(names_of(refs_of(request)))
        conflicting = {other for _, other in conflicts.opposite(catalog.conflicts, requested)}
        # Limits do not apply to break-glass, so a usage that is unknown does not delay it.
        scopes = conflicting if request.break_glass else (requested & catalog.counted_scopes) | conflicting
        if not scopes:
            return ""
        to_count = {name: StoredUsage(name, b"", None, 0) for name in scopes}
        counted = await self.count(catalog, to_count, {})
        by_scope = {name: StoredUsage(name, b"", usage, 0) for name, usage in counted.items()}
        return RoleUsage(catalog, refs_of(request), by_scope).why_exceeded(request, windows=True)

    # count

    async def count(
        self, catalog: Catalog, scopes: Iterable[str], ledgers: Mapping[str, StoredUsage]
    ) -> dict[str, Usage]:
        """The usage of these roles and systems, by the records and the audit events of all requests that may count.

        ``ledgers``: as read from the store; a live entry counts also if its request has neither record nor events.
        """
        names = list(scopes)
        now = await self.store.now()
        approval_window = max((approvals_kept(catalog, name) for name in names), default=0)
        denial_window = max((denials_kept(catalog, name) for name in names), default=0)
        requests = await self._open()
        approved_ids = await self._of_kinds(_APPROVALS, now - approval_window) if approval_window else set()
        denied_ids = await self._of_kinds(("denied",), now - denial_window) if denial_window else set()
        in_ledgers = {entry.id for each in ledgers.values() if each.usage for entry in each.usage.uses if entry.live}
        requests |= await self._requests((approved_ids | denied_ids | in_ledgers) - set(requests))
        counted = {name: self._counted(catalog, name, requests.values(), now) for name in names}
        for name, each in ledgers.items():
            if name in counted and each.usage:
                without_record = [entry for entry in each.usage.uses if entry.live and entry.id not in requests]
                counted[name] = Usage(uses=(*counted[name].uses, *without_record), denials=counted[name].denials)
        return counted

    async def _open(self) -> dict[str, Request]:
        """The requests that are open, by the set of due times and by the audit log."""
        loaded = await self.store.open_at_all()
        found = {each.request.id: each.request for each in loaded if not each.rolled_back}
        for id_ in found:
            self._ended.pop(id_, None)  # a new request got the same id
        if self.recovery is None:
            return found
        await self.recovery.trail.refresh()
        open_ids = set(self.recovery.trail.open)
        found |= await self._requests(open_ids - set(found))
        if unknown := sorted(open_ids - set(found)):
            raise UsageUnknown(f"{', '.join(unknown[:5])}: open by the audit log, and its role is not known")
        return found

    async def _of_kinds(self, kinds: Iterable[str], since: float) -> set[str]:
        if self.recovery is None:
            return set()
        return {entry.id for entry in await self.recovery.trail.of_kinds(kinds, since)}

    async def _requests(self, wanted: set[str]) -> dict[str, Request]:
        """Requests by their records, or where those are missing or not trusted, by their events."""
        found = {id_: self._ended[id_] for id_ in wanted if id_ in self._ended}
        ids = sorted(wanted - set(found))
        for n in range(0, len(ids), _PAGE):
            loaded = await self.store.load_ours(ids[n : n + _PAGE])
            found |= {each.request.id: each.request for each in loaded if not each.rolled_back}
            await asyncio.sleep(0)  # other tasks run between two pages
        for id_ in ids:
            if id_ not in found and (replayed := await self._replayed(id_)):
                found[id_] = replayed
        self._ended |= {id_: request for id_, request in found.items() if request.is_over}
        while len(self._ended) > _MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        return found

    async def _replayed(self, id_: str) -> Request | None:
        return await self.recovery.replayed(id_) if self.recovery else None

    def _counted(self, catalog: Catalog, scope: str, requests: Iterable[Request], now: float) -> Usage:
        approved_since, denied_since = now - approvals_kept(catalog, scope), now - denials_kept(catalog, scope)
        can_conflict = any(scope in pair for pair in catalog.conflicts)
        entries, denials = list[UsageEntry](), list[PastDenial]()
        for request in requests:
            if not concerns(request, scope):
                continue
            approved_lately = request.approved_at and request.approved_at > approved_since
            if approved_lately or (is_live(request, scope) and (request.approved_at or can_conflict)):
                entries.append(usage_entry(request, scope))
            if request.state is State.DENIED and request.closed_at > denied_since:
                who = request.requester
                denials.append(PastDenial(id=request.id, by=who.id, identity=who.identity, at=request.closed_at))
        return Usage(uses=tuple(entries), denials=tuple(denials))


def _lacking(known: Usage, found: Usage) -> set[str]:
    """The ids of requests and denials that were counted and that the ledger lacks."""
    uses, denials = {entry.id for entry in known.uses}, {denial.id for denial in known.denials}
    # Where the ledger has a request as undecided, its record's approval was read with it (indexes/usage.py).
    return {entry.id for entry in found.uses if entry.id not in uses} | {
        denial.id for denial in found.denials if denial.id not in denials
    }
