"""Workers killed, stopped and resumed, Redis killed and started again, a provider and a Slack that fail.

Nothing stays open, and no notice is lost. `python -m tests.chaos.storm --requests 3000 --seconds 120 --seed 7` prints
what was done and what was found. It is seeded: what is asked and what is broken follow from the seed, their
interleaving does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.access import own_request
from bot.core.errors import JitError, StoreAway
from bot.core.events import EVENT, Event
from bot.core.lifecycle import OPEN, fold
from bot.store.redis.client import Link
from tests import scratch
from tests.chaos.telling import Telling
from tests.chaos.weather import house, policy_of
from tests.house import House
from tests.servers import free_port, redis_binary, start_redis

WORKSPACE = "TSTORM"
WORKERS = 3
FAULTS = [
    {"verb": "grant", "does": "unsure", "share": 0.08},
    {"verb": "grant", "does": "late", "seconds": 0.3, "share": 0.08},
    {"verb": "grant", "does": "refuse", "share": 0.04},
    {"verb": "revoke", "does": "unsure", "share": 0.15},
    {"verb": "revoke", "does": "slow", "seconds": 0.2, "share": 0.15},
]
_WHATS = ("vault/read-only", "vault/shared", "both")


@dataclass
class Storm:
    """The processes that are to be hurt, and what was done to them."""

    directory: Path
    dice: random.Random
    port: int = field(default_factory=free_port)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Start them."""
        self._binary = redis_binary()
        self.data = self.directory / "redis"
        self.doors = self.directory / "doors"
        self.data.mkdir()
        self.doors.mkdir()
        self.redis = start_redis(self._binary, self.data, self.port)
        self.workers = [self._worker() for _ in range(WORKERS)]

    @property
    def url(self) -> str:
        """Where Redis is."""
        return f"unix://{self.data}/s.sock?db=0"

    def _worker(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "tests.chaos.laborer", self.url, WORKSPACE, str(self.doors)]
        with (self.directory / "workers.log").open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log)

    async def blow(self, seconds: float, telling: Telling) -> None:
        """Hurt something, again and again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(0.2, 0.6))
            match self.dice.choices(["kill", "pause", "redis", "teller"], [5, 3, 1, 1])[0]:
                case "kill":
                    self.kill_a_worker()
                case "pause":
                    await self.pause_a_worker()
                case "teller":
                    telling.kill_a_teller()
                case _:
                    self.restart_redis()
                    telling.hurt.append(telling.slack.clock())
            telling.tend()

    def kill_a_worker(self) -> None:
        """SIGKILL; another is started."""
        n = self.dice.randrange(WORKERS)
        self.workers[n].send_signal(signal.SIGKILL)
        self.workers[n].wait()
        self.workers[n] = self._worker()
        self.done["workers killed"] += 1

    async def pause_a_worker(self) -> None:
        """SIGSTOP for longer than a lease, then on as if nothing were."""
        worker = self.workers[self.dice.randrange(WORKERS)]
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.dice.uniform(0.5, 3.0))
        worker.send_signal(signal.SIGCONT)
        self.done["workers stopped and resumed"] += 1

    def restart_redis(self) -> None:
        """SIGKILL, and started on what it had written."""
        self.redis.send_signal(signal.SIGKILL)
        self.redis.wait()
        self.redis = start_redis(self._binary, self.data, self.port)
        self.done["Redis killed and started"] += 1

    def end(self) -> None:
        """Let go of everything."""
        for process in (*self.workers, self.redis):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


async def people(storm: Storm, place: House, count: int, ids: list[str]) -> None:
    """Ask, approve, and now and then give back, while the storm is on; who is told to try again does."""
    gate = asyncio.Semaphore(20)

    async def one(n: int) -> None:
        async with gate:
            what, duration = storm.dice.choice(_WHATS), storm.dice.randint(5, 12)
            request = await _insist(lambda: place.ask(f"p{n}", what, duration=duration, token=f"t{n}"))
            ids.append(request.id)
            await _insist(lambda: place.approved(request.id))
            if storm.dice.random() < 0.3:
                await _insist(lambda: own_request.release(place.context, place.actor(f"p{n}"), request.id))
                storm.done["given back early"] += 1

    await asyncio.gather(*(one(n) for n in range(count)))


async def _insist(verb: Any) -> Any:
    """As a person does: press again when the store was away; an answer that this is done already is fine."""
    while True:
        try:
            return await verb()
        except StoreAway:
            await asyncio.sleep(0.1)
        except JitError:
            return None


async def settled(place: House, ids: list[str], patience: float) -> float:
    """Seconds until every request is over."""
    started = time.monotonic()
    async with asyncio.timeout(patience):
        while True:
            try:
                found = await place.store.load_many(ids)
                if all(loaded.request.state not in OPEN for loaded in found):
                    return time.monotonic() - started
            except StoreAway:
                pass
            await asyncio.sleep(0.2)


async def found(place: House, ids: list[str]) -> list[str]:
    """What is wrong after the storm."""
    wrong = []
    list_access = await place.sandbox.list_access()
    wrong += [f"open: {s.entitlement} for {s.native}" for s in list_access if s.native != "boss@example.com"]
    if not any(s.native == "boss@example.com" for s in list_access):
        wrong.append("what stood before is gone")
    entries: Any = await place.store.redis.xrange(place.store.keys.audit)
    numbers = [int(number.split(b"-")[0]) for number, _ in entries]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong.append("the audit has a gap")
    mine: dict[str, list[Any]] = {id_: [] for id_ in ids}
    for _, entry in entries:
        if entry[b"version"] != b"0":  # what was found or noted about a request is no step of it
            mine.setdefault(entry[b"id"].decode(), []).append(EVENT.validate_json(entry[b"event"]))
    for id_ in ids:
        request = await place.now(id_)
        if fold(mine[id_]) != request:
            wrong.append(f"the audit does not rebuild {id_}")
        if request.ends_at and request.closed_at < request.granted_at:
            wrong.append(f"{id_} ended before it was open")
    if holds := await place.store.redis.keys("*:shared:*"):
        wrong.append(f"holds left: {len(holds)}")
    return wrong


async def told(place: House, telling: Telling, ids: list[str], patience: float) -> dict[str, Any]:
    """Wait until nothing is left to tell; what of it was, and was not."""
    started = time.monotonic()
    async with asyncio.timeout(patience):
        while await place.store.redis.zcard(place.store.keys.outbox):
            telling.tend()
            await asyncio.sleep(0.2)
            if not await place.store.redis.zcard(place.store.keys.outbox):
                await telling.slack.settled()  # what Slack still shows us may ask for a copy to be removed
    took = time.monotonic() - started
    entries: Any = await place.store.redis.xrange(place.store.keys.audit)
    events: dict[str, list[tuple[int, Event]]] = {id_: [] for id_ in ids}
    for number, entry in entries:
        if entry[b"version"] != b"0":
            events[entry[b"id"].decode()].append((int(number.split(b"-")[0]), EVENT.validate_json(entry[b"event"])))
    again, left, odd = telling.copies()
    dead: Any = await place.store.redis.lrange(place.store.keys.dead, 0, -1)
    return {
        "all told after, s": round(took, 1),
        "messages": sum(map(len, telling.stand().values())),
        "Slack": telling.met(),
        "second copies posted": again,
        "of them left": left,
        "untold": telling.lost(events) + odd + [f"given up: {line.decode()}" for line in dead],
    }


async def run(requests: int, seconds: float, seed: int) -> dict[str, Any]:
    """One storm; what was done, how it ended."""
    async with contextlib.AsyncExitStack() as about:
        directory = about.enter_context(scratch.directory())
        storm = Storm(directory, random.Random(seed))
        policy = policy_of(storm.doors)
        place = house(Link(storm.url), WORKSPACE, storm.doors, policy=policy)
        telling = await about.enter_async_context(
            Telling.over(directory, storm.url, policy, random.Random(seed + 1), WORKSPACE)
        )
        place.sandbox.open_by_hand("hall", "boss@example.com")
        (storm.doors / "faults.json").write_text(json.dumps(FAULTS))
        try:
            await _insist(place.open)
            for n in range(requests):
                telling.somebody(f"p{n}")
            ids: list[str] = []
            await telling.told_by_somebody(place)
            async with telling.blowing():
                await asyncio.gather(people(storm, place, requests, ids), storm.blow(seconds, telling))
                # From here Redis, the workers and the provider all answer again; Slack does when all is closed.
                (storm.doors / "faults.json").write_text("[]")
                took = await settled(place, ids, patience=90)
            states = Counter([(await place.now(id_)).state.value for id_ in ids])
            wrong = await found(place, ids)
            tale = await told(place, telling, ids, patience=max(120, requests / 5))
        finally:
            storm.end()
    return {
        "requests": len(ids),
        "ended as": dict(states),
        **storm.done,
        **telling.done,
        "settled after, s": round(took, 1),
        "wrong": wrong,
        **tale,
    }


def main() -> None:
    """One storm, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.requests, options.seconds, options.seed)), indent=2))


if __name__ == "__main__":
    main()
