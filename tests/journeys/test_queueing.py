"""More comes at once than can be answered in time: whatever it is, whoever sent it is told so, and nothing is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.core.request import State
from handlers.slack.admission import Queue
from tests.journeys.conftest import Town

CROWDED = "Nothing was recorded; please try again in a few seconds."


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A line with one place."""
    queue = Queue(at_once=1, patience=0.5)
    monkeypatch.setattr("handlers.slack.bolt_app.Queue", lambda: queue)
    return queue


async def test_a_command_a_press_and_a_form_are_told_so_and_do_nothing(town: Town, queue: Queue) -> None:
    card = await town.asked()
    await town.dan.click(card, "deny")
    form = await town.dan.sees_view("deny")
    async with full(queue):
        reply = await town.mia.command("/jit", "cancel", card.channel)
        assert CROWDED in reply.text
        await town.dan.click(card, "approve")
        assert CROWDED in town.dan.ephemerals[-1].said()
        errors = (await town.dan.submit(form, {"reason": "not tonight"})).errors
        assert [CROWDED in said for said in errors.values()] == [True]
        assert (await town.app.context.find_by_id(town.id_of(card))).request.state is State.PENDING
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")


async def test_an_event_is_left_to_be_delivered_again(town: Town, queue: Queue) -> None:
    delivery = town.slack.delivery
    delivery.retry_delays, delivery.redeliver, delivery.ack_seconds = (), False, 1.0
    opened = {"type": "app_home_opened", "user": "UMIA", "channel": "D0MIA", "tab": "home"}
    async with full(queue):
        assert not (await delivery.event(opened)).ok
    assert town.mia.home is None
    delivery.ack_seconds = 30.0
    assert (await delivery.event(opened)).ok
    await town.mia.sees_home()


@asynccontextmanager
async def full(queue: Queue) -> AsyncIterator[None]:
    """Somebody has the only place for as long as this lasts."""
    async with queue.turn():
        yield
