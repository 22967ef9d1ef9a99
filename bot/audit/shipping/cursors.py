"""Each sink's cursor in the audit log, kept beside the events, and moved only after the sink has confirmed.

A cursor moves by compare-and-set, so that a process which was stopped and resumes moves nothing back. A record that a
sink can never take is kept as a refusal, in the transaction that steps over it. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bot.audit.archive.archive import Archive
from bot.audit.archive.tables import CURSORS, ENTRY, EVENTS, REFUSALS, SEALS
from bot.core.audit_chain import AuditEntry, Seal

_LONGEST = 500


class CursorMoved(Exception):
    """Another process moved the cursor meanwhile: look again."""


@dataclass(frozen=True)
class Cursor:
    """``number``: the last event that the sink has, or that was set aside. ``at``: when that was, Unix seconds.

    ``began``: since when there is this sink. ``config`` tells one configuration from another. ``refused``: how many
    records in a row were set aside until now. ``stopped``: why nothing is sent until a person says so, or ''.
    ``behind``: since when it is known to lag, or None.
    """

    workspace: str
    sink: str
    number: int
    at: float
    began: float
    config: str
    refused: int = 0
    stopped: str = ""
    behind: float | None = None


class Sealed(NamedTuple):
    """A sealed event, with what the seal says of it. ``digest``: the hash that was sealed; ``head``: the seal's."""

    entry: AuditEntry
    digest: bytes
    head: str


@dataclass(frozen=True)
class Refusal:
    """A record that a receiver can never take."""

    number: int
    why: str


class Lag(NamedTuple):
    """What a sink lacks: how many numbers, and for how many seconds the oldest of them has been waiting."""

    events: int
    seconds: float


def begin(archive: Archive, workspace: str, sink: str, config: str, *, now: float, all_of_it: bool) -> Cursor:
    """The cursor of a sink; a new one stands at the end, or before the first event. Another config ends a stop."""
    with archive.begun() as db:
        end = db.scalar(sa.select(sa.func.max(SEALS.c.last)).where(SEALS.c.workspace == workspace)) or 0
    new = Cursor(workspace, sink, 0 if all_of_it else int(end), now, now, config)
    try:
        with archive.begun() as db:
            db.execute(CURSORS.insert(), [vars(new)])
    except IntegrityError:
        known = cursors(archive, workspace)[sink]
        if known.config == config:
            return known
        return _set(archive, known, replace(known, config=config, stopped="", refused=0, at=now))
    return new


def cursors(archive: Archive, workspace: str) -> dict[str, Cursor]:
    """Each cursor, by its sink."""
    with archive.begun() as db:
        rows = db.execute(sa.select(CURSORS).where(CURSORS.c.workspace == workspace))
        return {row.sink: Cursor(**row._mapping) for row in rows}  # noqa: SLF001  # SQLAlchemy's public way


def move(archive: Archive, cursor: Cursor, number: int, now: float, refusal: Refusal | None = None) -> Cursor:
    """The sink has everything up to a number, the last of which it refused if it did. Raises `CursorMoved`."""
    refused = cursor.refused + 1 if refusal else 0
    return _set(archive, cursor, replace(cursor, number=number, at=now, refused=refused), refusal)


def stop(archive: Archive, cursor: Cursor, why: str) -> Cursor:
    """Nothing is sent any more until `resume`, or another config. Raises `CursorMoved`."""
    return _set(archive, cursor, replace(cursor, stopped=why[:_LONGEST]))


def resume(archive: Archive, cursor: Cursor) -> Cursor:
    """A person says that it goes on, where it stands. Raises `CursorMoved`."""
    return _set(archive, cursor, replace(cursor, stopped="", refused=0))


def know(archive: Archive, cursor: Cursor, behind: float | None) -> None:
    """It was told that a sink lags, or does so no more; wherever its cursor is by now."""
    its = (CURSORS.c.workspace == cursor.workspace) & (CURSORS.c.sink == cursor.sink)
    with archive.begun() as db:
        db.execute(CURSORS.update().where(its).values(behind=behind))


def _set(archive: Archive, before: Cursor, after: Cursor, refusal: Refusal | None = None) -> Cursor:
    moving = [column for column in CURSORS.c if column.name not in {"at", "behind"}]
    same = [column == getattr(before, column.name) for column in moving]
    values = {column.name: getattr(after, column.name) for column in [*moving, CURSORS.c.at]}
    with archive.begun() as db:
        if db.execute(CURSORS.update().where(*same).values(values)).rowcount != 1:
            raise CursorMoved(before.sink)
        if refusal:
            key = {"workspace": before.workspace, "sink": before.sink, "number": refusal.number}
            db.execute(REFUSALS.delete().where(*(REFUSALS.c[name] == value for name, value in key.items())))
            db.execute(REFUSALS.insert(), [{**key, "at": after.at, "why": refusal.why[:_LONGEST]}])
    return after


def refusals(archive: Archive, workspace: str) -> dict[str, list[int]]:
    """The numbers that each sink has refused, in order."""
    found: dict[str, list[int]] = {}
    query = sa.select(REFUSALS.c.sink, REFUSALS.c.number).where(REFUSALS.c.workspace == workspace)
    with archive.begun() as db:
        for sink, number in db.execute(query.order_by(REFUSALS.c.number)):
            found.setdefault(sink, []).append(number)
    return found


def after(archive: Archive, workspace: str, number: int, most: int) -> list[Sealed]:
    """The sealed events behind a number, in order, at most so many."""
    with archive.begun() as db:
        query = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace, EVENTS.c.seq > number)
        entries = [AuditEntry._make(row) for row in db.execute(query.order_by(EVENTS.c.seq).limit(most))]
        seals = _over(db, workspace, entries)
    found = []
    for entry in entries:
        while seals and seals[0].last < entry.seq:
            seals.pop(0)
        if not seals or seals[0].first > entry.seq:
            break  # not under a seal: no event of ours, and `jit audit verify` names it
        found.append(Sealed(entry, seals[0].digest(entry.seq), str(seals[0].head)))
    return found


def _over(db: sa.Connection, workspace: str, entries: Sequence[AuditEntry]) -> list[Seal]:
    if not entries:
        return []
    touching = (SEALS.c.last >= entries[0].seq) & (SEALS.c.first <= entries[-1].seq)
    query = sa.select(SEALS).where(SEALS.c.workspace == workspace, touching).order_by(SEALS.c.last)
    return [Seal(*tuple(row)) for row in db.execute(query)]


def lag(archive: Archive, cursor: Cursor, now: float) -> Lag:
    """What the sink lacks of the sealed events; what is older than the sink waits since the sink is there."""
    with archive.begun() as db:
        its = (EVENTS.c.workspace == cursor.workspace) & (EVENTS.c.seq > cursor.number)
        oldest = db.scalar(sa.select(EVENTS.c.at).where(its).order_by(EVENTS.c.seq).limit(1))
        if oldest is None:
            return Lag(0, 0.0)
        last = db.scalar(sa.select(sa.func.max(SEALS.c.last)).where(SEALS.c.workspace == cursor.workspace)) or 0
    return Lag(max(0, int(last) - cursor.number), max(0.0, now - max(oldest, cursor.began)))
