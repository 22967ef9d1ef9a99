"""The store's time goes on by a steady clock: a host's clock that is put neither moves it nor stops what ticks."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time

import pytest

from bot.core.errors import StoreAway
from bot.store.store import Store
from bot.worker.clock import StoreClock, new_scheduler, tick_now

HOUR = 3600


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_host_clock_that_is_put_is_noticed_once_and_moves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: int
) -> None:
    puts: list[float] = []
    clock = StoreClock(store.now, lambda: puts.append(time.monotonic()))
    await clock.refresh()
    assert puts == []
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    with caplog.at_level(logging.ERROR, "bot.worker.clock"):
        for _ in range(3):
            await clock.refresh()
    assert len(puts) == 1
    assert [record.getMessage().split(", ")[0] for record in caplog.records] == [
        f"this machine's clock is 3600 s {'ahead of' if step > 0 else 'behind'} the store's"
    ]
    before = await store.now()
    assert before - 1 < clock.now() < await store.now() + 1


async def test_while_the_store_is_away_its_time_goes_on(store: Store) -> None:
    answers = [1_000.0]

    async def ask() -> float:
        if answers:
            return answers.pop()
        raise StoreAway("away")

    clock = StoreClock(ask)
    await clock.refresh()
    asked = clock.now()
    await clock.refresh()
    assert 1_000 <= asked < clock.now() < 1_060


async def test_what_ticks_by_a_clock_that_was_put_back_ticks_at_once(store: Store) -> None:
    ticked = asyncio.Event()
    scheduler = new_scheduler()

    async def tick() -> None:
        ticked.set()

    job = scheduler.add_job(tick, "interval", seconds=40)
    scheduler.start()
    try:
        job.modify(next_run_time=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=HOUR))
        tick_now(scheduler)
        async with asyncio.timeout(30):
            await ticked.wait()
    finally:
        scheduler.shutdown(wait=False)
