"""What each audience of a notice is told, and in which channel or message; it keeps no order and judges nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import notices
from bot.core.catalog import Catalog
from bot.core.model import Request
from bot.store.lockdowns import AUDIT
from bot.store.outbox import Outbox, Row
from bot.store.store import Store
from handlers import digests, handouts
from handlers.crowding import Crowding
from handlers.digests import Digests
from handlers.handouts import Handouts
from handlers.people import People
from handlers.poster import Poster
from handlers.reaching import APPROVER, APPROVERS, Reaching
from handlers.rooms import Rooms, Undeliverable
from handlers.views import card as cards
from handlers.views import finds, forgetting, leaving, letters, stopping
from handlers.views.card import Message
from handlers.views.words import safe
from providers.systems.base import Capabilities

TAMPERED = "tampered"
FOUND = "found"
LEAVING = "leaving"
FORGOTTEN = "forgotten"
RECORD = "record"
LOCKDOWN = "lockdown"
BY_HAND = "audit"
POLICY = "policy"
ALARM = "alarm"
_FIRST = frozenset({ALARM, TAMPERED, FOUND, LEAVING, FORGOTTEN, RECORD, LOCKDOWN, POLICY})
_LETTERS = frozenset({notices.RECEIVED, notices.DECIDED})

T = TypeVar("T")
Capable = Callable[[str, Mapping[str, Any]], Capabilities]
Tell = Callable[[Row], Awaitable[None]]
Told = tuple[Row, Request | None]
"""A notice to be given, and the record that it is rendered from."""


@dataclass
class Telling:
    """The notices of one workspace. ``capable`` tells what a provider can do with a role's params.

    ``site``: the workspace's own address, ``https://acme.slack.com``, in which links to messages can be followed.
    """

    store: Store
    outbox: Outbox
    poster: Poster
    rooms: Rooms
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]
    capable: Capable
    site: str = ""
    digests: Digests | None = None
    """Who gives digests, where there is an archive."""
    handouts: Handouts | None = None
    """Who sends what auditors asked for, and tells what a policy changed, where there is an archive."""

    def __post_init__(self) -> None:
        """Name who tells what belongs to the workspace; all else is told out of a request's record."""
        self.crowding = Crowding(self.store, self.poster, self.rooms.channel)
        self.reaching = Reaching(
            self.store, self.outbox, self.poster, self.rooms, self.people, self.client, self.catalog
        )
        self._of_workspace: dict[str, Tell] = {
            TAMPERED: self._tampered,
            RECORD: self._record,
            LEAVING: partial(self._noticed, leaving.held),
            FORGOTTEN: partial(self._noticed, forgetting.lost),
            FOUND: partial(self._noticed, finds.summary),
            LOCKDOWN: self._lockdown,
            POLICY: self._policy,
            notices.CROWD: self._crowd,
            **dict.fromkeys(digests.KINDS, self._digest),
            **dict.fromkeys(handouts.KINDS, self._handout),
        }

    def lane(self, row: Row, request: Request | None) -> str:
        """The channel or person in which one notice follows the other."""
        if row.copy:
            return row.copy[0]
        audit = self.catalog().workspace.audit_channel
        if row.kind == notices.CROWD:
            return row.request
        if row.kind == LOCKDOWN:
            return self._locked_down(row)
        if row.kind in handouts.KINDS:
            return handouts.lane(row)
        if row.kind in digests.KINDS:
            return digests.lane(row, audit)
        if request is None or row.kind in {TAMPERED, FOUND, BY_HAND}:
            return audit
        if _is_approvers(row):
            return row.audience.removeprefix(APPROVER)
        return request.asker.id if _is_letter(row) else request.channel

    async def give(self, row: Row, request: Request | None) -> None:
        """Give one notice. Raises what `Poster.show` does, and `Undeliverable` for what nobody can be told."""
        if row.copy:
            await self.poster.remove(row, *row.copy)
        elif tell := self._of_workspace.get(row.kind):
            await tell(row)
        elif request is None:
            raise Undeliverable("its request is gone, or was not written by us")
        elif _is_approvers(row):
            await self.reaching.give(row, request)
        elif await self.crowding.holds(row, request):
            # What has no card yet reaches those who get a message all the same.
            await self.reaching.spread(request, again=False)
        elif (rendered := await self._render(row, request)) is None:
            await self.outbox.done(row, request.version)
        else:
            if row.kind == notices.CARD:
                await self.reaching.spread(request)
            await self._place(row, rendered, request)

    # of the workspace

    async def _tampered(self, row: Row) -> None:
        # Whoever wrote that record may have chosen its id too.
        what = f"The record of {safe(row.request, 40)} is missing or was not written by this product."
        message = cards.warning(f"{what} Nothing is done with it.")
        await self.poster.show(row, message, await self._audit(), row.version)

    async def _record(self, row: Row) -> None:
        noted = await self._noted(row)
        said = safe(str(noted.get("said")), 500)
        told = Message(said, []) if noted.get("well") else cards.warning(f"The record needs a hand: {said}")
        await self.poster.show(row, told, await self._audit(), 0)

    async def _noticed(self, view: Callable[[Mapping[str, Any]], Message], row: Row) -> None:
        await self.poster.show(row, view(await self._noted(row)), await self._audit(), row.version)

    async def _lockdown(self, row: Row) -> None:
        channel = await self.rooms.channel(self._locked_down(row))
        await self.poster.show(row, stopping.told(await self._noted(row)), channel, row.version)

    async def _crowd(self, row: Row) -> None:
        await self.crowding.tell(row, await self.rooms.channel(row.request))

    async def _policy(self, row: Row) -> None:
        handed = _there(self.handouts)
        await handed.changed(row, await self._noted(row), await self._audit(), await self.store.now())

    async def _handout(self, row: Row) -> None:
        await _there(self.handouts).give(row, await self._noted(row), await self.store.now())

    async def _digest(self, row: Row) -> None:
        await _there(self.digests).give(row, await self._noted(row), self._audit, await self.store.now())

    async def _noted(self, row: Row) -> Mapping[str, Any]:
        found = await self.outbox.noted(row.seq or 0)
        if found is None:
            raise Undeliverable("its audit event is gone")
        return found

    def _locked_down(self, row: Row) -> str:
        """The channel that a lockdown's row names."""
        return self.catalog().workspace.audit_channel if row.request == AUDIT else row.request

    async def _audit(self) -> str:
        return await self.rooms.channel(self.catalog().workspace.audit_channel)

    # of a request

    async def _render(self, row: Row, request: Request) -> Message | None:
        match row.kind:
            case "card":
                return cards.card(request, await self.reaching.needed(request), self.site)
            case "received":
                return letters.received(request, await self.reaching.needed(request))
            case "decided":
                return letters.decided(request, secret=self._has_secret(request))
            case audience if (of := notices.which_end(audience)) is not None:
                return letters.ending(request, await self.reaching.needed(request), of)
            case "alarm":
                return cards.alarm(request)
            case _:
                found = await self.store.event(row.seq or 0)
                if found is None:
                    return Message(finds.line(await self._noted(row)), [])
                if row.kind == BY_HAND:
                    return cards.by_hand(request, found[1])
                text = cards.line(request, found[1], await self.reaching.needed(request))
                return Message(text, []) if text else None

    def _has_secret(self, request: Request) -> bool:
        return any(self.capable(leg.role.provider, leg.role.params).issues_secret for leg in request.legs)

    async def _place(self, row: Row, message: Message, request: Request) -> None:
        try:
            await self.poster.show(row, message, await self._room(row, request), request.version)
        except Undeliverable:
            if row.kind != ALARM:
                raise
            # Access that may be open past its end is told somewhere, whatever became of its channel.
            await self.poster.show(row, message, await self._audit(), request.version)

    async def _room(self, row: Row, request: Request) -> str:
        if _is_letter(row):
            return await self.rooms.dm(request.asker.id)
        if row.kind == BY_HAND:
            return await self._audit()
        return await self.rooms.channel(request.channel)


def order(told: Told) -> tuple[int, int, str]:
    """Alarms first, then in the order of what happened, a card before its thread."""
    row, _ = told
    rank = 0 if row.kind in _FIRST else 1 if row.kind in {notices.CARD, notices.CROWD} else 2
    return rank, row.seq or row.version, row.name


def _there(given: T | None) -> T:
    if given is None:
        raise Undeliverable("there is no archive here to tell it from")
    return given


def _is_approvers(row: Row) -> bool:
    return row.audience.startswith((APPROVERS, APPROVER))


def _is_letter(row: Row) -> bool:
    """Whether it is for the asker alone."""
    return row.audience in _LETTERS or notices.which_end(row.audience) is not None
