"""Recovery: compares records with a replay of their audit events, and restores or ends those that were rolled back.

It grants nothing. A record that is missing, forged or older than its events is restored from them; where the events
are not complete, the access that the record names is revoked. Which requests are open is known from the events and
from this process' own commits: a revoke waits neither for the archive (the audit log outside Redis) nor for certainty.

A leg is one role of a request; a replay, the request as its audit events rebuild it; a record's high-water mark, its
newest version that this process has seen; its lineage, a hash of all its events; a due entry, a request in Redis'
sorted set of due times. A pass is one run of the loop, over some of the requests. ``store.recent_writes`` has what this
process committed last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.audit.open_requests import Latest
from bot.audit.trail import EventReplay, Trail, TrailUnknown
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

INTERVAL: Final = 0.5
"""Seconds between two passes."""
_FULL_PASS_EVERY: Final = 2
"""Every so many passes, other requests than the due ones are compared, too."""
PASS_LIMIT: Final = 2.0
"""Seconds after which a pass leaves the rest to the next one."""
_ARCHIVE_POLL: Final = 0.1
"""Seconds between two checks whether the archive has an event."""
ROLLED_BACK_REASON: Final = "its record was rolled back to an earlier version; please request again"


class StaleRecord(Exception):
    """A record is older than the newest known version of its request, or has another lineage."""


def end_event(request: Request, now: float, why: str = ROLLED_BACK_REASON) -> Event | None:
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
    """The comparisons of one worker process, ``interval`` seconds apart.

    ``on_unknown_access``: called when it is unknown which access a request has, so that the systems are reconciled.
    ``seal``: has events moved to the archive now.
    """

    store: Store
    trail: Trail
    interval: float = INTERVAL
    page: int = OPEN_PAGE
    on_unknown_access: Callable[[], Awaitable[None]] | None = None
    seal: Callable[[], None] = lambda: None
    _passes: int = field(default=0, init=False)
    _ahead: dict[str, int] = field(default_factory=dict, init=False)
    """The versions of records that were newer than their events at the last comparison."""

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._headers, self._kinds = RecordHeaders(self.store), kinds(self.store.keys)
        self.due_times = DueTimes(self.store, self._headers)
        self._pages = RecordPages(self.store, self._headers, self.trail.open, self.page)

    # before a grant

    async def check(self, request: Request) -> None:
        """Raises `StaleRecord` unless the record equals its replay, and `TrailUnknown` while events cannot be read."""
        replay = await self.trail.replay(request.id)
        if not replay.matches(request):
            raise StaleRecord(request.id)
        # They are equal, but events are lost: the record may have been rolled back together with its events.
        if replay.incomplete:
            raise StaleRecord(f"{request.id}: events of its time are lost")

    async def replayed(self, id_: str, untrusted: Request | None = None) -> Request | None:
        """The replay of a request, unless this process has seen a newer version; None where it is incomplete or older.

        ``untrusted``: the stored record, if any; a high-water mark of its lineage does not count as newer.
        """
        try:
            replay: EventReplay = await self.trail.replay(id_)
        except TrailUnknown as error:
            log.warning("%s: its events cannot be read: %s", id_, error)
            return None
        replayed, mark = replay.request, self.store.high_water_marks.newest(id_)
        if replayed is None or replay.incomplete:
            return None
        fork = untrusted is not None and mark is not None and mark.lineage == untrusted.lineage
        if not fork and self._seen_newer(replayed):
            return None
        return replayed

    async def is_archived(self, request: Request, within: float) -> bool:
        """Whether the archive has a record's events, or has them within so many seconds. Raises `TrailUnknown`."""
        until = time.monotonic() + within
        while not await self.trail.is_archived(request):
            if time.monotonic() > until:
                return False
            self.seal()
            await asyncio.sleep(_ARCHIVE_POLL)
        return True

    # the passes

    async def run(self, stop: asyncio.Event) -> None:
        """Compare until ``stop`` is set; a pass that fails is retried."""
        expected = (StoreAway, TrailUnknown)
        await Loop("checking records against the audit log", self._run_once, self.interval, expected).run(stop)
        await self.trail.close()

    async def _run_once(self) -> None:
        await self.compare()

    async def compare(self) -> int:
        """Compare due requests, and the next page of the other open ones, with their records. How many were repaired.

        Raises `TrailUnknown` at the end where the archive could not be asked.
        """
        self._passes += 1
        full_pass = self._passes % _FULL_PASS_EVERY == 1
        if full_pass:
            await quarantine_wrong_types(self.store.redis, self._kinds)  # for tamper_alarms.py to report
        # Events before records: a record that is newer than its events is normal then, and an older one is not.
        began, unknown = time.monotonic(), await self._read_events()
        now, repaired = await self.store.now(), 0
        for ids in [*self._pages.due(now), *([self._pages.open()] if full_pass else [])]:
            now, found = await self._headers.read(ids)
            for header in found:
                repaired += await self._compare_header(header, now)
                if time.monotonic() - began > PASS_LIMIT:
                    return repaired
        for id_ in await self._pages.suspects() if full_pass else ():
            repaired += await self._compare(id_, now)
        if unknown:
            raise unknown
        return repaired

    async def _read_events(self) -> TrailUnknown | None:
        """Read the events since the last pass, and this process' own commits."""
        unknown, open_ = None, self.trail.open
        try:
            await self.trail.refresh()
        except TrailUnknown as error:
            unknown = error
        await self._set_archived_due_times()
        for write in self.store.recent_writes.take_new():
            latest = open_.get(write.id)
            # A request that is over is known by its event; a new one's event may be deleted before anybody reads it.
            if write.due is not None and (latest is None or latest.version < write.version):
                open_.put(write.id, Latest(write.version, write.due, latest.began if latest else 0.0))
        return unknown

    async def _set_archived_due_times(self) -> None:
        """Take the stored due times of open requests that only the archive knows, where the record and due time exist.

        They are compared when they are due, or in their page; those that lack either are compared first.
        """
        ids, self.trail.undated = self.trail.undated, []
        for n in range(0, len(ids), DUE_BATCH):
            _, found = await self._headers.read(ids[n : n + DUE_BATCH])
            for header in found:
                latest = self.trail.open.get(header.id)
                if latest and not latest.version and header.version and header.score is not None:
                    self.trail.open.put(header.id, Latest(0, header.score))

    def known_first(self, ids: Sequence[str], now: float) -> list[str]:
        """The due requests, first those that events account for: many forged due entries must not delay them."""
        open_ = self.trail.open
        if sum(id_ in open_ for id_ in ids) * 2 >= len(ids):
            return list(ids)
        return list(dict.fromkeys([*open_.due_ids(now)[: len(ids)], *ids]))

    async def _compare_header(self, header: RecordHeader, now: float) -> bool:
        """Compare a record's version and due time with its newest event. Whether it was repaired."""
        latest, known_ahead = self.trail.open.get(header.id), self._ahead.pop(header.id, 0)
        if latest is None:
            return False
        if latest.version and header.version > latest.version and known_ahead != header.version:
            if len(self._ahead) < self.page:
                self._ahead[header.id] = header.version
            return False  # committed after the events were read: the next pass has read its event
        if latest.version and header.version == latest.version:
            return await self.due_times.restore(header.id, latest.due, header.score, now)
        return await self._compare(header.id, now)

    async def _compare(self, id_: str, now: float) -> bool:
        """Compare one record, which may be missing, forged or rolled back, with its replay. Whether it was repaired."""
        exists, record = await self._stored(id_)
        try:
            replay = await self.trail.replay(id_)
        except TrailUnknown:
            return await self._keep_or_revoke(id_, record, now)
        replayed = replay.request
        trusted = record is not None and not self.store.high_water_marks.is_distrusted(record)
        if replayed is None and (trusted or self.store.recent_writes.newest(id_)):
            return await self._keep_or_revoke(id_, record, now)
        if replayed is None or (not exists and replayed.state not in lifecycle.OPEN):
            self.trail.open.drop(id_)
            return False
        if record and replay.matches(record):
            self._note_open(record)
            return await self.due_times.restore(id_, deadlines.due(record), await self._headers.score(id_), now)
        if (exists, record) != await self._stored(id_):
            return False  # a commit came in between: the next pass compares it
        # Newer than its events: it was committed just now, or events are lost. It is checked before a grant.
        ahead = record is not None and record.version > replayed.version
        if ahead or replay.incomplete or self._seen_newer(replayed):
            return await self._keep_or_revoke(id_, record, now)
        await self.store.alarm_rolled_back(id_)
        return await self.restore(replayed, record)

    def _seen_newer(self, request: Request) -> bool:
        """Whether this process has seen a newer version: its high-water mark is above this one."""
        mark = self.store.high_water_marks.newest(request.id)
        life = (request.created_at, request.recovered)
        return mark is not None and (mark.life, mark.version) > (life, request.version)

    def _note_open(self, request: Request) -> None:
        due = deadlines.due(request)
        self.trail.open.put(request.id, Latest(request.version, due, request.created_at))

    async def _keep_or_revoke(self, id_: str, record: Request | None, now: float) -> bool:
        """Without a complete replay: keep the due time of a trusted record; else revoke the access at its end."""
        if record and not self.store.high_water_marks.is_distrusted(record):
            return await self.due_times.restore(id_, deadlines.due(record), await self._headers.score(id_), now)
        return await self.revoke_unusable(id_, now, record)

    async def revoke_unusable(self, id_: str, now: float, untrusted: Request | None = None) -> bool:
        """Have access revoked whose record is unusable: restore the newest known version, even if it is not the last.

        The worker goes on from that version: access past its end is revoked, and nothing is granted, since a grant
        needs a record that the audit log confirms. Active access before its end is left until the events can be
        read. ``untrusted``: the stored record, if any. Whether it was restored.
        """
        candidates = (self.store.recent_writes.newest(id_), await self.trail.partial_replay(id_))
        newest = max(
            filter(None, candidates), key=lambda each: (each.created_at, each.recovered, each.version), default=None
        )
        if newest is None:
            log.error(
                "%s: its record is unusable, and no version of it is known; what it may have granted is unknown", id_
            )
            if self.on_unknown_access:
                await self.on_unknown_access()
            return False
        has_access = deadlines.due(newest) is not None and newest.state in MAY_HAVE_ACCESS
        if not has_access or (newest.state is State.ACTIVE and newest.ends_at > now):
            return False
        await self.store.alarm_rolled_back(id_)
        return await self.restore(newest, untrusted, is_newest=False)

    async def restore(self, request: Request, untrusted: Request | None, *, is_newest: bool = True) -> bool:
        """Restore a record, in place of the ``untrusted`` one, if any. ``is_newest``: surely its newest version.

        A request that was being granted is ended: how long its access was active is unknown.
        """
        if not await self.store.restore(request, untrusted):
            return False
        if request.state is State.GRANTING and (not is_newest or any(leg.attempts for leg in request.legs)):
            await self._end(request.id)
        return True

    async def _end(self, id_: str) -> None:
        request = (await self.store.load_many([id_]))[0].request
        if event := end_event(request, await self.store.now()):
            await self.store.commit(Change(request, lifecycle.advance(request, event), event))
            if self.on_unknown_access:
                await self.on_unknown_access()

    async def _stored(self, id_: str) -> tuple[bool, Request | None]:
        """Whether there is a value under the key of a record, and the record if its MAC is right."""
        try:
            loaded = await self.store.load(id_)
        except Tampered:
            return True, None
        return loaded is not None, loaded.request if loaded else None
