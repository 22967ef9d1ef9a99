"""One table of where each kind of notification goes and what it says; it keeps no order and judges nobody.

The kind of an outbox row → its lane (the channel or person in which one notification follows the other), and either
the text that is posted there or, where a text is not enough, what delivers it. A new kind is one row of `ROUTES`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot.access.audit_files import FILE, PAGE
from bot.core import notifications
from bot.core.request import LegState, Request
from bot.policy.catalog import Catalog
from bot.reports.digest.schedule import DETAILS, DIGEST, PICTURE, TOLD
from bot.store.lockdowns import AUDIT
from bot.store.outbox import Outbox, Row
from bot.store.store import Store
from handlers.notify.approvers import APPROVER, APPROVERS, ApproverMessages
from handlers.notify.card_links import CardLinks
from handlers.notify.channels import Channels, Undeliverable
from handlers.notify.digest import DigestDeliveries
from handlers.notify.files import FileDeliveries
from handlers.notify.owners import OWNER, OWNERS, OwnerMessages
from handlers.notify.poster import Poster
from handlers.notify.summary_card import SummaryCards
from handlers.notify.texts import Capable, Texts, about, shows
from handlers.slack.directory import People
from handlers.views import dms, drift, lockdown, lost_writes, offboarding, policy_change, record_alarms
from handlers.views.message import SlackMessage

CARD = notifications.CARD
THREAD = "thread"
EXTENSION = "extension"
ALARM = "alarm"
BY_HAND = "audit"
SUMMARY_CARD = notifications.CROWD
TAMPERED = "tampered"
ROLLED_BACK = "rolled_back"
BUDGET = "budget"
DELEGATION_OVER = "delegation_over"
DELEGATION = "delegation"
PERSON = "person"
FOUND = "found"
LEAVING = "leaving"
FORGOTTEN = "forgotten"
RECORD = "record"
LOCKDOWN = "lockdown"
POLICY = "policy"
POLICY_FILE = "policy_file"
ONE_APPROVER = APPROVER.rstrip(":")
BREAK_GLASS = "break_glass"
ONE_OWNER = OWNER.rstrip(":")

T = TypeVar("T")
Notification = tuple[Row, Request | None]
"""An outbox row, and the record that its message is rendered from."""


@dataclass
class NotificationRouter:
    """Routes the notifications of one workspace. ``capable``: what a provider can do with a role's params.

    ``site``: the workspace's own address, ``https://acme.slack.com``, in which links to messages can be followed.
    """

    store: Store
    outbox: Outbox
    poster: Poster
    channels: Channels
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]
    capable: Capable
    site: str = ""
    digest_deliveries: DigestDeliveries | None = None
    """Delivers digests, where there is an archive."""
    file_deliveries: FileDeliveries | None = None
    """Delivers files and changes of the policy, where there is an archive."""

    def __post_init__(self) -> None:
        """Open what delivers more than a text."""
        self.summary_cards = SummaryCards(self.store, self.poster, self.channels.channel)
        self.links = CardLinks(self.store, self.outbox, self.site)
        self.approver_messages = ApproverMessages(
            self.store, self.outbox, self.poster, self.channels, self.people, self.client, self.catalog
        )
        self.owner_messages = OwnerMessages(
            self.store, self.outbox, self.poster, self.channels, self.people, self.links, self.catalog
        )
        self.texts = Texts(
            self.store,
            self.outbox,
            self.people,
            self.approver_messages,
            self.owner_messages,
            self.capable,
            self.site,
            self.links,
        )

    def lane(self, row: Row, request: Request | None) -> str:
        """The channel or person in which one notification follows the other."""
        if row.copy:
            return row.copy[0]
        route = ROUTES.get(kind(row))
        if route is None or (request is None and route.of_request):
            return self.audit_channel
        return route.lane(self, row, request)

    async def deliver(self, row: Row, request: Request | None) -> None:
        """Deliver one notification. Raises what `Poster.show` does, and `Undeliverable` where it has no place."""
        if row.copy:
            await self.poster.remove(row, *row.copy)
            return
        route = ROUTES.get(kind(row))
        if route is None:
            raise Undeliverable(f"no route for {row.kind}")
        if route.deliver:
            await route.deliver(self, row)
        elif not route.of_request and route.text:
            lane, message = route.lane(self, row, None), await route.text(self.texts, row)
            room = await (self.channels.dm(lane) if route.dm else self.channels.channel(lane))
            await self.poster.show(row, message, room, row.version)
        elif request is None:
            raise Undeliverable("its request is gone, or was not written by us")
        else:
            await self._deliver_of_request(row, request, route)

    async def _deliver_of_request(self, row: Row, request: Request, route: Route) -> None:
        if kind(row) == CARD and not notifications.card_channel(request, row.audience):
            raise Undeliverable("its request has no card there")
        if route.deliver_of_request:
            await route.deliver_of_request(self, row, request)
        elif await self.summary_cards.defers(row, request):
            # What has no card yet reaches those who get a message all the same.
            await self.approver_messages.refresh(request, again=False)
        elif route.render is None or (message := await route.render(self.texts, row, request)) is None:
            await self.outbox.done(row, request.version)
        else:
            if row.audience == CARD:
                await self.approver_messages.refresh(request)
            await self._place(row, message, request, route)

    async def _place(self, row: Row, message: SlackMessage, request: Request, route: Route) -> None:
        if route.dm:
            message = dms.linked_to_card(message, await self.links.of(request))
        if not notifications.is_news(request, row.audience):
            await self.poster.edit(row, message, request.version)
            return
        lane = route.lane(self, row, request)
        try:
            room = await (self.channels.dm(lane) if route.dm else self.channels.channel(lane))
            await self.poster.show(row, message, room, request.version)
        except Undeliverable:
            if not route.must_arrive:
                raise
            # Access that may be open past its end is told somewhere, whatever became of its channel.
            await self.poster.show(row, message, await self.audit(), request.version)

    @property
    def audit_channel(self) -> str:
        """As the policy names it, whether it can be used or not."""
        return self.catalog().workspace.audit_channel

    async def audit(self) -> str:
        """The audit channel. Raises what `Channels.channel` does."""
        return await self.channels.channel(self.audit_channel)


@dataclass(frozen=True)
class Route:
    """Where one kind goes, and what it says: exactly one of the last four columns says so."""

    lane: Callable[[NotificationRouter, Row, Request | None], str]
    text: Callable[[Texts, Row], Awaitable[SlackMessage]] | None = None
    """Of the workspace: posted in the lane."""
    deliver: Callable[[NotificationRouter, Row], Awaitable[None]] | None = None
    """Of the workspace: more than a text."""
    render: Callable[[Texts, Row, Request], Awaitable[SlackMessage | None]] | None = None
    """Of a request: posted in the lane; nothing is posted where there is nothing to say."""
    deliver_of_request: Callable[[NotificationRouter, Row, Request], Awaitable[None]] | None = None
    """Of a request: one row that becomes several messages."""
    dm: bool = False
    """Whether the lane is a person."""
    rank: int = 2
    """What goes out first: 0 alarms, 1 cards, 2 all else; then, in a requester's DM, a grant and what follows it."""
    must_arrive: bool = False
    """Whether the audit channel takes it where its own channel cannot."""

    @property
    def of_request(self) -> bool:
        """Whether it is rendered from a request's record."""
        return bool(self.render or self.deliver_of_request)


