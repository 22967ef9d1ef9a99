"""Redis forgets what it had acknowledged: after one comparison with the books, no access is left without a record.

`python -m tests.chaos.forgetting failover --grants 100` cuts the link between a master and its replica, goes on for a
while, kills the master and has the sentinel promote the replica; `… failover --replicas 0` with the operator's word
that nothing is to wait for replicas; `… restore` kills Redis and starts it on a copy that was made before. It prints
what stood without a record before the comparison, what is wrong after it, and whether each decision that was
acknowledged after the cut, and no other, is listed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.access import own_request
from bot.core.errors import JitError, StoreAway
from bot.core.lifecycle import OPEN
from bot.core.request import State
from bot.store.indexes.recent_decisions import Acknowledged
from bot.store.redis.client import Link
from bot.worker.lost_writes import LostWrites
from bot.worker.reconcile import Reconciler
from tests import scratch
from tests.chaos.weather import MARGIN, house
from tests.house import House
from tests.servers import RedisServer, program, redis_binary, redis_server, replica_of, sentinels, start_redis

WORKSPACE = "TFORGET"
WORKERS = 2
SERVICE = "jit"
_AT_ONCE = 20
_PATIENCE = 60.0
Lose = Callable[[], Awaitable[None]]


@dataclass
class Scene:
    """What is there before Redis forgets. ``cut``: from here on it will not remember; ``lose``: it has forgotten."""

    place: House
    forgotten: LostWrites
    cut: Lose
    lose: Lose

    async def asked(self, who: Sequence[str]) -> list[str]:
        """Asked for and approved; the ids."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> str:
            async with gate:
                request = await self.place.ask(name)
                await self.place.approve("dan", request.id)
                return request.id

        return list(await asyncio.gather(*(one(name) for name in who)))

    async def are(self, ids: Sequence[str], *states: State) -> None:
        """Wait until the workers have brought them there."""

        async def there() -> bool:
            return all(found.request.state in states for found in await self.place.store.load_many(ids))

        await met(there, f"all to be {states}")

    async def tried(self, ids: Sequence[str]) -> None:
        """Wait until each was opened, or a try to open it has failed and the record says why."""

        async def there() -> bool:
            found = [loaded.request for loaded in await self.place.store.load_many(ids)]
            return all(request.state is State.ACTIVE or request.legs[0].error for request in found)

        await met(there, "each to be tried")

    async def doors(self) -> set[str]:
        """The requests behind the doors that are open."""
        return {str(list_access.order).partition(".")[0] for list_access in await self.place.sandbox.list_access()}

    async def in_books(self) -> set[str]:
        """The requests that are open by the books."""
        return {loaded.request.id for loaded in await self.place.store.open_at_all()}


