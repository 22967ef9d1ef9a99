"""Recovery: compares records with a replay of their audit events, and restores or ends those that were rolled back.

It grants nothing. A record that is missing, forged or older than its events is restored from them; where the events
are not complete, the access that the record names is revoked. Which requests are open is known from the events and
from this process' own commits: a revoke waits neither for the archive (the audit log outside Redis) nor for certainty.

A leg is one role of a request; a record's high-water mark, its newest version that this process has seen
(``store.known``); its lineage, a hash of all its events; a due entry, a request in Redis' sorted set of due times. A
turn is one run of the loop, over some of the requests. ``store.remembered`` has what this process committed last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.audit.open_requests import Latest
from bot.audit.trail import Trail, TrailUnknown, Truth
from bot.background import Loop
from bot.core import deadlines, lifecycle
from bot.core.errors import StoreAway, Tampered
from bot.core.events import Cancelled, EndedEarly, Event, GrantRefused, GrantUncertain
from bot.core.request import Ending, LegState, Request, State
from bot.store.key_types import kinds
from bot.store.quarantine import quarantine_wrong_types
from bot.store.recent_writes import MAY_HAVE_ACCESS
from bot.store.record_headers import RecordHeader, RecordHeaders
from bot.store.store import Store
from bot.store.types import Change
from bot.worker.due_times import DueTimes
from bot.worker.record_pages import DUE_BATCH, OPEN_PAGE, RecordPages

log = logging.getLogger(__name__)

PACE: Final = 0.5
"""Seconds between two turns."""
_WHOLE_EACH: Final = 2
"""Every so many turns, more than the due requests is compared."""
TURN_LIMIT: Final = 2.0
"""Seconds after which a turn leaves the rest to the next one."""
_ARCHIVE_POLL: Final = 0.1
"""Seconds between two checks whether the archive has an event."""
ROLLED_BACK_REASON: Final = "its record was rolled back to an earlier version; please request again"


class StaleRecord(Exception):
    """A record is older than the newest known version of its request, or of other events."""


def ending(request: Request, now: float, why: str = ROLLED_BACK_REASON) -> Event | None:
    """The event that ends a request whose record is not trusted, by its state; None where there is nothing to end."""
    match request.state:
        case State.DRAFT | State.PENDING | State.SCHEDULED:
            return Cancelled(at=now, by="policy", reason=why)
        case State.GRANTING:
            tried = any(leg.attempts or leg.state is LegState.ACTIVE for leg in request.legs)
            return GrantUncertain(at=now, error=why) if tried else GrantRefused(at=now, leg=0, error=why)
        case State.ACTIVE:
            return EndedEarly(at=now, by="worker", ending=Ending.REVOKED, reason=why)
        case _:
            return None


@dataclass
class Recovery:
    """The comparisons of one worker process, ``pace`` seconds apart.

    ``lost``: called when the access of a request may not be fully known, so that the systems are reconciled. ``seal``:
    has events moved to the archive now.
    """

    store: Store
    trail: Trail
    pace: float = PACE
    page: int = OPEN_PAGE
    lost: Callable[[], Awaitable[None]] | None = None
    seal: Callable[[], None] = lambda: None
    _turns: int = field(default=0, init=False)
    _ahead: dict[str, int] = field(default_factory=dict, init=False)
    """The versions of records that were newer than their events at the last comparison."""

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._headers, self._kinds = RecordHeaders(self.store), kinds(self.store.keys)
        self.due_times = DueTimes(self.store, self._headers)
        self._pages = RecordPages(self.store, self._headers, self.trail.open, self.page)

    # before a grant

    async def check(self, request: Request) -> None:
        """Raises `StaleRecord` unless a replay of its events leads to the record, `TrailUnknown` if it cannot tell."""
        truth = await self.trail.truth(request.id)
        if not truth.matches(request):
            raise StaleRecord(request.id)
        # The replay agrees, but events are missing: the record may have been rolled back together with its log.
        if truth.incomplete:
            raise StaleRecord(f"{request.id}: events of its time are lost")

    async def truth(self, id_: str, instead: Request | None = None) -> Request | None:
        """The request by a replay of its events, if nothing newer is known here; None where it is unknown.

        ``instead``: the untrusted record; a high-water mark of its lineage does not count as newer.
        """
        try:
            truth: Truth = await self.trail.truth(id_)
        except TrailUnknown as error:
            log.warning("%s: its events cannot be read: %s", id_, error)
            return None
        known, mark = truth.request, self.store.known.newest(id_)
        if known is None or truth.incomplete:
            return None
        fork = instead is not None and mark is not None and mark.lineage == instead.lineage
        if not fork and self._seen_newer(known):
            return None
        return known

    async def archived(self, request: Request, within: float) -> bool:
        """Whether the archive has a record's events, or has them within so many seconds. Raises `TrailUnknown`."""
        until = time.monotonic() + within
        while not await self.trail.archived(request):
            if time.monotonic() > until:
                return False
            self.seal()
            await asyncio.sleep(_ARCHIVE_POLL)
        return True

    # the turns

    async def run(self, stop: asyncio.Event) -> None:
        """Compare until ``stop`` is set; a turn that fails is retried."""
        await Loop("checking records against the audit log", self._turn, self.pace, (StoreAway, TrailUnknown)).run(stop)
        await self.trail.close()

    async def _turn(self) -> None:
        await self.compare()

    async def compare(self) -> int:
        """Compare due requests, and the next page of the other open ones, with their records. How many were repaired.

        Raises `TrailUnknown` at the end where the archive could not be asked.
        """
        self._turns += 1
        whole = self._turns % _WHOLE_EACH == 1
        if whole:
            await quarantine_wrong_types(self.store.redis, self._kinds)  # for tamper_alarms.py to report
        began, unknown = time.monotonic(), await self._replay()
        now, repaired = await self.store.now(), 0
        for ids in [*self._pages.due(now), *([self._pages.open()] if whole else [])]:
            now, found = await self._headers.read(ids)
            for standing in found:
                repaired += await self._compare_header(standing, now)
                if time.monotonic() - began > TURN_LIMIT:
                    return repaired
        for id_ in await self._pages.suspects() if whole else ():
            repaired += await self._compare(id_, now)
        if unknown:
            raise unknown
        return repaired

    async def _replay(self) -> TrailUnknown | None:
        """Read the events since the last turn, and this process' own commits."""
        unknown, open_ = None, self.trail.open
        try:
            await self.trail.refresh()
        except TrailUnknown as error:
            unknown = error
        await self._set_archived_due_times()
        for news in self.store.remembered.news():
            known = open_.get(news.id)
            # A request that is over is known by its event; a new one's event may be deleted before anybody reads it.
            if news.due is not None and (known is None or known.version < news.version):
                open_.put(news.id, Latest(news.version, news.due, known.began if known else 0.0))
        return unknown

    async def _set_archived_due_times(self) -> None:
        """Put off the open requests that only the archive knows of and whose record and due time are in place.

        They are trusted until they are due, or their page comes; those that lack either are compared first.
        """
        ids, self.trail.undated = self.trail.undated, []
        for n in range(0, len(ids), DUE_BATCH):
            _, found = await self._headers.read(ids[n : n + DUE_BATCH])
            for standing in found:
                latest = self.trail.open.get(standing.id)
                if latest and not latest.version and standing.version and standing.score is not None:
                    self.trail.open.put(standing.id, Latest(0, standing.score))

    def first(self, ids: Sequence[str], now: float) -> list[str]:
        """The due requests, known ones first: there may be any number of due entries that no event accounts for."""
        open_ = self.trail.open
        if sum(id_ in open_ for id_ in ids) * 2 >= len(ids):
            return list(ids)
        return list(dict.fromkeys([*open_.due_ids(now)[: len(ids)], *ids]))

    async def _compare_header(self, standing: RecordHeader, now: float) -> bool:
        """Compare a record's version and due time with its newest event. Whether it was repaired."""
        latest, ahead = self.trail.open.get(standing.id), self._ahead.pop(standing.id, 0)
        if latest is None:
            return False
        if latest.version and standing.version > latest.version and ahead != standing.version:
            if len(self._ahead) < self.page:
                self._ahead[standing.id] = standing.version
            return False  # committed after the events were read: the next turn has read its event
        if latest.version and standing.version == latest.version:
            return await self.due_times.restore(standing.id, latest.due, standing.score, now)
        return await self._compare(standing.id, now)

    async def _compare(self, id_: str, now: float) -> bool:
        """Compare one record, which may be missing, forged or rolled back, with a replay. Whether it was repaired."""
        there, before = await self._stored(id_)
        try:
            truth = await self.trail.truth(id_)
        except TrailUnknown:
            return await self._keep_or_revoke(id_, before, now)
        known = truth.request
        ours = before is not None and not self.store.known.doubted(before)
        if known is None and (ours or self.store.remembered.of(id_)):
            return await self._keep_or_revoke(id_, before, now)
        if known is None or (not there and known.state not in lifecycle.OPEN):
            self.trail.open.drop(id_)
            return False
        if before and truth.matches(before):
            self._note_open(before)
            return await self.due_times.restore(id_, deadlines.due(before), await self._headers.score(id_), now)
        if (there, before) != await self._stored(id_):
            return False  # it is being changed just now
        # One that is newer than its events was committed just now, or they are lost; it is checked before a grant.
        ahead = before is not None and before.version > known.version
        if ahead or truth.incomplete or self._seen_newer(known):
            return await self._keep_or_revoke(id_, before, now)
        await self.store.alarm_rolled_back(id_)
        return await self.restore(known, before)

    def _seen_newer(self, known: Request) -> bool:
        """Whether this process has seen a newer version: its high-water mark is above this one."""
        mark = self.store.known.newest(known.id)
        return mark is not None and (mark.life, mark.version) > ((known.created_at, known.recovered), known.version)

    def _note_open(self, request: Request) -> None:
        due = deadlines.due(request)
        self.trail.open.put(request.id, Latest(request.version, due, request.created_at))

    async def _keep_or_revoke(self, id_: str, before: Request | None, now: float) -> bool:
        """The replay is not complete: a record of ours keeps its due time; access without one is revoked at its end."""
        if before and not self.store.known.doubted(before):
            return await self.due_times.restore(id_, deadlines.due(before), await self._headers.score(id_), now)
        return await self.close(id_, now, before)

    async def close(self, id_: str, now: float, instead: Request | None = None) -> bool:
        """Have access revoked whose record is unusable, by the newest version known, even where that is not the last.

        That version is restored, and the worker goes on from there: access past its end is revoked, and nothing is
        granted, since a grant needs a record that the audit log confirms. Active access before its end is left until
        the events can be read. ``instead``: the record that is not trusted, if there is one. Whether it was written.
        """
        found = [known for known in (self.store.remembered.of(id_), await self.trail.best(id_)) if known]
        known = max(found, key=lambda each: (each.created_at, each.recovered, each.version), default=None)
        if known is None:
            log.error(
                "%s: its record is unusable, and no version of it is known; what it may have granted is unknown", id_
            )
            if self.lost:
                await self.lost()
            return False
        due = deadlines.due(known)
        if due is None or known.state not in MAY_HAVE_ACCESS or (known.state is State.ACTIVE and known.ends_at > now):
            return False
        await self.store.alarm_rolled_back(id_)
        return await self.restore(known, instead, sure=False)

    async def restore(self, known: Request, instead: Request | None, *, sure: bool = True) -> bool:
        """Restore a record; ``instead``: the one that is not trusted, if there is one; ``sure``: its newest version.

        A request that was being granted is ended: how long its access was active is unknown.
        """
        if not await self.store.restore(known, instead):
            return False
        if known.state is State.GRANTING and (not sure or any(leg.attempts for leg in known.legs)):
            await self._end(known.id)
        return True

    async def _end(self, id_: str) -> None:
        before = (await self.store.load_many([id_]))[0].request
        if event := ending(before, await self.store.now()):
            await self.store.commit(Change(before, lifecycle.advance(before, event), event))
            if self.lost:
                await self.lost()

    async def _stored(self, id_: str) -> tuple[bool, Request | None]:
        """Whether there is a value under the key of a record, and the record if its MAC is right."""
        try:
            loaded = await self.store.load(id_)
        except Tampered:
            return True, None
        return loaded is not None, loaded.request if loaded else None
