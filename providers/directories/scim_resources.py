"""What the answers of a SCIM 2.0 server say (RFC 7643, 7644), and what is to be read next; it asks nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from providers.directories.base import DirectoryPerson, NoAnswer, Refused
from providers.directories.http import email_address, json_object, refusal
from providers.directories.people import attributes_of, known_person, value_at
from providers.http_client import HttpAnswer

ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:@=+~-]{0,254}")
"""An id that is a part of a path, and within a filter's quotes, as it is."""
_REF = re.compile(r"(?:^|/)(Users|Groups)/[^/?#]+$")
_MOST_GROUPS = 50
"""Groups within a group."""
_AT_ONCE = 40
"""People who are looked up in one call."""
_LONGEST_FILTER = 1_500
"""Characters of ids in one call, about."""
HINTS = {
    401: "see the token, or `username` and `password`",
    403: "see the rights of the account: it has to read groups and users",
    404: "see `url`: it is the address that ends before `/Groups`",
}
NONSENSE = "it answers something else than SCIM 2.0 does"


@dataclass
class GroupReading:
    """What is known of a group so far, and what is still to be read. Nothing is read twice, so a circle ends."""

    groups: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    """Groups and users to be read."""
    all_groups: set[str] = field(default_factory=set)
    all_users: set[str] = field(default_factory=set)
    unsaid: set[str] = field(default_factory=set)
    """Of which the server does not say whether it is a user or a group."""
    people: set[str] = field(default_factory=set)
    alone: int = 0
    """How many users were read one by one."""
    filters: bool = True
    """Whether the server may know the filter by which many are read at once."""
    whole: bool = True

    def add_group(self, id_: str) -> None:
        """Have a group read."""
        if id_ in self.all_groups:
            return
        if len(self.all_groups) > _MOST_GROUPS:
            self.whole = False
            return
        self.all_groups.add(id_)
        self.groups.append(id_)

    def add_user(self, id_: str) -> None:
        """Have a user read."""
        if id_ not in self.all_users:
            self.all_users.add(id_)
            self.users.append(id_)

    def take_users(self) -> list[str]:
        """Some of the users to be read: as many as an address has room for."""
        taken = list[str]()
        while self.users and len(taken) < _AT_ONCE and sum(map(len, taken)) < _LONGEST_FILTER:
            taken.append(self.users.pop())
        return taken


def resources(page: HttpAnswer, seen: int = 0) -> list[dict[str, Any]]:
    """What a page of a list has. Raises `Refused`, `NoAnswer`."""
    if not page.ok:
        raise refusal(page, HINTS)
    found = read_object(page)
    # A list of nothing, and a page behind the last, can do without.
    listed = found.get("Resources", [] if found.get("totalResults") == 0 or seen else None)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise NoAnswer(NONSENSE)
    return listed


def read_object(page: HttpAnswer) -> dict[str, Any]:
    """The JSON object that an answer is. Raises `NoAnswer`."""
    if (found := json_object(page)) is None:
        raise NoAnswer(NONSENSE)
    return found


def resource_id(resource: dict[str, Any]) -> str:
    """Its id, which may be of a form that is never asked for."""
    id_ = resource.get("id")
    if not isinstance(id_, str) or not id_:
        raise NoAnswer(NONSENSE)
    return id_


def take(member: Any, found: GroupReading) -> None:
    """Note a member to be read as what it is: a user, a group, or either where the server does not say."""
    id_ = member.get("value") if isinstance(member, dict) else None
    if not isinstance(id_, str) or not ID.fullmatch(id_):
        raise NoAnswer(NONSENSE)
    kind, reference = member.get("type"), member.get("$ref")
    if not kind and isinstance(reference, str) and (where := _REF.search(reference)):
        kind = where[1].removesuffix("s")
    match str(kind).lower() if kind else "":
        case "group":
            found.add_group(id_)
        case "user":
            found.add_user(id_)
        case "":
            # Looked up as a user, then as a group: no id is of both (RFC 7643, 3.1).
            found.add_user(id_)
            found.unsaid.add(id_)
        case _:
            # Neither a person nor a group, as far as SCIM knows.
            found.whole = False


def address_of(user: dict[str, Any]) -> str | None:
    """A user's address: '' for one who is not active, None for one without a usable address, or who may be active."""
    active = user.get("active")
    if active is False:
        return ""
    addresses = _addresses(user)
    return addresses.pop() if active is True and len(addresses) == 1 else None


def person_of(user: dict[str, Any], email: str, attributes: Iterable[str]) -> DirectoryPerson | None:
    """A user that a server found for an address; None where it is another one's. Raises `Refused`, `NoAnswer`."""
    addresses = _addresses(user)
    if email not in addresses:
        return None
    active = user.get("active")
    if len(addresses) > 1 or not isinstance(active, bool):
        what = "which of its addresses counts" if len(addresses) > 1 else "whether it is active"
        raise Refused(f"it does not say of the account {what}")
    read = attributes_of(attributes, lambda name: _value(user, name))
    return known_person(resource_id(user), email, active=active, attributes=read)


def _value(user: dict[str, Any], name: str) -> object:
    """The value of an attribute by its name, which has its schema before it where that is an extension's."""
    schema, _, inner = name.rpartition(":")
    return value_at(user.get(schema) if schema else user, inner)


def _addresses(user: dict[str, Any]) -> set[str | None]:
    """What counts as a user's address: one, where that is clear."""
    emails = user.get("emails")
    if not isinstance(emails, list):
        return set()
    listed = [each for each in emails if isinstance(each, dict)]
    primary = [each for each in listed if each.get("primary") is True]
    work = [each for each in listed if each.get("type") == "work"]
    chosen = primary or work or [each for each in listed if not each.get("type")]
    return {email_address(each.get("value")) for each in chosen}
