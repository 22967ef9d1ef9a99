"""How those who decide are reached, as each role says: mentioned on the card, by a message; it judges nobody.

A message to an approver links to the card, is edited once the request is decided, and is never followed by a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import notices, policy
from bot.core.catalog import Catalog, Role
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.core.model import Request, State
from bot.core.policy import OpenStep, Roster
from bot.extending import as_asked, undecided_end
from bot.store.crowds import Crowds
from bot.store.outbox import Outbox, Post, Row
from bot.store.store import Store
from handlers.calls import NotNow, SaidNo, Unanswered, answered, said
from handlers.people import People
from handlers.poster import Poster, Waits
from handlers.rooms import Rooms
from handlers.views import letters
from handlers.views.card import Needed
from handlers.views.words import safe

log = logging.getLogger(__name__)

APPROVERS = "approvers"
"""The audience of those who get a message: it becomes a row of `APPROVER` for each of them."""
APPROVER = "approver:"
MOST = 20
"""How many get a message about one request; the card says when there are more."""
_MOST_LOOKED_AT = 60
_AGAIN = 1.0


@dataclass(frozen=True)
class Reaching:
    """The ways to the approvers of one workspace."""

    store: Store
    outbox: Outbox
    poster: Poster
    rooms: Rooms
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]

    async def needed(self, request: Request) -> Needed:
        """Who is to decide, written as the roles say, and how many answers are missing."""
        if undecided_end(request):
            request = as_asked(request)
        elif request.state is not State.PENDING:
            return Needed("", 0)
        catalog, roster = self.catalog(), await self.people.roster()
        steps = policy.tally(catalog, roster, request).open
        written = dict.fromkeys([await self._written(catalog, step) for step in steps])
        told = "" if undecided_end(request) else _told(catalog, roster, steps)
        return Needed(", ".join(each for each in written if each), sum(step.missing for step in steps), told)

    async def _written(self, catalog: Catalog, step: OpenStep) -> str:
        """The groups of a step: mentioned, named only, or named beside who is on call."""
        role, on_call = _role(catalog, step)
        if role is None or role.notify.mention == "group":
            return await self.people.mention(step.any_of)
        names = ", ".join(f"`{safe(group, 40)}`" for group in step.any_of)
        if role.notify.mention == "none" or on_call is None:
            return names
        return f"{await self.people.mention([on_call])} (on call) or {names}"

    async def spread(self, request: Request, *, again: bool = True) -> None:
        """The card changes: those who get a message get it, or have it edited; not ``again``, where one has it."""
        posts = await self.outbox.posts(request.id) if request.state is not State.PENDING else {}
        have = any(audience.startswith(APPROVER) for audience in posts)
        if have and not again:
            return
        if _asks(self.catalog(), request) or have:
            await self.outbox.ask([Row(request.id, APPROVERS, request.version)])

    async def give(self, row: Row, request: Request) -> None:
        """The row of all of them, or of one."""
        if row.audience == APPROVERS:
            kept = [a for a in await self.outbox.posts(request.id) if a.startswith(APPROVER)]
            new = [f"{APPROVER}{user}" for user in await self._whom(request)]
            await self.outbox.ask([Row(request.id, a, request.version) for a in dict.fromkeys((*kept, *new))])
            await self.outbox.done(row, request.version)
        else:
            await self._tell(row, request)

    async def _tell(self, row: Row, request: Request) -> None:
        user, posts = row.audience.removeprefix(APPROVER), await self.outbox.posts(request.id)
        waits = request.state is State.PENDING
        if not waits and row.audience not in posts:
            await self.outbox.done(row, request.version)  # decided before it was told
            return
        letter = letters.to_decide(request, await self.needed(request), await self._link(request, posts))
        await self.poster.show(row, letter, await self.rooms.dm(user), request.version)
        if not waits:
            await self.outbox.not_posted(row)  # this was its last word: it is not edited any more
        elif (now := await self.store.load(request.id)) and now.request.version != request.version:
            await self.outbox.ask([Row(request.id, row.audience, now.request.version)])

    async def _link(self, request: Request, posts: dict[str, Post]) -> str:
        """Where the card stands; empty when Slack does not tell. Raises `Waits` before it stands."""
        card = posts.get(notices.CARD)
        if card is None or not card.ts:
            comes = await Crowds(self.store).has_room(request.channel, request.id)
            if comes and await self.outbox.waits(request.id, notices.CARD):
                raise Waits(_AGAIN)
            return ""
        try:
            told = await answered(self.client.chat_getPermalink(channel=card.channel, message_ts=card.ts))
        except (NotNow, SaidNo, Unanswered) as error:
            log.info("%s: the link to the card was not told: %s", request.id, said(error))
            return ""
        return str(told["permalink"])

    async def _whom(self, request: Request) -> list[str]:
        """The accounts that get a message: as the roles say, who can decide now, and no more than `MOST`."""
        if request.state is not State.PENDING:
            return []
        catalog, roster = self.catalog(), await self.people.roster()
        groups = [group for step in policy.tally(catalog, roster, request).open for group in _by_message(catalog, step)]
        found: list[str] = []
        for user in (await self.people.accounts_of(dict.fromkeys(groups)))[:_MOST_LOOKED_AT]:
            if len(found) < MOST and await self._decides(catalog, roster, request, user):
                found.append(user)
        return found

    async def _decides(self, catalog: Catalog, roster: Roster, request: Request, user: str) -> bool:
        try:
            person = await self.people.person(user)
        except (NotAMember, IdentityTaken):
            return False
        except CouldNotCheck as error:
            raise Waits(_AGAIN) from error
        return policy.may_review(catalog, roster, request, person).allowed


def _role(catalog: Catalog, step: OpenStep) -> tuple[Role | None, str | None]:
    """The role that a step belongs to, and the group that is on call for its system."""
    system, _, name = step.name.partition("/")
    role = catalog.role(system, name)
    return role, catalog.systems[system].on_call if role else None


def _by_message(catalog: Catalog, step: OpenStep) -> Sequence[str]:
    """The groups of which people get a message."""
    role, on_call = _role(catalog, step)
    if role is None or role.notify.dm == "none":
        return ()
    return step.any_of if role.notify.dm == "all" else [on_call] if on_call else ()


def _asks(catalog: Catalog, request: Request) -> bool:
    """Whether anybody may get a message about it."""
    roles = (catalog.role(leg.role.system, leg.role.role) for leg in request.legs)
    return request.state is State.PENDING and any(role is not None and role.notify.dm != "none" for role in roles)


def _told(catalog: Catalog, roster: Roster, steps: Iterable[OpenStep]) -> str:
    """What the card says of the messages; empty where all is as one would think."""
    said_: dict[str, None] = {}
    for step in steps:
        groups = [roster[group] for group in _by_message(catalog, step) if group in roster]
        count = len({who for members in groups for who in (*members.users, *members.identities)})
        role, on_call = _role(catalog, step)
        if count > MOST:
            said_[f"{MOST} of {count} were told in a message of their own."] = None
        if (
            on_call
            and role
            and "on-call" in {role.notify.mention, role.notify.dm}
            and _surely_none(roster, on_call, step)
        ):
            said_["Nobody who is on call can decide about it."] = None
    return " ".join(said_)


def _surely_none(roster: Roster, on_call: str, step: OpenStep) -> bool:
    """Whether nobody on call is in any group of the step; what cannot be compared may well be."""
    calls, groups = roster.get(on_call), [roster[group] for group in step.any_of if group in roster]
    if calls is None or not calls.known or not all(group.known for group in groups):
        return False
    if any(bool(group.users) != bool(calls.users) for group in groups):
        return False
    return not any(calls.users & group.users or calls.identities & group.identities for group in groups)
