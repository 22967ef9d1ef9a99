"""One worker process, to be hurt: the bot's own worker over a real Redis and doors that processes share.

`python -m tests.chaos.laborer REDIS_URL WORKSPACE DIRECTORY [JIT_REPLICAS]`; it works until it is told to stop. The
environment's CHAOS_LEASE is how long its claims are its own, in seconds, where it is not to be as short as usual.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from bot.store.redis.client import Link
from bot.store.wakeups import Wakeups
from bot.worker.worker import Worker
from tests.chaos.weather import LEASE, MARGIN, Diary, house


async def main() -> None:
    """Work."""
    url, workspace, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    replicas = int(sys.argv[4]) if len(sys.argv) > 4 else None
    link = Link(url)
    place = house(link, workspace, directory, replicas)
    hints = Wakeups(link.blocking(place.store.keys.due), place.store.keys.wake)
    stop = asyncio.Event()
    listening = asyncio.create_task(hints.listen(stop))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    lease = float(os.environ.get("CHAOS_LEASE", LEASE))
    worker = Worker(place.store, place.systems, place.deliver, place.judge, hints.waiter(), lease=lease, margin=MARGIN)
    Diary(directory).note("ready")
    await worker.run(stop)
    await listening


asyncio.run(main())
