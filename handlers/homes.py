"""Home tabs that are kept true: shown anew when a request of that person, or one that waits for them, changed.

Only those who looked at theirs within a day, each at most once in a while, and after everything else: a tab that is
not shown anew is no notice lost. What it shows is read from the record when it is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot import books
from bot.core import policy
from bot.core.errors import JitError, StoreAway
from bot.core.model import Request
from bot.desk import Desk
from bot.store import homes
from handlers import screens
from handlers.calls import NotNow, SaidNo, Unanswered, said
from handlers.people import People
from handlers.views import overview

log = logging.getLogger(__name__)

REST = 10.0
"""Seconds between two times that a tab is shown anew by itself."""
_PACE = 0.75
"""Seconds between two tabs: Slack takes 100 views a minute, and people wait for theirs."""
_NEXT = 0.05
_IDLE = 1.0
_MOST = 10_000


@dataclass
class Homes:
    """The Home tabs of one workspace. ``rest`` in seconds, as `REST`."""

    desk: Desk
    people: People
    client: AsyncWebClient
    rest: float = REST
    _noted: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Open what is kept of them."""
        self.kept = homes.Homes(self.desk.store)

    async def publish(self, user: str, view: View, seen: str) -> None:
        """Show it in place of the view ``seen``, by its hash. Raises what `screens.publish` does.

        Where another was shown meanwhile, which may be newer, this one is not, and it is looked at again soon.
        """
        try:
            await self.kept.shown(user, await screens.publish(self.client, user, view, seen))
        except SaidNo as error:
            if error.code != "hash_conflict":
                raise
            await self.kept.forget(user)
            await self.kept.stale([user])

    async def changed(self, requests: Iterable[Request]) -> None:
        """These are to be told of just now: whose tab shows one of them is out of date."""
        new = [request for request in requests if self._noted.get(request.id) != request.version]
        if not new:
            return
        lookers, roster = await self.kept.lookers(), await self.people.roster()
        catalog = self.desk.catalog()
        for request in new:
            groups = [roster[name] for name in policy.approvers(catalog, request) if name in roster]
            users = frozenset((request.asker.id, *(user for group in groups for user in group.users)))
            identities = frozenset(one for group in groups for one in group.identities)
            await self.kept.stale(homes.concerned(lookers, users, identities))
        if len(self._noted) > _MOST:
            self._noted.clear()
        self._noted |= {request.id: request.version for request in new}

    async def run(self, stop: asyncio.Event) -> None:
        """Show them anew until told to stop."""
        while not stop.is_set():
            try:
                pause = await self._one()
            except StoreAway as error:
                log.warning("the store is away, no Home tab is shown anew: %s", error)
                pause = _IDLE
            # No hint wakes it: it comes after everything else, and never faster than Slack takes it.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _one(self) -> float:
        """The tab whose turn it is. Answers how many seconds to wait."""
        turn = await self.kept.next()
        if turn is None or turn[1]:
            return min(_IDLE, turn[1]) if turn else _IDLE
        user = turn[0]
        if not await self.kept.take(user, self.rest) or user not in await self.kept.lookers():
            return _NEXT
        try:
            await self._show(user)
        except (NotNow, Unanswered, TimeoutError) as error:
            await self.kept.stale([user], await self.desk.store.now() + self.rest)
            log.info("the Home tab of %s is not shown anew yet: %s", user, said(error))
            return error.after if isinstance(error, NotNow) else _PACE
        except (JitError, SaidNo) as error:
            log.warning("the Home tab of %s is not shown anew: %s", user, error)
        return _PACE

    async def _show(self, user: str) -> None:
        # The hash before the record: whoever shows something newer meanwhile is not overwritten.
        seen = await self.kept.hash_of(user)
        actor = await self.people.actor(user, None)
        await self.publish(user, overview.home(await books.mine(self.desk, actor)), seen)
