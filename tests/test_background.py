"""The background loop runs again whatever became of the last run, says why once, and ends between two runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bot.background import Done, Loop, restarted
from bot.core.errors import StoreAway


def turns(*outcomes: float | Exception | None) -> Callable[[], Awaitable[float | None]]:
    """A job that returns or raises these outcomes, one after the other."""
    left = iter(outcomes)

    async def run_once() -> float | None:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return run_once


async def pauses(loop: Loop, count: int) -> Sequence[float]:
    return [await loop.once() for _ in range(count)]


async def test_a_turn_says_when_the_next_is_due_or_leaves_it_to_the_pace() -> None:
    assert await pauses(Loop("counting", turns(None, 0.0, 7.0), 2.0), 3) == [2.0, 0.0, 7.0]


async def test_the_pause_doubles_while_turns_fail_up_to_its_limit_and_is_as_before_once_one_goes_well() -> None:
    away = [StoreAway("gone")] * 5
    loop = Loop("counting", turns(*away, None, StoreAway("gone")), 1.0, longest=6.0)
    assert await pauses(loop, 7) == [2.0, 4.0, 6.0, 6.0, 6.0, 1.0, 2.0]


async def test_without_a_limit_a_turn_that_fails_is_tried_again_at_the_pace() -> None:
    assert await pauses(Loop("counting", turns(StoreAway("gone"), StoreAway("gone")), 3.0), 2) == [3.0, 3.0]


async def test_why_turns_fail_is_logged_once_until_there_is_another_reason(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = (StoreAway("gone"), StoreAway("gone"), StoreAway("full"), None, StoreAway("full"))
    with caplog.at_level(logging.INFO):
        await pauses(Loop("counting", turns(*outcomes), 1.0), 5)
    assert caplog.messages == [
        "counting failed, it is tried again: gone",
        "counting failed, it is tried again: full",
        "counting works again",
        "counting failed, it is tried again: full",
    ]
    assert not any(record.exc_info for record in caplog.records)


async def test_an_error_that_nobody_expected_is_logged_with_its_trace_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = Loop("counting", turns(KeyError("user"), KeyError("user"), None), 1.0)
    assert await pauses(loop, 3) == [1.0, 1.0, 1.0]
    [record] = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is KeyError


async def test_a_turn_that_is_under_way_is_finished_and_none_follows() -> None:
    stop, begun, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    async def run_once() -> None:
        begun.set()
        await go_on.wait()
        finished.append(True)

    running = asyncio.create_task(Loop("counting", run_once, 0.0).run(stop))
    await begun.wait()
    stop.set()
    go_on.set()
    await asyncio.wait_for(running, 10)
    assert finished == [True]


async def test_a_turn_that_was_the_last_one_ends_the_loop() -> None:
    loop = Loop("counting", turns(0.0, StoreAway("gone"), Done()), 0.0)
    await asyncio.wait_for(loop.run(asyncio.Event()), 10)
    assert loop.complaint == ""


@pytest.mark.parametrize("hinted", [True, False])
async def test_whoever_waits_for_the_next_turn_ends_at_once_when_told_to_stop(hinted: bool) -> None:
    stop, took = asyncio.Event(), asyncio.Event()

    async def run_once() -> None:
        took.set()

    async def never(_: float) -> None:
        await asyncio.Event().wait()

    loop = Loop("counting", run_once, 3_600.0, wait=never if hinted else None)
    running = asyncio.create_task(loop.run(stop))
    await took.wait()
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_what_breaks_outside_of_a_turn_is_begun_again_until_told_to_stop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.background._RESTART", 0.0)
    stop, begun = asyncio.Event(), []

    async def run(stop: asyncio.Event) -> None:
        begun.append(True)
        if len(begun) < 3:
            raise ZeroDivisionError
        stop.set()

    await asyncio.wait_for(restarted("counter", run, stop), 10)
    assert len(begun) == 3
    assert caplog.text.count("counter broke, and is begun again") == 2
