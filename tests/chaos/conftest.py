"""The storms take their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import redis_binary

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A limit that a busy machine keeps, where a test has none of its own."""
    for item in items:
        if item.path.is_relative_to(_HERE) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True)
def _redis_is_here() -> None:
    """Said here, since the processes that start a Redis cannot skip the test that started them."""
    redis_binary()
