"""What those who watch are told of commits and of providers' calls, and that whoever breaks at it breaks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.access import own_request
from bot.core.errors import Late, PolicyMoved, StoreAway
from bot.metrics import Metrics, harmless
from bot.store.indexes.backlog import Backlog, Lookout
from bot.store.outbox import Outbox
from bot.store.store import Store
from bot.store.types import Change, CommitOutcome, Superseded
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Refused, Unsure
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import House
from tests.servers import free_port


@pytest.fixture
async def house(store: Store) -> House:
    return await House(store).open()


async def test_each_commit_is_told_once_with_what_became_of_it(house: House, store: Store) -> None:
    told: list[CommitOutcome] = []
    store.watch = told.append
    request = await house.ask()
    again = Change(None, request, told[0].change.event)
    await house.approve("dan", request.id)
    with pytest.raises(Superseded):
        await store.commit(again)
    other = await house.ask("eve")
    late = told[-1].change
    with pytest.raises(Late):
        await store.commit(Change(other, other.model_copy(update={"version": 2}), late.event, deadline=1.0))
    await store.policy.adopt("another policy")
    with pytest.raises(PolicyMoved):
        await house.approve("dan", other.id)
    said = [(one.change.event.kind, one.status) for one in told]
    assert said == [
        ("submitted", "OK"),
        ("approved", "OK"),
        ("submitted", "SUPERSEDED"),
        ("submitted", "OK"),
        ("submitted", "LATE"),
        ("approved", "GUARD"),
    ]
    assert all(one.seconds > 0 and one.at > 1e9 for one in told)


async def test_a_commit_without_an_answer_is_told_too(house: House, store: Store) -> None:
    told: list[CommitOutcome] = []
    store.watch = told.append
    request = await house.ask()
    await own_request.cancel(house.context, house.actor("mia"), request.id)
    away = Store(Redis(port=free_port()), store.workspace, store.ring, watch=told.append)
    with pytest.raises(StoreAway):
        await away.commit(told[1].change)
    await away.redis.aclose()
    assert [(one.change.event.kind, one.status) for one in told[1:]] == [("cancelled", "OK"), ("cancelled", "AWAY")]
    assert told[2].at == 0.0


async def test_who_watches_and_breaks_breaks_nothing(house: House, store: Store) -> None:
    told: list[CommitOutcome] = []

    def breaks(_: CommitOutcome) -> None:
        raise RuntimeError("oops")

    store.watch = harmless(breaks, told.append)
    assert (await house.ask()).version == 1
    assert len(told) == 1


class Doors(Sandbox):
    """Doors whose check does what the test wants."""

    def __init__(self, does: Exception | None) -> None:
        super().__init__(SandboxConfig(settles_within=0.05))
        self.does = does

    async def check(self) -> Any:
        if self.does is None:
            return await super().check()
        if isinstance(self.does, asyncio.CancelledError):
            await asyncio.Event().wait()
        raise self.does


def from_timeout() -> Unsure:
    error = Unsure("the vendor's client gave up")
    error.__cause__ = TimeoutError()
    return error


@pytest.mark.parametrize(
    ("does", "how"),
    [
        (None, "ok"),
        (Refused("no"), "refused"),
        (Unsure("perhaps"), "unsure"),
        (TimeoutError(), "timeout"),
        (from_timeout(), "timeout"),
        (KeyError("x"), "broke"),
    ],
)
async def test_each_call_of_a_provider_is_told_with_how_it_went(does: Exception | None, how: str) -> None:
    told: list[tuple[str, str, str]] = []
    post = ProviderGateway(Doors(does), 0.05, "vault", observe=lambda *what: told.append(what[:3]))
    if does is None:
        await post.identity()
    else:
        with pytest.raises(type(does)):
            await post.identity()
    assert told == [("vault", "check", how)]


async def test_a_call_that_is_given_up_is_a_timeout_and_one_of_no_verb_is_another() -> None:
    told: list[tuple[str, str, str]] = []
    post = ProviderGateway(
        Sandbox(SandboxConfig(settles_within=0.05)), 0.05, "vault", observe=lambda *what: told.append(what[:3])
    )

    async def check() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Unsure):
        await post.call(check())
    soon: Awaitable[int] = asyncio.get_running_loop().run_in_executor(None, int)
    assert await post.call(soon) == 0
    assert told == [("vault", "check", "timeout"), ("vault", "other", "ok")]


async def test_a_call_that_is_cancelled_went_no_way_at_all() -> None:
    told: list[Any] = []
    post = ProviderGateway(Sandbox(SandboxConfig()), 5.0, "vault", observe=lambda *what: told.append(what))
    begun = asyncio.Event()

    async def check() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(post.call(check()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == []


# what lies in the store


async def test_an_empty_store_has_nothing_that_waits(store: Store) -> None:
    found = await Lookout(store, Outbox(store)).read(["vault"], ["C0VAULT01"])
    nothing = {"vault": 0.0}
    assert found == Backlog(overdue_in=nothing, late_in=nothing, closing_in={"vault": 0})


async def test_what_is_overdue_is_told_by_system_and_what_bears_no_seal_hides_nothing(
    house: House, store: Store
) -> None:
    one, other = await house.ask(), await house.ask("eve")
    await house.approve("dan", one.id)
    await store.redis.hset(store.keys.record(other.id), "seal", "forged")
    await store.redis.zadd(store.keys.due, {one.id: 1.0, "J-2222": 2.0, other.id: 3.0})
    found = await Lookout(store, Outbox(store)).read(["hall", "vault"], ["C0VAULT01"])
    assert (found.open, found.due) == (3, 3)
    assert found.overdue == found.overdue_in["vault"] > 1e9
    assert found.overdue_in["hall"] == 0.0
    assert (found.pending, found.closing_in) == (1, {"hall": 0, "vault": 0})


async def test_the_age_of_a_notice_goes_on_while_it_is_put_off(house: House, store: Store) -> None:
    outbox, another = Outbox(store), Outbox(store)
    await house.ask()
    rows, _, now = await outbox.ready(10)
    for row in rows:
        await outbox.defer(row, now + 100)
    async with asyncio.timeout(30):
        while (await outbox.age())[1] <= 0.1:  # noqa: ASYNC110  # it grows by Redis' clock
            await asyncio.sleep(0.02)
    assert (await another.age())[1] == 0.0  # who never tried them knows only when they are tried again
    for row in rows:
        await another.done(row, row.version)
    assert await outbox.age() == (0, 0.0)


async def test_a_look_that_takes_too_long_is_no_answer_and_is_not_begun_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.metrics.PATIENCE", 0.02)
    begun, goes_on = list[int](), asyncio.Event()

    class Slow(Lookout):
        def __init__(self) -> None:
            pass

        async def read(self, systems: Any, channels: Any) -> Backlog:
            begun.append(1)
            await goes_on.wait()
            return Backlog(open=7)

    metrics = Metrics()
    metrics.watch(Slow(), lambda: {"vault": "C0VAULT01"})
    for _ in range(3):
        _, text = await metrics.page()
        assert b"jit_store_up 0.0" in text
        assert b"jit_open_requests" not in text
    assert begun == [1]
    goes_on.set()
    async with asyncio.timeout(30):
        while b"jit_open_requests 7.0" not in (await metrics.page())[1]:  # noqa: ASYNC110  # a scrape is all there is
            await asyncio.sleep(0.01)
    await metrics.close()
