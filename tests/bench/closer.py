"""One worker process as the bot runs it, over doors that take no time; it writes down when it is told to close one.

`python -m tests.bench.closer REDIS_URL FILE`; it works until it is told to stop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import IO

from bot.store.keys import Keys
from bot.store.redis.client import Link
from bot.store.store import Store
from bot.store.wakeups import Wakeups
from bot.worker.worker import Worker
from providers.systems.base import Order, Outcome, Prior, Receipt
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.bench.granting import RING, WORKSPACE
from tests.house import House


class Timed(Sandbox):
    """A sandbox whose doors are shut already: closing one is a look."""

    started: list[tuple[str, float]]

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        self.started.append((order.id.partition(".")[0], time.time()))
        return await super().revoke(order, prior, receipt)


async def main() -> None:
    """Work; at the end write down what was closed."""
    url, path = sys.argv[1], sys.argv[2]
    link, key = Link(url), Keys(WORKSPACE).due
    vault = Timed(SandboxConfig())
    vault.started = []
    house = House(Store(link.commands(key), WORKSPACE, RING), systems={"vault": vault})
    hints = Wakeups(link.blocking(key), house.store.keys.wake)
    stop = asyncio.Event()
    listening = asyncio.create_task(hints.listen(stop))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = Worker(house.store, house.systems, house.deliver, house.judge, hints.waiter())
    working = asyncio.create_task(worker.run(stop))
    await stop.wait()
    hints.wake()
    await working
    await listening
    await link.aclose()
    with open(path, "w", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123  # nothing else runs any more
        _write(file, vault.started)


def _write(file: IO[str], started: list[tuple[str, float]]) -> None:
    file.writelines(f"{id_} {at:.6f}\n" for id_, at in started)


if __name__ == "__main__":
    asyncio.run(main())
