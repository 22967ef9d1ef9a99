"""Access ends on time whatever somebody writes to Redis while it is open: the whole worker beside such a writer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from bot.access import own_request
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail
from bot.core.request import Request, State
from bot.store.due_set import new_fence
from bot.store.key_types import KINDS
from bot.store.keyring import KeyRing
from bot.store.store import Store
from bot.worker.reconcile import Reconciler
from bot.worker.recovery import Recovery
from tests.house import House

LASTS = 5
"""Seconds that access is open for: the shortest that may be asked for."""
PATIENCE = 30.0
"""Seconds past its end by which it is closed, on a busy machine too; the promise is five."""
Fields = dict[Any, Any]


@dataclass
class Bot:
    """A worker with all that closes beside it, over doors that outlive it."""

    store: Store
    home: Path
    systems: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        trail = Trail(self.store, lambda: Archive.open("", self.home))
        self.recovery = Recovery(self.store, trail, interval=0.2)
        self.house = House(self.store, recovery=self.recovery)
        if self.systems:
            self.house = House(self.store, recovery=self.recovery, systems=self.systems)
        reconciler = Reconciler(self.store, self.house.worker.gateways, lambda: self.house.policy, margin=0.1)
        self.recovery.on_unknown_access = reconciler.run_now
        self.sealer = Sealer(self.store, lambda: Archive.open("", self.home, create=True), self.home, interval=0.2)
        self.recovery.seal = self.sealer.run_now
        self.parts = {
            "worker": self.house.worker.run,
            "recovery": self.recovery.run,
            "sealer": self.sealer.run,
            "reconciler": reconciler.run,
        }

    @contextlib.asynccontextmanager
    async def running(self, but: Sequence[str] = ()) -> AsyncIterator[House]:
        """Until it is told to stop; ``but`` these parts."""
        await self.house.open()
        stop = asyncio.Event()
        tasks = [asyncio.create_task(run(stop)) for name, run in self.parts.items() if name not in but]
        try:
            yield self.house
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)

    def again(self) -> Bot:
        """Another process, which remembers nothing."""
        return Bot(Store(self.store.redis, self.store.workspace, self.store.ring), self.home, dict(self.house.systems))


async def opened(house: House, name: str) -> Request:
    """Asked for, approved, and opened by the worker, for as short as may be."""
    request = await house.ask(name, duration=LASTS)
    await house.approve("dan", request.id)
    async with asyncio.timeout(PATIENCE):
        while (await house.now(request.id)).state is not State.ACTIVE:  # noqa: ASYNC110  # the worker's doing
            await asyncio.sleep(0.02)
    return await house.now(request.id)


async def closes(house: House, *requests: Request) -> None:
    """Wait until nothing is open, as the doors themselves say."""
    late = max(request.ends_at for request in requests) - await house.store.now() + PATIENCE
    until = time.monotonic() + late
    while stands := [each.order for each in await house.sandbox.list_access()]:
        assert time.monotonic() < until, f"{stands} still stand {PATIENCE} s past the end"
        await asyncio.sleep(0.05)


@pytest.fixture
async def bot(store: Store, tmp_path: Path) -> Bot:
    """The bot, before it runs."""
    return Bot(store, tmp_path / "home")


# what is done to one request

Write = Callable[[Store, str, Fields], Awaitable[Any]]


def key(store: Store, id_: str) -> str:
    return store.keys.record(id_)


async def replayed(store: Store, id_: str, _: Fields) -> None:
    """Its first event once more, the record and the time that would go with it."""
    entries: Any = await store.redis.xrange(store.keys.audit)
    first = next(entry for _, entry in entries if entry[b"id"] == id_.encode() and entry[b"version"] == b"1")
    await store.redis.xadd(store.keys.audit, first)
    await store.redis.hset(key(store, id_), "version", "1")
    await store.redis.zrem(store.keys.due, id_)


async def put_back(store: Store, id_: str, old: Fields) -> None:
    """The record as it was before it was approved, and its time."""
    await store.redis.delete(key(store, id_))
    await store.redis.hset(key(store, id_), mapping=old)
    await store.redis.zadd(store.keys.due, {id_: float(old[b"due"])})


async def all_gone(store: Store, id_: str, _: Fields) -> None:
    await store.redis.delete(key(store, id_), store.keys.active(id_), store.keys.pending(id_))
    await store.redis.zrem(store.keys.due, id_)


WRITES: dict[str, Write] = {
    "not due": lambda store, id_, _: store.redis.zrem(store.keys.due, id_),
    "due later": lambda store, id_, _: store.redis.zadd(store.keys.due, {id_: 9e9}),
    "due never": lambda store, id_, _: store.redis.zadd(store.keys.due, {id_: float("inf")}),
    "due in a while": lambda store, id_, _: store.redis.zadd(store.keys.due, {id_: time.time() + 60}),
    "another body": lambda store, id_, _: store.redis.hset(key(store, id_), "body", "x"),
    "another seal": lambda store, id_, _: store.redis.hset(key(store, id_), "seal", "k1.00"),
    "a later version": lambda store, id_, _: store.redis.hset(key(store, id_), "version", "99"),
    "no version": lambda store, id_, _: store.redis.hset(key(store, id_), "version", "\xff"),
    "no record": lambda store, id_, _: store.redis.delete(key(store, id_)),
    "a word": lambda store, id_, _: store.redis.set(key(store, id_), "x"),
    "held by another": lambda store, id_, _: store.redis.hset(
        key(store, id_), mapping={"fence": "x", "lease": "9e9", "due": "9e9"}
    ),
    "an odd claim": lambda store, id_, _: store.redis.hset(
        key(store, id_), mapping={"fence": "\xff", "lease": "nan", "due": "-"}
    ),
    "replayed": replayed,
    "put back": put_back,
    "all gone": all_gone,
}
WHEN = ("while it runs", "before it is started again", "before it is started again, sealed")


@pytest.mark.parametrize("when", WHEN)
async def test_what_is_open_ends_on_time_whatever_is_done_to_its_record_and_its_time(bot: Bot, when: str) -> None:
    names = {f"p{n}": write for n, write in enumerate(WRITES.values())}
    olds: dict[str, Fields] = {}
    async with bot.running() as house:
        open_ = []
        for name in names:
            request = await house.ask(name, duration=LASTS)
            olds[name] = dict(await house.store.redis.hgetall(house.store.keys.record(request.id)))
            await house.approve("dan", request.id)
            open_.append(request)
        await become(house, open_, State.ACTIVE)
        open_ = [await house.now(request.id) for request in open_]
        if when == WHEN[0]:
            await do(house.store, names, open_, olds)
            await closes(house, *open_)
    if when != WHEN[0]:
        if when == WHEN[2]:
            await bot.sealer.once()
        else:
            await bot.store.redis.delete(bot.store.keys.sealer)
        await do(bot.store, names, open_, olds)
        async with bot.again().running() as house:
            await closes(house, *open_)
            await become(house, open_, State.ENDED)


async def become(house: House, requests: list[Request], state: State) -> None:
    """Wait until all are; each may have to be opened and to last."""
    async with asyncio.timeout(PATIENCE + max(request.duration for request in requests)):
        for request in requests:
            while (await house.now(request.id)).state is not state:  # noqa: ASYNC110  # the worker's doing
                await asyncio.sleep(0.02)


async def do(store: Store, writes: dict[str, Write], requests: list[Request], olds: dict[str, Fields]) -> None:
    """To each request, what is to be done to it."""
    for request, (name, write) in zip(requests, writes.items(), strict=True):
        await write(store, request.id, olds[name])


# what is done to all


async def taken_out(store: Store) -> None:
    entries: Any = await store.redis.xrange(store.keys.audit)
    if entries[3:]:
        await store.redis.xdel(store.keys.audit, *[id_ for id_, _ in entries[3:]])


async def swollen(store: Store) -> None:
    """More words than a script can hand on, where the stream goes on, and a number that it cannot go on from."""
    words: list[Any] = [word for n in range(10_000) for word in (f"x{n}", "y")]
    await store.redis.execute_command("XADD", store.keys.audit, "50000-7", *words)  # type: ignore[no-untyped-call]  # redis-py
    await store.redis.xadd(store.keys.audit, {"x": "y"}, "9007199254740992-0")


AUDIT: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "a number of the future": lambda store: store.redis.xadd(store.keys.audit, {"x": "y"}, "9007199254740992-0"),
    "the last number there is": lambda store: store.redis.xadd(
        store.keys.audit, {"x": "y"}, "18446744073709551615-18446744073709551615"
    ),
    "a near one of ten thousand words, and one of the future": swollen,
    "a number that is near": lambda store: store.redis.xadd(store.keys.audit, {"x": "y"}, "100000-7"),
    "the counter at 0": lambda store: store.redis.set(store.keys.seq, "0"),
    "the counter below 0": lambda store: store.redis.set(store.keys.seq, "-9223372036854775808"),
    "the counter at its end": lambda store: store.redis.set(store.keys.seq, "9223372036854775807"),
    "the counter far away": lambda store: store.redis.set(store.keys.seq, "9007199254740993"),
    "the counter a word": lambda store: store.redis.set(store.keys.seq, "\xff"),
    "no counter": lambda store: store.redis.delete(store.keys.seq),
    "no stream": lambda store: store.redis.delete(store.keys.audit),
    "neither": lambda store: store.redis.delete(store.keys.audit, store.keys.seq),
    "the stream a word": lambda store: store.redis.set(store.keys.audit, "x"),
    "the latest events taken out": taken_out,
}


async def archived(bot: Bot, most: float = 30.0) -> list[tuple[int, str, str]]:
    """The events that are sealed, with all that were written sealed."""
    async with asyncio.timeout(most):
        while await bot.sealer.once():
            pass
    archive = Archive.open("", bot.home)
    try:
        return [(entry.seq, entry.kind, entry.id) for entry in archive.entries(bot.store.workspace)]
    finally:
        archive.close()


@pytest.mark.parametrize("half", [0, 1])
async def test_what_is_open_ends_on_time_and_on_the_record_whatever_is_done_to_the_record(bot: Bot, half: int) -> None:
    """Side by side, each in a workspace of its own: most of it is waiting for the end."""
    names = list(AUDIT)[half::2]
    homes = {how: bot.home / str(n) for n, how in enumerate(names)}
    wrong = await asyncio.gather(*(_ends_on_the_record(bot.store, homes[how], how) for how in names))
    assert dict(zip(names, wrong, strict=True)) == dict.fromkeys(names)


async def _ends_on_the_record(beside: Store, home: Path, how: str) -> str | None:
    """What went wrong when this was done to the audit log of a workspace; None where all is well."""
    bot = Bot(Store(beside.redis, f"{beside.workspace}{home.name}", KeyRing.generate()), home)
    try:
        async with bot.running() as house:
            request = await opened(house, "mia")
            await AUDIT[how](house.store)
            await closes(house, request)
            await become(house, [request], State.ENDED)
        found = await archived(bot)
    except (AssertionError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    kinds = {kind for _, kind, id_ in found if id_ == request.id}
    numbers = [seq for seq, _, _ in found]
    if missing := {"access_expired", "revoked"} - kinds:
        return f"not in the archive: {missing}"
    return None if len(set(numbers)) == len(numbers) else f"a number was used twice: {numbers}"


async def test_no_record_moves_on_without_its_event(bot: Bot) -> None:
    """The first commit after a number of the future."""
    house = await bot.house.open()
    request = await house.ask()
    for way in AUDIT.values():
        await way(house.store)
        await house.context.store.audit_event("refused", "{}")
    await house.approve("dan", request.id)
    entries: Any = await house.store.redis.xrevrange(house.store.keys.audit, count=1)
    assert entries[0][1][b"kind"] == b"approved"
    assert entries[0][1][b"version"].decode() == str((await house.now(request.id)).version)


async def test_what_is_open_ends_on_time_while_all_is_made_another_kind_again_and_again(bot: Bot) -> None:
    async with bot.running() as house:
        request = await opened(house, "mia")
        names = [f"jit:{{{house.store.workspace}}}:{name}" for name in KINDS if "*" not in name]
        names += [key(house.store, request.id), house.store.keys.of_system("vault"), house.store.keys.mine("UMIA")]
        names += [house.store.keys.active(request.id), house.store.keys.reconciling("vault")]
        for _ in range(3):
            for name in names:
                await house.store.redis.delete(name)
                kind = KINDS.get(name.partition("}:")[2], "hash" if ":request:" in name else "set")
                with contextlib.suppress(ResponseError):  # somebody of the bot's came in between
                    await (house.store.redis.lpush(name, "x") if kind == "string" else house.store.redis.set(name, "x"))
            await asyncio.sleep(0.5)
        await closes(house, request)


async def test_what_is_open_ends_on_time_beside_any_number_of_requests_that_are_none(bot: Bot) -> None:
    async with bot.running() as house:
        request = await opened(house, "mia")
        alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
        none: Any = {f"J-{a}{b}{c}22222": 0.0 for a in alphabet[:10] for b in alphabet[:10] for c in alphabet[:10]}
        await house.store.redis.zadd(house.store.keys.due, none)
        await closes(house, request)


async def test_without_an_archive_and_events_a_process_closes_what_it_opened_itself(bot: Bot) -> None:
    async with bot.running() as house:
        request = await opened(house, "mia")
        store = house.store
        names = [name for name in await store.redis.keys(f"jit:{{{store.workspace}}}:*") if b":audit" not in name]
        bot.home.rename(bot.home.with_name("elsewhere"))
        bot.home.write_text("no directory")
        await store.redis.delete(*names, store.keys.audit)
        await closes(house, request)


async def test_what_is_shared_passes_for_no_standing_access_once_its_hold_and_its_record_are_taken_back(
    bot: Bot,
) -> None:
    async with bot.running() as house:
        first = await house.ask("mia", "vault/shared", duration=20)
        await house.approve("dan", first.id)
        record = key(house.store, first.id)
        untried = dict(await house.store.redis.hgetall(record))
        await become(house, [first], State.ACTIVE)
    second = await house.ask("mia", "both", duration=20)
    await house.approved(second.id)
    # Nothing says any more that it was opened, but the audit log.
    for hold in await bot.store.redis.keys(f"jit:{{{bot.store.workspace}}}:shared:*"):
        await bot.store.redis.delete(hold)
    await put_back(bot.store, first.id, untried)

    new = bot.again()
    house = await new.house.open()
    await new.recovery.trail.refresh()
    for _ in range(3):  # a turn for each leg, and one more
        for each in await house.store.due_set.claim([second.id], house.worker.lease, new_fence()):
            await house.worker.handle(each)
    legs = (await house.now(second.id)).legs
    assert legs[0].attempts == 1
    assert not any(leg.prior and leg.prior["facts"].get(native) for leg in legs for native in leg.entitlements)
    async with new.running() as house:
        await become(house, [second], State.ENDED)
        await closes(house, await house.now(first.id))


async def test_what_is_shared_is_opened_only_once_the_archive_has_the_attempt(bot: Bot) -> None:
    await bot.sealer.once()
    waiting = asyncio.Event()
    bot.recovery.seal = waiting.set
    async with bot.running(but=("sealer",)) as house:
        request = await house.ask("mia", "vault/shared", duration=LASTS)
        await house.approve("dan", request.id)
        await asyncio.wait_for(waiting.wait(), PATIENCE)
        assert (await house.now(request.id)).legs[0].attempts == 1
        assert await house.sandbox.list_access() == []
        await bot.sealer.once()
        await become(house, [request], State.ACTIVE)
        await closes(house, await house.now(request.id))


async def test_what_is_shared_is_not_opened_while_the_archive_takes_nothing_and_says_why(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.grant._ARCHIVED_WITHIN", 0.1)
    await bot.sealer.once()
    async with bot.running(but=("sealer",)) as house:
        request = await house.ask("mia", "vault/shared")
        await house.approve("dan", request.id)
        async with asyncio.timeout(PATIENCE):
            while (await house.now(request.id)).legs[0].tries < 2:  # noqa: ASYNC110  # the worker's doing
                await asyncio.sleep(0.02)
        assert "archive" in (await house.now(request.id)).legs[0].error
        assert await house.sandbox.list_access() == []


async def test_what_was_archived_and_taken_out_before_another_process_read_it_is_closed_by_that_one(bot: Bot) -> None:
    other = bot.again()
    await bot.sealer.once()
    await other.recovery.compare()
    async with bot.running() as house:
        request = await house.ask("mia", "vault/shared", duration=LASTS)
        await house.approve("dan", request.id)
        await become(house, [request], State.ACTIVE)
        request = await house.now(request.id)
    await bot.sealer.once()
    redis, keys = bot.store.redis, bot.store.keys
    await all_gone(bot.store, request.id, {})
    await redis.delete(keys.of_system("vault"), keys.mine("UMIA"))
    await redis.xtrim(keys.audit, 0, approximate=False)
    async with other.running() as house:
        await closes(house, request)


async def test_what_nobody_knows_of_any_more_has_the_systems_asked_at_once(bot: Bot) -> None:
    async with bot.running() as house:
        request = await opened(house, "mia")
    await bot.store.redis.delete(key(bot.store, request.id), bot.store.keys.audit, bot.store.keys.seq)
    bot.home.joinpath("archive.db").unlink()
    other, asked = bot.again(), asyncio.Event()

    async def lost() -> None:
        asked.set()

    other.recovery.on_unknown_access = lost
    await bot.store.redis.zadd(bot.store.keys.due, {request.id: 1.0})
    await other.house.work()
    assert asked.is_set()


async def test_systems_are_compared_at_once_when_somebody_hurries_whosever_turn_it_is(bot: Bot) -> None:
    house, stop = await bot.house.open(), asyncio.Event()
    reconciler = Reconciler(bot.store, house.worker.gateways, lambda: house.policy, margin=0.1)
    running = asyncio.create_task(reconciler.run(stop))
    await reconciler.reconcile_all()  # the turn is taken
    await bot.sealer.once()
    request = await house.granted()
    assert request.state is State.ACTIVE
    await bot.store.redis.delete(key(bot.store, request.id))
    await reconciler.run_now()
    await closes(house, request)
    stop.set()
    await asyncio.wait_for(running, 30)
    await bot.recovery.trail.close()
    await bot.sealer.close()


async def test_a_step_that_is_in_hand_here_is_not_put_before_others(bot: Bot) -> None:
    house = await bot.house.open()
    await bot.sealer.once()
    request = await house.granted()
    await own_request.release(house.context, house.actor("mia"), request.id)
    later = await bot.store.now() + 20
    await bot.store.redis.zadd(bot.store.keys.due, {request.id: later})
    bot.recovery.due_times.is_in_progress = lambda id_: id_ == request.id
    async with asyncio.timeout(PATIENCE):
        while await bot.store.now() < (await house.now(request.id)).legs[0].retry_at + 3.5:
            await bot.recovery.compare()
            await asyncio.sleep(0.2)
    assert await bot.store.redis.zscore(bot.store.keys.due, request.id) == pytest.approx(later)
    bot.recovery.due_times.is_in_progress = lambda _: False
    await bot.recovery.compare()
    await house.work()
    assert await house.sandbox.list_access() == []
    await bot.recovery.trail.close()
    await bot.sealer.close()
