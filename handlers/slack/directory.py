"""Slack accounts → people, and the policy's groups → members; what Slack does not tell in time is not known.

Look-ups are remembered for at most a minute, so that a click costs no round trip; what Slack's events took away counts
at once, whichever process they came to. Groups of directories are read from the worker's snapshots, and no directory is
asked. Nothing here decides what a person may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember, StoreAway
from bot.core.identity import identity_of
from bot.core.request import Person
from bot.core.verdict import AccountStates, Actor, Members
from bot.policy import authorization, stand_ins
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_changes import DirectoryChanges, KnownChanges
from bot.store.indexes.directory_snapshots import GROUPS_COUNT_FRESH
from bot.store.indexes.identity_bindings import Bindings
from bot.store.indexes.known_members import KnownMembers
from bot.store.store import Store
from handlers.slack.addresses import Addresses, account_in
from handlers.slack.api import AWAY, NotNow, SlackRefused, Unanswered, answered, code
from handlers.slack.directory_groups import DirectoryGroups
from handlers.slack.lookups import MOST_REMEMBERED, LookupAnswer, remember
from handlers.slack.membership import LOST, member, updated
from handlers.slack.presence import Presences
from handlers.slack.usergroups import Listed, UserGroups, remain
from handlers.views.text import safe

log = logging.getLogger(__name__)
T = TypeVar("T")

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
_MOST_MENTIONED = 10
"""Of a directory's group; the others are meant by its name."""
_MOST_ASKED_FOR = 100
"""Of a directory's group, whose accounts are asked for by their addresses."""
NO_SUCH = frozenset({"user_not_found", "user_not_visible"})
"""Slack's codes for an account that is none of this workspace."""


