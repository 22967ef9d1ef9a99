"""Who is in a group of LDAP: its members are read one by one, groups among them are followed, cycles end.

Active Directory could tell the members of all levels by a rule (1.2.840.113556.1.4.1941), but would leave out those of
another domain, and those that the account may not read, without a word. Here whatever cannot be read makes it not
whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.ldap import accounts, messages
from providers.directories.ldap.connection import LdapConnection
from providers.directories.ldap.messages import LdapEntry, Search, SearchAnswer
from providers.directories.ldap.names import domain, escaped, without_identifier

_MOST_ENTRIES = 5_000
"""Members that are read of one group, those of the groups in it included."""
_MOST_DEPTH = 20
_PAGE_SIZE = 500
_GROUPS = frozenset(
    {"group", "groupofnames", "groupofuniquenames", "groupofmembers", "groupofentries", "groupofurls", "posixgroup"}
)
_NEVER_EMPTY = frozenset({"groupofnames", "groupofuniquenames"})
"""Groups that have a member by their schema (RFC 4519)."""
_MEMBERS = ("member", "uniqueMember")
_ATTRIBUTES = ("objectClass", *_MEMBERS, "memberUid", "memberURL", "primaryGroupToken", *accounts.ATTRIBUTES)
_RANGE = r"{};range=([0-9]{{1,9}})-([0-9]{{1,9}}|\*)"
_NO_ENTRY = "there is no entry {}, or the account may not read it"
_UNREADABLE = {
    messages.NO_SUCH_OBJECT: _NO_ENTRY,
    messages.INSUFFICIENT_ACCESS: "the account may not read {}",
    messages.REFERRAL: "{} is on another server, which is not asked: write the address of that one",
    messages.INVALID_NAME: "the server does not take {} for a distinguished name",
}
_NOT_ALL = frozenset({messages.SIZE_LIMIT, messages.ADMIN_LIMIT})
_TEMPORARY = {
    messages.TIME_LIMIT: "it would take longer than it may",
    messages.BUSY: "it is busy",
    messages.UNAVAILABLE: "it is shutting down or not available",
}
_NOT_AS_ASKED = "it answers something else than it was asked for"


async def entry_at(connection: LdapConnection, name: str, attributes: tuple[str, ...]) -> LdapEntry:
    """The entry of a name. Raises `Refused` where it cannot be read, `NoAnswer`."""
    [found] = await connection.search([Search(name, attributes)])
    entry = _only(found)
    if entry is None:
        raise Refused(_UNREADABLE.get(found.code, _NO_ENTRY).format(name))
    return entry


def require_readable(code: int, name: str) -> None:
    """That a search below a name was not refused, or broken off. Raises `Refused`, `NoAnswer`."""
    if code in _UNREADABLE:
        raise Refused(_UNREADABLE[code].format(name))
    if code != messages.SUCCESS:
        raise NoAnswer("it answers only a part") if code in _NOT_ALL else _temporary(code)


def _only(found: SearchAnswer) -> LdapEntry | None:
    """The entry that was asked for by its name; None where it cannot be read. Raises `NoAnswer`."""
    if found.code == messages.SUCCESS and len(found.entries) <= 1:
        return found.entries[0] if found.entries else None
    if found.code in _UNREADABLE and not found.entries:
        return None
    raise _temporary(found.code)


def _temporary(code: int) -> NoAnswer:
    if code == messages.SUCCESS:
        return NoAnswer(_NOT_AS_ASKED)
    return NoAnswer(_TEMPORARY.get(code, f"it answers with LDAP result {code}"))


@dataclass
class GroupWalk:
    """One look at a group, over one connection."""

    connection: LdapConnection
    base: str
    """Below it, accounts are found by their uid."""
    mail: str
    now: float
    _people: set[str] = field(default_factory=set, init=False)
    _whole: bool = field(default=True, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    """What was read, in small letters, as the groups name it: so no group is followed for ever."""
    _read: int = field(default=0, init=False)

    @property
    def _attributes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_ATTRIBUTES, self.mail)))

    async def answer(self, group: str) -> GroupAnswer:
        """Everybody in a group. Raises `Refused`, `NoAnswer`."""
        top = await entry_at(self.connection, group, self._attributes)
        if not is_group(top):
            raise Refused(f"{group} is no group")
        if flaw := _flaw(top):
            raise Refused(f"{group} {flaw}")
        self._asked.add(group.lower())
        level = [top]
        for _ in range(_MOST_DEPTH):
            level = [inner for each in level for inner in await self._look(each)]
        self._whole = self._whole and not level
        return GroupAnswer(frozenset(self._people), whole=self._whole)

    async def _look(self, group: LdapEntry) -> list[LdapEntry]:
        """Count the people of a group; the groups in it."""
        values = [without_identifier(value) for kind in _MEMBERS for value in await self._values(group, kind)]
        # Nobody has the empty name: it fills groups that may not be empty.
        names = self._new([value for value in values if value])
        groups: list[LdapEntry] = []
        for found in await self.connection.search([Search(name, self._attributes) for name in names]):
            entry = _only(found)
            if entry is None:
                self._whole = False
            elif is_group(entry):
                self._whole = self._whole and not _flaw(entry)
                groups.append(entry)
            else:
                self._count(entry)
        await self._by_uid(group)
        await self._by_primary_group(group)
        return groups

    def _new(self, names: list[str]) -> list[str]:
        """Those that were not read yet, as many as may be."""
        new = {name.lower(): name for name in names if name.lower() not in self._asked}
        chosen = [*new][: max(_MOST_ENTRIES - self._read, 0)]
        self._whole = self._whole and len(chosen) == len(new)
        self._read += len(chosen)
        self._asked.update(chosen)
        return [new[key] for key in chosen]

    async def _values(self, group: LdapEntry, kind: str) -> list[str]:
        """All the values of an attribute: Active Directory sends 1,500 at a time."""
        values, part = [*group.values(kind)], _part(group, kind)
        while part is not None:
            values += part.values
            if part.last is None or len(values) > _MOST_ENTRIES:
                break
            begin = part.last + 1
            asked = Search(group.name, (f"{kind};range={begin}-*",))
            [found] = await self.connection.search([asked])
            following = _only(found)
            part = _part(following, kind) if following else None
            if part is None or part.first != begin:
                raise NoAnswer(_NOT_AS_ASKED)
        return values

    async def _by_uid(self, group: LdapEntry) -> None:
        prefix = "uid:"
        keys = self._new([f"{prefix}{name}" for name in group.values("memberUid")])
        asked = [self._search(self.base, f"(uid={escaped(key.removeprefix(prefix))})") for key in keys]
        for found in await self.connection.search(asked):
            self._require_definite(found)
            entries = [entry for entry in found.entries if not is_group(entry)]
            # Two of one name: which of them is meant cannot be told.
            self._whole = self._whole and len(entries) == 1
            if len(entries) == 1:
                self._count(entries[0])

    async def _by_primary_group(self, group: LdapEntry) -> None:
        """Those whose primary group it is, in Active Directory: they do not stand among its members."""
        token, cookie = group.number("primaryGroupToken"), b""
        # All of its domain, wherever `base_dn` begins: whoever were not found would not be missed.
        base, condition = domain(group.name) or self.base, f"(primaryGroupID={token})"
        while token is not None:
            [found] = await self.connection.search([self._search(base, condition, _PAGE_SIZE, cookie)])
            self._require_definite(found)
            self._read += len(found.entries)
            for entry in found.entries:
                self._count(entry)
            cookie = found.cookie
            if not cookie or found.code != messages.SUCCESS:
                break
            if self._read >= _MOST_ENTRIES:
                self._whole = False
                break

    def _search(self, base: str, condition: str, page: int = 0, cookie: bytes = b"") -> Search:
        return Search(base, self._attributes, condition, below=True, page=page, cookie=cookie)

    def _require_definite(self, found: SearchAnswer) -> None:
        """Note what is not all of an answer. Raises `NoAnswer`."""
        if found.code not in {messages.SUCCESS, *_UNREADABLE, *_NOT_ALL}:
            raise _temporary(found.code)
        self._whole = self._whole and found.code == messages.SUCCESS

    def _count(self, entry: LdapEntry) -> None:
        found = accounts.address(entry, self.mail, self.now)
        self._whole = self._whole and found is not None
        if found:
            self._people.add(found)


def is_group(entry: LdapEntry) -> bool:
    """Whether an entry has members, or is to have some."""
    classes = {name.lower() for name in entry.values("objectClass")}
    return bool(classes & _GROUPS) or _has_members(entry)


def _has_members(entry: LdapEntry) -> bool:
    return any(entry.values(kind) or _part(entry, kind) for kind in _MEMBERS)


def _flaw(group: LdapEntry) -> str:
    """Why a group does not tell its members; '' where it does."""
    if _has_members(group):
        return ""
    if group.values("memberURL"):
        return "finds its members by a search (memberURL), which is not followed"
    if _NEVER_EMPTY & {name.lower() for name in group.values("objectClass")}:
        return "shows no member: the account has to be allowed to read them"
    return ""


@dataclass(frozen=True)
class _Part:
    """Some of the values of an attribute, by their places; ``last`` is None for those that are the last."""

    first: int
    last: int | None
    values: tuple[str, ...]


def _part(entry: LdapEntry, kind: str) -> _Part | None:
    for name in entry.attributes:
        if place := re.fullmatch(_RANGE.format(kind.lower()), name):
            last = None if place[2] == "*" else int(place[2])
            return _Part(int(place[1]), last, entry.values(name))
    return None
