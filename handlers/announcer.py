"""The outbox → cards, threads and DMs in Slack: who posts, where, in which order and when again; it decides nothing.

One announcer posts for a workspace at a time. A channel or person is a lane, in which one notice follows the other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot import logs
from bot.core import notices
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway, Tampered
from bot.core.model import Request
from bot.store.outbox import OnItsWay, Outbox, Row
from bot.store.store import Store
from handlers.calls import NotNow, Unanswered
from handlers.homes import Homes
from handlers.people import People
from handlers.poster import Deferred, Poster, Waits
from handlers.rooms import Rooms, Undeliverable, Unread
from handlers.telling import Capable, Telling, Told, order

log = logging.getLogger(__name__)

_LEASE = 4.0
_SURELY = 3.0
"""Seconds for which a lease surely holds, so that a process that was stopped for a while posts nothing after it."""
_BATCH = 200
_AGAIN = 1.0
_BROKEN_FOR = 30.0


@dataclass
class Announcer:
    """Posts for one workspace.

    ``wait`` returns after so many seconds, or sooner when ``nudge`` was called. ``unknown_for``: seconds to wait for
    our own message to show up before it is posted again.
    """

    store: Store
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]
    capable: Capable
    wait: Callable[[float], Awaitable[None]]
    nudge: Callable[[], None]
    homes: Homes
    site: str = ""
    unknown_for: float = 10.0
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        """Open the outbox."""
        self.outbox, self.rooms = Outbox(self.store), Rooms(self.client)
        self.poster = Poster(self.outbox, self.client, self.unknown_for)
        self.telling = Telling(
            self.store,
            self.outbox,
            self.poster,
            self.rooms,
            self.people,
            self.client,
            self.catalog,
            self.capable,
            self.site,
        )
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._passed: set[str] = set()
        self._resting: dict[str, float] = {}
        self._stopping, self._leased_at = False, 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Announce until told to stop; then finish the message that is in hand and let another go on."""
        try:
            while not stop.is_set():
                await self.wait(await self._round())
        finally:
            self._stopping = True
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)
            await self._leave()

    async def _round(self) -> float:
        """Start on what is ready. Answers how many seconds to wait."""
        try:
            at = _steady()
            if not await self.store.lease(self.store.keys.poster, self.holder, _LEASE):
                return 1.0
            self._leased_at = at
            rows, next_at, now = await self.outbox.ready(_BATCH)
            await self._start(rows)
        except StoreAway as error:
            log.warning("the store is away, nothing can be announced: %s", error)
            return 0.5
        return 1.0 if next_at is None else min(1.0, max(0.02, next_at - now))

    async def _leave(self) -> None:
        try:
            await self.store.lease(self.store.keys.poster, self.holder, 0)
        except StoreAway:
            log.warning("the store is away; the announcer's lease will lapse")

    def _may_post(self) -> bool:
        """Whether the workspace is surely ours to post for."""
        return not self._stopping and _steady() - self._leased_at < _SURELY

    async def _start(self, rows: list[Row]) -> None:
        """One task a channel or person, so that one that is slow keeps no other waiting."""
        lanes: dict[str, list[Told]] = {}
        loaded = await self._loaded(rows)
        await self.homes.changed(request for row, request in loaded if request and row.audience == notices.CARD)
        for row, request in loaded:
            lanes.setdefault(self.telling.lane(row, request), []).append((row, request))
        for lane, its in lanes.items():
            if lane in self._lanes:
                self._passed.add(lane)
            elif self._resting.get(lane, 0.0) <= _steady():
                self._resting.pop(lane, None)
                self._lanes[lane] = asyncio.create_task(self._serve(lane, its), name=f"announce {lane}")

    async def _serve(self, lane: str, its: list[Told]) -> None:
        try:
            await self._walk(lane, sorted(its, key=order))
        except StoreAway as error:
            log.warning("the store went away while %s was told: %s", lane, error)
        finally:
            del self._lanes[lane]
            if lane in self._passed:
                self._passed.discard(lane)
                self.nudge()

    async def _loaded(self, rows: list[Row]) -> list[Told]:
        found: dict[str, Request | None] = {}
        for id_ in {row.request for row in rows}:
            try:
                loaded = await self.store.load(id_)
                found[id_] = loaded.request if loaded else None
            except Tampered:
                found[id_] = None
        return [(row, found[row.request]) for row in rows]

    async def _walk(self, lane: str, its: Sequence[Told]) -> None:
        for n, (row, request) in enumerate(its):
            if not self._may_post():
                return
            try:
                with logs.about(request=request.id if request else ""):
                    await self._tell(row, request)
            except NotNow as error:
                level = logging.ERROR if error.locked_out else logging.INFO
                log.log(level, "%s: Slack lets us post nothing: %s", lane, error)
                await self._rest(lane, [row for row, _ in its[n:]], error.after)
                return

    async def _rest(self, lane: str, rows: Sequence[Row], seconds: float) -> None:
        """Nothing more in this channel before Slack allows it, so that its lines stay in order."""
        self._resting[lane] = _steady() + seconds
        until = await self.store.now() + seconds
        for row in rows:
            await self.outbox.defer(row, until)

    async def _tell(self, row: Row, request: Request | None) -> None:
        """Give one notice, or settle when it is tried again; one that breaks us keeps no other from being told."""
        try:
            await self.telling.give(row, request)
        except Unread as error:
            log.info("%s is not told: %s is deactivated", row.name, error)
            await self.outbox.done(row, row.version)
        except Undeliverable as error:
            log.error("%s cannot be told: %s", row.name, error)  # noqa: TRY400  # a trace says nothing here
            await self.outbox.bury(row, str(error))
        except (Waits, OnItsWay) as error:
            await self.outbox.defer(row, await self.store.now() + error.seconds)
        except Unanswered as error:
            log.warning("%s: no answer from Slack: %s", row.name, error)
            await self.outbox.defer(row, await self.store.now() + _AGAIN)
        except Deferred:
            return
        except (NotNow, StoreAway):
            raise
        except Exception:
            log.exception("%s could not be told, and is tried again in a while", row.name)
            await self.outbox.defer(row, await self.store.now() + _BROKEN_FOR)

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows one of our own messages: note where it stands; a second copy will be removed."""
        await self.outbox.seen(request, audience, channel, ts)


def _steady() -> float:
    return asyncio.get_running_loop().time()
