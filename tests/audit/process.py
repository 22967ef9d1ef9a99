"""A process that seals until it is killed: `python -m tests.audit.process URL WORKSPACE HOME KEYS`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from redis.asyncio import Redis

from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.store.keyring import KeyRing
from bot.store.store import Store


async def main(url: str, workspace: str, home: Path, keys: str) -> None:
    """Seal small ranges, and trim close behind, so that a kill may come between any two lines."""
    store = Store(Redis.from_url(url), workspace, KeyRing.parse(keys))
    part = Sealer(store, lambda: Archive.open("", home, create=True), home, interval=0.001, kept=10)
    # A killed one cannot give up its lease: here nobody waits until it lapses.
    await store.redis.delete(store.keys.sealer)
    await part.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
