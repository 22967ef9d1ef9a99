"""Selects the records that a pass of the recovery compares: all that are due, and a page of the others.

A record is accounted for if the audit events show its request as open. Pages also cover records and due entries that
are not: in the end, the record of each request that is not over is compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bot.audit.open_requests import OpenRequests
from bot.store.record_headers import RecordHeaders
from bot.store.store import Store

DUE_BATCH: Final = 500
"""Due requests that are compared in one batch."""
OPEN_PAGE: Final = 100
"""Other open requests in a page."""
_MAC_PAGE: Final = 20
"""Open requests whose MACs are verified at a time."""
_UNACCOUNTED_DUE_EVERY: Final = 5
"""Every so many calls, `suspects` includes a page of unaccounted due entries."""
_UNACCOUNTED_DUE_PAGE: Final = 20
"""Unaccounted due entries in a page."""


@dataclass
class RecordPages:
    """The pages of one worker process. ``open_requests``: by the audit events; ``page_size``: of a page of those."""

    store: Store
    headers: RecordHeaders
    open_requests: OpenRequests
    page_size: int = OPEN_PAGE
    _unread: dict[str, list[str]] = field(default_factory=dict, init=False)
    """The ids that were not in a page yet, by the list that is paged."""
    _calls: int = field(default=0, init=False)
    _cursor: int = field(default=0, init=False)
    """Where the next page of all records begins."""

    def due(self, now: float) -> list[list[str]]:
        """The due requests, the longest overdue first, in batches."""
        ids = self.open_requests.due_ids(now)
        return [ids[n : n + DUE_BATCH] for n in range(0, len(ids), DUE_BATCH)]

    def open(self) -> list[str]:
        """The next page of the open requests."""
        return self._page("open", self.open_requests, self.page_size)

    async def suspects(self) -> list[str]:
        """Open requests with a missing, forged or rolled-back record, and unaccounted records: a page of each."""
        ids = self._page("verified", self.open_requests, _MAC_PAGE)
        sound = {loaded.request.id for loaded in await self.store.load_ours(ids) if not loaded.rolled_back}
        unsound = [id_ for id_ in ids if id_ not in sound]
        return [*unsound, *await self._unaccounted_due(), *await self._unaccounted_records()]

    async def _unaccounted_due(self) -> list[str]:
        """A page of the due entries whose requests are not open by the audit events."""
        self._calls += 1
        if self._calls % _UNACCOUNTED_DUE_EVERY != 1:
            return []
        due = self._unread.get("unaccounted due") or await self.headers.due()
        unaccounted = [id_ for id_ in due if id_ not in self.open_requests]
        return self._page("unaccounted due", unaccounted, _UNACCOUNTED_DUE_PAGE)

    async def _unaccounted_records(self) -> list[str]:
        """Of a page of all records, those that no event accounts for, that have our MAC and are not over.

        Redis may have been restored from a backup: then their events are gone, and so is every index that names them.
        """
        self._cursor, ids = await self.headers.page(self._cursor)
        unaccounted = [id_ for id_ in ids if id_ not in self.open_requests]
        return [loaded.request.id for loaded in await self.store.load_ours(unaccounted) if not loaded.request.is_over]

    def _page(self, listing: str, ids: Iterable[str], size: int) -> list[str]:
        """The next page of a list; after the last one it starts over, with the ids that were added meanwhile."""
        rest = self._unread.get(listing)
        if not rest:
            rest = self._unread[listing] = list(ids)
        page, self._unread[listing] = rest[-size:], rest[:-size]
        return page
