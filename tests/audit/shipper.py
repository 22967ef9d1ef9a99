"""A process that ships until it dies: `python -m tests.audit.shipper URL WORKSPACE HOME KEYS KIND CONFIG KILLS`.

It kills itself after its sink has confirmed so many batches, before the cursor knows of the last; 0: it waits for
somebody to do it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from redis.asyncio import Redis

from bot.audit.archive.archive import Archive
from bot.audit.shipping.shipper import Shipping
from bot.policy.schema import SinkShape
from bot.store.keyring import KeyRing
from bot.store.store import Store
from providers.sinks import registry
from providers.sinks.base import Frozen, Health, Record, Sink, SinkCapabilities


@dataclass
class Fatal:
    """A sink that kills its process once it has sent so many batches, which are small, so that there are many."""

    inner: Sink
    left: int
    Config: ClassVar[type[Frozen]] = Frozen

    @property
    def settles_within(self) -> float:
        return self.inner.settles_within

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        return SinkCapabilities(most=10, answer="")

    async def send(self, batch: Sequence[Record]) -> None:
        await self.inner.send(batch)
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

    async def check(self) -> Health:
        return await self.inner.check()

    async def close(self) -> None:
        await self.inner.close()


async def main(url: str, workspace: str, home: Path, keys: str, kind: str, config: Any, kills: int) -> None:
    """Ship what is sealed."""
    store = Store(Redis.from_url(url), workspace, KeyRing.parse(keys))
    # A killed one cannot give up its lease: here nobody waits until it lapses.
    await store.redis.delete(store.keys.shipper)
    sinks = {"siem": (SinkShape(kind=kind, config=config), Fatal(registry.build(kind, config, {}), kills))}
    await Shipping(store, lambda: Archive.open("", home), sinks, interval=0.01).run(asyncio.Event())


if __name__ == "__main__":
    _, url, workspace, home, keys, kind, config, kills = sys.argv
    asyncio.run(main(url, workspace, Path(home), keys, kind, json.loads(config), int(kills)))
