"""What all tests share: one Redis a test process, and a clean store each."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from redis.asyncio import BlockingConnectionPool

from bot.store.keyring import KeyRing
from bot.store.quarantine import Client
from bot.store.store import Store
from tests import scratch
from tests.archives import archive, postgres, sealer, signer, url
from tests.limits import pytest_configure, pytest_sessionfinish, pytest_timeout_set_timer
from tests.servers import RedisServer, redis_server
from tests.system_servers import pytest_addoption, pytest_collection_modifyitems, pytest_runtest_logreport

__all__ = [
    "archive",
    "postgres",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_logreport",
    "pytest_sessionfinish",
    "pytest_timeout_set_timer",
    "sealer",
    "signer",
    "url",
]

# Where `tmp_path` is.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(scratch.ROOT))

# Here, since tests of other rooms use the suite's benches too, and are imported before those of the providers.
pytest.register_assert_rewrite(
    *(f"providers.{kind}.conformance" for kind in ("systems", "sinks", "directories", "factors"))
)

# A machine that is busy is no failure; and what CI finds, anybody finds again.
hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("house")

_WORKSPACES = itertools.count(1)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One server for the whole test process."""
    with redis_server() as server:
        yield server


@pytest.fixture
def workspace() -> str:
    """A workspace that no other test of this process has."""
    return f"T{next(_WORKSPACES):06d}"


@pytest.fixture
async def store(redis: RedisServer, workspace: str) -> AsyncIterator[Store]:
    """An empty store."""
    client = Client.from_pool(BlockingConnectionPool.from_url(redis.socket_url, max_connections=64, timeout=30))
    yield Store(client, workspace, KeyRing.generate())
    await client.aclose()
