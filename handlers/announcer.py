"""The outbox → cards, threads and DMs in Slack; it posts, updates and removes, and decides nothing.

One announcer posts for a workspace at a time. It retries nothing blindly: after an unknown outcome it waits for
Slack to show our own message before it posts again, and a copy that shows up later is removed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import notices, policy
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway, Tampered
from bot.core.model import Request, State
from bot.store.outbox import Outbox, Post, Row
from bot.store.store import Store
from handlers.people import People
from handlers.views import card as cards
from handlers.views import letters
from handlers.views.card import Message, Needed
from providers.systems.base import Capabilities

log = logging.getLogger(__name__)

METADATA = "jit_notice"
"""The event type of our messages' metadata, which carries ids only."""
TAMPERED = "tampered"
_LEASE = 4.0
_BATCH = 200
_UNKNOWN_FOR = 10.0
"""Seconds to wait for our own message to show up before it is posted again."""
_ROOM_AGE = 60.0
_BROKEN_FOR = 30.0
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})

Capable = Callable[[str, Mapping[str, Any]], Capabilities]


class Undeliverable(Exception):
    """A notice that can never be given; the message says why."""


@dataclass
class Announcer:
    """Posts for one workspace."""

    store: Store
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]
    capable: Capable
    wait: Callable[[float], Awaitable[None]]
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        """Open the outbox."""
        self.outbox = Outbox(self.store)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._rooms: dict[str, tuple[float, str]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Announce until told to stop; then finish what is in hand and let another go on."""
        try:
            while not stop.is_set():
                await self.wait(await self._round())
        finally:
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)
            await self._leave()

    async def _round(self) -> float:
        """Start on what is ready. Answers how many seconds to wait."""
        try:
            if not await self.store.lease(self.store.keys.poster, self.holder, _LEASE):
                return 1.0
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

    async def _start(self, rows: list[Row]) -> None:
        """One task a channel or person, so that one that is slow keeps no other waiting."""
        lanes: dict[str, list[tuple[Row, Request | None]]] = {}
        for row, request in await self._loaded(rows):
            lanes.setdefault(self._lane(row, request), []).append((row, request))
        for lane, its in lanes.items():
            if lane not in self._lanes:
                self._lanes[lane] = asyncio.create_task(self._serve(lane, its), name=f"announce {lane}")

    async def _serve(self, lane: str, its: list[tuple[Row, Request | None]]) -> None:
        try:
            await self._walk(its)
        finally:
            del self._lanes[lane]

    async def _loaded(self, rows: list[Row]) -> list[tuple[Row, Request | None]]:
        found: dict[str, Request | None] = {}
        for id_ in {row.request for row in rows}:
            try:
                loaded = await self.store.load(id_)
                found[id_] = loaded.request if loaded else None
            except Tampered:
                found[id_] = None
        return [(row, found[row.request]) for row in rows]

    def _lane(self, row: Row, request: Request | None) -> str:
        if request is None or row.audience == TAMPERED:
            return self.catalog().workspace.audit_channel
        if row.audience in {notices.RECEIVED, notices.DECIDED, notices.ENDING}:
            return request.asker.id
        return request.channel

    async def _walk(self, its: list[tuple[Row, Request | None]]) -> None:
        """Alarms first, then in the order of what happened, a card before its thread."""
        for row, request in sorted(its, key=_order):
            try:
                await self._give(row, request)
            except Undeliverable as error:
                log.error("%s cannot be told: %s", row.name, error)  # noqa: TRY400  # a trace says nothing here
                await self.outbox.bury(row, str(error))
            except StoreAway as error:
                log.warning("%s: the store went away: %s", row.name, error)
                return
            except Exception:  # one notice that breaks us must not keep the others from being told
                log.exception("%s could not be told, and is tried again in a while", row.name)
                await self.outbox.defer(row, await self.store.now() + _BROKEN_FOR)

    async def _give(self, row: Row, request: Request | None) -> None:
        now = await self.store.now()
        if row.audience == TAMPERED:
            text = (
                f"The record of {row.request} is missing or was not written by this product. Nothing is done with it."
            )
            message = cards.warning(text)
            await self._post_or_update(row, message, self.catalog().workspace.audit_channel, now, row.version)
            return
        if request is None:
            raise Undeliverable("its request is gone, or was not written by us")
        rendered = await self._render(row, request)
        if rendered is None:
            await self.outbox.done(row, request.version)
            return
        await self._post_or_update(row, rendered, await self._room(row, request), now, request.version)

    async def _render(self, row: Row, request: Request) -> Message | None:
        match row.audience.partition(":")[0]:
            case "card":
                return cards.card(request, await self._needed(request))
            case "received":
                return letters.received(request, await self._needed(request))
            case "decided":
                return letters.decided(request, "", secret=self._has_secret(request))
            case "ending":
                return letters.ending(request)
            case "alarm":
                return cards.alarm(request)
            case _:
                found = await self.store.event(row.seq or 0)
                if found is None:
                    raise Undeliverable("its audit event is gone")
                text = cards.line(request, found[1])
                return Message(text, []) if text else None

    async def _needed(self, request: Request) -> Needed:
        if request.state is not State.PENDING:
            return Needed("", 0)
        catalog = self.catalog()
        still_open = policy.tally(catalog, await self.people.roster(), request).open
        groups = dict.fromkeys(group for step in still_open for group in step.any_of)
        return Needed(await self.people.mention(groups), sum(step.missing for step in still_open))

    def _has_secret(self, request: Request) -> bool:
        return any(self.capable(leg.role.provider, leg.role.params).issues_secret for leg in request.legs)

    async def _room(self, row: Row, request: Request) -> str:
        """The channel or DM to post in. Raises `Undeliverable` for a channel that is shared outside."""
        if row.audience in {notices.RECEIVED, notices.DECIDED, notices.ENDING}:
            return await self._dm(request.asker.id)
        where = request.channel
        known = self._rooms.get(where)
        loop = asyncio.get_running_loop().time()
        if known is None or loop - known[0] > _ROOM_AGE:
            known = (loop, await self._flaw_of(where))
            self._rooms[where] = known
        if known[1]:
            raise Undeliverable(known[1])
        return where

    async def _flaw_of(self, channel: str) -> str:
        try:
            info = (await self.client.conversations_info(channel=channel))["channel"]
        except SlackApiError as error:
            code = str(error.response.get("error"))
            return "" if code in _PASSING | {"ratelimited"} else f"the channel {channel} cannot be used: {code}"
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        if info.get("is_ext_shared") or info.get("is_pending_ext_shared"):
            return f"the channel {channel} is shared outside; requests are not shown there"
        return ""

    async def _dm(self, user: str) -> str:
        known = self._rooms.get(user)
        if known is None:
            try:
                answer = await self.client.conversations_open(users=user)
            except SlackApiError as error:
                raise Undeliverable(f"no DM with {user}: {error.response.get('error')}") from error
            known = (0.0, str(answer["channel"]["id"]))
            self._rooms[user] = known
        return known[1]

    # posting

    async def _post_or_update(self, row: Row, message: Message, channel: str, now: float, version: int) -> None:
        posts = await self.outbox.posts(row.request)
        post = posts.get(row.audience)
        try:
            if post and post.ts:
                if row.seq is None:
                    await self._update(row, post, message)
            elif post and now < post.since + _UNKNOWN_FOR:
                await self.outbox.defer(row, post.since + _UNKNOWN_FOR)
                return
            else:
                await self._post(row, message, channel, posts, now)
        except SlackApiError as error:
            await self._failed(row, error, now)
            return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("%s: no answer from Slack: %s", row.name, type(error).__name__)
            await self.outbox.defer(row, now + (1.0 if post and post.ts else _UNKNOWN_FOR))
            return
        await self.outbox.done(row, version)

    async def _post(self, row: Row, message: Message, channel: str, posts: Mapping[str, Post], now: float) -> None:
        thread = posts.get(notices.CARD) if row.audience.startswith("thread:") else None
        if row.audience.startswith("thread:") and not (thread and thread.ts):
            raise Undeliverable("its card was never posted") if thread is None else TimeoutError
        await self.outbox.posting(row, self.holder, now)
        answer = await self.client.chat_postMessage(
            channel=channel,
            text=message.text,
            blocks=message.blocks or None,
            thread_ts=thread.ts if thread else None,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": METADATA, "event_payload": {"request": row.request, "audience": row.audience}},
        )
        await self.outbox.posted(row, str(answer["channel"]), str(answer["ts"]))

    async def _update(self, row: Row, post: Post, message: Message) -> None:
        try:
            await self.client.chat_update(channel=post.channel, ts=post.ts, text=message.text, blocks=message.blocks)
        except SlackApiError as error:
            if error.response.get("error") != "message_not_found":
                raise
            # Somebody deleted it: what it shows still has to stand somewhere.
            await self.outbox.not_posted(row)
            await self.outbox.defer(row, 0.0)
            raise TimeoutError from error

    async def _failed(self, row: Row, error: SlackApiError, now: float) -> None:
        code = str(error.response.get("error"))
        status = int(getattr(error.response, "status_code", 0) or 0)
        if code == "ratelimited" or status == 429:
            await self._forget_posting(row)
            after = float(error.response.headers.get("Retry-After") or error.response.headers.get("retry-after") or 1)
            await self.outbox.defer(row, now + after)
        elif code in _PASSING or status >= 500:
            await self.outbox.defer(row, now + _UNKNOWN_FOR)
        else:
            await self._forget_posting(row)
            raise Undeliverable(f"Slack refuses it: {code}")

    async def _forget_posting(self, row: Row) -> None:
        """Slack surely refused: nothing was posted, so there is nothing to look for."""
        post = (await self.outbox.posts(row.request)).get(row.audience)
        if post and not post.ts:
            await self.outbox.not_posted(row)

    async def seen(self, request: str, audience: str, channel: str, ts: str) -> None:
        """Slack shows one of our own messages: note where it stands, or remove it if it is a second copy."""
        if not await self.outbox.seen(request, audience, channel, ts):
            await self.client.chat_delete(channel=channel, ts=ts)


def _order(pair: tuple[Row, Request | None]) -> tuple[int, int, str]:
    row, _ = pair
    kind = row.audience.partition(":")[0]
    rank = {"alarm": 0, TAMPERED: 0, "card": 1}.get(kind, 2)
    return rank, row.seq or row.version, row.name
