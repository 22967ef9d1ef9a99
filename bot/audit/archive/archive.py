"""The archive keeps audit events for years: appended with their seal in one transaction, read in order, never changed.

SQLite by default, PostgreSQL for several hosts, both through SQLAlchemy Core. Calls block: the bot makes them in a
thread. It knows nothing of Redis.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from bot.audit.archive import projection
from bot.audit.archive.index import Index, lives_of
from bot.audit.archive.projection import Life
from bot.audit.archive.tables import ENTRY, EVENTS, HOLDINGS, MENTIONS, META, METADATA, POLICIES, SEALS, WORDS
from bot.core.audit_chain import AuditEntry, Seal

FILE = "archive.db"
"""The default archive's name in JIT_HOME."""
_PAGE = 1_000
_MOST_TIMES = 400
_SEALS = 8
"""Read at a time: a seal has up to 32,000 bytes."""


class NoArchive(Exception):
    """The archive cannot be used or does not answer; the sentence says how to mend it, and shows no password."""


class NumbersTaken(Exception):
    """Another process sealed these numbers first: look again."""


class Archived(NamedTuple):
    """What the archive knows of a request. ``last``: the number of the last event that it has, of any request.

    ``lost``: when numbers were last sealed of which there is no event of ours, Unix seconds; 0 for never.
    """

    last: int
    lost: float
    life: Life | None


