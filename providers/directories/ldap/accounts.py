"""Whether an account of LDAP counts, by which address, and whose it is."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable

from providers.directories.base import DirectoryPerson, Refused
from providers.directories.ldap.messages import LdapEntry
from providers.directories.people import attributes_of, known_person

ATTRIBUTES = (
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdAccountLockedTime",
    "nsAccountLock",
)
"""What says that an account is disabled, besides its classes."""

IDS = ("entryUUID", "objectGUID", "nsUniqueId")
"""What stays of an account when it is renamed: of RFC 4530, of Active Directory, of 389 Directory Server."""
_LOCKED_FOR_EVER = "000001010000z"
"""When it was locked, of an account that only an administrator can unlock (OpenLDAP's ppolicy)."""
_ADDRESS = re.compile(r"[^@\s<>|\ufffd]{1,64}@[^@\s<>|\ufffd]{1,190}")
_NO_PEOPLE = frozenset({"computer", "contact"})
"""Machines, and in Active Directory addresses without an account: they can sign in nowhere as a person."""
_DISABLED, _LOCKED = 0x2, 0x10
_NEVER = frozenset({0, 0x7FFF_FFFF_FFFF_FFFF})
_EPOCH = 11_644_473_600
"""Seconds from 1601, where Active Directory begins to count, until 1970."""


def address(entry: LdapEntry, mail: str, now: float) -> str | None:
    """The address in small letters, '' for an account that does not count, None where that cannot be told."""
    classes = {name.lower() for name in entry.values("objectClass")}
    if classes & _NO_PEOPLE or _is_disabled(entry, now):
        return ""
    if "user" in classes and entry.number("userAccountControl") is None:
        # Active Directory has it for each account: here it may not be read.
        return None
    found = {value.lower() for value in entry.values(mail)}
    # Of several, none can be told to be the one that Slack knows; each of them would be another person.
    [one] = found if len(found) == 1 else [""]
    return one if _ADDRESS.fullmatch(one) else None


def person(entry: LdapEntry, mail: str, email: str, now: float, attributes: Iterable[str]) -> DirectoryPerson | None:
    """Whose account an entry is that was found by an address; None where it is no person's. Raises `Refused`."""
    classes = {name.lower() for name in entry.values("objectClass")}
    if classes & _NO_PEOPLE:
        return None
    if "user" in classes and entry.number("userAccountControl") is None:
        raise Refused("the account may not read whether this one is disabled (userAccountControl)")
    if {value.lower() for value in entry.values(mail)} != {email}:
        raise Refused(f"the account with this address has more than one in `{mail}`")
    return known_person(
        _stable_id(entry), email, active=_is_active(entry, now), attributes=attributes_of(attributes, _one_of(entry))
    )


def _is_active(entry: LdapEntry, now: float) -> bool:
    """Whether it may be used; a lock that ends by itself, which wrong passwords of anybody's bring, is left aside."""
    for_ever = _LOCKED_FOR_EVER in {value.lower() for value in entry.values("pwdAccountLockedTime")}
    return not (_is_switched_off(entry, now) or for_ever)


def _stable_id(entry: LdapEntry) -> str:
    for name in IDS:
        if len(found := entry.attributes.get(name.lower(), ())) == 1:
            # Active Directory has 16 bytes, the first three numbers of them with the lowest byte first.
            return str(uuid.UUID(bytes_le=found[0])) if len(found[0]) == 16 else found[0].decode(errors="replace")
    raise Refused(f"the account may not read what is stable of this one ({', '.join(IDS)})")


def _one_of(entry: LdapEntry) -> Callable[[str], object]:
    def value(name: str) -> object:
        found = entry.values(name)
        return found[0] if len(found) == 1 else None

    return value


def _is_disabled(entry: LdapEntry, now: float) -> bool:
    computed = entry.number("msDS-User-Account-Control-Computed") or 0
    return bool(_is_switched_off(entry, now) or computed & _LOCKED or entry.values("pwdAccountLockedTime"))


def _is_switched_off(entry: LdapEntry, now: float) -> bool:
    """Whether somebody disabled it, or its time is up."""
    flags = entry.number("userAccountControl") or 0
    expires = entry.number("accountExpires") or 0
    return bool(
        flags & _DISABLED
        or (expires not in _NEVER and expires / 10_000_000 - _EPOCH <= now)
        or "true" in {value.lower() for value in entry.values("nsAccountLock")}
    )
