"""Looks in turn at the accounts in the groups that decide: whoever is deactivated, a guest or a bot counts as nobody.

One process of a workspace does it, at an interval that leaves Slack's limits to people; with more than `MOST` accounts
the rest are not looked at. What Slack does not tell is not known, and nobody is nobody for that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from bot.background import Loop
from bot.core.errors import NotAMember
from bot.core.identity import identity_of
from bot.policy import authorization
from bot.store.indexes.directory_changes import REISSUED
from bot.store.leader import Leader
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered
from handlers.slack.directory import NO_SUCH, People
from handlers.slack.membership import can_act, member, updated

log = logging.getLogger(__name__)

INTERVAL = 6.0
"""Seconds between two accounts: ten a minute, of the hundred that Slack allows at least."""
MOST = 300
"""Accounts in a round: it is over in half an hour, well within the hour for which what it found is kept."""
_LEASE = 60.0
_PATIENCE = 5.0


@dataclass
class AccountChecks:
    """The running part. ``interval`` in seconds, as `INTERVAL`."""

    people: People
    interval: float = INTERVAL
    after: str = field(default="", init=False)
    """The account that was looked at last; '' before the first."""
    _not_before: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self.leader = Leader(self.people.store, self.people.store.keys.account_checks, _LEASE)

    async def run(self, stop: asyncio.Event) -> None:
        """Look at one after the other until told to stop."""
        await Loop("checking the accounts", self._run_once, self.interval).run(stop)
        await self.leader.resign()

    async def _run_once(self) -> None:
        if await self.leader.elected():
            await self.look()

    async def look(self) -> str:
        """Look at whose turn it is; whom, empty where it is nobody's. Raises `StoreAway`."""
        if time.monotonic() < self._not_before:
            return ""
        listed = await self._listed()
        if not listed:
            return ""
        who = next((one for one in listed if one > self.after), listed[0])
        self.after = who
        try:
            async with asyncio.timeout(_PATIENCE):
                await (self._address(who) if "@" in who else self._account(who))
        except NotNow as error:
            self._not_before = time.monotonic() + error.after
            log.warning("no account can be looked at: %s", error)
        except (SlackRefused, Unanswered, TimeoutError) as error:
            log.warning("an account could not be looked at: %s", type(error).__name__)
        return who

    async def _listed(self) -> list[str]:
        """The accounts in user groups, and the addresses in lists and directories, of the groups that decide."""
        catalog, told = self.people.catalog(), await self.people.usergroups.current(_PATIENCE)
        listed = await self.people.directories.groups()
        found: set[str] = set()
        for name in authorization.deciding(catalog):
            group = catalog.groups[name]
            found |= {identity_of(address) for address in group.people} | listed.get(name, frozenset())
            if group.slack_usergroup in told:
                found |= told[group.slack_usergroup].users
        return sorted(found)[:MOST]

    async def _account(self, user: str) -> None:
        try:
            answer = await answered(self.people.client.users_info(user=user))
        except SlackRefused as error:
            if error.code not in NO_SUCH:
                raise
            await self.people.changes.gone(user, await self.people.store.now(), "external")
            return
        account: dict[str, Any] = answer["user"]
        known = (await self.people.changes.read()).gone.get(user)
        try:
            member(account, self.people.home)
        except NotAMember as error:
            if error.kind == "no_email":
                return  # without its scope, Slack tells nobody's address
            # Said again each time, since it is kept for an hour.
            await self.people.changes.gone(user, updated(account) or await self.people.store.now(), error.kind)
        else:
            if known and updated(account) > known.at:
                await self.people.changes.back(user, updated(account))

    async def _address(self, address: str) -> None:
        """An address is nobody's where no active full member has it; it counts against nobody who proves to be one."""
        now = await self.people.store.now()
        try:
            answer = await answered(self.people.client.users_lookupByEmail(email=address))
        except SlackRefused as error:
            if error.code != "users_not_found":
                raise
            await self.people.changes.gone(address, now, "nobody")
            return
        user: dict[str, Any] = answer["user"]
        match can_act(user, self.people.home):
            case False:
                await self.people.changes.gone(address, now, "nobody")
            case True if await self._is_free(address):
                # Slack's own idea of which addresses are alike is wider than ours.
                if member(user, self.people.home).identity == address:
                    await self.people.changes.back(address, now)
            case _:
                pass

    async def _is_free(self, address: str) -> bool:
        """Whether Slack's word is enough for the address to count again."""
        known = (await self.people.changes.read()).gone.get(address)
        return known is not None and known.kind != REISSUED
