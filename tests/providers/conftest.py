"""One server of each kind a worker process of pytest, for the tests of providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgresql_binaries import MAJORS
from tests.providers.mariadb import MariaDbServer, mariadb_server
from tests.providers.mysql_bench import furnish as furnish_mariadb
from tests.providers.postgres_bench import furnish
from tests.providers.scim import RealScim
from tests.servers import PostgresServer, RedisServer, need, postgres_server, redis_server, valkey_binary


@pytest.fixture(scope="session")
def either_redis() -> Iterator[RedisServer]:
    """The machine's Redis, or the Valkey that stands in for it."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def debian_redis() -> Iterator[RedisServer]:
    """The machine's Redis; nothing stands in, since the same tests are run on a Valkey anyhow."""
    with redis_server(binary=need("redis-server", "apt-get install redis-server")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisServer]:
    """The Valkey of the ``embedded`` extra."""
    with redis_server(binary=valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def another_redis() -> Iterator[RedisServer]:
    """One that has nothing of the first."""
    with redis_server(binary=need("redis-server", "apt-get install redis-server")) as server:
        yield server


@pytest.fixture(scope="session")
def another_valkey() -> Iterator[RedisServer]:
    """One that has nothing of the first."""
    with redis_server(binary=valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session", params=MAJORS, ids=lambda major: f"postgresql{major}")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A PostgreSQL of each version, with the bot, its roles and an application's database."""
    with postgres_server("max_prepared_transactions=10", major=request.param) as server:
        furnish(server)
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDbServer]:
    """A MariaDB with the bot, its roles and an application's database."""
    with mariadb_server() as server:
        furnish_mariadb(server)
        yield server


@pytest.fixture(scope="session")
def scim_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScim]:
    """A real SCIM server, which a test may have ended."""
    server = RealScim(tmp_path_factory.mktemp("scim"))
    yield server
    server.end()


@pytest.fixture
def real_scim(scim_server: RealScim) -> RealScim:
    """The real SCIM server, with nothing in it."""
    if scim_server.process is None:
        scim_server.start()
    else:
        scim_server.empty()
    return scim_server