@dataclass
class People:
    """The directory of one Slack workspace. ``home`` is its team id, or its enterprise id on a Grid."""

    client: AsyncWebClient
    store: Store
    home: str
    catalog: Callable[[], Catalog]
    _people: dict[str, LookupAnswer] = field(default_factory=dict, repr=False)
    _identities: dict[str, str] = field(default_factory=dict, repr=False)
    """Whose an account is, as it is bound."""

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self.changes = DirectoryChanges(self.store)
        self.bindings = Bindings(self.store)
        self.addresses = Addresses(self.client, self._note)
        self.usergroups = UserGroups(self.client, self.catalog)
        self.directories = DirectoryGroups(self.store, self.catalog)
        self.presences = Presences(self.client, self._team)
        self.joined = KnownMembers(self.store)

    async def actor(self, user: str) -> Actor:
        """Who acts, and every group as it is known now. Raises `NotAMember`, `CouldNotCheck`, `IdentityTaken`.

        Which team a payload says that they are of is not asked: on a Grid it may be any of several.
        """
        person = await self.person(user)
        return Actor(person=person, roster=_without_marks(await self.roster(), {person.identity}))

    async def look_up_now(self, user: str, others: Iterable[str], groups: Iterable[str]) -> Actor:
        """The same, by answers of Slack's that are asked for now, about ``others`` too whose word counts.

        ``groups``: those of the policy that decide. Raises `CouldNotCheck` as well where one answer does not come
        within a second.
        """
        catalog = self.catalog()
        named = [name for name in dict.fromkeys(groups) if name in catalog.groups]
        asked = [group for name in named if (group := catalog.groups[name].slack_usergroup)]
        accounts = [one for one in dict.fromkeys(others) if one != user]
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._current()
                (person, lists), active, facts = await asyncio.gather(
                    asyncio.gather(self._look(user), self.usergroups.look_up_now(asked)),
                    asyncio.gather(*(self._active(one) for one in accounts)),
                    self.directories.fresh(named),
                )
        except TimeoutError:
            raise CouldNotCheck("who can decide") from None
        gone = {one for one, is_active in zip(accounts, active, strict=True) if not is_active}
        here = {person.value.identity, *(self._identities.get(one, "") for one in accounts if one not in gone)}
        facts.require_active(person.value)
        # By a list of which Slack does not say how old it is, what its events took away still counts.
        told |= {group: Listed(users, told[group].updated if group in told else 0.0) for group, users in lists.items()}
        inactive = facts.nobody(self._identities)
        known = self._roster(told, facts.groups(GROUPS_COUNT_FRESH), await self.changes.read(), gone | inactive)
        roster = _without_marks(await self._counting(known), here - inactive)
        return Actor(person=person.value, roster=roster, looked_up_now=True)

    async def person(self, user: str) -> Person:
        """The person behind a Slack account, bound to its e-mail address once and for all."""
        gone, seen = (await self.changes.read()).gone.get(user), self._people.get(user)
        if seen is None or not seen.fresh or (gone and seen.updated <= gone.at):
            seen = await self._look(user)
        value: Person = seen.value
        await self.directories.require_active(value)
        return value

    async def _look(self, user: str) -> LookupAnswer:
        answer = await _soon("who you are", self.client.users_info(user=user))
        account, at = answer["user"], updated(answer["user"])
        # Read after the answer: an event that came meanwhile is newer than it.
        known = (await self.changes.read()).gone
        gone = known.get(user)
        try:
            person = member(account, self.home)
        except NotAMember as error:
            self.forget(user)
            if error.kind in LOST and at > (gone.at if gone else 0.0):
                await self.changes.gone(user, at, error.kind)
            raise
        if gone and at <= gone.at:
            self.forget(user)
            raise NotAMember(gone.kind)
        if gone:
            await self.changes.back(user, at)
        # First: an address that is another person's by now does not count again because Slack knows it.
        await self.bindings.admit(person.identity, person.id)
        if person.identity in known:
            await self.changes.back(person.identity, await self.store.now())
        self._note(user, person.identity)
        return remember(self._people, user, person, at)

    async def _active(self, user: str) -> bool:
        """Whether somebody else whose word counts is an active full member now. Raises `CouldNotCheck`."""
        try:
            await self._look(user)
        except (NotAMember, IdentityTaken):
            return False
        return True

    def remembers(self, user: str) -> bool:
        """Whether a look at the account takes no call."""
        seen = self._people.get(user)
        return seen is not None and seen.fresh

    def _team(self) -> str | None:
        """The team whose people can be asked about: on an organisation-wide install, the only one that is named."""
        teams = {group.slack_team for group in self.catalog().groups.values() if group.slack_team}
        return teams.pop() if len(teams) == 1 else None

    def forget(self, user: str) -> None:
        """Something about the account changed: what is remembered of it is not believed any more."""
        self._people.pop(user, None)

    async def roster(self) -> dict[str, Members]:
        """Each group of the policy; one that Slack, or its directory, does not tell in time is unknown."""
        told, facts = await self._current(), await self.directories.facts()
        known = self._roster(told, facts.groups(), await self.changes.read(), facts.nobody(self._identities))
        return await self._counting(known)

    async def _counting(self, roster: dict[str, Members]) -> dict[str, Members]:
        """The roster with who stands in for whom, and since when people are in the groups of critical roles."""
        catalog = self.catalog()
        if watched := [name for name in authorization.watched(catalog) if name in roster]:
            known = await self.joined.known(watched)
            # In a group that nobody watches, and only a record still names, everybody is new.
            roster = {name: each.model_copy(update={"since": known.of(name)}) for name, each in roster.items()}
        if not stand_ins.entitling(catalog):
            return roster
        delegations, now = await self.store.delegations.read()
        return stand_ins.with_delegations(roster, delegations.active(now))

    def _roster(
        self,
        told: Mapping[str, Listed],
        listed: Mapping[str, frozenset[str]],
        known: KnownChanges,
        gone: Iterable[str] = (),
    ) -> dict[str, Members]:
        """The groups by what Slack told and directories listed, without what was lost since.

        ``known``: what Slack's events took away; ``gone``: who surely is not active just now, here or in a directory.
        """
        nobody = frozenset(who for who, lost in known.gone.items() if not self._newer(who, lost.at)) | {*gone}
        members = {group: remain(listed, known.left.get(group, ())) for group, listed in told.items()}
        accounts = dict(self._identities)
        return {
            name: Members(identities=frozenset(map(identity_of, group.people)), nobody=nobody, accounts=accounts)
            if group.is_listed
            else Members(
                identities=listed.get(name, frozenset()), known=name in listed, nobody=nobody, accounts=accounts
            )
            if not group.slack_usergroup
            else Members(
                users=members.get(group.slack_usergroup, frozenset()),
                known=group.slack_usergroup in members,
                nobody=nobody,
                accounts=accounts,
            )
            for name, group in self.catalog().groups.items()
        }

    def _newer(self, user: str, at: float) -> bool:
        seen = self._people.get(user)
        return seen is not None and seen.updated > at

    async def refresh(self) -> None:
        """Look at the user groups again; what was known stays known until it is too old."""
        with contextlib.suppress(StoreAway):
            await self._read_bindings()
        await self.usergroups.refresh()

    async def _read_bindings(self) -> None:
        """Whose accounts the addresses in groups are bound to, so that nobody is taken for two people."""
        known = set(self._identities.values())
        listed = [identity_of(address) for group in self.catalog().groups.values() for address in group.people]
        for identity in dict.fromkeys(
            (*listed, *sorted(frozenset().union(*(await self.directories.groups()).values())))
        ):
            if identity not in known and (user := await self.store.identities.bound(identity)):
                self._note(user, identity)

    def _note(self, user: str, identity: str) -> None:
        if len(self._identities) >= MOST_REMEMBERED:
            self._identities.clear()
        self._identities[user] = identity

    async def _current(self) -> dict[str, Listed]:
        return await self.usergroups.current(_PATIENCE) if self.usergroups.wanted else {}

    # who has left

    async def accounts(self, users: Sequence[str]) -> AccountStates:
        """Which of these accounts Slack says are deactivated, and which it says are not, asked one after the other."""
        told: dict[str, bool] = {}
        begun, doubts, rest = time.monotonic(), 0, 0.0
        for user in users:
            if doubts == _DOUBTS or time.monotonic() - begun > _ALTOGETHER:
                break
            try:
                answer = await answered(tasks.within(self.client.users_info(user=user), _BESIDE))
            except NotNow as error:
                log.warning("nobody can be looked at: %s", error)
                rest = error.after
                break
            except (SlackRefused, Unanswered) as error:
                doubts += isinstance(error, Unanswered)
                log.warning("%s could not be looked at: %s", user, error)
                continue
            account = answer.get("user")
            if isinstance(account, dict) and account.get("id") == user and isinstance(account.get("deleted"), bool):
                told[user] = account["deleted"]
        gone = frozenset(user for user, deleted in told.items() if deleted)
        return AccountStates(gone, frozenset(told) - gone, rest)

    async def groups(self) -> dict[str, Members] | None:
        """Each group of the policy, as Slack tells it when it is asked now; None when it does not.

        Nothing is left out for an event: whoever takes access away by this believes two answers, and no hint.
        """
        listed = await self.directories.groups()
        if not self.usergroups.wanted:
            return self._roster({}, listed, KnownChanges())
        answered_ = False
        with contextlib.suppress(TimeoutError):
            answered_ = await tasks.within(self.usergroups.refresh(), _BESIDE)
        return self._roster(await self._current(), listed, KnownChanges()) if answered_ else None

    async def mention(self, groups: Iterable[str]) -> str:
        """The groups as Slack mentions: a user group by itself, a list by its people, an unknown one by its name."""
        catalog, listed = self.catalog(), await self.directories.groups()
        said: list[str] = []
        for name in groups:
            group = catalog.groups.get(name)
            if group is None:
                continue
            if group.slack_usergroup:
                said.append(f"<!subteam^{group.slack_usergroup}>")
            elif group.is_listed:
                said += [await self.addresses.mention(address) for address in group.people]
            else:
                people = sorted(listed.get(name, ()))
                found = {address: await self.addresses.mention(address) for address in people[:_MOST_MENTIONED]}
                # An address that others chose, and nobody here has, is marked up as nothing.
                said += [safe(address) if mention == address else mention for address, mention in found.items()]
                said += [f"`{name}`"] if len(people) > _MOST_MENTIONED or not people else []
        return " or ".join(dict.fromkeys(said))

    async def accounts_of(self, groups: Iterable[str]) -> list[str]:
        """The Slack accounts of the groups' people, in the order of the policy; who has none is left out."""
        catalog, found, known = self.catalog(), list[str](), await self.changes.read()
        told, directories = await self._current(), await self.directories.groups()
        for name in groups:
            group = catalog.groups.get(name)
            if group is not None and group.slack_usergroup:
                listed = told.get(group.slack_usergroup)
                found += sorted(remain(listed, known.left.get(group.slack_usergroup, ()))) if listed else []
            elif group is not None:
                people = group.people if group.is_listed else sorted(directories.get(name, ()))[:_MOST_ASKED_FOR]
                said = [await self.addresses.mention(address) for address in people]
                found += filter(None, map(account_in, said))
        return [user for user in dict.fromkeys(found) if user not in known.gone]

    async def account_of(self, address: str) -> str:
        """The account that has this address; '' where Slack knows none."""
        return account_in(await self.addresses.mention(address))


def _without_marks(roster: dict[str, Members], identities: AbstractSet[str]) -> dict[str, Members]:
    """The roster, in which no address counts as nobody's that an active member has just now."""
    return {
        name: members.model_copy(update={"nobody": members.nobody - identities})
        if members.nobody & identities
        else members
        for name, members in roster.items()
    }


async def _soon(what: str, call: Awaitable[T]) -> T:
    """Slack's answer within a second; an error is a look-up that failed."""
    try:
        return await tasks.within(call, _PATIENCE)
    except AWAY as error:
        if code(error) in NO_SUCH:
            raise NotAMember("external") from error
        raise CouldNotCheck(what) from error