class Archive:
    """One archive, for any number of workspaces. Close it when done. ``id`` tells it from every other."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine whose tables are there."""
        self.engine = engine
        self.index = Index()
        if not sa.inspect(engine).has_table(META.name):
            raise NoArchive("there are no audit tables in JIT_ARCHIVE_URL: the worker makes them when it starts")
        with self.begun() as db:
            id_ = db.scalar(sa.select(META.c.value).where(META.c.name == "id"))
        if id_ is None:  # its tables are there before its id: a reader that came between must look again
            raise NoArchive("the archive is being made: look again in a moment")
        self.id = str(id_)

    @classmethod
    def open(cls, url: str, home: Path, *, create: bool = False) -> Archive:
        """The archive at JIT_ARCHIVE_URL, or in JIT_HOME when that is empty. Raises `NoArchive`."""
        file = None if url else home / FILE
        with _worded():
            if file and not create and not file.exists():
                raise NoArchive(f"there is no archive at {file}: the worker makes one, or set JIT_ARCHIVE_URL to yours")
            engine = _engine(url, file, create=create)
            with contextlib.ExitStack() as unless_opened:
                unless_opened.callback(engine.dispose)
                if create:
                    _make(engine)
                found = cls(engine)
                unless_opened.pop_all()
            return found

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextlib.contextmanager
    def begun(self) -> Iterator[Connection]:
        """A transaction. Raises `NoArchive` where the database says no."""
        with _worded(), self.engine.begin() as db:
            yield db

    # adding

    def append(self, seal: Seal, entries: Sequence[AuditEntry]) -> None:
        """A seal and its events, whole or not at all. Raises `NumbersTaken`, `NoArchive`."""
        try:
            with self.begun() as db:
                db.execute(SEALS.insert(), [_sealed(seal)])
                if entries:
                    rows = [{"workspace": seal.workspace, **entry._asdict()} for entry in entries]
                    db.execute(EVENTS.insert(), rows)
                    self.index.add(db, seal.workspace, entries)
        except IntegrityError as error:
            self.index.forget()
            raise NumbersTaken(str(error.orig)) from None
        except BaseException:
            self.index.forget()
            raise

    def keep_policy(self, workspace: str, generation: str, text: str, at: float) -> None:
        """The full text of a policy generation, once."""
        key = (POLICIES.c.workspace == workspace) & (POLICIES.c.generation == generation)
        with contextlib.suppress(IntegrityError), self.begun() as db:
            if db.scalar(sa.select(POLICIES.c.at).where(key)) is None:
                row = {"workspace": workspace, "generation": generation, "at": at, "text": text}
                db.execute(POLICIES.insert(), [row])

    def index_again(self, workspace: str) -> Iterator[int]:
        """Make the index again from the events, all of it or none; yields how many are done. The sealer waits."""
        with self.begun() as db:
            if db.dialect.name == "postgresql":
                db.execute(sa.text("LOCK TABLE jit_seals IN SHARE ROW EXCLUSIVE MODE"))
            self.index.drop(db, workspace)
            done, after = 0, 0
            while some := [AuditEntry._make(row) for row in db.execute(_after(workspace, after))]:
                self.index.add(db, workspace, some)
                done, after = done + len(some), some[-1].seq
                yield done
        self.index.forget()

    # reading in order

    def workspaces(self) -> list[str]:
        """Whose events are here."""
        with self.begun() as db:
            return [str(name) for name in db.scalars(sa.select(SEALS.c.workspace).distinct())]

    def last(self, workspace: str) -> Seal | None:
        """The last seal."""
        with self.begun() as db:
            query = _seals(workspace).order_by(SEALS.c.n.desc()).limit(1)
            return next((_seal(row) for row in db.execute(query)), None)

    def seal_ending(self, workspace: str, last: int) -> Seal | None:
        """The seal whose last event has this number."""
        return self._one_seal(workspace, SEALS.c.last == last)

    def seal_over(self, workspace: str, seq: int) -> Seal | None:
        """The seal under which a number lies."""
        return self._one_seal(workspace, (SEALS.c.first <= seq) & (SEALS.c.last >= seq))

    def entries(self, workspace: str, first: int = 1, last: int | None = None) -> Iterator[AuditEntry]:
        """The events from one number to another, in constant memory."""
        with self._snapshot() as db:
            yield from _entries(db, workspace, first, last)

    def seals(self, workspace: str, first: int = 1, last: int | None = None) -> Iterator[Seal]:
        """The seals that touch a range of numbers, in the order of the chain, in constant memory."""
        with self._snapshot() as db:
            yield from _chain(db, workspace, first, last)

    def sealed(self, workspace: str, first: int = 1, last: int | None = None) -> Iterator[AuditEntry | Seal]:
        """Events and seals as they were added: each seal after its events; what stands behind the last comes last.

        All of one moment, however much is added meanwhile.
        """
        with self._snapshot() as db:
            entries = _entries(db, workspace, first, last)
            waiting = next(entries, None)
            for seal in _chain(db, workspace, first, last):
                while waiting is not None and waiting.seq <= seal.last:
                    yield waiting
                    waiting = next(entries, None)
                yield seal
            if waiting is not None:
                yield waiting
                yield from entries

    def policy(self, workspace: str, generation: str) -> str | None:
        """The full text of a policy generation."""
        key = (POLICIES.c.workspace == workspace) & (POLICIES.c.generation == generation)
        with self.begun() as db:
            found: str | None = db.scalar(sa.select(POLICIES.c.text).where(key))
            return found

    def last_policy(self, workspace: str) -> str | None:
        """The full text of the policy generation that was kept last."""
        newest = sa.select(POLICIES.c.text).where(POLICIES.c.workspace == workspace).order_by(POLICIES.c.at.desc())
        with self.begun() as db:
            found: str | None = db.scalar(newest.limit(1))
            return found

    def life(self, workspace: str, id_: str) -> Archived:
        """What is known of a request's latest life, and up to which number, at one moment."""
        its, lost = SEALS.c.workspace == workspace, sa.func.length(SEALS.c.digests) == 0
        with self._snapshot() as db:
            last = db.scalar(sa.select(sa.func.max(SEALS.c.last)).where(its))
            gap = db.scalar(sa.select(sa.func.max(SEALS.c.at)).where(its, lost))
            aside = db.scalar(_noted_last(workspace, projection.word("kind", "set_aside")))
            loss = db.scalar(_noted_last(workspace, projection.word("kind", "loss")))
            lost_at = max(gap or 0.0, aside or 0.0, loss or 0.0)
            return Archived(int(last or 0), lost_at, lives_of(db, workspace, [id_]).get(id_))

    def already_sealed(self, workspace: str, entries: Sequence[AuditEntry]) -> set[int]:
        """The numbers of those entries that are here already under another number, word for word and of one moment."""
        by: dict[AuditEntry, set[int]] = {}
        for entry in entries:  # one that is there twice is a copy under either number
            by.setdefault(entry._replace(seq=0), set()).add(entry.seq)
        found: set[int] = set()
        times = sorted({entry.at for entry in entries})
        with self.begun() as db:
            for at in range(0, len(times), _MOST_TIMES):
                its = EVENTS.c.workspace == workspace, EVENTS.c.at.in_(times[at : at + _MOST_TIMES])
                for row in db.execute(sa.select(*ENTRY).where(*its)):
                    known = AuditEntry._make(row)
                    found |= by.get(known._replace(seq=0), set()) - {known.seq}
        return found

    def of_kind(self, workspace: str, kind: str, after: float, until: float) -> list[AuditEntry]:
        """The events of a kind after one moment and until another."""
        its = EVENTS.c.workspace == workspace, EVENTS.c.at > after, EVENTS.c.at <= until, EVENTS.c.kind == kind
        with self.begun() as db:
            return [AuditEntry._make(row) for row in db.execute(sa.select(*ENTRY).where(*its).order_by(EVENTS.c.seq))]

    def unclosed(self, workspace: str) -> list[str]:
        """The requests whose access is open, or may be."""
        query = sa.select(HOLDINGS.c.id).where(HOLDINGS.c.workspace == workspace, HOLDINGS.c.closed_at.is_(None))
        with self.begun() as db:
            return [str(id_) for id_ in db.scalars(query.distinct())]

    def _one_seal(self, workspace: str, condition: sa.ColumnElement[bool]) -> Seal | None:
        with self.begun() as db:
            return next((_seal(row) for row in db.execute(_seals(workspace).where(condition).limit(1))), None)

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """A connection whose every look is at the same moment."""
        with _worded(), self.engine.connect() as db:
            if db.dialect.name == "sqlite":
                db.exec_driver_sql("BEGIN")  # else each statement would see a moment of its own
            else:
                db = db.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901  # the same connection
            yield db


