"""The questions that the archive's index answers; what it finds is read from the record itself. It writes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.engine import Connection

from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.archive.projection import Holding
from bot.audit.archive.tables import ENTRY, EVENTS, HOLDINGS, LIVES, MENTIONS, PEOPLE, POLICIES, SEALS, WORDS
from bot.core.audit_chain import AuditEntry
from bot.core.identity import identity_or_none
from bot.core.lifecycle import BEGINNINGS
from bot.core.request import Request

_MOST_IDS = 200


@dataclass(frozen=True)
class Query:
    """What is looked for: all of the ``words`` (any one of each group), in [``since``, ``until``), Unix seconds.

    ``before``: only what comes before an event, by its time and number, newest first. ``request``: only the events of
    a request, and what was noted about it.
    """

    words: tuple[tuple[str, ...], ...] = ()
    since: float | None = None
    until: float | None = None
    before: tuple[float, int] | None = None
    most: int = 50
    request: str = ""


def find(archive: Archive, workspace: str, query: Query) -> list[AuditEntry]:
    """The events that fit, the newest first."""
    with archive.begun() as db:
        groups = [_numbers(db, workspace, group) for group in query.words]
        if not all(groups):
            return []
        return [AuditEntry._make(row) for row in db.execute(_statement(workspace, query, groups))]


def _numbers(db: Connection, workspace: str, words: Sequence[str]) -> list[int]:
    query = sa.select(WORDS.c.n).where(WORDS.c.workspace == workspace, WORDS.c.word.in_(words))
    return list(db.scalars(query))


def _statement(workspace: str, query: Query, groups: Sequence[Sequence[int]]) -> sa.Select[Any]:
    """The first word leads, in its own order; each other one is looked up by the same event."""
    at, seq = EVENTS.c.at, EVENTS.c.seq
    everything = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace)
    if query.request:  # it leads, since it has few events
        its = everything.where(_about(workspace, query.request), *(_mentioned(group, at, seq) for group in groups))
        return _bounded(its, at, seq, query).order_by(at.desc(), seq.desc()).limit(query.most)
    if not groups:
        return _bounded(everything, at, seq, query).order_by(at.desc(), seq.desc()).limit(query.most)
    leading = MENTIONS.alias()
    page: sa.Select[Any] = sa.select(leading.c.at, leading.c.seq).where(_either(leading, groups[0]))
    page = _bounded(page, leading.c.at, leading.c.seq, query)
    for group in groups[1:]:
        page = page.where(_mentioned(group, leading.c.at, leading.c.seq))
    if len(groups[0]) > 1:
        page = page.distinct()
    found = page.order_by(leading.c.at.desc(), leading.c.seq.desc()).limit(query.most).subquery()
    joined = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.seq == found.c.seq)
    return sa.select(*ENTRY).join(found, joined).order_by(found.c.at.desc(), found.c.seq.desc())


def _mentioned(group: Sequence[int], at: sa.ColumnElement[float], seq: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    other = MENTIONS.alias()
    return sa.exists().where(sa.and_(_either(other, group), other.c.at == at, other.c.seq == seq))


def _about(workspace: str, request: str) -> sa.ColumnElement[bool]:
    """Whether it is an event of the request, or a note about it."""
    number = sa.select(WORDS.c.n).where(
        WORDS.c.workspace == workspace, WORDS.c.word == projection.word("request", request)
    )
    noted = sa.select(MENTIONS.c.seq).where(MENTIONS.c.word.in_(number))
    return sa.or_(EVENTS.c.id == request, EVENTS.c.seq.in_(noted))


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
        where = sa.and_(PEOPLE.c.workspace == workspace, PEOPLE.c.identity == identity_or_none(name))
        return list(db.scalars(sa.select(PEOPLE.c.user).where(where)))


def names(archive: Archive, workspace: str, what: str) -> set[str]:
    """Every name of a person, system, role, kind or request that events are found by; of people also addresses."""
    with archive.begun() as db:
        where = sa.and_(
            WORDS.c.workspace == workspace, WORDS.c.word.startswith(projection.word(what, ""), autoescape=True)
        )
        found = {str(name).partition(":")[2] for name in db.scalars(sa.select(WORDS.c.word).where(where))}
        if what == "person":
            found |= set(map(str, db.scalars(sa.select(PEOPLE.c.identity).where(PEOPLE.c.workspace == workspace))))
        return found


def addresses(archive: Archive, workspace: str, ids: Iterable[str]) -> dict[str, str]:
    """The e-mail address that each Slack user id was bound to, as far as one is known; of several the first."""
    wanted = sa.and_(PEOPLE.c.workspace == workspace, PEOPLE.c.user.in_(sorted(ids)[:_MOST_IDS]))
    query = sa.select(PEOPLE.c.user, PEOPLE.c.identity).where(wanted).order_by(PEOPLE.c.identity.desc())
    with archive.begun() as db:
        return {str(user): str(identity) for user, identity in db.execute(query)}


def accounts(archive: Archive, workspace: str) -> list[tuple[str, str]]:
    """Everybody whom the record names by an address: the bound identity, and the Slack user id."""
    with archive.begun() as db:
        query = sa.select(PEOPLE.c.identity, PEOPLE.c.user).where(PEOPLE.c.workspace == workspace)
        return [(str(identity), str(user)) for identity, user in db.execute(query.order_by(PEOPLE.c.identity))]


def last_seen(archive: Archive, workspace: str, users: Sequence[str]) -> dict[str, float]:
    """When each of these Slack users, or a request of theirs, was last in an event; of the others nothing is said."""
    words = {projection.word("person", user): user for user in users}
    latest = sa.select(sa.func.max(MENTIONS.c.at)).where(MENTIONS.c.word == WORDS.c.n).scalar_subquery()
    found: dict[str, float] = {}
    names = list(words)
    for at in range(0, len(names), _MOST_IDS):
        some = WORDS.c.word.in_(names[at : at + _MOST_IDS])
        query = sa.select(WORDS.c.word, latest).where(WORDS.c.workspace == workspace, some)
        with archive.begun() as db:
            found |= {words[word]: float(last) for word, last in db.execute(query) if last is not None}
    return found


def policies(archive: Archive, workspace: str, since: float, until: float) -> list[str]:
    """The texts of the policies that were kept in a time, after the last one before it; empty where there is none."""
    its = POLICIES.c.workspace == workspace
    with archive.begun() as db:
        first = db.scalar(sa.select(sa.func.max(POLICIES.c.at)).where(its, POLICIES.c.at <= since))
        if first is None:
            return []
        query = sa.select(POLICIES.c.text).where(its, POLICIES.c.at >= first, POLICIES.c.at < until)
        return [str(text) for text in db.scalars(query.order_by(POLICIES.c.at))]


def moment(archive: Archive, workspace: str, seq: int) -> float | None:
    """When the event of a number happened; None when there is none."""
    with archive.begun() as db:
        at: float | None = db.scalar(sa.select(EVENTS.c.at).where(EVENTS.c.workspace == workspace, EVENTS.c.seq == seq))
        return at


def events_about(archive: Archive, workspace: str, id_: str) -> list[AuditEntry]:
    """Every event with this id that changed no request, in order."""
    where = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.id == id_, EVENTS.c.version == 0)
    with archive.begun() as db:
        return [AuditEntry._make(row) for row in db.execute(sa.select(*ENTRY).where(where).order_by(EVENTS.c.seq))]


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


def amount(archive: Archive, workspace: str, first: int, last: int) -> int:
    """How many events there are from one number to another."""
    where = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.seq.between(first, last))
    with archive.begun() as db:
        return int(db.scalar(sa.select(sa.func.count()).select_from(EVENTS).where(where)) or 0)


def between(
    archive: Archive, workspace: str, since: float, until: float, kinds: Sequence[str] = ()
) -> Iterator[AuditEntry]:
    """What happened in [``since``, ``until``), of some kinds or of all, in the order of time, in constant memory."""
    where = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.at >= since, EVENTS.c.at < until)
    query = sa.select(*ENTRY).where(where).order_by(EVENTS.c.at, EVENTS.c.seq)
    if kinds:
        query = query.where(EVENTS.c.kind.in_(kinds))
    with archive.begun() as db:
        for row in db.execute(query, execution_options={"stream_results": True, "yield_per": 1_000}):
            yield AuditEntry._make(row)


def begun(archive: Archive, workspace: str, before: float) -> bool:
    """Whether anything at all happened before a moment."""
    return _any(archive, sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.at > 0, EVENTS.c.at < before))


def gone_on(archive: Archive, workspace: str, since: float) -> bool:
    """Whether anything happened from a moment on."""
    return _any(archive, sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.at >= since))


def _any(archive: Archive, where: sa.ColumnElement[bool]) -> bool:
    with archive.begun() as db:
        return db.scalar(sa.select(EVENTS.c.seq).where(where).limit(1)) is not None


def counted(archive: Archive, workspace: str, kind: str, moments: Sequence[float]) -> list[int]:
    """How many events of a kind there are between each two of the moments."""
    with archive.begun() as db:
        numbers = _numbers(db, workspace, [projection.word("kind", kind)])
        if not numbers:
            return [0] * (len(moments) - 1)
        at = MENTIONS.c.at
        query = sa.select(sa.func.count()).select_from(MENTIONS).where(MENTIONS.c.word == numbers[0])
        return [int(db.scalar(query.where(at >= a, at < b)) or 0) for a, b in itertools.pairwise(moments)]


def entries_of(archive: Archive, workspace: str, ids: Sequence[str], last: int) -> Iterator[list[AuditEntry]]:
    """The events of each of some requests up to a number, in order; a request's are one list."""
    for at in range(0, len(ids), _MOST_IDS):
        some = EVENTS.c.id.in_(ids[at : at + _MOST_IDS])
        where = sa.and_(EVENTS.c.workspace == workspace, some, EVENTS.c.seq <= last)
        with archive.begun() as db:
            rows = db.execute(sa.select(*ENTRY).where(where).order_by(EVENTS.c.id, EVENTS.c.seq)).all()
        for _, its in itertools.groupby(map(AuditEntry._make, rows), key=lambda entry: entry.id):
            yield list(its)


