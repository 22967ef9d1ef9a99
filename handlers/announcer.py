"""The outbox → cards, threads and DMs in Slack: who posts, where, in which order and when again; it decides nothing.

One announcer posts for a workspace at a time. A channel or person is a lane, in which one notice follows the other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import notices, policy
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway, Tampered
from bot.core.model import Request, State
from bot.extending import as_asked, undecided_end
from bot.store.outbox import OnItsWay, Outbox, Row
from bot.store.store import Store
from handlers.calls import NotNow, Unanswered
from handlers.people import People
from handlers.poster import Deferred, Poster, Waits
from handlers.rooms import Rooms, Undeliverable, Unread
from handlers.views import card as cards
from handlers.views import finds, leaving, letters
from handlers.views.card import Message, Needed
from handlers.views.words import safe
from providers.systems.base import Capabilities

log = logging.getLogger(__name__)

TAMPERED = "tampered"
FOUND = "found"
LEAVING = "leaving"
RECORD = "record"
_LEASE = 4.0
_SURELY = 3.0
"""Seconds for which a lease surely holds, so that a process that was stopped for a while posts nothing after it."""
_BATCH = 200
_AGAIN = 1.0
_BROKEN_FOR = 30.0
_DMS = frozenset({notices.RECEIVED, notices.DECIDED, notices.ENDING})

Capable = Callable[[str, Mapping[str, Any]], Capabilities]
Told = tuple[Row, Request | None]
"""A notice to be given, and the record that it is rendered from."""


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
    unknown_for: float = 10.0
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        """Open the outbox."""
        self.outbox, self.rooms = Outbox(self.store), Rooms(self.client)
        self.poster = Poster(self.outbox, self.client, self.unknown_for)
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
        for row, request in await self._loaded(rows):
            lanes.setdefault(self._lane(row, request), []).append((row, request))
        for lane, its in lanes.items():
            if lane in self._lanes:
                self._passed.add(lane)
            elif self._resting.get(lane, 0.0) <= _steady():
                self._resting.pop(lane, None)
                self._lanes[lane] = asyncio.create_task(self._serve(lane, its), name=f"announce {lane}")

    async def _serve(self, lane: str, its: list[Told]) -> None:
        try:
            await self._walk(lane, sorted(its, key=_order))
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

    def _lane(self, row: Row, request: Request | None) -> str:
        if row.copy:
            return row.copy[0]
        if request is None or row.audience == TAMPERED or row.audience.startswith(f"{FOUND}:"):
            return self.catalog().workspace.audit_channel
        return request.asker.id if row.audience in _DMS else request.channel

    async def _walk(self, lane: str, its: Sequence[Told]) -> None:
        """Alarms first, then in the order of what happened, a card before its thread."""
        for n, (row, request) in enumerate(its):
            if not self._may_post():
                return
            try:
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
            await self._give(row, request)
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

    async def _give(self, row: Row, request: Request | None) -> None:
        if row.copy:
            await self.poster.remove(row, *row.copy)
        elif row.audience == TAMPERED:
            # Whoever wrote that record may have chosen its id too.
            what = f"The record of {safe(row.request, 40)} is missing or was not written by this product."
            message = cards.warning(f"{what} Nothing is done with it.")
            await self.poster.show(row, message, await self._audit(), row.version)
        elif row.audience.startswith(f"{RECORD}:"):
            said = safe(str((await self._noted(row)).get("said")), 500)
            await self.poster.show(row, cards.warning(f"The record needs a hand: {said}"), await self._audit(), 0)
        elif row.audience.startswith(f"{LEAVING}:"):
            await self.poster.show(row, leaving.held(await self._noted(row)), await self._audit(), row.version)
        elif row.audience.startswith(f"{FOUND}:"):
            await self.poster.show(row, finds.summary(await self._noted(row)), await self._audit(), row.version)
        elif request is None:
            raise Undeliverable("its request is gone, or was not written by us")
        elif (rendered := await self._render(row, request)) is None:
            await self.outbox.done(row, request.version)
        else:
            await self._place(row, rendered, request)

    async def _render(self, row: Row, request: Request) -> Message | None:
        match row.audience.partition(":")[0]:
            case "card":
                return cards.card(request, await self._needed(request))
            case "received":
                return letters.received(request, await self._needed(request))
            case "decided":
                return letters.decided(request, "", secret=self._has_secret(request))
            case "ending":
                return letters.ending(request, await self._needed(request))
            case "alarm":
                return cards.alarm(request)
            case _:
                found = await self.store.event(row.seq or 0)
                if found is None:
                    return Message(finds.line(await self._noted(row)), [])
                text = cards.line(request, found[1], await self._needed(request))
                return Message(text, []) if text else None

    async def _noted(self, row: Row) -> Mapping[str, Any]:
        found = await self.outbox.noted(row.seq or 0)
        if found is None:
            raise Undeliverable("its audit event is gone")
        return found

    async def _needed(self, request: Request) -> Needed:
        if undecided_end(request):
            request = as_asked(request)
        elif request.state is not State.PENDING:
            return Needed("", 0)
        catalog = self.catalog()
        still_open = policy.tally(catalog, await self.people.roster(), request).open
        groups = dict.fromkeys(group for step in still_open for group in step.any_of)
        return Needed(await self.people.mention(groups), sum(step.missing for step in still_open))

    def _has_secret(self, request: Request) -> bool:
        return any(self.capable(leg.role.provider, leg.role.params).issues_secret for leg in request.legs)

    async def _place(self, row: Row, message: Message, request: Request) -> None:
        try:
            await self.poster.show(row, message, await self._room(row, request), request.version)
        except Undeliverable:
            if not row.audience.startswith("alarm:"):
                raise
            # Access that may be open past its end is told somewhere, whatever became of its channel.
            await self.poster.show(row, message, await self._audit(), request.version)

    async def _room(self, row: Row, request: Request) -> str:
        if row.audience in _DMS:
            return await self.rooms.dm(request.asker.id)
        return await self.rooms.channel(request.channel)

    async def _audit(self) -> str:
        return await self.rooms.channel(self.catalog().workspace.audit_channel)

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows one of our own messages: note where it stands; a second copy will be removed."""
        await self.outbox.seen(request, audience, channel, ts)


def _steady() -> float:
    return asyncio.get_running_loop().time()


def _order(pair: tuple[Row, Request | None]) -> tuple[int, int, str]:
    row, _ = pair
    kind = row.audience.partition(":")[0]
    rank = {"alarm": 0, TAMPERED: 0, FOUND: 0, LEAVING: 0, RECORD: 0, "card": 1}.get(kind, 2)
    return rank, row.seq or row.version, row.name
