"""Whether an account of LDAP counts, and by which address."""

from __future__ import annotations

import re

from providers.directories.ldap.messages import LdapEntry

ATTRIBUTES = (
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdAccountLockedTime",
    "nsAccountLock",
)
"""What says that an account is disabled, besides its classes."""

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


def _is_disabled(entry: LdapEntry, now: float) -> bool:
    flags = entry.number("userAccountControl") or 0
    computed = entry.number("msDS-User-Account-Control-Computed") or 0
    expires = entry.number("accountExpires") or 0
    return bool(
        flags & _DISABLED
        or computed & _LOCKED
        or (expires not in _NEVER and expires / 10_000_000 - _EPOCH <= now)
        or entry.values("pwdAccountLockedTime")
        or "true" in {value.lower() for value in entry.values("nsAccountLock")}
    )