async def met(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for what other processes bring about; a server that hangs up is one that is not there yet."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while True:
                with contextlib.suppress(StoreAway, RedisError):
                    if await condition():
                        return
                await asyncio.sleep(0.05)
    raise TimeoutError(f"waited {_PATIENCE:.0f} s for {what}")


async def play(scene: Scene, grants: int) -> dict[str, Any]:
    """Before the cut, after it, what is forgotten, and one comparison."""
    before = await scene.asked([f"a{n}" for n in range(grants)])
    await scene.are(before, State.ACTIVE)
    await scene.forgotten.search()
    await scene.cut()
    given_back = before[: grants // 4]
    for n, id_ in enumerate(given_back):
        await own_request.release(scene.place.context, scene.place.actor(f"a{n}"), id_)
    await scene.are(given_back, State.ENDED)
    after = await scene.asked([f"b{n}" for n in range(grants)])
    await scene.tried(after)
    opened = await scene.doors() & set(after)
    await scene.lose()
    lost = [(decision.request, decision.kind) for decision in await scene.forgotten.search()]
    made = [(id_, "ended_early") for id_ in given_back]
    made += [(id_, kind) for id_ in after for kind in ("submitted", "approved")]
    forgotten = set(after) - await scene.in_books()
    without = await scene.doors() - await scene.in_books()
    reconciler = Reconciler(
        scene.place.store, scene.place.worker.gateways, lambda: scene.place.policy, by="chaos", margin=MARGIN
    )
    look = await reconciler.reconcile("vault")
    still = await scene.doors() - await scene.in_books()
    gone = {finding.request for finding in look.findings if finding.kind == "gone"}
    return {
        "opened before the cut": len(before),
        "opened after it": len(opened),
        "requests forgotten": len(forgotten),
        "decisions acknowledged after the cut": len(made),
        "of them not listed": sorted(set(made) - set(lost)),
        "listed and not lost": sorted(set(lost) - set(made)),
        "open without a record": len(without),
        "found gone": len(gone & set(given_back)),
        "given back after the cut": len(given_back),
        "still open without a record": sorted(still),
        "left when all is given back": await _end(scene, before),
    }


async def _end(scene: Scene, before: Sequence[str]) -> list[str]:
    """Everyone gives back what the books have open; what stands then."""
    for n, id_ in enumerate(before):
        with contextlib.suppress(JitError):
            await own_request.release(scene.place.context, scene.place.actor(f"a{n}"), id_)
    await scene.are(before, *(set(State) - OPEN))
    return sorted(await scene.doors())


@contextlib.asynccontextmanager
async def at_work(url: str, replicas: int | None) -> AsyncIterator[tuple[House, LostWrites]]:
    """A house, what it remembers of its decisions, and workers in processes of their own, over lasting doors."""
    with scratch.directory() as doors:
        link = Link(url)
        words = (url, WORKSPACE, str(doors), *([] if replicas is None else [str(replicas)]))
        workers = [program("tests.chaos.laborer", *words, log=doors / "output") for _ in range(WORKERS)]
        try:
            acknowledged = Acknowledged()
            place = await house(link, WORKSPACE, doors, replicas, acknowledged.heard).open()
            yield place, LostWrites(place.store, acknowledged)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
            await link.aclose()


async def failover(grants: int, replicas: int | None) -> dict[str, Any]:
    """The replica hears nothing any more, and becomes the master."""
    with (
        redis_server() as master,
        replica_of(master) as replica,
        sentinels(SERVICE, master, replica, count=1) as [sentinel],
    ):
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}"
        async with at_work(url, replicas) as (place, forgotten):

            async def cut() -> None:
                async with Redis.from_url(master.socket_url) as admin:
                    await admin.wait(1, 5000)
                    # The link breaks, and is not taken up again; all else goes on.
                    await admin.acl_setuser("default", enabled=True, commands=["-psync", "-sync"])
                    await admin.client_kill_filter(_type="replica")
                async with Redis(port=sentinel.port) as judge:
                    # A replica that heard nothing for ten times as long is not promoted.
                    await judge.sentinel_set(SERVICE, "down-after-milliseconds", "3000")

            async def lose() -> None:
                master.process.kill()
                master.process.wait()

                async def promoted() -> bool:
                    async with Redis.from_url(replica.socket_url) as heir:
                        return bool((await heir.info("replication"))["role"] == "master")

                await met(promoted, "the replica to be promoted")
                await met(lambda: _answers(place), "the bot to find it")

            return await play(Scene(place, forgotten, cut, lose), grants)


async def restore(grants: int, replicas: int | None) -> dict[str, Any]:
    """Redis comes back from a copy."""
    with redis_server() as server, tempfile.TemporaryDirectory() as elsewhere:
        copy, data = Path(elsewhere) / "copy", server.directory / "appendonlydir"
        started = []
        async with at_work(server.socket_url, replicas) as (place, forgotten):

            async def cut() -> None:
                shutil.copytree(data, copy)

            async def lose() -> None:
                server.process.kill()
                server.process.wait()
                shutil.rmtree(data)
                shutil.copytree(copy, data)
                started.append(_started_again(server))
                await met(lambda: _answers(place), "the bot to find it")

            try:
                return await play(Scene(place, forgotten, cut, lose), grants)
            finally:
                for process in started:
                    process.kill()
                    process.wait()


def _started_again(server: RedisServer) -> Any:
    return start_redis(redis_binary(), server.directory, server.port)


async def _answers(place: House) -> bool:
    """Whether whoever leads takes writes."""
    await place.open()
    return True


def main() -> None:
    """One loss, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=["failover", "restore"])
    parser.add_argument("--grants", type=int, default=100)
    parser.add_argument("--replicas", type=int)
    options = parser.parse_args()
    how = {"failover": failover, "restore": restore}[options.how]
    print(json.dumps(asyncio.run(how(options.grants, options.replicas)), indent=2))


if __name__ == "__main__":
    main()
