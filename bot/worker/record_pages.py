"""Which records a pass of the recovery compares: all that are due, and a page of the others; it compares none.

Page by page it covers each record of a request that is not over, even one that neither an audit event nor the due
set names.
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
_UNKNOWN_EVERY: Final = 5
"""Every so many calls, due entries that are not open by their events are among the suspects."""
_UNKNOWN_PAGE: Final = 20
"""Those entries in a page."""


@dataclass
class RecordPages:
    """The pages of one worker process. ``open_requests``: by their events; ``page_size``: of those."""

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
        """A page of open requests with a missing, forged or rolled-back record, and of records that no event names."""
        ids = self._page("verified", self.open_requests, _MAC_PAGE)
        sound = {loaded.request.id for loaded in await self.store.load_ours(ids) if not loaded.rolled_back}
        return [*(id_ for id_ in ids if id_ not in sound), *await self._unknown(), *await self._unnamed()]

    async def _unknown(self) -> list[str]:
        """Due entries that are not open by their events."""
        self._calls += 1
        if self._calls % _UNKNOWN_EVERY != 1:
            return []
        due = self._unread.get("unknown") or await self.headers.due()
        return self._page("unknown", [id_ for id_ in due if id_ not in self.open_requests], _UNKNOWN_PAGE)

    async def _unnamed(self) -> list[str]:
        """The records of a page of all records that have our MAC, are not over, and that no event accounts for.

        Redis may have been restored from a backup: then their events are gone, and so is every index that names them.
        """
        self._cursor, ids = await self.headers.page(self._cursor)
        unnamed = [id_ for id_ in ids if id_ not in self.open_requests]
        return [loaded.request.id for loaded in await self.store.load_ours(unnamed) if not loaded.request.is_over]

    def _page(self, listing: str, ids: Iterable[str], size: int) -> list[str]:
        """The next page of a list; after the last one it starts over, with the ids that were added meanwhile."""
        rest = self._unread.get(listing)
        if not rest:
            rest = self._unread[listing] = list(ids)
        page, self._unread[listing] = rest[-size:], rest[:-size]
        return page
