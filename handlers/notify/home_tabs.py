"""Keeps Home tabs current: refreshes one when a request of that person, or one that waits for them, changed.

Only tabs that were opened within a day, each at most once in a while, and after everything else: a tab that is not
refreshed is no notification lost. What it shows is read from the record at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import read
from bot.access.context import AccessContext
from bot.background import Loop
from bot.core.errors import JitError
from bot.core.request import Request
from bot.policy import authorization
from bot.store.indexes import home_tabs
from handlers.slack import modal_stack
from handlers.slack.api import NotNow, SlackRefused, Unanswered, error_name
from handlers.slack.directory import People
from handlers.views import home

log = logging.getLogger(__name__)

REST = 10.0
"""Seconds between two refreshes of one tab."""
_INTERVAL = 0.75
"""Seconds between two tabs: Slack takes 100 views a minute, and people wait for theirs."""
_NEXT = 0.05
_IDLE = 1.0
_MOST = 10_000


@dataclass
class HomeTabs:
    """The Home tabs of one workspace. ``rest`` in seconds, as `REST`; ``site``: the workspace's own address."""

    context: AccessContext
    people: People
    client: AsyncWebClient
    rest: float = REST
    site: str = ""
    _noted: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Open what is kept of them."""
        self.index = home_tabs.HomeTabIndex(self.context.store)

    async def publish(self, user: str, view: View, seen: str) -> None:
        """Show it in place of the view ``seen``, by its hash. Raises what `screens.publish` does.

        Where another was shown meanwhile, which may be newer, this one is not, and it is looked at again soon.
        """
        try:
            await self.index.shown(user, await modal_stack.publish(self.client, user, view, seen))
        except SlackRefused as error:
            if error.code != "hash_conflict":
                raise
            await self.index.forget(user)
            await self.index.stale([user])

    async def changed(self, requests: Iterable[Request]) -> None:
        """These requests changed: tabs that show one of them are out of date."""
        new = [request for request in requests if self._noted.get(request.id) != request.version]
        if not new:
            return
        lookers, roster = await self.index.lookers(), await self.people.roster()
        catalog = self.context.catalog()
        for request in new:
            groups = [roster[name] for name in authorization.approvers(catalog, request) if name in roster]
            instead = (each.stand_in.id for group in groups for each in group.delegations)
            groups = [] if request.unseen else groups
            own = (person.id for person in request.parties)
            users = frozenset((*own, *(user for group in groups for user in group.users), *instead))
            identities = frozenset(one for group in groups for one in group.identities)
            await self.index.stale(home_tabs.concerned(lookers, users, identities))
        if len(self._noted) > _MOST:
            self._noted.clear()
        self._noted |= {request.id: request.version for request in new}

    async def run(self, stop: asyncio.Event) -> None:
        """Show them anew until told to stop."""
        # No hint wakes it: it comes after everything else, and never faster than Slack takes it.
        await Loop("updating the Home tabs", self._one, _IDLE).run(stop)

    async def _one(self) -> float:
        """The tab whose turn it is. Answers how many seconds to wait."""
        turn = await self.index.next()
        if turn is None or turn[1]:
            return min(_IDLE, turn[1]) if turn else _IDLE
        user = turn[0]
        if not await self.index.take(user, self.rest) or user not in await self.index.lookers():
            return _NEXT
        try:
            await self._show(user)
        except (NotNow, Unanswered, TimeoutError) as error:
            await self.index.stale([user], await self.context.store.now() + self.rest)
            log.info("the Home tab of %s is not updated yet: %s", user, error_name(error))
            return error.after if isinstance(error, NotNow) else _INTERVAL
        except (JitError, SlackRefused) as error:
            log.warning("the Home tab of %s is not updated: %s", user, error)
        return _INTERVAL

    async def _show(self, user: str) -> None:
        # The hash before the record: whoever shows something newer meanwhile is not overwritten.
        seen = await self.index.hash_of(user)
        actor = await self.people.actor(user)
        await self.publish(user, home.home(await read.overview(self.context, actor), self.site), seen)
