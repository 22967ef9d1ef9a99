"""SCIM 2.0 (RFC 7643, 7644): who is in a group of a server, and who has an address; it writes nothing.

What a group's ``members`` say is who is in it. Their addresses are read from their own records, many at once where
the server can look them up by id, else one by one. No number that a server gives of its own answers is relied on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator
from yarl import URL

from providers.base import Frozen, Health
from providers.directories.base import (
    DirectoryCapabilities,
    DirectoryPerson,
    GroupAnswer,
    NoAnswer,
    PeopleOptions,
    Refused,
)
from providers.directories.http import (
    LOOK_UP,
    HttpOptions,
    HttpReader,
    WebAddress,
    look_up,
    refusal,
)
from providers.directories.people import one_of
from providers.directories.scim_resources import (
    HINTS,
    ID,
    NONSENSE,
    GroupReading,
    address_of,
    person_of,
    read_object,
    resource_id,
    resources,
    take,
)
from providers.http_client import HttpAnswer

_BY_ID = "id:"
_LONGEST_NAME = 255
_PAGE_SIZE = 100
_MOST_PAGES = 5
_MOST_NAMESAKES = 10
_MOST_PEOPLE = 2_000
_MOST_ALONE = 100
"""People whose records are read one by one."""
_NO_FILTER = frozenset({400, 403, 404, 405, 413, 414, 501})
"""Answers to a filter that a server does not have."""
_GONE = 404


class ScimConfig(PeopleOptions, HttpOptions):
    """The server, by an account that only has to read: a ``token``, or a ``username`` and a ``password``."""

    url: WebAddress
    """The address that ends before ``/Groups``, like ``https://id.example.com/scim/v2``."""
    token: SecretStr | None = None
    username: str = Field(default="", max_length=255, pattern="^[^:\\x00-\\x1f]*$")
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        basic = bool(self.username), self.password is not None
        if basic != (self.token is None, self.token is None):
            raise ValueError("give either `token`, or `username` and `password`")
        return self

    def authorization(self) -> str:
        """The value of the header."""
        if self.token is not None:
            return f"Bearer {self.token.get_secret_value()}"
        password = self.password.get_secret_value() if self.password else ""
        return "Basic " + base64.b64encode(f"{self.username}:{password}".encode()).decode()


