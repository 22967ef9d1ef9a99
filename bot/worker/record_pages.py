"""Which records a turn of the recovery compares: all that are due, and a page of the others; it compares none.

In the end each record of a request that is not over comes up, whatever names it: the audit events, the due set, or
nothing but its own key.
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
_UNKNOWN_EACH: Final = 5
"""Every so many times, due entries that are not open by their events are among the suspects."""
_UNKNOWN_PAGE: Final = 20
"""How many of those at a time."""


@dataclass
class RecordPages:
    """The pages of one worker process. ``known``: the open requests, by their events; ``most``: of those in a page."""

    store: Store
    headers: RecordHeaders
    known: OpenRequests
    most: int = OPEN_PAGE
    _unread: dict[str, list[str]] = field(default_factory=dict, init=False)
    """The ids that are still to come, by what is paged through."""
    _times: int = field(default=0, init=False)
    _cursor: int = field(default=0, init=False)
    """Where the next page of all records begins."""

    def due(self, now: float) -> list[list[str]]:
        """The due requests, the longest overdue first, in batches."""
        ids = self.known.due_ids(now)
        return [ids[n : n + DUE_BATCH] for n in range(0, len(ids), DUE_BATCH)]

    def open(self) -> list[str]:
        """The next page of the open requests."""
        return self._page("open", self.known, self.most)

    async def suspects(self) -> list[str]:
        """Of a page of open requests, those whose record fails its check; and what should not be open. `StoreAway`."""
        ids = self._page("verified", self.known, _MAC_PAGE)
        sound = {loaded.request.id for loaded in await self.store.load_ours(ids) if not loaded.rolled_back}
        return [*(id_ for id_ in ids if id_ not in sound), *await self._unknown(), *await self._unnamed()]

    async def _unknown(self) -> list[str]:
        """Due entries that are not open by their events."""
        self._times += 1
        if self._times % _UNKNOWN_EACH != 1:
            return []
        due = self._unread.get("unknown") or await self.headers.due()
        return self._page("unknown", [id_ for id_ in due if id_ not in self.known], _UNKNOWN_PAGE)

    async def _unnamed(self) -> list[str]:
        """Of a page of all records, the ones of ours that are not over, and that no event accounts for.

        Redis may have been put back as a whole: then their events are gone, and with them every index that names them.
        """
        self._cursor, ids = await self.headers.page(self._cursor)
        unnamed = [id_ for id_ in ids if id_ not in self.known]
        return [loaded.request.id for loaded in await self.store.load_ours(unnamed) if not loaded.request.is_over]

    def _page(self, what: str, ids: Iterable[str], most: int) -> list[str]:
        """The next page of them; after the last one it starts over, with those that were added meanwhile."""
        rest = self._unread.get(what)
        if not rest:
            rest = self._unread[what] = list(ids)
        page, self._unread[what] = rest[-most:], rest[:-most]
        return page
