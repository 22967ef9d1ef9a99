"""What the storm and its workers share: the house they all see, and how long things take in it."""

from __future__ import annotations

from pathlib import Path

from redis.asyncio import BlockingConnectionPool, Redis

from bot.keyring import KeyRing
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import House

LEASE, MARGIN, SETTLES = 2.0, 0.3, 0.5
RING = KeyRing({"k1": bytes(32)})


def house(url: str, workspace: str, directory: Path) -> House:
    """A house whose doors and record outlive every process."""
    pool = BlockingConnectionPool.from_url(url, max_connections=32, timeout=2, socket_timeout=2)
    store = Store(Redis.from_pool(pool), workspace, RING)
    doors = Sandbox(SandboxConfig(path=str(directory), settles_within=SETTLES))
    return House(store, systems={"vault": doors}, lease=LEASE, margin=MARGIN)
