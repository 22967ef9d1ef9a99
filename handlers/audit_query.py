"""A line of `/jit audit` → a query of the audit log. An unknown word gets suggestions; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from bot.access.audit_query import SearchFilters
from bot.audit.archive.projection import KINDS
from bot.core import human_times
from bot.core.errors import UnknownWord
from bot.core.identity import identity_or_none
from bot.core.request import ID_PATTERN
from bot.policy.catalog import Catalog
from bot.policy.problems import like

_MENTION = re.compile(r"^<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>$")
_ACCOUNT = re.compile(r"^[UW][A-Z0-9]{5,30}$")
_TERMINAL = re.compile(r"^cli:\S{1,200}$")
_NAME = re.compile(r"^[\w.-]{1,40}$")
_ROLE = re.compile(r"^[\w.-]{1,40}/[\w.-]{1,40}$")
_ID = re.compile(ID_PATTERN)
_TIMES = ("yesterday", "today", "last week", "this week", "last month", "this month", "last 7 days")
_MOST_WORDS = 30
_LATEST = 10_413_792_000.0
"""2300-01-01: Slack's clients show no later time."""


def question(line: str, catalog: Catalog, now: float) -> SearchFilters:
    """``[@person] [system | system/role] [J-7K3Q] [kind] [when]``, in any order. Raises `UnknownWord`.

    What is no longer in the policy is named with its type: ``system:old-db``, ``role:old-db/admin``, ``kind:…``.
    """
    systems = catalog.systems
    roles = {f"{name}/{role}" for name, system in systems.items() for role in system.roles}
    found: dict[str, str] = {}
    rest: list[str] = []
    for word in line.split()[:_MOST_WORDS]:
        named = _named(word) or _known(word, systems, roles)
        if named is None:
            rest.append(word)
        elif named[0] in found:
            raise UnknownWord(word[:60], (), twice=named[0])
        else:
            found[named[0]] = named[1]
    when = " ".join(rest)
    span = _when(when, now, [*systems, *roles, *KINDS, *_TIMES]) if when else human_times.When()
    if any(end is not None and not 0 <= end < _LATEST for end in (span.since, span.until, span.at)):
        raise UnknownWord(when[:60], ())
    return SearchFilters(**found, when=when[:60], since=span.since, until=span.until, at=span.at)


def _named(word: str) -> tuple[str, str] | None:
    """A word with its type, ``system:vault``."""
    what, colon, name = word.partition(":")
    if not colon or what not in _SPELLED:
        return None
    found = _SPELLED[what](name)
    if found is None:
        raise UnknownWord(word[:60], ())
    return found


def _person(word: str) -> tuple[str, str] | None:
    if mention := _MENTION.match(word):
        return "person", mention[1]
    named = any(pattern.match(word) for pattern in (_ACCOUNT, _TERMINAL))
    return ("person", word) if named or identity_or_none(word) else None


def _spelled(what: str, pattern: re.Pattern[str]) -> Callable[[str], tuple[str, str] | None]:
    return lambda name: (what, name) if pattern.match(name) else None


def _request(word: str) -> tuple[str, str] | None:
    return ("request", word.upper()) if _ID.match(word.upper()) else None


_SPELLED: Mapping[str, Callable[[str], tuple[str, str] | None]] = {
    "person": _person,
    "system": _spelled("system", _NAME),
    "role": _spelled("role", _ROLE),
    "kind": _spelled("kind", _NAME),
    "request": _request,
}


def _known(word: str, systems: Collection[str], roles: Collection[str]) -> tuple[str, str] | None:
    """What a word without its type is."""
    low = word.lower()
    if found := _person(word) or _request(word):
        return found
    for what, names in (("system", systems), ("role", roles), ("kind", KINDS)):
        if low in names:
            return what, low
    return None


def _when(words: str, now: float, known: list[str]) -> human_times.When:
    """A time. Raises `UnknownWord` with suggestions."""
    try:
        return human_times.parse(words[:60], now)
    except human_times.BadTime as error:
        raise UnknownWord(words[:60], tuple(like(words.lower(), known) or _like(words, known))) from error


def _like(words: str, known: list[str]) -> list[str]:
    """Names that are like one of several words."""
    return [name for word in words.split()[:5] for name in like(word.lower(), known)[:1]]