# lanes


def _audit(router: NotificationRouter, _: Row, __: Request | None) -> str:
    return router.audit_channel


def _system(router: NotificationRouter, _: Row, request: Request | None) -> str:
    return request.channel if request else router.audit_channel


def _card(router: NotificationRouter, row: Row, request: Request | None) -> str:
    """The channel of that card, or of the card that a line is beneath."""
    card = notifications.card_above(row.audience) or row.audience
    return (request and notifications.card_channel(request, card)) or _system(router, row, request)


def _stuck(router: NotificationRouter, row: Row, request: Request | None) -> str:
    """The channel of the system that does not revoke."""
    legs = [leg for leg in request.legs if leg.state is LegState.REVOKING] if request else []
    worst = max(legs, key=lambda leg: leg.tries, default=None)
    return worst.role.channel if worst else _system(router, row, request)


def _requester(router: NotificationRouter, _: Row, request: Request | None) -> str:
    return request.requester.id if request else router.audit_channel


def _requested_by(router: NotificationRouter, _: Row, request: Request | None) -> str:
    return request.requested_by.id if request and request.requested_by else router.audit_channel


def _named(_: NotificationRouter, row: Row, __: Request | None) -> str:
    """The channel or person that the row is about."""
    return row.request


def _locked_down(router: NotificationRouter, row: Row, _: Request | None) -> str:
    return router.audit_channel if row.request == AUDIT else row.request


def _person(prefix: str) -> Callable[[NotificationRouter, Row, Request | None], str]:
    return lambda _, row, __: row.audience.removeprefix(prefix)


def _own_lane(suffix: str) -> Callable[[NotificationRouter, Row, Request | None], str]:
    """Uploads are slow, and keep no other notification to the same place waiting."""
    return lambda _, row, __: f"{row.request} {suffix}"


# what delivers more than a text


async def _summary(router: NotificationRouter, row: Row) -> None:
    await router.summary_cards.deliver(row, await router.channels.channel(row.request))


async def _policy(router: NotificationRouter, row: Row) -> None:
    deliveries, fields = _there(router.file_deliveries), await router.texts.audit_event(row)
    await deliveries.deliver_policy_change(row, fields, await router.audit(), await router.store.now())


