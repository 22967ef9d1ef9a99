"""Every worker is dead while one grant after the other comes to its end: all is closed as soon as workers run again.

`python -m tests.chaos.downtime --grants 1000 --back 3 --seed 7` prints how soon and in which order; the goal is that
the last revoke is started within 2 s of the first worker that is ready. It is seeded: the durations follow from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.core.lifecycle import OPEN
from bot.core.request import Request, State
from bot.store.redis.client import Link
from bot.worker.worker import Worker
from tests import scratch
from tests.chaos.weather import LEASE, Diary, house
from tests.house import House
from tests.servers import program, redis_server

WORKSPACE = "TDOWNTIME"
WORKERS = 3
"""How many work before the downtime; how many come back is told."""
_SPREAD = 3
_AT_ONCE = 20


@dataclass
class Crew:
    """The worker processes."""

    url: str
    doors: Path
    at_work: list[subprocess.Popen[bytes]]

    def start(self, count: int, lease: float = LEASE) -> None:
        """Start so many."""
        words, log, env = (self.url, WORKSPACE, str(self.doors)), self.doors / "output", {"CHAOS_LEASE": str(lease)}
        self.at_work = [program("tests.chaos.laborer", *words, log=log, **env) for _ in range(count)]

    def kill(self) -> None:
        """SIGKILL, all of them."""
        for worker in self.at_work:
            worker.send_signal(signal.SIGKILL)
            worker.wait()


async def live(place: House, dice: random.Random, count: int, lead: int) -> list[str]:
    """So many grants that are open, each ending ``lead`` seconds after it was opened, or a little later."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(n: int, duration: int) -> str:
        async with gate:
            request = await place.ask(f"p{n}-{lead}", duration=duration)
            await place.approve("dan", request.id)
            return request.id

    durations = [lead + dice.randint(0, _SPREAD) for _ in range(count)]
    ids = await asyncio.gather(*(one(n, duration) for n, duration in enumerate(durations)))
    await _all(place, ids, frozenset(State) - {State.PENDING, State.GRANTING})
    return list(ids)


async def _all(place: House, ids: Sequence[str], states: frozenset[State]) -> None:
    """Wait until every request is in one of the states."""
    async with asyncio.timeout(60):
        # Other processes change it.
        while any(loaded.request.state not in states for loaded in await place.store.load_many(ids)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _past(place: House, at: float) -> None:
    """Wait until the store's clock says so."""
    while (left := at - await place.store.now()) >= 0:  # noqa: ASYNC110  # another clock than ours
        await asyncio.sleep(min(left + 0.001, 1.0))


async def missed(place: House, crew: Crew, dice: random.Random, count: int) -> dict[str, Request]:
    """Open them and let each end pass with nobody at work; those requests, still open in the books."""
    lead = 5 + count // 100
    while True:
        crew.start(WORKERS)
        ids = await live(place, dice, count, lead)
        crew.kill()
        requests = {loaded.request.id: loaded.request for loaded in await place.store.load_many(ids)}
        ends = [request.ends_at for request in requests.values()]
        if await place.store.now() < min(ends) and {r.state for r in requests.values()} == {State.ACTIVE}:
            break
        # On a machine that is slow today: once more, with others, and with nothing left of these.
        crew.start(WORKERS)
        await _all(place, ids, frozenset(State) - OPEN)
        crew.kill()
        lead *= 2
    await _past(place, max(ends))
    return requests


def judged(requests: dict[str, Request], diary: Diary, since: int) -> dict[str, Any]:
    """What the diary tells of the revokes, of all workers together."""
    ready = diary.read("ready")[since][0]
    first: dict[str, float] = {}
    for at, _, order in diary.read("revoke"):
        first.setdefault(order.partition(".")[0], at)
    started = [id_ for id_ in first if id_ in requests]
    by_deadline = sorted(requests, key=lambda id_: requests[id_].ends_at)
    places = {id_: n for n, id_ in enumerate(by_deadline)}
    off = [abs(n - places[id_]) for n, id_ in enumerate(started)]
    return {
        "revokes started": len(started),
        "the last after ready, s": round(max(first[id_] - ready for id_ in started), 3),
        "before their end": sum(first[id_] < requests[id_].ends_at for id_ in started),
        "places out of order, at most": max(off),
        "places out of order, median": statistics.median(off),
    }


async def run(count: int, back: int, seed: int) -> dict[str, Any]:
    """One downtime; what was found after it."""
    with redis_server() as server, scratch.directory() as doors:
        place, crew, diary = (
            house(Link(server.socket_url), WORKSPACE, doors),
            Crew(server.socket_url, doors, []),
            Diary(doors),
        )
        await place.open()
        try:
            requests = await missed(place, crew, random.Random(seed), count)
            begun, stood = len(diary.read("ready")), len(await place.sandbox.list_access())
            # As in earnest: none of them is killed any more, and a slow machine is to lose no claim by it.
            crew.start(back, Worker.lease)
            await _all(place, list(requests), frozenset(State) - OPEN)
        finally:
            crew.kill()
        left = [f"{s.entitlement} for {s.native}" for s in await place.sandbox.list_access()]
        return {
            "grants": len(requests),
            "open when all had come to their end": stood,
            **judged(requests, diary, begun),
            "still open": left,
        }


def main() -> None:
    """One downtime, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=1000)
    parser.add_argument("--back", type=int, default=WORKERS, help="how many workers come back")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.grants, options.back, options.seed)), indent=2))


if __name__ == "__main__":
    main()
