"""One summary in a channel where very many wait for a decision, instead of a card each; nothing is decided by it.

A card that is held is posted once there is room, once somebody answered or its asker reminds, and whatever becomes
of the request. Letters are not held.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core import notices
from bot.core.events import Reminded
from bot.core.model import Request, State
from bot.store.crowds import Crowds
from bot.store.outbox import Row
from bot.store.store import Store
from handlers.poster import Poster
from handlers.views import crowd

_LOOK_AGAIN = 60.0
"""Seconds after which a held card is looked at again, if nothing called it before."""
_LOOKED_AT = 10


@dataclass
class Crowding:
    """Who of those that wait has a card. Its verbs raise what the poster's do.

    ``usable`` raises `Undeliverable` for a channel in which nothing can be posted, so that nothing is held for it.
    """

    store: Store
    poster: Poster
    usable: Callable[[str], Awaitable[str]]

    def __post_init__(self) -> None:
        """Open the lines."""
        self.crowds = Crowds(self.store)

    async def holds(self, row: Row, request: Request) -> bool:
        """Whether this notice is settled here: put off, or told by the summary instead."""
        kind = row.kind
        if kind not in {notices.CARD, "thread"}:
            return False
        if request.state is State.PENDING and not request.reviews:
            if not await self.crowds.has_room(request.channel, request.id) and not await self._stands(request):
                await self._hold(row, request)
                return True
        elif kind == notices.CARD:
            await self._make_room(request.channel)
        elif not await self._stands(request):
            await self.crowds.show([request.id])
        return False

    async def _stands(self, request: Request) -> bool:
        return notices.CARD in await self.poster.outbox.posts(request.id)

    async def _hold(self, row: Row, request: Request) -> None:
        if row.audience == notices.CARD:
            await self.usable(request.channel)
            # Not all of them at once, so that they keep no other notice waiting.
            await self.poster.outbox.hold(row, await self.store.now() + _LOOK_AGAIN * (1 + random.random()))  # noqa: S311
            await self.crowds.ask(request.channel)
            return
        found = await self.store.event(row.seq or 0)
        if found and isinstance(found[1], Reminded) and found[1].by != "clock":
            await self.crowds.first(request.channel, request.id)
            await self.poster.outbox.defer(row, await self.store.now())
        else:
            await self.poster.outbox.done(row, row.version)  # the summary reminds of all of them

    async def _make_room(self, channel: str) -> None:
        """One less waits: whose turn it is gets a card."""
        if await self.crowds.is_told(channel):
            await self.crowds.show(await self.crowds.in_front(channel))
            await self.crowds.ask(channel)

    async def tell(self, row: Row, channel: str) -> None:
        """Show how many wait without a card; the last time, that nobody does any more."""
        await self._look_in_front(row.request)
        held = await self.crowds.held(row.request)
        if not held and not await self.crowds.is_posted(row.request):
            await self.poster.outbox.done(row, row.version)
            return
        first = await self.store.load_ours(held[:_LOOKED_AT])
        message = crowd.summary(row.request, len(held), [loaded.request for loaded in first])
        await self.poster.show(row, message, channel, row.version)
        if not held:
            # The next crowd has a summary of its own, where people look.
            await self.poster.outbox.not_posted(row)

    async def _look_in_front(self, channel: str) -> None:
        """Nobody keeps a place who does not wait."""
        there = await self.crowds.in_front(channel)
        waiting = {loaded.request.id for loaded in await self.store.load_ours(there) if _waits(loaded.request)}
        if gone := [id_ for id_ in there if id_ not in waiting]:
            await self.crowds.gone(channel, gone)
            await self.crowds.show(await self.crowds.in_front(channel))


def _waits(request: Request) -> bool:
    return request.state is State.PENDING
