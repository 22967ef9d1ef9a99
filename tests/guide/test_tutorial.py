"""The product in five small steps, for whoever reads it for the first time: real store, real verbs, real worker."""

from __future__ import annotations

import pytest

from bot.access import own_request
from bot.core.errors import NotAllowed
from bot.core.request import Ending, State
from bot.store.store import Store
from tests.house import House


@pytest.fixture
async def house(store: Store) -> House:
    """A policy, its people, the verbs and a worker over a store; see tests/house.py."""
    return await House(store).open()


async def test_1_someone_asks_and_nothing_opens(house: House) -> None:
    request = await house.ask("mia", "debug", reason="INC-1 the vault is stuck")
    assert request.state is State.PENDING
    assert await house.sandbox.list_access() == []


async def test_2_someone_else_approves_and_the_record_is_first(house: House) -> None:
    request = await house.ask("mia", "debug")
    with pytest.raises(NotAllowed):
        await house.approve("mia", request.id)
    approved = await house.approve("dan", request.id)
    # The record says until when anything may stand, before anything does.
    assert approved.state is State.GRANTING
    assert approved.not_after > 0
    assert await house.sandbox.list_access() == []


async def test_3_the_worker_opens_what_is_due(house: House) -> None:
    request = await house.ask("mia", "debug")
    await house.approve("dan", request.id)
    await house.work()
    [list_access] = await house.sandbox.list_access()
    assert list_access.order == request.order_id(0)
    assert (await house.now(request.id)).state is State.ACTIVE


async def test_4_it_closes_by_time(house: House) -> None:
    request = await house.ask("mia", "vault/read-only", duration=5)
    await house.approve("dan", request.id)
    ended = await house.until(request.id, State.ENDED, patience=30)
    assert ended.ending is Ending.EXPIRED
    assert await house.sandbox.list_access() == []


async def test_5_or_by_hand(house: House) -> None:
    request = await house.granted("mia", "debug")
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.work()
    assert (await house.now(request.id)).ending is Ending.RELEASED
    assert await house.sandbox.list_access() == []
