"""What is asked of an LDAP server and what it answers, without its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SUCCESS = 0
TIME_LIMIT, SIZE_LIMIT, STRONGER_AUTH_REQUIRED, REFERRAL, ADMIN_LIMIT, CONFIDENTIALITY_REQUIRED = 3, 4, 8, 10, 11, 13
NO_SUCH_OBJECT, INVALID_NAME = 32, 34
INAPPROPRIATE_AUTHENTICATION, INVALID_CREDENTIALS, INSUFFICIENT_ACCESS = 48, 49, 50
BUSY, UNAVAILABLE, UNWILLING = 51, 52, 53
"""Result codes (RFC 4511, appendix A)."""

EVERY = "(objectClass=*)"


class Garbled(Exception):
    """What a server sent is no LDAP."""


@dataclass(frozen=True)
class Search:
    """One entry, or all ``below`` it that a filter fits. ``page``: entries in one answer, 0 for no pages."""

    base: str
    attributes: tuple[str, ...]
    filter: str = EVERY
    below: bool = False
    page: int = 0
    cookie: bytes = b""


@dataclass(frozen=True)
class LdapOutcome:
    """How a request ended. ``cookie``: what asks for the next page; none after the last."""

    code: int
    cookie: bytes = b""


@dataclass(frozen=True)
class LdapEntry:
    """An entry. The names of its attributes are in small letters, with their options, such as ``member;range=0-9``."""

    name: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def values(self, attribute: str) -> tuple[str, ...]:
        """Those of an attribute that are text."""
        return tuple(value.decode(errors="replace") for value in self.attributes.get(attribute.lower(), ()))

    def number(self, attribute: str) -> int | None:
        """The one value of an attribute, where it is a number."""
        values = self.values(attribute)
        try:
            return int(values[0]) if len(values) == 1 and len(values[0]) <= 25 else None
        except ValueError:
            return None


@dataclass
class SearchAnswer:
    """What a search found."""

    code: int
    entries: list[LdapEntry] = field(default_factory=list)
    cookie: bytes = b""
