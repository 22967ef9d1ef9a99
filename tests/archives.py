"""Archives to test on: SQLite, and a real PostgreSQL that this process starts once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.servers import PostgresServer, postgres_server

KINDS = ("sqlite", "postgresql")
_SCHEMAS = itertools.count(1)
MakeSealer = Callable[..., Sealer]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def signer() -> Signer:
    """Somebody's key."""
    return Signer(KeyRing.generate().subkeys(PURPOSE))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    opened = Archive.open("", tmp_path, create=True)
    yield opened
    opened.close()


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty archive, of each kind."""
    return empty(request, tmp_path)


def empty(request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of an empty archive of the kind that is the request's parameter.

    On PostgreSQL it is a schema: a database of its own takes it ten times as long, and three hundred files.
    """
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'archive.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"archive{next(_SCHEMAS)}"
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {name}".encode())
    return f"{server.dsn}?options=-csearch_path%3D{name}"


@pytest.fixture
def sealer(store: Store, tmp_path: Path) -> MakeSealer:
    """Makes the sealing part of a host, whose home is in the test's folder; the archive is its own SQLite."""

    def make(host: str = "host", **more: object) -> Sealer:
        home = tmp_path / host
        return Sealer(store, lambda: Archive.open("", home, create=True), home, **more)  # type: ignore[arg-type]

    return make
