"""The archive's index: by what words an event is found, and who held what; made as events are added, never the proof.

The record is the sealed events; a request's life that another version wrote is told again from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.engine import Connection

from bot.audit.archive import projection
from bot.audit.archive.projection import Holding, Life
from bot.audit.archive.tables import ENTRY, EVENTS, HOLDINGS, LIVES, MENTIONS, PEOPLE, WORDS
from bot.core.audit_chain import AuditEntry
from bot.core.request import Request

_MOST_NAMES = 500


class Index:
    """Adds to the index, and remembers the numbers of words between two additions."""

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._words: dict[tuple[str, str], int] = {}
        self._people: set[tuple[str, str, str]] = set()

    def forget(self) -> None:
        """What was remembered may not have been written after all."""
        self._words.clear()
        self._people.clear()

    def drop(self, db: Connection, workspace: str) -> None:
        """Take out all that was indexed of a workspace."""
        self.forget()
        its = sa.select(WORDS.c.n).where(WORDS.c.workspace == workspace)
        db.execute(MENTIONS.delete().where(MENTIONS.c.word.in_(its)))
        for table in (WORDS, PEOPLE, LIVES, HOLDINGS):
            db.execute(table.delete().where(table.c.workspace == workspace))

    def add(self, db: Connection, workspace: str, entries: Sequence[AuditEntry]) -> None:
        """Index events that are being added, in the transaction that adds them."""
        names = sorted({name for entry in entries if (name := projection.about(entry))})
        lives = lives_of(db, workspace, names)
        loaded = {(life.request.id, life.born) for life in lives.values()}
        touched: dict[tuple[str, int], Life] = {}
        known = {(h.id, h.born, h.leg) for life in lives.values() for h in life.holdings}
        mentions, people = [], set()
        for entry in entries:
            told = projection.project(entry, lives.get(projection.about(entry)))
            mentions += [(word, entry.at, entry.seq) for word in told.words]
            people |= {(workspace, *person) for person in told.people}
            if entry.version and told.life:
                lives[entry.id] = told.life
                touched[entry.id, told.life.born] = told.life
        self._write_lives(db, workspace, touched, loaded)
        self._write_holdings(db, workspace, [h for life in touched.values() for h in life.holdings], known)
        numbers = self._numbers(db, workspace, {word for word, _, _ in mentions})
        db.execute(MENTIONS.insert(), [{"word": numbers[word], "at": at, "seq": seq} for word, at, seq in mentions])
        self._write_people(db, people - self._people)

    def _write_lives(
        self, db: Connection, workspace: str, lives: dict[tuple[str, int], Life], loaded: set[tuple[str, int]]
    ) -> None:
        key = {"workspace": LIVES.c.workspace, "id": LIVES.c.id, "born": LIVES.c.born}
        rows = [
            {"workspace": workspace, "id": id_, "born": born, "body": _body(life.request)}
            for (id_, born), life in lives.items()
        ]
        _put(db, LIVES, key, rows, lambda row: (row["id"], row["born"]) in loaded)

    def _write_holdings(
        self, db: Connection, workspace: str, holdings: Sequence[Holding], known: set[tuple[str, int, int]]
    ) -> None:
        key = {
            "workspace": HOLDINGS.c.workspace,
            "id": HOLDINGS.c.id,
            "born": HOLDINGS.c.born,
            "leg": HOLDINGS.c.leg,
        }
        rows = [{"workspace": workspace, **asdict(holding)} for holding in holdings]
        _put(db, HOLDINGS, key, rows, lambda row: (row["id"], row["born"], row["leg"]) in known)

    def _numbers(self, db: Connection, workspace: str, words: set[str]) -> dict[str, int]:
        """The number of each word, given to those that are new."""
        for new in (False, True):
            lacking = sorted(word for word in words if (workspace, word) not in self._words)
            if new and lacking:
                db.execute(WORDS.insert(), [{"workspace": workspace, "word": word} for word in lacking])
            for at in range(0, len(lacking), _MOST_NAMES):
                some = WORDS.c.word.in_(lacking[at : at + _MOST_NAMES])
                query = sa.select(WORDS.c.word, WORDS.c.n).where(WORDS.c.workspace == workspace, some)
                self._words |= {(workspace, word): n for word, n in db.execute(query)}
        return {word: self._words[workspace, word] for word in words}

    def _write_people(self, db: Connection, people: set[tuple[str, str, str]]) -> None:
        for workspace, identity, user in sorted(people):
            row = {"workspace": workspace, "identity": identity, "user": user}
            if not db.scalar(sa.select(sa.func.count()).select_from(PEOPLE).filter_by(**row)):
                db.execute(PEOPLE.insert(), [row])
        self._people |= people


def lives_of(db: Connection, workspace: str, names: Sequence[str]) -> dict[str, Life]:
    """The latest life of each request that has one of the ids."""
    found: dict[str, Life] = {}
    for at in range(0, len(names), _MOST_NAMES):
        some = names[at : at + _MOST_NAMES]
        holdings: dict[tuple[str, int], list[Holding]] = {}
        where = (HOLDINGS.c.workspace == workspace) & HOLDINGS.c.id.in_(some)
        for row in db.execute(sa.select(*HOLDINGS.c[1:]).where(where)):
            holding = Holding(*row)
            holdings.setdefault((holding.id, holding.born), []).append(holding)
        where = (LIVES.c.workspace == workspace) & LIVES.c.id.in_(some)
        for id_, born, body in sorted(db.execute(sa.select(*LIVES.c[1:]).where(where)), key=lambda row: int(row.born)):
            try:
                request = Request.model_validate_json(body)
            except ValidationError:  # as another version of this product wrote it
                life = _again(db, workspace, id_, born)
                found |= {id_: life} if life else {}
            else:
                found[id_] = Life(born, request, tuple(holdings.get((id_, born), ())))
    return found


def _again(db: Connection, workspace: str, id_: str, born: int) -> Life | None:
    """A request's life, told again by its events."""
    query = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace, EVENTS.c.id == id_, EVENTS.c.seq >= born)
    life: Life | None = None
    for row in db.execute(query.order_by(EVENTS.c.seq)):
        life = projection.project(AuditEntry._make(row), life).life
    return life


def _body(request: Request) -> str:
    return request.model_dump_json(exclude_defaults=True)


def _put(
    db: Connection,
    table: sa.Table,
    key: dict[str, sa.Column[Any]],
    rows: Sequence[dict[str, Any]],
    exists: Callable[[dict[str, Any]], bool],
) -> None:
    if new := [row for row in rows if not exists(row)]:
        db.execute(table.insert(), new)
    if old := [{f"its_{name}": value for name, value in row.items()} for row in rows if exists(row)]:
        where = [column == sa.bindparam(f"its_{name}") for name, column in key.items()]
        values: dict[str, Any] = {c.name: sa.bindparam(f"its_{c.name}") for c in table.c if c.name not in key}
        db.execute(table.update().where(*where).values(values), old)
