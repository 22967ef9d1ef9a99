"""The outbox → cards, threads and DMs in Slack: who posts, where, in which order and when again; it decides nothing.

One announcer posts for a workspace at a time. A channel or person is a lane, in which one notice follows the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot import logs
from bot.background import Loop
from bot.core import notifications
from bot.core.errors import StoreAway, Tampered
from bot.core.request import Request
from bot.policy.catalog import Catalog
from bot.store.leader import Leader
from bot.store.outbox import OnItsWay, Outbox, Row
from bot.store.store import Store
from handlers.notify.channels import Channels, Undeliverable, Unread
from handlers.notify.home_tabs import HomeTabs
from handlers.notify.poster import Deferred, Poster, Waits
from handlers.notify.routing import ROLLED_BACK, Notification, NotificationRouter, order
from handlers.notify.texts import Capable
from handlers.slack.api import NotNow, Unanswered
from handlers.slack.directory import People

log = logging.getLogger(__name__)

_LEASE = 4.0
_BATCH = 200
_AGAIN = 1.0
_SOON = 0.5
_BROKEN_FOR = 30.0
_ROLLED_BACK_FOR = 2.0


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
    home_tabs: HomeTabs
    site: str = ""
    unknown_for: float = 10.0

    def __post_init__(self) -> None:
        """Open the outbox."""
        self.leader = Leader(self.store, self.store.keys.poster, _LEASE)
        self.outbox, self.channels = Outbox(self.store), Channels(self.client)
        self.poster = Poster(self.outbox, self.client, self.unknown_for)
        self.router = NotificationRouter(
            self.store,
            self.outbox,
            self.poster,
            self.channels,
            self.people,
            self.client,
            self.catalog,
            self.capable,
            self.site,
        )
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._passed: set[str] = set()
        self._resting: dict[str, float] = {}
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Announce until told to stop; then finish the message that is in hand and let another go on."""
        self._stopping = False
        try:
            await Loop("the notifications", self._round, _SOON, wait=self.wait).run(stop)
        finally:
            self._stopping = True
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)
            await self.leader.resign()

    async def _round(self) -> float:
        """Start on what is ready. Answers how many seconds to wait."""
        if not await self.leader.elected():
            return 1.0
        rows, next_at, now = await self.outbox.ready(_BATCH)
        await self._start(rows)
        return 1.0 if next_at is None else min(1.0, max(0.02, next_at - now))

    def _may_post(self) -> bool:
        """Whether the workspace is surely ours to post for: a process that was stopped for a while posts nothing."""
        return not self._stopping and self.leader.sure

    async def _start(self, rows: list[Row]) -> None:
        """One task a channel or person, so that one that is slow keeps no other waiting."""
        lanes: dict[str, list[Notification]] = {}
        loaded = await self._loaded(rows)
        await self.home_tabs.changed(
            request
            for row, request in loaded
            if request and row.audience in {notifications.CARD, notifications.CONSENT}
        )
        for row, request in loaded:
            lanes.setdefault(self.router.lane(row, request), []).append((row, request))
        for lane, its in lanes.items():
            if lane in self._lanes:
                self._passed.add(lane)
            elif self._resting.get(lane, 0.0) <= _steady():
                self._resting.pop(lane, None)
                self._lanes[lane] = asyncio.create_task(self._serve(lane, its), name=f"announce {lane}")

    async def _serve(self, lane: str, its: list[Notification]) -> None:
        try:
            await self._walk(lane, sorted(its, key=order))
        except StoreAway as error:
            log.warning("the store went away during a delivery to %s: %s", lane, error)
        finally:
            del self._lanes[lane]
            if lane in self._passed:
                self._passed.discard(lane)
                self.nudge()

    async def _loaded(self, rows: list[Row]) -> list[Notification]:
        """Each with its record; what is about a rolled-back record waits until that is restored or ended."""
        found: dict[str, Request | None] = {}
        waiting: set[str] = set()
        for id_ in {row.request for row in rows}:
            try:
                loaded = await self.store.load(id_)
            except Tampered:
                loaded = None
            found[id_] = loaded.request if loaded else None
            if loaded and loaded.rolled_back and not (loaded.request.is_over or loaded.request.is_closing):
                waiting.add(id_)
        deferred = [row for row in rows if row.request in waiting and row.kind != ROLLED_BACK]
        if deferred:
            until = await self.store.now() + _ROLLED_BACK_FOR
            for row in deferred:
                await self.outbox.defer(row, until)
        return [(row, found[row.request]) for row in rows if row not in deferred]

    async def _walk(self, lane: str, its: Sequence[Notification]) -> None:
        for n, (row, request) in enumerate(its):
            if not self._may_post():
                return
            try:
                with logs.about(request=request.id if request else ""):
                    await self._deliver(row, request)
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

    async def _deliver(self, row: Row, request: Request | None) -> None:
        """Deliver one notification, or set its next try; one that fails unexpectedly does not hold up the others."""
        try:
            await self.router.deliver(row, request)
        except Unread as error:
            log.info("%s is not delivered: %s is deactivated", row.name, error)
            await self.outbox.done(row, row.version)
        except Undeliverable as error:
            log.error("%s cannot be delivered: %s", row.name, error)  # noqa: TRY400  # a trace says nothing here
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
            log.exception("%s could not be delivered, and is tried again in a while", row.name)
            await self.outbox.defer(row, await self.store.now() + _BROKEN_FOR)

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows one of our own messages: note its place; a second copy will be removed."""
        await self.outbox.seen(request, audience, channel, ts)


def _steady() -> float:
    return asyncio.get_running_loop().time()