def lost(archive: Archive, workspace: str, first: int, last: int) -> list[tuple[int, int]]:
    """The ranges that were never seen, of those that touch a range of numbers."""
    touching = sa.and_(SEALS.c.last >= first, SEALS.c.first <= last, sa.func.length(SEALS.c.digests) == 0)
    query = sa.select(SEALS.c.first, SEALS.c.last).where(SEALS.c.workspace == workspace, touching)
    with archive.begun() as db:
        return [(int(a), int(b)) for a, b in db.execute(query.order_by(SEALS.c.first))]


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
        if entry.kind in BEGINNINGS and entry.version == 1:
            yield entry.seq, entry.id


def history(archive: Archive, workspace: str, id_: str, born: int = 1, last: int | None = None) -> list[AuditEntry]:
    """The events of one request, from its first on; an id that is drawn again begins another."""
    where = sa.and_(EVENTS.c.workspace == workspace, EVENTS.c.id == id_, EVENTS.c.seq >= born)
    found: list[AuditEntry] = []
    with archive.begun() as db:
        for row in db.execute(sa.select(*ENTRY).where(where).order_by(EVENTS.c.seq)):
            entry = AuditEntry._make(row)
            if (entry.seq > born and entry.version == 1) or (last is not None and entry.seq > last):
                break
            found.append(entry)
    return found
