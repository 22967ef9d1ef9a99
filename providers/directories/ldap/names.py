"""Names and values as LDAP writes them: distinguished names (RFC 4514) and text in a filter (RFC 4515)."""

from __future__ import annotations

import re

_LONGEST = 1_000
_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)"
_PAIR = r"\\(?:[\\\"+,;<>= #]|[0-9A-Fa-f]{2})"
_VALUE = rf"(?:#(?:[0-9A-Fa-f]{{2}})+|(?![ #])(?:[^\x00\"+,;<>\\]|{_PAIR})+(?<!(?<!\\) ))"
_PART = rf"{_TYPE}={_VALUE}"
_NAME = re.compile(rf"{_PART}(?:\+{_PART})*(?:, ?{_PART}(?:\+{_PART})*)*")
_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9]")
_DOMAIN = re.compile(r"(?:^|(?<!\\),)(dc=[^,]+(?:,dc=[^,]+)*)\Z", re.IGNORECASE)
_UNIQUE = re.compile(r"#'[01]*'B\Z")


def is_name(text: str) -> bool:
    """Whether a text is a distinguished name; one space behind a comma is let pass, as many tools write it."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def escaped(text: str) -> str:
    """A text as it is to stand in a filter: it can end no condition, and is no pattern. All but letters is escaped."""
    return _NOT_PLAIN.sub(lambda sign: b"\\%02x" % ord(sign[0]), text.encode()).decode()


def domain(name: str) -> str:
    """The domain that an entry of Active Directory is in, by the end of its name; '' for none."""
    found = _DOMAIN.search(name)
    return found[1] if found else ""


def without_identifier(text: str) -> str:
    """The name in a value of ``uniqueMember``, which may have an identifier behind it (RFC 4517, 3.3.21)."""
    return _UNIQUE.sub("", text)