def _entries(db: Connection, workspace: str, first: int, last: int | None) -> Iterator[AuditEntry]:
    query = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace, EVENTS.c.seq >= first)
    if last is not None:
        query = query.where(EVENTS.c.seq <= last)
    for row in _streamed(db, query.order_by(EVENTS.c.seq), _PAGE):
        yield AuditEntry._make(row)


def _chain(db: Connection, workspace: str, first: int, last: int | None) -> Iterator[Seal]:
    query = _seals(workspace).where(SEALS.c.last >= first)
    if last is not None:
        query = query.where(SEALS.c.first <= last)
    for row in _streamed(db, query.order_by(SEALS.c.last), _SEALS):
        yield _seal(row)


def _streamed(db: Connection, query: sa.Select[Any], page: int) -> Iterator[sa.Row[Any]]:
    # Options of the statement, and not of the connection, which would keep them.
    yield from db.execute(query, execution_options={"stream_results": True, "yield_per": page})


def _noted_last(workspace: str, word: str) -> sa.Select[Any]:
    """When the last event was that is found by a word."""
    its = sa.select(WORDS.c.n).where(WORDS.c.workspace == workspace, WORDS.c.word == word)
    return sa.select(sa.func.max(MENTIONS.c.at)).where(MENTIONS.c.word.in_(its))


def _after(workspace: str, seq: int) -> sa.Select[Any]:
    query = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace, EVENTS.c.seq > seq)
    return query.order_by(EVENTS.c.seq).limit(_PAGE)


def _seals(workspace: str) -> sa.Select[Any]:
    return sa.select(SEALS).where(SEALS.c.workspace == workspace)


def _seal(row: sa.Row[Any]) -> Seal:
    return Seal(*tuple(row))


def _sealed(seal: Seal) -> dict[str, Any]:
    return {column.name: getattr(seal, column.name) for column in SEALS.c}


def _engine(url: str, file: Path | None, *, create: bool) -> Engine:
    if file:
        if create:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        return _sqlite(sa.URL.create("sqlite", database=str(file)))
    try:
        where = sa.make_url(url)
    except ValueError:
        raise NoArchive("JIT_ARCHIVE_URL is no address: its port is no number") from None
    if where.get_backend_name() == "sqlite":
        return _sqlite(where)
    if where.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(where.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=2)
        except ImportError:
            raise NoArchive("JIT_ARCHIVE_URL needs a driver: pip install 'jit-access[postgresql]'") from None
    raise NoArchive("JIT_ARCHIVE_URL is neither sqlite:///PATH nor postgresql://…")


def _sqlite(url: sa.URL) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # FULL: an event leaves Redis only when a cut of the power cannot take it from here either.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _make(engine: Engine) -> None:
    """The tables and the archive's id, once; whoever makes them at the same moment finds them made."""
    for last in (False, True):
        try:
            METADATA.create_all(engine)
            with engine.begin() as db:
                if db.scalar(sa.select(META.c.value).where(META.c.name == "id")) is None:
                    db.execute(META.insert(), [{"name": "id", "value": secrets.token_hex(8)}])
        except SQLAlchemyError:
            if last:
                raise
        else:
            return


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    """What a database says, as one error; a lost race stays what it is."""
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, ArgumentError, OSError) as error:
        what = getattr(error, "orig", None) or error
        said = " ".join(str(what).split())[:200]
        raise NoArchive(f"the archive (JIT_ARCHIVE_URL) cannot be used: {type(what).__name__}: {said}") from error
