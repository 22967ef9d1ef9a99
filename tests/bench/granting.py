"""Click → granted with a provider that takes no time, with no live grants and with many; and what a grant weighs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median

from redis.asyncio import Redis

from bot.access import submit
from bot.access.submit import RequestForm
from bot.core import lifecycle
from bot.core.events import Approved, GrantAttempted, Granted
from bot.core.ids import new_id
from bot.core.request import Request, Review, State, Verb
from bot.store.keyring import KeyRing
from bot.store.store import Store
from bot.store.types import Change, Superseded
from bot.store.wakeups import Wakeups
from bot.worker.worker import Worker
from tests.house import House, person
from tests.servers import RedisServer

WORKSPACE = "TBENCH"
RING = KeyRing({"k1": bytes(32)})
_CLICKS = 300
_AT_ONCE = 64


async def measure(server: RedisServer, live: int) -> list[tuple[str, str, str]]:
    """The rows of the table."""
    client, blocking = Redis.from_url(server.socket_url), Redis.from_url(server.socket_url)
    house = await House(Store(client, WORKSPACE, RING)).open()
    hints = Wakeups(blocking, house.store.keys.wake)
    hushed = asyncio.Event()
    listening = asyncio.create_task(hints.listen(hushed))
    none = await _clicks(house, hints)
    before = await _memory(client, house)
    await fill(house, live)
    weight = (await _memory(client, house) - before) / live
    many = await _clicks(house, hints)
    hushed.set()
    await listening
    await client.aclose()
    await blocking.aclose()
    return [
        ("click → granted, 0 live grants, p50 / p99", f"{_at(none, 50)} / {_at(none, 99)} ms", "p50 under 10 ms"),
        (f"click → granted, {live:,} live, p50 / p99", f"{_at(many, 50)} / {_at(many, 99)} ms", ""),
        ("ratio of the two p50", f"{median(many) / median(none):.2f}", "at most 1.2"),
        ("Redis bytes a live grant", f"{weight:,.0f}", "2,000"),
    ]


async def _clicks(house: House, hints: Wakeups) -> list[float]:
    """Seconds from the click to the commit of the grant, the worker running as it does in the bot."""
    stop = asyncio.Event()
    worker = Worker(house.store, house.systems, _nobody, house.judge, hints.waiter())
    working = asyncio.create_task(worker.run(stop))
    changed = hints.waiter()
    taken = []
    for n in range(_CLICKS):
        request = await house.ask(f"p{n}-{time.monotonic_ns()}")
        started = time.perf_counter()
        await house.approve("dan", request.id)
        while (await house.now(request.id)).state is not State.ACTIVE:
            await changed(0.05)
        taken.append(time.perf_counter() - started)
    stop.set()
    hints.wake()
    await working
    return taken


async def _nobody(*_: object) -> None:
    """Nobody looks at a secret here."""


async def fill(house: House, live: int, ends: Sequence[float] = ()) -> dict[str, float]:
    """Live grants as they stand in the record: each is committed once, in the state that it has when open.

    ``ends``: when they end, Unix seconds; in an hour where nothing is said. Answers the ends by request.
    """
    gate, found = asyncio.Semaphore(_AT_ONCE), dict[str, float]()

    async def one(n: int) -> None:
        async with gate:
            while True:
                request, event = _active(house, n)
                if ends:
                    request = request.model_copy(update={"ends_at": ends[n], "warn_at": 0.0})
                try:
                    await house.store.commit(Change(None, request, event))
                except Superseded:
                    continue
                found[request.id] = request.ends_at
                return

    await asyncio.gather(*(one(n) for n in range(live)))
    return found


def _active(house: House, n: int) -> tuple[Request, Granted]:
    actor = house.actor(f"live{n}")
    now = time.time()
    form = RequestForm(what="vault/read-only", duration=3600, reason="INC-1 a reason of a usual length")
    context = house.context
    submission = submit.check_allowed(context.catalog(), actor, form, now)
    submitted = submit.submitted_event(submission, now, context.consequence, context.can_extend)
    request = lifecycle.begin(submitted.model_copy(update={"id": new_id() + f"{n % 8 + 2}"}))
    review = Review(verb=Verb.APPROVE, by=person(WORKSPACE, "dan"), at=now, duration=3600)
    request = lifecycle.advance(request, Approved(at=now, review=review, duration=3600))
    facts = {"native": f"jit-{request.id.lower()}-0", "own": True}
    attempted = GrantAttempted(
        at=now, leg=0, subject=facts, target="sandbox", prior={"present": False, "facts": {}}, in_flight_until=now + 2
    )
    request = lifecycle.advance(request, attempted)
    granted = Granted(at=now, leg=0, receipt={"native": facts["native"], "facts": {}, "ours": True})
    return lifecycle.advance(request, granted), granted


async def _memory(client: Redis, house: House) -> int:
    """Bytes that grants take: the audit and the notices, which have a life of their own, are left away."""
    keys = house.store.keys
    await client.delete(keys.audit, keys.outbox, keys.rows)
    info = await client.info("memory")
    return int(info["used_memory"])


def _at(taken: list[float], percent: int) -> str:
    return f"{sorted(taken)[min(len(taken) - 1, len(taken) * percent // 100)] * 1000:.1f}"
