"""The questions that the archive's index answers; what it finds is read from the record itself. It writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.engine import Connection

from bot.archive import Archive
from bot.archive_tables import ENTRY, EVENTS, HOLDINGS, LIVES, MENTIONS, PEOPLE, WORDS
from bot.core.model import Request
from bot.folding import Holding
from bot.seals import Entry


@dataclass(frozen=True)
class Query:
    """What is looked for: all of the ``words`` (any one of each group), in [``since``, ``until``), Unix seconds.

    ``before``: only what comes before an event, by its time and number, newest first.
    """

    words: tuple[tuple[str, ...], ...] = ()
    since: float | None = None
    until: float | None = None
    before: tuple[float, int] | None = None
    most: int = 50


def find(archive: Archive, workspace: str, query: Query) -> list[Entry]:
    """The events that fit, the newest first."""
    with archive.begun() as db:
        groups = [_numbers(db, workspace, group) for group in query.words]
        if not all(groups):
            return []
        return [Entry._make(row) for row in db.execute(_statement(workspace, query, groups))]


def _numbers(db: Connection, workspace: str, words: Sequence[str]) -> list[int]:
    query = sa.select(WORDS.c.n).where(WORDS.c.workspace == workspace, WORDS.c.word.in_(words))
    return list(db.scalars(query))


def _statement(workspace: str, query: Query, groups: Sequence[Sequence[int]]) -> sa.Select[Any]:
    """The first word leads, in its own order; each other one is looked up by the same event."""
    if not groups:
        at, seq = EVENTS.c.at, EVENTS.c.seq
        everything = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace)
        return _bounded(everything, at, seq, query).order_by(at.desc(), seq.desc()).limit(query.most)
    leading = MENTIONS.alias()
    page: sa.Select[Any] = sa.select(leading.c.at, leading.c.seq).where(_either(leading, groups[0]))
    page = _bounded(page, leading.c.at, leading.c.seq, query)
    for group in groups[1:]:
        other = MENTIONS.alias()
        same = sa.and_(_either(other, group), other.c.at == leading.c.at, other.c.seq == leading.c.seq)
        page = page.where(sa.exists().where(same))
    if len(groups[0]) > 1:
        page = page.distinct()
    found = page.order_by(leading.c.at.desc(), leading.c.seq.desc()).limit(query.most).subquery()
    joined = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.seq == found.c.seq)
    return sa.select(*ENTRY).join(found, joined).order_by(found.c.at.desc(), found.c.seq.desc())


def _either(mentions: sa.FromClause, numbers: Sequence[int]) -> sa.ColumnElement[bool]:
    return mentions.c.word == numbers[0] if len(numbers) == 1 else mentions.c.word.in_(numbers)


def _bounded(
    statement: sa.Select[Any], at: sa.ColumnElement[float], seq: sa.ColumnElement[int], query: Query
) -> sa.Select[Any]:
    if query.since is not None:
        statement = statement.where(at >= query.since)
    if query.until is not None:
        statement = statement.where(at < query.until)
    if query.before is not None:
        time, number = query.before
        statement = statement.where(at <= time, sa.or_(at < time, seq < number))
    return statement


def users(archive: Archive, workspace: str, name: str) -> list[str]:
    """The Slack user ids of someone who is named by e-mail address or by id."""
    with archive.begun() as db:
        where = sa.and_(PEOPLE.c.workspace == workspace, PEOPLE.c.identity == name.casefold())
        return list(db.scalars(sa.select(PEOPLE.c.user).where(where)))


def moment(archive: Archive, workspace: str, seq: int) -> float | None:
    """When the event of a number happened; None when there is none."""
    with archive.begun() as db:
        at: float | None = db.scalar(sa.select(EVENTS.c.at).where(EVENTS.c.workspace == workspace, EVENTS.c.seq == seq))
        return at


def span(archive: Archive, workspace: str, since: float | None, until: float | None) -> tuple[int, int] | None:
    """The lowest and the highest number of what happened in [``since``, ``until``); None for nothing."""
    query = sa.select(sa.func.min(EVENTS.c.seq), sa.func.max(EVENTS.c.seq)).where(EVENTS.c.workspace == workspace)
    if since is not None:
        query = query.where(EVENTS.c.at >= since)
    if until is not None:
        query = query.where(EVENTS.c.at < until)
    with archive.begun() as db:
        first, last = db.execute(query).one()
        return None if first is None else (int(first), int(last))


def standing(archive: Archive, workspace: str, at: float) -> list[Holding]:
    """Every role that someone held, or may have held, at a moment."""
    closed = sa.or_(HOLDINGS.c.closed_at.is_(None), HOLDINGS.c.closed_at > at)
    where = sa.and_(HOLDINGS.c.workspace == workspace, HOLDINGS.c.tried_at <= at, closed)
    with archive.begun() as db:
        query = sa.select(*HOLDINGS.c[1:]).where(where).order_by(HOLDINGS.c.tried_at, HOLDINGS.c.id, HOLDINGS.c.leg)
        return [Holding(*row) for row in db.execute(query)]


def lives(archive: Archive, workspace: str, id_: str) -> list[tuple[int, Request]]:
    """The requests that had an id, with the number of each one's first event, the latest first."""
    query = sa.select(LIVES.c.born, LIVES.c.body).where(LIVES.c.workspace == workspace, LIVES.c.id == id_)
    found = []
    with archive.begun() as db:
        for born, body in db.execute(query.order_by(LIVES.c.born.desc())):
            try:
                found.append((int(born), Request.model_validate_json(body)))
            except ValidationError:  # as another version of this product wrote it
                continue
    return found


def submitted(archive: Archive, workspace: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    """The number and the id of each request that was asked for, in order."""
    for entry in archive.entries(workspace, first, last):
        if entry.kind == "submitted" and entry.version == 1:
            yield entry.seq, entry.id


def history(archive: Archive, workspace: str, id_: str, born: int = 1, last: int | None = None) -> list[Entry]:
    """The events of one request, from its first on; an id that is drawn again begins another."""
    where = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.id == id_, EVENTS.c.seq >= born)
    found: list[Entry] = []
    with archive.begun() as db:
        for row in db.execute(sa.select(*ENTRY).where(where).order_by(EVENTS.c.seq)):
            entry = Entry._make(row)
            if (entry.seq > born and entry.version == 1) or (last is not None and entry.seq > last):
                break
            found.append(entry)
    return found
