"""Slack accounts → people, and Slack user groups → members; what Slack does not tell in time is not known.

Look-ups are remembered for at most a minute, so that a click costs no round trip and someone who was
deactivated loses their say soon. Nothing here decides what a person may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot.core.catalog import Catalog
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.core.model import Person
from bot.core.policy import Members
from bot.leavers import Told
from bot.store.store import Store
from bot.wishes import Actor
from handlers.calls import AWAY, NotNow, SaidNo, Unanswered, answered, code

log = logging.getLogger(__name__)
T = TypeVar("T")

FRESH = 60.0
"""Seconds for which an answer of Slack's is believed."""
REFRESH = 40.0
"""Seconds between two looks at the user groups: well under `FRESH`."""
_PATIENCE = 1.0
"""Seconds that a click may wait for Slack."""
_BESIDE = 5.0
"""Seconds that an answer may take for which nobody waits."""
_ALTOGETHER = 12.0
"""Seconds after which no more accounts are asked about in one look."""
_DOUBTS = 2
"""Answers that did not come, after which Slack is not asked on."""
_MOST = 20_000


@dataclass(frozen=True)
class Seen:
    """An answer, and when it came (a steady clock's seconds)."""

    value: Any
    at: float

    @property
    def fresh(self) -> bool:
        """Whether it may still be relied on."""
        return time.monotonic() - self.at < FRESH


@dataclass
class People:
    """The directory of one Slack workspace. ``home`` is its team id, or its enterprise id on a Grid."""

    client: AsyncWebClient
    store: Store
    home: str
    catalog: Callable[[], Catalog]
    _people: dict[str, Seen] = field(default_factory=dict, repr=False)
    _addresses: dict[str, Seen] = field(default_factory=dict, repr=False)
    _usergroups: Seen | None = None
    _not_before: float = 0.0

    async def actor(self, user: str, team: str | None) -> Actor:
        """Who acts, and every group as it is known now. Raises `NotAMember`, `CouldNotCheck`, `IdentityTaken`.

        ``team`` is the team (or enterprise) that the payload says the person belongs to.
        """
        if team is not None and team != self.home:
            raise NotAMember("elsewhere")
        person = await self.person(user)
        return Actor(person=person, roster=await self.roster())

    async def person(self, user: str) -> Person:
        """The person behind a Slack account, bound to its e-mail address once and for all."""
        seen = self._people.get(user)
        if seen is None or not seen.fresh:
            answer = await _soon("who you are", self.client.users_info(user=user))
            person = member(answer["user"], self.home)
            if not await self.store.bind(person.identity, person.id):
                raise IdentityTaken(person.id)
            seen = _remember(self._people, user, person)
        value: Person = seen.value
        return value

    async def roster(self) -> dict[str, Members]:
        """Each group of the policy; a user group that Slack does not tell in time is unknown."""
        groups = self.catalog().groups
        users = await self._members() if any(g.slack_usergroup for g in groups.values()) else {}
        return {
            name: Members(identities=frozenset(p.casefold() for p in group.people))
            if not group.slack_usergroup
            else Members(users=users.get(group.slack_usergroup, frozenset()), known=group.slack_usergroup in users)
            for name, group in groups.items()
        }

    async def refresh(self) -> None:
        """Look at the user groups again; what was known stays known until it is too old."""
        if time.monotonic() < self._not_before:
            return
        try:
            answer = await answered(self.client.usergroups_list(include_users=True, include_disabled=False))
        except (NotNow, SaidNo, Unanswered) as error:
            if isinstance(error, NotNow):
                self._not_before = time.monotonic() + error.after
            log.warning("the user groups could not be read: %s", error)
            return
        groups = _groups(answer.get("usergroups"))
        if groups is None:
            log.warning("the user groups could not be read: the answer has none")
            return
        self._usergroups = Seen(groups, time.monotonic())

    # who has left

    async def accounts(self, users: Sequence[str]) -> Told:
        """Which of these accounts Slack says are deactivated, and which it says are not, asked one after the other."""
        told: dict[str, bool] = {}
        begun, doubts, rest = time.monotonic(), 0, 0.0
        for user in users:
            if doubts == _DOUBTS or time.monotonic() - begun > _ALTOGETHER:
                break
            try:
                answer = await answered(asyncio.wait_for(self.client.users_info(user=user), _BESIDE))
            except NotNow as error:
                log.warning("nobody can be looked at: %s", error)
                rest = error.after
                break
            except (SaidNo, Unanswered) as error:
                doubts += isinstance(error, Unanswered)
                log.warning("%s could not be looked at: %s", user, error)
                continue
            account = answer.get("user")
            if isinstance(account, dict) and account.get("id") == user and isinstance(account.get("deleted"), bool):
                told[user] = account["deleted"]
        gone = frozenset(user for user, deleted in told.items() if deleted)
        return Told(gone, frozenset(told) - gone, rest)

    async def groups(self) -> dict[str, Members] | None:
        """Each group of the policy, as Slack tells it when it is asked now; None when it does not."""
        before = self._usergroups
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.refresh(), _BESIDE)
        asks = any(group.slack_usergroup for group in self.catalog().groups.values())
        return None if asks and self._usergroups is before else await self.roster()

    async def _members(self) -> dict[str, frozenset[str]]:
        if self._usergroups is None or not self._usergroups.fresh:
            try:
                await asyncio.wait_for(self.refresh(), _PATIENCE)
            except TimeoutError:
                log.warning("the user groups did not come in time")
        seen = self._usergroups
        value: dict[str, frozenset[str]] = seen.value if seen and seen.fresh else {}
        return value

    async def mention(self, groups: Iterable[str]) -> str:
        """The groups as Slack mentions: a user group by itself, a list by its people."""
        catalog = self.catalog()
        said: list[str] = []
        for name in groups:
            group = catalog.groups.get(name)
            if group is None:
                continue
            if group.slack_usergroup:
                said.append(f"<!subteam^{group.slack_usergroup}>")
            else:
                said += [await self._mention(address) for address in group.people]
        return ", ".join(dict.fromkeys(said))

    async def accounts_of(self, groups: Iterable[str]) -> list[str]:
        """The Slack accounts of the groups' people, in the order of the policy; who has none is left out."""
        catalog, found = self.catalog(), list[str]()
        users = await self._members()
        for name in groups:
            group = catalog.groups.get(name)
            if group is not None and group.slack_usergroup:
                found += sorted(users.get(group.slack_usergroup, ()))
            elif group is not None:
                said = [await self._mention(address) for address in group.people]
                found += [mention[2:-1] for mention in said if mention.startswith("<@")]
        return list(dict.fromkeys(found))

    async def _mention(self, address: str) -> str:
        """``<@U…>`` for an address, or the address when nobody has it; a wrong guess is never made."""
        seen = self._addresses.get(address)
        if seen is None or not seen.fresh:
            try:
                answer = await self.client.users_lookupByEmail(email=address)
            except AWAY as error:
                if code(error) != "users_not_found":
                    return address
                seen = _remember(self._addresses, address, address)
            else:
                seen = _remember(self._addresses, address, f"<@{answer['user']['id']}>")
        return str(seen.value)