async def _file(router: NotificationRouter, row: Row) -> None:
    await _there(router.file_deliveries).deliver(row, await router.texts.audit_event(row), await router.store.now())


async def _digest(router: NotificationRouter, row: Row) -> None:
    deliveries, fields = _there(router.digest_deliveries), await router.texts.audit_event(row)
    await deliveries.deliver(row, fields, router.audit, await router.store.now())


async def _to_approvers(router: NotificationRouter, row: Row, request: Request) -> None:
    await router.approver_messages.deliver(row, request)


async def _to_owners(router: NotificationRouter, row: Row, request: Request) -> None:
    await router.owner_messages.deliver(row, request)


def _there(given: T | None) -> T:
    if given is None:
        raise Undeliverable("it is read from the archive, and there is none here")
    return given


ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        CARD: Route(_card, render=Texts.card, rank=1),
        THREAD: Route(_card, render=Texts.thread_line),
        ALARM: Route(_stuck, render=Texts.alarm, rank=0, must_arrive=True),
        notifications.RECEIVED: Route(_requester, render=Texts.received, dm=True),
        notifications.DECIDED: Route(_requester, render=Texts.decided, dm=True),
        notifications.GRANTED: Route(_requester, render=Texts.granted, dm=True, rank=3),
        EXTENSION: Route(_requester, render=Texts.extension, dm=True, rank=4),
        notifications.ENDING: Route(_requester, render=Texts.ending, dm=True, rank=5),
        notifications.ENDED: Route(_requester, render=Texts.ended, dm=True, rank=6),
        notifications.QUESTION: Route(_requester, render=Texts.question, dm=True),
        notifications.CONSENT: Route(_requester, render=Texts.consent, dm=True, rank=1),
        notifications.REQUESTED_BY: Route(_requested_by, render=Texts.requested_by, dm=True),
        notifications.REQUESTED_BY_OUTCOME: Route(_requested_by, render=Texts.requested_by_outcome, dm=True, rank=3),
        notifications.REVIEWED: Route(_requester, render=Texts.reviewed, dm=True, rank=7),
        BREAK_GLASS: Route(_audit, render=Texts.break_glass, rank=0),
        OWNERS: Route(_audit, deliver_of_request=_to_owners, rank=0),
        ONE_OWNER: Route(_person(OWNER), deliver_of_request=_to_owners, rank=0),
        BY_HAND: Route(_audit, render=Texts.at_terminal),
        APPROVERS: Route(_system, deliver_of_request=_to_approvers),
        ONE_APPROVER: Route(_person(APPROVER), deliver_of_request=_to_approvers),
        SUMMARY_CARD: Route(_named, deliver=_summary, rank=1),
        TAMPERED: Route(_audit, text=about(record_alarms.tampered), rank=0),
        ROLLED_BACK: Route(_audit, text=about(record_alarms.rolled_back), rank=0),
        BUDGET: Route(_audit, text=about(record_alarms.beyond_budget), rank=0),
        DELEGATION_OVER: Route(_audit, text=about(record_alarms.delegation_over), rank=0),
        DELEGATION: Route(_named, text=Texts.delegation, dm=True),
        PERSON: Route(_named, text=Texts.person, dm=True),
        POLICY_FILE: Route(_audit, text=shows(policy_change.of_file), rank=0),
        RECORD: Route(_audit, text=shows(record_alarms.of_record), rank=0),
        LEAVING: Route(_audit, text=shows(offboarding.held), rank=0),
        FORGOTTEN: Route(_audit, text=shows(lost_writes.lost), rank=0),
        FOUND: Route(_audit, text=shows(drift.summary), rank=0),
        LOCKDOWN: Route(_locked_down, text=shows(lockdown.announcement), rank=0),
        POLICY: Route(_audit, deliver=_policy, rank=0),
        DIGEST: Route(_audit, deliver=_digest),
        TOLD: Route(_named, deliver=_digest),
        DETAILS: Route(_own_lane(DETAILS), deliver=_digest),
        PICTURE: Route(_own_lane(PICTURE), deliver=_digest),
        FILE: Route(_own_lane(FILE), deliver=_file),
        PAGE: Route(_own_lane(FILE), deliver=_file),
    }
)
"""Every kind that bot/core, bot/store or whoever else writes to the outbox has a row."""


def kind(row: Row) -> str:
    """The kind of a row, whichever event, end, question or person it is about."""
    if notifications.which_question(row.audience) is not None:
        return notifications.QUESTION
    if notifications.card_above(row.audience):
        return THREAD
    return notifications.ENDING if notifications.which_end(row.audience) is not None else row.kind


def order(told: Notification) -> tuple[int, int, str]:
    """Alarms first, then in the order of what happened, a card before its thread."""
    row, _ = told
    route = ROUTES.get(kind(row))
    return route.rank if route else 2, row.seq or row.version, row.name
