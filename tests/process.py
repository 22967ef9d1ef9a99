"""What one process of the bot has over its own way to the store, and a real system that outlives it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from bot.store.encoding import away
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.redis.client import Link
from bot.store.store import Store
from providers.systems.base import Order, Prior, Receipt
from providers.systems.sandbox import Sandbox
from tests.house import House

RING = KeyRing({"k1": bytes(32)})
WORKSPACE = "T000001"


class Counted(Sandbox):
    """A sandbox that counts how often it was told to open something."""

    grants = 0

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        self.grants += 1
        return await super().grant(order, prior)


@contextlib.asynccontextmanager
async def started(
    url: str, doors: Counted, replicas: int | None = None, workspace: str = WORKSPACE
) -> AsyncIterator[House]:
    """A process, as the app starts it: it has noted which store this is."""
    async with linked(url) as link:
        store = Store(link.commands(Keys(workspace).due), workspace, RING, replicas=replicas)
        await store.recognise()
        yield await House(store, systems={"vault": doors}).open()


@contextlib.asynccontextmanager
async def linked(url: str) -> AsyncIterator[Link]:
    """A way to the store, closed in the end."""
    link = Link(url)
    try:
        yield link
    finally:
        await link.aclose()


async def reached(url: str) -> float:
    """Redis' time, if the URL leads to it. Raises `StoreAway`."""
    async with linked(url) as link:
        return (await away(link.commands(Keys(WORKSPACE).due).time()))[0]
