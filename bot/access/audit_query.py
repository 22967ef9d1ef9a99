"""An auditor searches the audit log from Slack: checked for permission, searched in a thread, audited, then shown.

Two searches run at a time and a few more wait; one that takes too long is abandoned with a sentence. It posts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, TypeVar

from pydantic import Field

from bot import tasks
from bot.access.context import AccessContext
from bot.audit import read_log
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.projection import Holding
from bot.audit.archive.timeline import EventQuery, Timeline, UnknownNumber
from bot.audit.read_log import Read
from bot.core.audit_chain import AuditEntry
from bot.core.frozen import Frozen
from bot.core.request import Request
from bot.core.verdict import Actor
from bot.policy import authorization
from bot.store.audit_stream import AuditStream

T = TypeVar("T")

PAGE_SIZE = 12
"""Events, or active roles, on a page."""
MAX_PAGES = 60
"""How many pages can be turned back."""
_CONCURRENT = 2
_QUEUED = 8
_TIME_LIMIT = 30.0
_TAIL = 12_000
"""Unsealed events (not yet moved from Redis to the archive) that are searched: there are fewer while sealing works."""


class CannotSearch(Exception):
    """The audit log cannot be searched now; the sentence says why, and what to do."""


class SearchFilters(Frozen):
    """The filters of a search; an empty one fits all. ``since``, ``until``, ``at`` in Unix seconds, ``when`` as typed.

    ``at``: search who had which access then. ``pages``: where each page turned to so far begins, and the last of them
    is shown: the event number that its events are below, or how many roles come before it.
    """

    person: Annotated[str, Field(max_length=255)] = ""
    system: Annotated[str, Field(max_length=40)] = ""
    role: Annotated[str, Field(max_length=90)] = ""
    request: Annotated[str, Field(max_length=12)] = ""
    kind: Annotated[str, Field(max_length=40)] = ""
    when: Annotated[str, Field(max_length=60)] = ""
    since: float | None = None
    until: float | None = None
    at: float | None = None
    pages: Annotated[tuple[Annotated[int, Field(ge=0, lt=10**12)], ...], Field(max_length=MAX_PAGES)] = ()

    @property
    def in_words(self) -> dict[str, str]:
        """The filters in words, for the audit log."""
        named = ("person", "system", "role", "request", "kind", "when")
        found = {name: str(getattr(self, name)) for name in named}
        page = {"before" if self.at is None else "after": str(self.pages[-1])} if self.pages else {}
        return {name: said for name, said in found.items() if said} | page

    @property
    def about(self) -> str:
        """The request or the role that the search is for."""
        return self.request or self.role

    def older(self, begins: int) -> SearchFilters:
        """The next page."""
        return self.model_copy(update={"pages": (*self.pages, begins)[-MAX_PAGES:]})

    def newer(self) -> SearchFilters:
        """The page before."""
        return self.model_copy(update={"pages": self.pages[:-1]})


@dataclass(frozen=True)
class AuditPage:
    """One page. ``entries``, each with its request; or ``holdings``, roles with their holders, of ``total`` in all.

    ``more``: where the next page begins. ``sealed``: the number of the last sealed event; ``tail``: how many events
    after it were searched. ``not_searched``: what was not searched, and why.
    """

    filters: SearchFilters
    entries: Sequence[tuple[AuditEntry, Request | None]] = ()
    holdings: Sequence[Holding] = ()
    total: int = 0
    more: int | None = None
    sealed: int = 0
    tail: int = 0
    not_searched: tuple[str, ...] = ()

    @property
    def read(self) -> dict[str, int]:
        """How much is shown, for the audit log."""
        numbers = [entry.seq for entry, _ in self.entries]
        rows = len(numbers) + len(self.holdings)
        return {"rows": rows, "first": min(numbers, default=0), "last": max(numbers, default=0)}


async def require_auditor(context: AccessContext, actor: Actor, what: str) -> None:
    """Raises `NotAllowed`, audited, unless this person is an auditor. ``what``: what they would read."""
    await context.require_allowed(
        "audit", actor, what, authorization.may_audit(context.catalog(), actor.roster, actor.person)
    )


@dataclass
class AuditSearch:
    """Searches one workspace's audit log. ``archive`` opens the archive, again after a failure.

    ``patience``: seconds that a search may take.
    """

    context: AccessContext
    archive: Callable[[], Archive]
    patience: float = _TIME_LIMIT
    _opened: Archive | None = field(default=None, init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Nothing is opened before the first search."""
        self._threads = ThreadPoolExecutor(_CONCURRENT, "audit")
        self.stream = AuditStream(self.context.store)
        self.workspace = self.context.store.workspace

    def close(self) -> None:
        """Close the archive; a search that still runs gets no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._opened:
            self._opened.close()

    async def page(self, actor: Actor, filters: SearchFilters) -> AuditPage:
        """One page of the matching events or grants; the read is audited first.

        Raises `NotAllowed`, `CannotSearch`, `StoreAway`.
        """
        await require_auditor(self.context, actor, filters.about)
        shown = await self.within_limits(filters)
        what = "search" if filters.at is None else "held"
        now = await self.context.store.now()
        # Audited before it is shown: nobody reads anything without an audit event.
        await read_log.record(
            self.context.store,
            Read(at=now, by=actor.person.id, read=what, asked=filters.in_words, about=filters.about, **shown.read),
        )
        return shown

    async def within_limits(self, filters: SearchFilters) -> AuditPage:
        """One page, within the limits of time and of waiting searches; checks no permission. Raises `CannotSearch`."""
        if self._waiting >= _CONCURRENT + _QUEUED:
            raise CannotSearch("Too many audit searches are running. Please try again in a minute.")
        self._waiting += 1
        try:
            return await tasks.within(self._search(filters), self.patience)
        except TimeoutError:
            more = "Narrow it by a time or a name, or use `jit audit search` at a terminal"
            raise CannotSearch(f"This search took longer than {self.patience:.0f} s and was stopped. {more}.") from None
        except UnknownNumber:
            raise CannotSearch("This page does not exist any more. Please search again.") from None
        finally:
            self._waiting -= 1

    async def _search(self, filters: SearchFilters) -> AuditPage:
        try:
            return await self._page_of(filters)
        except NoArchive as error:
            await self._in_thread(self._forget)
            return await self._latest(filters, f"Only the events that are still in Redis were searched: {error}")

    async def _page_of(self, filters: SearchFilters) -> AuditPage:
        """A page from the archive and from Redis. Raises `NoArchive`, `UnknownNumber`."""
        # The checkpoint of the last sealing: which archive it went to, and up to which event.
        checkpoint = await self.stream.checkpoint()
        archive, sealed = await self._in_thread(self._ends)
        if checkpoint and checkpoint.archive != archive.id:
            raise NoArchive("the archive here is not the one that the worker seals into: set JIT_ARCHIVE_URL to that")
        tail = await self.stream.tail(sealed, _TAIL)
        not_searched: list[str] = []
        if checkpoint and sealed < checkpoint.head.last:
            not_searched.append(
                f"The archive here ends at event {sealed:,}, but events up to {checkpoint.head.last:,} are sealed."
            )
        if len(tail) >= _TAIL:
            not_searched.append(f"{_TAIL:,} or more events wait to be sealed; the newest of them were not searched.")
        timeline = partial(Timeline, self.workspace, archive, tail)
        return await self._in_thread(lambda: _found(timeline(), filters, sealed, not_searched))

    async def _latest(self, filters: SearchFilters, doubt: str) -> AuditPage:
        """A page from Redis alone."""
        checkpoint = await self.stream.checkpoint()
        tail = await self.stream.tail(0, _TAIL)
        sealed = checkpoint.head.last if checkpoint else 0
        return await self._in_thread(lambda: _found(Timeline(self.workspace, None, tail), filters, sealed, [doubt]))

    def _ends(self) -> tuple[Archive, int]:
        """The archive, and the number of the last event sealed in it."""
        if self._opened is None:
            self._opened = self.archive()
        last = self._opened.last(self.workspace)
        return self._opened, last.last if last else 0

    def _forget(self) -> None:
        """Close the archive, so that the next search opens it again: it may be another one by then."""
        if self._opened:
            self._opened.close()
        self._opened = None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _found(timeline: Timeline, filters: SearchFilters, sealed: int, not_searched: Sequence[str]) -> AuditPage:
    begins = filters.pages[-1] if filters.pages else None
    wanted = EventQuery(
        person=filters.person,
        system=filters.system,
        role=filters.role,
        request=filters.request,
        kind=filters.kind,
        since=filters.since,
        until=filters.until,
        before=begins if filters.at is None else None,
        most=PAGE_SIZE,
    )
    unsealed = sum(entry.seq > sealed for entry in timeline.tail)
    page = AuditPage(filters, sealed=sealed, tail=unsealed, not_searched=tuple(not_searched))
    if filters.at is not None:
        holdings, first = timeline.holders(filters.at, wanted), begins or 0
        more = first + PAGE_SIZE if len(holdings) > first + PAGE_SIZE else None
        return replace(page, holdings=holdings[first : first + PAGE_SIZE], total=len(holdings), more=more)
    found = timeline.search(wanted)
    return replace(page, entries=[(entry, _request(timeline, entry)) for entry in found.entries], more=found.more)


def _request(timeline: Timeline, entry: AuditEntry) -> Request | None:
    found = timeline.request(entry.id) if entry.id else None
    return found[1] if found and found[0] <= entry.seq else None