def _groups(told: object) -> dict[str, frozenset[str]] | None:
    """Who is in which user group; one whose people are not told is left out. None for what is no list of groups."""
    if not isinstance(told, list) or not all(isinstance(group, dict) for group in told):
        return None
    listed = [group for group in told if isinstance(group.get("users"), list)]
    return {str(group.get("id")): frozenset(map(str, group["users"])) for group in listed}


def member(user: dict[str, Any], home: str) -> Person:
    """A full, active member of this very workspace, or an error that says what the account is."""
    if user.get("deleted"):
        raise NotAMember("deactivated")
    if user.get("is_bot") or user.get("id") == "USLACKBOT":
        raise NotAMember("bot")
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        raise NotAMember("guest")
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    if user.get("is_stranger") or home not in {user.get("team_id"), enterprise}:
        raise NotAMember("external")
    profile = user.get("profile") or {}
    email = str(profile.get("email") or "").strip()
    if "@" not in email:
        raise NotAMember("no_email")
    return Person(
        workspace=home,
        id=user["id"],
        identity=email.casefold(),
        email=email,
        name=str(profile.get("real_name") or user.get("real_name") or user.get("name") or "")[:80],
        tz=str(user.get("tz") or "UTC"),
    )


async def _soon(what: str, call: Awaitable[T]) -> T:
    """Slack's answer within a second; an error is a look-up that failed."""
    try:
        return await asyncio.wait_for(call, _PATIENCE)
    except AWAY as error:
        raise CouldNotCheck(what) from error


def _remember(memory: dict[str, Seen], key: str, value: object) -> Seen:
    if len(memory) >= _MOST:
        memory.clear()
    memory[key] = Seen(value, time.monotonic())
    return memory[key]
