"""One server of each kind a worker process of pytest, for the tests of providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import PostgresServer, RedisServer, postgres_server, redis_server, valkey_binary


@pytest.fixture(scope="session")
def debian_redis() -> Iterator[RedisServer]:
    """The machine's redis-server."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisServer]:
    """The Valkey of the ``embedded`` extra."""
    with redis_server(binary=valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The machine's PostgreSQL."""
    with postgres_server() as server:
        yield server
