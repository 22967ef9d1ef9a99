"""One summary card in a channel where very many requests wait, in place of a card each; it decides nothing.

A deferred card is posted once there is room, an approver answered or asked, the requester reminds, or the request
ended. Direct messages are not deferred.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core import notifications
from bot.core.events import Escalated, Reminded
from bot.core.request import Request
from bot.store.indexes.card_queue import CardQueue
from bot.store.outbox import Row
from bot.store.store import Store
from handlers.notify.poster import Poster
from handlers.views import summary_card

_LOOK_AGAIN = 60.0
"""Seconds after which a held card is looked at again, if nothing called it before."""
_LOOKED_AT = 10


@dataclass
class SummaryCards:
    """Who of those that wait has a card. Its verbs raise what the poster's do.

    ``usable`` raises `Undeliverable` for a channel in which nothing can be posted, so that nothing is deferred for it.
    """

    store: Store
    poster: Poster
    usable: Callable[[str], Awaitable[str]]

    def __post_init__(self) -> None:
        """Open the lines."""
        self.queue = CardQueue(self.store)

    async def defers(self, row: Row, request: Request) -> bool:
        """Whether this notification is settled here: deferred, or covered by the summary."""
        card = notifications.card_above(row.audience) or row.audience
        channel = notifications.card_channel(request, card)
        if not channel:
            return False
        if request.awaits_decision and not (request.reviews or request.questions):
            if not await self.queue.has_room(channel, request.id) and not await self._has_card(request, card):
                await self._defer(row, request, channel)
                return True
        elif row.audience == card:
            await self._use_free_room(channel)
        else:
            await self._post_missing(request)
        return False

    async def _post_missing(self, request: Request) -> None:
        """Something became of it: each of its channels gets the card that was deferred there."""
        posts = await self.poster.outbox.posts(request.id)
        for audience, channel in zip(notifications.cards(request), request.channels, strict=True):
            if audience not in posts:
                await self.queue.post_soon(channel, [request.id])

    async def _has_card(self, request: Request, card: str) -> bool:
        return card in await self.poster.outbox.posts(request.id)

    async def _defer(self, row: Row, request: Request, channel: str) -> None:
        if row.kind == notifications.CARD:
            await self.usable(channel)
            # Not all of them at once, so that they keep no other notice waiting.
            await self.poster.outbox.hold(row, await self.store.now() + _LOOK_AGAIN * (1 + random.random()))  # noqa: S311
            await self.queue.request_summary(channel)
            return
        found = await self.poster.outbox.event(row)
        if isinstance(found, Escalated) or (isinstance(found, Reminded) and found.by != "clock"):
            for each in request.channels:
                await self.queue.move_to_front(each, request.id)
            await self.poster.outbox.defer(row, await self.store.now())
        else:
            await self.poster.outbox.done(row, row.version)  # the summary reminds of all of them

    async def _use_free_room(self, channel: str) -> None:
        """One less waits: whose turn it is gets a card."""
        if await self.queue.has_summary(channel):
            await self.queue.post_soon(channel, await self.queue.with_room(channel))
            await self.queue.request_summary(channel)

    async def deliver(self, row: Row, channel: str) -> None:
        """Show how many wait without a card; the last time, that none does any more."""
        await self._refresh_queue(row.request)
        deferred = await self.queue.deferred(row.request)
        if not deferred and not await self.queue.summary_posted(row.request):
            await self.poster.outbox.done(row, row.version)
            return
        first = await self.store.load_ours(deferred[:_LOOKED_AT])
        message = summary_card.summary(row.request, len(deferred), [loaded.request for loaded in first])
        await self.poster.show(row, message, channel, row.version)
        if not deferred:
            # The next crowd has a summary of its own, where people look.
            await self.poster.outbox.not_posted(row)

    async def _refresh_queue(self, channel: str) -> None:
        """Nobody keeps a place who does not wait, and whose turn it is gets a card."""
        there = await self.queue.with_room(channel)
        waiting = {loaded.request.id for loaded in await self.store.load_ours(there) if loaded.request.awaits_decision}
        if gone := [id_ for id_ in there if id_ not in waiting]:
            await self.queue.remove(channel, gone)
            there = await self.queue.with_room(channel)
        # Each time: a place that came free by a commit makes this the last summary, before that commit's card is told.
        await self.queue.post_soon(channel, there)
