"""Where a request's card can be opened, for the messages that lead to it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.notifications import CARD
from bot.core.request import Request
from bot.store.indexes.card_queue import CardQueue
from bot.store.outbox import Outbox
from bot.store.store import Store
from handlers.notify.poster import Waits
from handlers.views.text import message_link

_COMES = 0.6
"""Seconds for which a message waits for the card of a new request: no longer, since a channel may have trouble."""
_AGAIN = 0.1


@dataclass(frozen=True)
class CardLinks:
    """The cards of one workspace. ``site``: its own address (``https://acme.slack.com``); without it, no link."""

    store: Store
    outbox: Outbox
    site: str

    async def of(self, request: Request) -> str:
        """The link; empty where there is no card. Raises `Waits` while a new one is on its way."""
        card = (await self.outbox.posts(request.id)).get(CARD)
        if card and card.ts:
            return message_link(self.site, card.channel, card.ts)
        if self.site and await self._comes(request):
            raise Waits(_AGAIN)
        return ""

    async def _is_new(self, request: Request) -> bool:
        return await self.store.now() - request.created_at < _COMES

    async def _comes(self, request: Request) -> bool:
        if not await self._is_new(request):
            return False
        has_room = await CardQueue(self.store).has_room(request.channel, request.id)
        return has_room and await self.outbox.waits(request.id, CARD)
