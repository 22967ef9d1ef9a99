"""Slack user groups → the accounts in them: a snapshot that is asked for in the background, and a fresh answer.

On an organisation-wide install each team is asked by itself. What is not told is not known; nothing here is judged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from bot.core.errors import CouldNotCheck
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_changes import Left
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered

log = logging.getLogger(__name__)

FRESH = 60.0
"""Seconds for which an answer of Slack's is believed."""


@dataclass(frozen=True)
class Listed:
    """Who Slack says is in a user group, and when that was last changed, Unix seconds (0: it did not say)."""

    users: frozenset[str]
    updated: float


@dataclass(frozen=True)
class Snapshot:
    """One team's user groups, and when Slack listed them (a steady clock's seconds)."""

    groups: Mapping[str, Listed]
    at: float

    @property
    def fresh(self) -> bool:
        """Whether it may still be relied on."""
        return time.monotonic() - self.at < FRESH


@dataclass
class UserGroups:
    """The user groups that the policy names."""

    client: AsyncWebClient
    catalog: Callable[[], Catalog]
    _seen: dict[str, Snapshot] = field(default_factory=dict, repr=False)
    _not_before: float = 0.0

    @property
    def wanted(self) -> dict[str, str]:
        """Each user group of the policy, and its team; empty for that of the install itself."""
        groups = self.catalog().groups.values()
        return {group.slack_usergroup: group.slack_team or "" for group in groups if group.slack_usergroup}

    async def refresh(self) -> bool:
        """Ask for all of them again; what was known stays known until it is too old. Whether every team answered."""
        teams = list(dict.fromkeys(self.wanted.values())) or [""]
        return all([await self._refreshed(team) for team in teams])

    async def _refreshed(self, team: str) -> bool:
        if time.monotonic() < self._not_before:
            return False
        try:
            # Else Slack would leave out who is in them, and tell of those that nobody is in any more.
            asked = self.client.usergroups_list(include_users=True, include_disabled=False, team_id=team or None)
            answer = await answered(asked)
        except (NotNow, SlackRefused, Unanswered) as error:
            if isinstance(error, NotNow):
                self._not_before = time.monotonic() + error.after
            log.warning("the user groups%s could not be read: %s", f" of {team}" if team else "", error)
            return False
        groups = _groups(answer.get("usergroups"))
        if groups is None:
            log.warning("the user groups could not be read: the answer has none")
            return False
        self._seen[team] = Snapshot(groups, time.monotonic())
        return True

    async def current(self, patience: float) -> dict[str, Listed]:
        """The groups, by an answer that is fresh enough; where there is none, Slack has so many seconds."""
        wanted = self.wanted
        if any(not (seen := self._seen.get(team)) or not seen.fresh for team in wanted.values()):
            try:
                await tasks.within(self.refresh(), patience)
            except TimeoutError:
                log.warning("the user groups did not come in time")
        found: dict[str, Listed] = {}
        for group, team in wanted.items():
            seen = self._seen.get(team)
            if seen and seen.fresh and group in seen.groups:
                found[group] = seen.groups[group]
        return found

    async def look_up_now(self, groups: Iterable[str]) -> dict[str, frozenset[str]]:
        """Who is in these now. Raises `CouldNotCheck` where Slack does not tell of each."""
        wanted = self.wanted
        asked = list(dict.fromkeys(groups))
        calls = [self.client.usergroups_users_list(usergroup=g, team_id=wanted.get(g) or None) for g in asked]
        try:
            answers = await asyncio.gather(*(answered(call) for call in calls))
        except (NotNow, SlackRefused, Unanswered) as error:
            log.warning("who is in a user group could not be asked: %s", error)
            raise CouldNotCheck("who is in the groups that decide") from error
        found: dict[str, frozenset[str]] = {}
        for group, answer in zip(asked, answers, strict=True):
            users = answer.get("users")
            if not isinstance(users, list):
                raise CouldNotCheck("who is in the groups that decide")
            found[group] = frozenset(map(str, users))
        return found


def remain(listed: Listed, changes: Iterable[Left]) -> frozenset[str]:
    """Those of the list whom no event has taken out since; one of the same second counts as since."""
    users = listed.users
    for change in changes:
        if change.at >= listed.updated:
            users = change.remain(users)
    return users


def _groups(told: object) -> dict[str, Listed] | None:
    """Who is in which user group; one without a list of people is left out. None for what is no list of groups."""
    if not isinstance(told, list) or not all(isinstance(group, dict) for group in told):
        return None
    found: dict[str, Listed] = {}
    for group in told:
        users, at = group.get("users"), group.get("date_update")
        if isinstance(users, list):
            changed = float(at) if isinstance(at, int | float) else 0.0
            found[str(group.get("id"))] = Listed(frozenset(map(str, users)), changed)
    return found
