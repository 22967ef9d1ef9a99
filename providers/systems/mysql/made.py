"""Finds what was made or changed in the names of granted roles since an access began; it removes nothing.

Who has a role may leave a view, a routine, a trigger or an event whose definer is the role, and which goes on with
its rights. When something was made says nothing, since a session can set its own clock: what is there is compared with
what was there when the access began. What has the temporary account itself as its definer does nothing without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql

from providers.systems.base import Json, ProviderError
from providers.systems.mysql import queries
from providers.systems.mysql.rights import Reach
from providers.systems.mysql.session import MysqlSession
from providers.systems.mysql.statements import identifier

MADE, EVENTS, MAKERS, PREPARED = "made", "events", "makers", "prepared"
"""The keys of what was there before, in the facts of a receipt."""
_MOST = 300
_MOST_NAMED = 5
_SEES = {"view": "SHOW VIEW", "trigger": "TRIGGER"}


@dataclass(frozen=True)
class Found:
    """What was found at an end. ``runs``: what goes on by itself, with the statement that ends it."""

    told: str = ""
    runs: Sequence[str] = ()


async def before(session: MysqlSession, reach: Reach) -> dict[str, Json]:
    """What is there when an access begins: a digest of each object, and the transactions that are prepared.

    Without the events and the transactions nothing is granted; that the rest could not be read is said at the end.
    """
    makers = list(dict.fromkeys(role for role, _ in reach.makes))
    events = [_digest(row) for row in await _objects(session, makers, events_alone=True)]
    facts: dict[str, Json] = {MAKERS: makers, MADE: None, EVENTS: events if len(events) <= _MOST else None}
    facts[PREPARED] = [_short(each) for each in await session.prepared()][:_MOST]
    with suppress(pymysql.Error):
        rows = await _objects(session, makers)
        facts[MADE] = [_digest(row) for row in rows] if len(rows) <= _MOST else None
    return facts


async def since(session: MysqlSession, reach: Reach, facts: Mapping[str, Json]) -> Found:
    """What was made or changed since. It closes nothing, so it never fails."""
    makers = list(dict.fromkeys([*(facts.get(MAKERS) or ()), *(role for role, _ in reach.makes)]))
    if not makers:
        return Found()
    names = ", ".join(makers)
    try:
        rows = await _objects(session, makers)
    except (ProviderError, pymysql.Error):
        return Found(f"what was made as {names}, which could not be compared")
    known = facts.get(MADE)
    new = [row for row in rows if known is None or _digest(row) not in known]
    events = facts.get(EVENTS)  # by themselves, since they act by themselves, and are few where much else is made
    runs = [
        _to_drop(row) for row in rows if row["kind"] == "event" and events is not None and _digest(row) not in events
    ]
    words = [_sentence(names, new, known is not None)] if new else []
    words += [_unread([row for row in rows if not row["said"] and row not in new])]
    if blind := [kind for kind, right in _SEES.items() if right not in session.rights]:
        words.append(f"{'s and '.join(blind)}s made as {names}, which could not be compared")
    return Found("; ".join(filter(None, words)), runs)


async def without_owner(session: MysqlSession, who: str) -> str:
    """What has an account that is gone as its definer: it stays, and does nothing any more."""
    try:
        rows = await _objects(session, [who])
    except (ProviderError, pymysql.Error):
        return ""
    return f"{_listed(rows)} of {who}, which fail without it" if rows else ""


async def lingering(session: MysqlSession, facts: Mapping[str, Json]) -> list[str]:
    """Transactions that were prepared since, as far as that is known."""
    known = facts.get(PREPARED) or ()
    return [each for each in await session.prepared() if _short(each) not in known]


async def _objects(session: MysqlSession, roles: Sequence[str], *, events_alone: bool = False) -> list[dict[str, Any]]:
    if not roles:
        return []
    blind = [kind for kind, right in _SEES.items() if right not in session.rights]
    if events_alone:
        blind = ["view", "trigger", "routine"]
    return await session.rows(queries.made([*roles, *(f"{role}@" for role in roles)], blind))


def _digest(row: Mapping[str, Any]) -> str:
    return _short("|".join(str(row[key]) for key in ("kind", "db", "name", "definer", "said")))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sentence(names: str, rows: Sequence[Mapping[str, Any]], compared: bool) -> str:
    how = f"made or changed as {names} meanwhile" if compared else f"made as {names}, before or meanwhile"
    return f"{how}: {_listed(rows)}"


def _unread(rows: Sequence[Mapping[str, Any]]) -> str:
    """Views whose text nobody is shown who may not read from them."""
    if not rows:
        return ""
    return f"{_listed(rows)} of a granted role, whose text the bot may not read to see if it was changed"


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    told = [f"{row['kind']} {row['db']}.{row['name']}" for row in rows]
    more = f" and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return f"{', '.join(told[:_MOST_NAMED])}{more}"


def _to_drop(row: Mapping[str, Any]) -> str:
    return f"DROP EVENT {identifier(row['db'])}.{identifier(row['name'])}"
