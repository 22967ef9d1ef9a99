"""Okta: who is in a group, by its id or its name, and who has an address (core API, ``/api/v1``); it writes nothing.

Who can sign in counts as a member. A group of Okta has no other groups in it, so none are followed.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import Any, ClassVar

from pydantic import SecretStr
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
    email_address,
    json_list,
    json_object,
    look_up,
    refusal,
)
from providers.directories.people import attributes_of, known_person, one_of, value_at
from providers.http_client import HttpAnswer, retry_after

_ID = re.compile(r"00g[A-Za-z0-9]{17}")
_USER_ID = re.compile(r"00u[A-Za-z0-9]{17}")
_LONGEST_NAME = 255
_NEXT = re.compile(r'<([^<>]*)>[^<>,]*?;\s*rel="?next"?(?=[\s,;]|$)')
_PAGE_SIZE = 200
_MOST_PAGES = 15
_MOST_NAMESAKES = 50
_HINTS = {
    401: "see the token: it is wrong, was not used for 30 days, or is of a deactivated account",
    403: "see the rights of the token: it has to read groups, and the people in them",
    404: "see `url`: it is like https://example.okta.com",
}
_NONSENSE = "it answers something else than Okta's API does"
_GONE, _LIMITED = 404, 429

_MEMBERS = frozenset({"ACTIVE", "PASSWORD_EXPIRED"})
"""They can sign in; with an expired password, to set a new one."""
_OUTSIDE = frozenset({"STAGED", "PROVISIONED", "RECOVERY", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"})
"""They cannot: not yet, not until they have set a password or are unlocked, or not any more."""
_INACTIVE = frozenset({"STAGED", "PROVISIONED", "SUSPENDED", "DEPROVISIONED"})
"""Their accounts are not to be used: of the others in `_OUTSIDE`, people can let themselves in again."""


class OktaConfig(PeopleOptions, HttpOptions):
    """The organisation, by a token that only has to read."""

    url: WebAddress
    """``https://example.okta.com``."""
    token: SecretStr


