"""How the owners of a system learn of break-glass: mentioned in the alarm, and by a message each; it judges nobody.

A message to an owner is edited once the access is reviewed, and is never followed by a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.core import notifications
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.core.request import Request
from bot.policy import break_glass
from bot.policy.catalog import Catalog
from bot.store.outbox import Outbox, Row
from bot.store.store import Store
from handlers.notify.approvers import MOST
from handlers.notify.card_links import CardLinks
from handlers.notify.channels import Channels
from handlers.notify.poster import Poster
from handlers.slack.directory import People
from handlers.views import break_glass as views

log = logging.getLogger(__name__)

OWNERS = notifications.OWNERS
OWNER = "owner:"
_MOST_LOOKED_AT = 60


@dataclass(frozen=True)
class OwnerMessages:
    """The ways to the owners of one workspace's systems."""

    store: Store
    outbox: Outbox
    poster: Poster
    channels: Channels
    people: People
    links: CardLinks
    catalog: Callable[[], Catalog]

    async def mention(self, request: Request) -> str:
        """Who has to review it, as Slack mentions them."""
        catalog, roster = self.catalog(), await self.people.roster()
        return await self.people.mention(break_glass.reviewers(catalog, roster, request, await self.store.now()))

    async def deliver(self, row: Row, request: Request) -> None:
        """The row of all of them, or of one."""
        if row.audience == OWNERS:
            kept = [audience for audience in await self.outbox.posts(request.id) if audience.startswith(OWNER)]
            new = [f"{OWNER}{user}" for user in await self._recipients(request)] if request.lacks_review else []
            await self.outbox.ask([Row(request.id, a, request.version) for a in dict.fromkeys((*kept, *new))])
            await self.outbox.done(row, request.version)
            return
        user = row.audience.removeprefix(OWNER)
        message = views.to_owner(request, await self.links.of(request))
        await self.poster.show(row, message, await self.channels.dm(user), request.version)

    async def _recipients(self, request: Request) -> list[str]:
        """The accounts of those who may review it, no more than `MOST`."""
        catalog, roster = self.catalog(), await self.people.roster()
        groups, found = break_glass.reviewers(catalog, roster, request, await self.store.now()), list[str]()
        for user in (await self.people.accounts_of(groups))[:_MOST_LOOKED_AT]:
            if len(found) < MOST and await self._may_review(catalog, request, user):
                found.append(user)
        return found

    async def _may_review(self, catalog: Catalog, request: Request, user: str) -> bool:
        """Whoever cannot be looked up now gets it all the same: it is no right, and each press is judged."""
        try:
            person = await self.people.person(user)
        except (NotAMember, IdentityTaken):
            return False
        except CouldNotCheck as error:
            log.info("%s: whether %s owns it is not known: %s", request.id, user, error)
            return user != request.requester.id
        roster, now = await self.people.roster(), await self.store.now()
        return break_glass.may_review(catalog, roster, request, person, now).allowed
