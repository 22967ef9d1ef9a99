"""What each kind of notification says: the view of the record or event that a row is about; it posts nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.access.track_record import track_record
from bot.core import notifications
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.core.events import Event
from bot.core.request import Request
from bot.store.outbox import Outbox, Row
from bot.store.store import Store
from handlers.notify.approvers import ApproverMessages
from handlers.notify.card_links import CardLinks
from handlers.notify.channels import Undeliverable
from handlers.notify.owners import OwnerMessages
from handlers.slack.directory import People
from handlers.views import break_glass, delegation, dms, drift, for_others, people
from handlers.views import card as cards
from handlers.views.message import SlackMessage
from handlers.views.text import name
from handlers.views.thread import by_hand, line
from providers.systems.base import Capabilities

Capable = Callable[[str, Mapping[str, Any]], Capabilities]
"""What a provider can do with a role's params."""


@dataclass(frozen=True)
class Texts:
    """The messages of one workspace. ``site``: its own address, in which links to messages can be followed."""

    store: Store
    outbox: Outbox
    people: People
    approver_messages: ApproverMessages
    owner_messages: OwnerMessages
    capable: Capable
    site: str
    links: CardLinks

    async def card(self, row: Row, request: Request) -> SlackMessage:
        earlier = await track_record(self.store, request)
        channel = notifications.card_channel(request, row.audience)
        needed = await self.approver_messages.needed(request, channel)
        return cards.card(request, needed, self.site, earlier, channel)

    async def thread_line(self, row: Row, request: Request) -> SlackMessage | None:
        """An event of the request, or what was found in its system."""
        found = await self.outbox.event(row)
        if found is None:
            return SlackMessage(drift.line(await self.audit_event(row)), [])
        card = notifications.card_above(row.audience)
        own = found.kind in notifications.CALLING or card != notifications.CARD
        channel = notifications.card_channel(request, card) if own else ""
        text = line(request, found, await self.approver_messages.needed(request, channel))
        return SlackMessage(await self._without_a_ping(text, found.by), []) if text else None

    async def alarm(self, _: Row, request: Request) -> SlackMessage:
        return cards.alarm(request)

    async def break_glass(self, row: Row, request: Request) -> SlackMessage:
        """That access was taken without approval, or that its review is overdue."""
        owners = await self.owner_messages.mention(request)
        overdue = (await self._event(row)).kind == "review_overdue"
        return break_glass.overdue_alarm(request, owners) if overdue else break_glass.alarm(request, owners)

    async def reviewed(self, _: Row, request: Request) -> SlackMessage | None:
        """Nothing before there is a review."""
        message = break_glass.reviewed(request)
        return await self._with_card(request, message) if message else None

    async def at_terminal(self, row: Row, request: Request) -> SlackMessage:
        found = await self.outbox.event(row)
        return by_hand(request, found) if found else SlackMessage(drift.line(await self.audit_event(row)), [])

    async def received(self, _: Row, __: Request) -> None:
        """Nothing: earlier versions posted it, and may have left a row."""

    async def decided(self, _: Row, request: Request) -> SlackMessage:
        return await self._with_card(request, dms.decided(request))

    async def granted(self, _: Row, request: Request) -> SlackMessage:
        return await self._with_card(request, dms.granted(request, secret=self._has_secret(request)))

    async def extension(self, row: Row, request: Request) -> SlackMessage:
        return await self._with_card(request, dms.extension_decided(request, await self._event(row)))

    async def ending(self, row: Row, request: Request) -> SlackMessage:
        end = notifications.which_end(row.audience) or 0
        message = dms.ending(request, await self.approver_messages.needed(request), end)
        return await self._with_card(request, message)

    async def ended(self, _: Row, request: Request) -> SlackMessage:
        return await self._with_card(request, dms.ended_access(request))

    async def question(self, row: Row, request: Request) -> SlackMessage | None:
        asked = request.question(notifications.which_question(row.audience) or 0)
        return dms.question(request, asked, await self.links.of(request)) if asked else None

    async def consent(self, _: Row, request: Request) -> SlackMessage:
        return for_others.consent(request)

    async def requested_by(self, _: Row, request: Request) -> SlackMessage | None:
        return for_others.answer(request) if request.requested_by else None

    async def requested_by_outcome(self, _: Row, request: Request) -> SlackMessage | None:
        return for_others.outcome(request) if request.requested_by else None

    async def delegation(self, row: Row) -> SlackMessage:
        return delegation.notified(await self.audit_event(row), row.request)

    async def person(self, row: Row) -> SlackMessage:
        return people.notified(await self.audit_event(row), row.request)

    async def audit_event(self, row: Row) -> Mapping[str, Any]:
        """The audit event of no request that a row tells. Raises `Undeliverable`."""
        found = await self.outbox.audit_event(row)
        if found is None:
            raise Undeliverable("its audit event is gone")
        return found

    async def _with_card(self, request: Request, message: SlackMessage) -> SlackMessage:
        """With the way to the card, as far as it is posted by now."""
        card = (await self.outbox.posts(request.id)).get(notifications.CARD)
        if not self.site or card is None or not card.ts:
            return message
        return dms.with_card(message, f"{self.site}/archives/{card.channel}/p{card.ts.replace('.', '')}")

    async def _event(self, row: Row) -> Event:
        found = await self.outbox.event(row)
        if found is None:
            raise Undeliverable("its audit event is gone")
        return found

    async def _without_a_ping(self, text: str, user: str) -> str:
        """The text with this person named where it mentions them: what somebody did themself rings nobody."""
        mention = f"<@{user}>"
        if mention not in text:
            return text
        try:
            return text.replace(mention, name(await self.people.person(user)))
        except (CouldNotCheck, NotAMember, IdentityTaken):
            return text

    def _has_secret(self, request: Request) -> bool:
        """Whether one of its systems issues a password."""
        return any(self.capable(leg.role.provider, leg.role.params).issues_secret for leg in request.legs)


def about(view: Callable[[str], SlackMessage]) -> Callable[[Texts, Row], Awaitable[SlackMessage]]:
    """What is said of a request by its id alone."""

    async def text(_: Texts, row: Row) -> SlackMessage:
        return view(row.request)

    return text


def shows(view: Callable[[Mapping[str, Any]], SlackMessage]) -> Callable[[Texts, Row], Awaitable[SlackMessage]]:
    """What is said of an event that changed no request."""

    async def text(texts: Texts, row: Row) -> SlackMessage:
        return view(await texts.audit_event(row))

    return text
