"""An answer of the store that is lost on its way keeps nobody waiting for the end of a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bot.core.errors import StoreAway
from bot.core.request import State
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.store.types import Change, ClaimedRequest
from tests.house import House


async def _opened(house: House, id_: str) -> None:
    """Within a time that is short of a lease."""
    stop = asyncio.Event()
    working = asyncio.create_task(house.worker.run(stop))
    try:
        async with asyncio.timeout(house.lease / 2):
            while (await house.now(id_)).state is not State.ACTIVE:  # noqa: ASYNC110  # the worker is another task
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await working


async def test_a_claim_that_is_sent_again_is_the_same_claim(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    fence = new_fence()
    [first] = await store.due_set.claim([request.id], 30, fence)
    [again] = await store.due_set.claim([request.id], 30, fence)
    assert again.request == first.request
    assert await store.due_set.claim([request.id], 30, new_fence()) == []


async def test_nothing_is_written_under_a_claim_that_was_given_back(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    [claimed] = await store.due_set.claim([request.id], 30, new_fence())
    assert await store.due_set.release(claimed)
    await house.worker.handle(claimed)
    assert (await house.now(request.id)).version == 2
    assert not await store.due_set.release(claimed)
    assert not await store.due_set.renew(claimed, 30)


async def test_what_was_claimed_without_an_answer_is_given_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House(store).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    claim = store.due_set.claim
    lost: list[ClaimedRequest] = []

    async def unheard(ids: Sequence[str], lease: float, fence: str) -> list[ClaimedRequest]:
        claimed = await claim(ids, lease, fence)
        if lost:
            return claimed
        lost.extend(claimed)
        raise StoreAway("its answer was lost")

    monkeypatch.setattr(store.due_set, "claim", unheard)
    await _opened(house, request.id)
    assert [claimed.id for claimed in lost] == [request.id]


@pytest.mark.parametrize("written", [False, True])
async def test_what_was_in_hand_when_the_store_went_away_is_given_back_when_it_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    house = await House(store).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    commit, free = store.commit, store.due_set.release
    missed: list[str] = []

    async def unheard(change: Change) -> float:
        if missed:
            return await commit(change)
        missed.append("commit")
        if written:
            await commit(change)
        raise StoreAway("its answer was lost")

    async def away(claimed: ClaimedRequest, not_before: float | None = None) -> bool:
        if missed.count("free") < 3:
            missed.append("free")
            raise StoreAway("still away")
        return await free(claimed, not_before)

    monkeypatch.setattr(store, "commit", unheard)
    monkeypatch.setattr(store.due_set, "release", away)
    await _opened(house, request.id)
    assert missed.count("free") == 3
    assert len(await house.sandbox.list_access()) == 1