class Okta:
    """One organisation."""

    Config: ClassVar[type[Frozen]] = OktaConfig

    def __init__(self, config: OktaConfig) -> None:
        """Open nothing."""
        self._config, self._reader = config, HttpReader(config)
        api = f"{config.url.rstrip('/')}/api/v1"
        self._groups, self._users = f"{api}/groups", f"{api}/users"

    def __repr__(self) -> str:
        """Without the token."""
        return "Okta()"

    @property
    def settles_within(self) -> float:
        """A look-up has its own end."""
        return LOOK_UP + self._reader.settles_within

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Groups that people stay in."""
        group = "the id of a group, like 00g1emaKYZTWRYYRRTSK, or its name"
        return DirectoryCapabilities(shifts=False, group=group, people=True)

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """An id or a name, in one line."""
        if 0 < len(group) <= _LONGEST_NAME and group.isprintable() and group == group.strip():
            return ""
        return "write `group:` with the id of a group, as the address of its page ends, or with its exact name"

    async def members(self, group: str, now: float) -> GroupAnswer:  # noqa: ARG002  # its present is Okta's own
        """Who is in the group. Raises `Refused`, `NoAnswer`."""
        async with look_up():
            return await self._members(group)

    async def person(self, email: str, now: float) -> DirectoryPerson | None:  # noqa: ARG002  # its present is Okta's own
        """Who has this address. Raises `Refused`, `NoAnswer`."""
        async with look_up():
            ids = await self._addressed(email)
            people = [person for id_ in sorted(ids) if (person := await self._person(id_, email))]
            return one_of(people)

    async def check(self) -> Health:
        """Whether the token may read groups, and the people in one. Raises `Refused`, `NoAnswer`."""
        page = await self._get(self._groups, [("limit", "1")])
        if not page.ok:
            raise _no(page)
        for each in _listed(page)[:1]:
            id_, _ = _group(each)
            page = await self._get(f"{self._groups}/{id_}/users", [("limit", "1")])
            if not page.ok and page.status != _GONE:
                raise _no(page)
        return Health(target="Okta", detail="the token may read groups and who is in them")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    async def _addressed(self, email: str) -> set[str]:
        """The ids of all accounts with an address: deactivated ones are found only where they are asked for."""
        condition = f"profile.email eq {json.dumps(email)}"
        found = set[str]()
        for search in (condition, f'status eq "DEPROVISIONED" and {condition}'):
            page = await self._get(self._users, [("search", search), ("limit", f"{_MOST_NAMESAKES}")])
            if not page.ok:
                raise _no(page)
            if _NEXT.search(page.headers.get("link", "")):
                raise Refused("more accounts have this address than are read")
            found |= {_user_id(user) for user in _listed(page)}
        return found

    async def _person(self, id_: str, email: str) -> DirectoryPerson | None:
        """An account that a search found, as it is now: what a search says can be old."""
        page = await self._get(f"{self._users}/{id_}")
        if page.status == _GONE:
            return None
        if not page.ok:
            raise _no(page)
        user = json_object(page)
        if _user_id(user) != id_:
            raise NoAnswer(_NONSENSE)
        status, profile = _described(user)
        if email_address(profile.get("email")) != email:
            return None
        if status not in _MEMBERS | _OUTSIDE:
            raise NoAnswer("the account has a status that is not known here")
        attributes = attributes_of(self._config.attributes, lambda name: value_at(profile, name))
        return known_person(id_, email, active=status not in _INACTIVE, attributes=attributes)

    async def _members(self, group: str) -> GroupAnswer:
        id_ = group if _ID.fullmatch(group) else await self._named(group)
        await self._there(id_, "" if id_ == group else group)
        people, whole = set[str](), True
        url, read = f"{self._groups}/{id_}/users?limit={_PAGE_SIZE}", set[str]()
        while url:
            if len(read) == _MOST_PAGES:
                whole = False
                break
            read.add(url)
            page = await self._get(url)
            if not page.ok:
                raise _no_group(id_) if page.status == _GONE else _no(page)
            users = _listed(page)
            for user in users:
                address = _address(user)
                whole = whole and address is not None
                people |= {address} if address else set()
            # Okta has a `Link` on each page. Without one, a proxy keeps back whether there are more.
            if len(users) >= _PAGE_SIZE and "link" not in page.headers:
                raise NoAnswer("it does not say whether there are more people in the group")
            url = _next(page, url)
            if url in read:
                raise NoAnswer(_NONSENSE)
        return GroupAnswer(frozenset(people), whole=whole)

    async def _named(self, name: str) -> str:
        """The id of the only group of that very name. Names are not kept: another group can have this one later."""
        # A filter's text is quoted as JSON's is. Okta may find what only looks like it: letters have to agree, too.
        search = [
            ("search", f"profile.name eq {json.dumps(name, ensure_ascii=False)}"),
            ("limit", f"{_MOST_NAMESAKES}"),
        ]
        page = await self._get(self._groups, search)
        if not page.ok:
            raise _no(page)
        found = {id_ for id_, called in map(_group, _listed(page)) if called == name}
        if len(found) > 1 or _NEXT.search(page.headers.get("link", "")):
            raise Refused("Okta has more than one group of this name: write `group:` with the id of the one")
        if not found:
            raise Refused("Okta has no group of this name, in these very letters, or the token may not read it")
        return found.pop()

    async def _there(self, id_: str, name: str) -> None:
        """That the group is there, and by a name that was searched for: what a search says can be old."""
        page = await self._get(f"{self._groups}/{id_}")
        if not page.ok:
            raise _no_group(id_) if page.status == _GONE else _no(page)
        found, called = _group(json_object(page))
        if found != id_:
            raise NoAnswer(_NONSENSE)
        if name and called != name:
            raise NoAnswer("the group was given another name just now")

    async def _get(self, url: str, params: list[tuple[str, str]] | None = None) -> HttpAnswer:
        headers = {"Accept": "application/json", "Authorization": f"SSWS {self._config.token.get_secret_value()}"}
        return await self._reader.get(url, headers, params)


def _listed(page: HttpAnswer) -> list[Any]:
    if (found := json_list(page)) is None:
        raise NoAnswer(_NONSENSE)
    return found


def _group(found: Any) -> tuple[str, str]:
    """The id and the name of a group as Okta describes it."""
    if not isinstance(found, dict) or not isinstance(profile := found.get("profile"), dict):
        raise NoAnswer(_NONSENSE)
    id_, name = found.get("id"), profile.get("name")
    if not isinstance(id_, str) or not _ID.fullmatch(id_) or not isinstance(name, str):
        raise NoAnswer(_NONSENSE)
    return id_, name


def _described(user: Any) -> tuple[str, dict[str, Any]]:
    """The status and the profile of an account."""
    if not isinstance(user, dict) or not isinstance(profile := user.get("profile"), dict):
        raise NoAnswer(_NONSENSE)
    status = user.get("status")
    if not isinstance(status, str):
        raise NoAnswer(_NONSENSE)
    return status, profile


def _user_id(user: Any) -> str:
    id_ = user.get("id") if isinstance(user, dict) else None
    if not isinstance(id_, str) or not _USER_ID.fullmatch(id_):
        raise NoAnswer(_NONSENSE)
    return id_


def _address(user: Any) -> str | None:
    """A member's address: '' for somebody who does not count, None for somebody without a usable address."""
    status, profile = _described(user)
    if status in _OUTSIDE:
        return ""
    if status not in _MEMBERS:
        raise NoAnswer("somebody in the group has a status that is not known here")
    return email_address(profile.get("email"))


def _next(page: HttpAnswer, url: str) -> str:
    """The address of the next page (RFC 8288), '' for none. It is followed only to where this page came from."""
    found = _NEXT.search(page.headers.get("link", ""))
    if found is None:
        return ""
    try:
        target = URL(found[1])
        followed = target.with_query(None).with_fragment(None) == URL(url).with_query(None)
    except ValueError:
        followed = False
    if not followed:
        raise NoAnswer("its next page is at another address than the group, which is not followed")
    return str(target)


def _no_group(id_: str) -> Refused:
    return Refused(f"Okta has no group {id_}, or the token may not read it")


def _no(page: HttpAnswer) -> Refused | NoAnswer:
    """The error of an answer that cannot be used; of a rate limit, with when it ends."""
    error = refusal(page, _HINTS)
    return NoAnswer(str(error), _limited_for(page)) if page.status == _LIMITED else error


def _limited_for(page: HttpAnswer) -> float:
    """Seconds until the limit is reset, at ``X-Rate-Limit-Reset`` by Okta's own clock."""
    reset = page.headers.get("x-rate-limit-reset", "")
    if not reset.isdecimal() or len(reset) > 12:
        return page.after
    try:
        now = email.utils.parsedate_to_datetime(page.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        now = time.time()
    return retry_after(str(max(int(int(reset) - now), 1)))