class Scim:
    """One server."""

    Config: ClassVar[type[Frozen]] = ScimConfig

    def __init__(self, config: ScimConfig) -> None:
        """Open nothing."""
        self._config, self._reader = config, HttpReader(config)
        self._base = config.url.rstrip("/")

    def __repr__(self) -> str:
        """Without the token and the password."""
        return "Scim()"

    @property
    def settles_within(self) -> float:
        """A look-up has its own end."""
        return LOOK_UP + self._reader.settles_within

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Groups that people stay in."""
        group = "the display name of a group, or `id:` and its id"
        return DirectoryCapabilities(shifts=False, group=group, people=True)

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """A name in one line, or an id."""
        if group.startswith(_BY_ID):
            return "" if ID.fullmatch(group.removeprefix(_BY_ID)) else "write an id after `id:`, without spaces"
        if 0 < len(group) <= _LONGEST_NAME and group.isprintable() and group == group.strip():
            return ""
        return "write `group:` with the exact display name of a group, or with `id:` and its id"

    async def members(self, group: str, now: float) -> GroupAnswer:  # noqa: ARG002  # its present is the server's own
        """Who is in the group, and in those inside it. Raises `Refused`, `NoAnswer`."""
        async with look_up():
            return await self._members(group)

    async def person(self, email: str, now: float) -> DirectoryPerson | None:  # noqa: ARG002  # its present is the server's own
        """Who has this address. Raises `Refused`, `NoAnswer`."""
        attributes = ",".join(("active", "emails", *self._config.attributes))
        condition = f"emails.value eq {json.dumps(email)}"
        asked = [("filter", condition), ("attributes", attributes), *_from(0, _MOST_NAMESAKES + 1)]
        async with look_up():
            page = await self._get("Users", asked)
        if page.status in {400, 501}:
            raise Refused(f"it answers {page.named()}: it finds nobody by their address")
        found = resources(page)
        if len(found) > _MOST_NAMESAKES:
            raise Refused("more accounts are found for this address than are read")
        people = [person_of(user, email, self._config.attributes) for user in found]
        return one_of([person for person in people if person])

    async def check(self) -> Health:
        """Whether the account may read groups and users. Raises `Refused`, `NoAnswer`."""
        for kind in ("Groups", "Users"):
            resources(await self._get(kind, [("attributes", "id"), ("startIndex", "1"), ("count", "1")]))
        return Health(target=f"SCIM at {URL(self._base).host}", detail="the account may read groups and users")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    async def _members(self, group: str) -> GroupAnswer:
        root = group.removeprefix(_BY_ID) if group.startswith(_BY_ID) else await self._named(group)
        found = GroupReading()
        found.add_group(root)
        while found.groups or found.users:
            if found.groups:
                await self._read_group(found.groups.pop(), found, root)
            elif len(found.all_users) > _MOST_PEOPLE:
                return GroupAnswer(frozenset(), whole=False)
            else:
                await self._read_users(found)
        return GroupAnswer(frozenset(found.people), whole=found.whole)

    async def _named(self, name: str) -> str:
        """The id of the only group of that very name."""
        # A filter's text is quoted as JSON's is. Letters of another size agree for a server, and for nobody here.
        asked = [("filter", f"displayName eq {json.dumps(name, ensure_ascii=False)}"), ("attributes", "displayName")]
        seen, found = set[str](), set[str]()
        for _ in range(_MOST_PAGES):
            page = await self._get("Groups", [*asked, *_from(len(seen))])
            if page.status in {400, 501}:
                raise Refused(f"it answers {page.named()}: it finds no group by its name; write `id:` and the id")
            new = {resource_id(each): each.get("displayName") for each in resources(page, len(seen))}
            found |= {id_ for id_, called in new.items() if called == name}
            if len(found) > 1:
                raise Refused("there is more than one group of this name: write `group:` with `id:` and the id")
            if not new.keys() - seen:
                break
            seen |= new.keys()
        else:
            raise NoAnswer("it finds more groups than are read for one name: write `group:` with `id:` and the id")
        if not found:
            raise Refused("there is no group of this name, in these very letters, or the account may not read it")
        if not ID.fullmatch(id_ := found.pop()):
            raise NoAnswer(NONSENSE)
        return id_

    async def _read_group(self, id_: str, found: GroupReading, root: str) -> None:
        page = await self._get(f"Groups/{id_}", [("attributes", "displayName,members")])
        if page.status == _GONE:
            if id_ == root:
                raise Refused(f"there is no group {id_}, or the account may not read it")
            # Whoever is in it is not known.
            found.whole = False
            return
        if not page.ok:
            raise refusal(page, HINTS)
        group = read_object(page)
        # Nobody is told as no `members` at all, too (RFC 7643, 2.5).
        members = [] if group.get("members") is None else group["members"]
        if group.get("id") != id_ or not isinstance(members, list):
            raise NoAnswer(NONSENSE)
        if not members:
            await self._surely_empty(id_)
        for member in members:
            take(member, found)

    async def _surely_empty(self, id_: str) -> None:
        """That no user is said to be in a group whose ``members`` are empty: some servers never list them."""
        asked = [("filter", f'groups.value eq "{id_}"'), ("attributes", "groups")]
        page = await self._get("Users", [*asked, *_from(0, 1)])
        if page.status in _NO_FILTER:
            return
        for user in resources(page):
            groups = user.get("groups")
            if isinstance(groups, list) and any(isinstance(each, dict) and each.get("value") == id_ for each in groups):
                raise NoAnswer("it lists nobody in the group, and says of a user to be in it: it keeps `members` back")

    async def _read_users(self, found: GroupReading) -> None:
        """Read some of those who are to be read."""
        asked = found.take_users()
        users = await self._together(asked, found) if found.filters else {}
        for id_ in asked:
            user = users.get(id_) or await self._alone(id_, found)
            if user is None:
                continue
            address = address_of(user)
            found.whole = found.whole and address is not None
            found.people |= {address} if address else set()

    async def _together(self, asked: Collection[str], found: GroupReading) -> dict[str, Any]:
        """The users of these ids, as far as a filter finds them: a server may not know it, or leave some out."""
        query = [("filter", " or ".join(f'id eq "{id_}"' for id_ in asked)), ("attributes", "active,emails")]
        users, seen = dict[str, Any](), 0
        for _ in range(_MOST_PAGES):
            page = await self._get("Users", [*query, *_from(seen, len(asked))])
            if page.status in _NO_FILTER:
                found.filters = False
                break
            listed = resources(page, seen)
            new = {id_: user for user in listed if (id_ := resource_id(user)) in asked and id_ not in users}
            users |= new
            seen += len(listed)
            if not new or len(users) == len(asked):
                break
        # A list may have less of a user than the user's own record.
        return {id_: user for id_, user in users.items() if {"active", "emails"} <= user.keys()}

    async def _alone(self, id_: str, found: GroupReading) -> dict[str, Any] | None:
        """The user of an id; None for one who cannot be read, of whom nothing is known."""
        found.alone += 1
        if found.alone > _MOST_ALONE:
            found.whole = False
            return None
        page = await self._get(f"Users/{id_}", [("attributes", "active,emails")])
        if page.status == _GONE:
            if id_ in found.unsaid:
                found.add_group(id_)
            else:
                found.whole = False
            return None
        if not page.ok:
            raise refusal(page, HINTS)
        user = read_object(page)
        if user.get("id") != id_:
            raise NoAnswer(NONSENSE)
        return user

    async def _get(self, path: str, params: list[tuple[str, str]]) -> HttpAnswer:
        headers = {"Accept": "application/scim+json, application/json", "Authorization": self._config.authorization()}
        return await self._reader.get(f"{self._base}/{path}", headers, params)


def _from(seen: int, count: int = _PAGE_SIZE) -> list[tuple[str, str]]:
    return [("startIndex", str(seen + 1)), ("count", str(count))]
