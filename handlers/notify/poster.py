"""One notification → one message in Slack: posted, updated, or a second copy removed; it never retries blindly.

After an unknown outcome it waits for Slack to show our own message before it posts again, and a copy that shows up
later is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import notifications
from bot.core.errors import StoreAway
from bot.store.outbox import Outbox, PostedMessage, Row
from handlers.notify.channels import Undeliverable
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered
from handlers.views.message import SlackMessage

log = logging.getLogger(__name__)

METADATA = "jit_notice"
"""The event type of our messages' metadata, which carries ids only."""
_AGAIN = 1.0
_NOTING = 8


class Deferred(Exception):
    """The notification cannot be delivered yet; its next try is already set."""


class Waits(Exception):
    """The notification cannot be delivered yet; again in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        """Keep how long."""
        super().__init__(seconds)
        self.seconds = seconds


@dataclass
class Poster:
    """``unknown_for``: seconds to wait for our own message to show up before it is posted again.

    Its verbs raise `Undeliverable`, `NotNow`, `Unanswered`, `Waits`, `Deferred`, and the outbox's `OnItsWay`.
    """

    outbox: Outbox
    client: AsyncWebClient
    unknown_for: float

    async def show(self, row: Row, message: SlackMessage, channel: str, version: int, thread: str = "") -> None:
        """Post it or update it, as of ``version`` of the record. ``thread``: the message that it is posted beneath."""
        posts = await self.outbox.posts(row.request)
        post = posts.get(row.audience)
        if post is None or not post.ts:
            await self._post(row, message, channel, posts, thread)
        elif row.seq is None and not await self._update(message, post):
            # Somebody deleted it: what it shows still has to be posted somewhere.
            await self.outbox.not_posted(row)
            await self._post(row, message, post.channel, posts, thread)
        await self.outbox.done(row, version)

    async def edit(self, row: Row, message: SlackMessage, version: int) -> None:
        """Update it where it was posted, as of ``version`` of the record; where it was not, nobody is notified."""
        post = (await self.outbox.posts(row.request)).get(row.audience)
        if post and not post.ts:
            # One that may be on its way is waited for, or its buttons would outlive what they are for.
            await self.outbox.posting(row, self.unknown_for)
            await self.outbox.not_posted(row)
        elif post and row.seq is None and not await self._update(message, post):
            await self.outbox.not_posted(row)
        await self.outbox.done(row, version)

    async def _post(
        self, row: Row, message: SlackMessage, channel: str, posts: Mapping[str, PostedMessage], thread: str = ""
    ) -> None:
        beneath = thread or await self._thread(row, posts)
        await self.outbox.posting(row, self.unknown_for)
        call = self.client.chat_postMessage(
            channel=channel,
            text=message.text,
            blocks=message.blocks or None,
            thread_ts=beneath,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": METADATA, "event_payload": {"request": row.request, "audience": row.audience}},
        )
        try:
            answer = await answered(call)
        except NotNow as error:
            await self.outbox.unknown(row, error.after)
            raise
        except SlackRefused as error:
            await self.outbox.not_posted(row)
            raise Undeliverable(f"Slack refuses it: {error.code}") from error
        except Unanswered as error:
            log.warning("%s: no answer from Slack, it may be posted or not: %s", row.name, error)
            await self.outbox.unknown(row, self.unknown_for)
            raise Deferred from error
        await self._note(row, str(answer["channel"]), str(answer["ts"]))

    async def _note(self, row: Row, channel: str, ts: str) -> None:
        """Only this process knows the message's place until the store does, so a store that is away is retried."""
        for _ in range(_NOTING):
            with contextlib.suppress(StoreAway):
                await self.outbox.posted(row, channel, ts)
                return
            await asyncio.sleep(_AGAIN / 2)
        await self.outbox.posted(row, channel, ts)

    async def _thread(self, row: Row, posts: Mapping[str, PostedMessage]) -> str | None:
        """The card that a line belongs beneath, once all earlier lines are posted."""
        above = notifications.card_above(row.audience)
        if not above:
            return None
        for audience in (above, *(a for a in posts if notifications.card_above(a) == above)):
            before = Row(row.request, audience, 0)
            there = posts.get(audience)
            unsettled = (before.seq or 0) < (row.seq or 0) and not (there and there.ts)
            if unsettled and await self.outbox.waits(row.request, audience):
                raise Waits(_AGAIN)
        card = posts.get(above)
        if card is None or not card.ts:
            raise Undeliverable("its card was never posted")
        return card.ts

    async def _update(self, message: SlackMessage, post: PostedMessage) -> bool:
        """False when it is gone: somebody deleted it."""
        call = self.client.chat_update(channel=post.channel, ts=post.ts, text=message.text, blocks=message.blocks)
        try:
            await answered(call)
        except SlackRefused as error:
            if error.code != "message_not_found":
                raise Undeliverable(f"Slack refuses its update: {error.code}") from error
            return False
        return True

    async def remove(self, row: Row, channel: str, ts: str) -> None:
        """Delete a second copy."""
        try:
            await answered(self.client.chat_delete(channel=channel, ts=ts))
        except SlackRefused as error:
            if error.code != "message_not_found":
                raise Undeliverable(f"Slack refuses to remove a second copy: {error.code}") from error
        await self.outbox.done(row, row.version)
