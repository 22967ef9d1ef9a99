"""What the commit script promises: one winner, no answer after the deadline, no body that is not ours."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest

from bot.access import own_request
from bot.core.errors import Late, NotFound, PolicyMoved, RoleChanged, Tampered
from bot.core.events import Cancelled, RequestExpired
from bot.core.lifecycle import advance
from bot.core.request import State
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.store.types import Change, Superseded
from tests.house import POLICY, House, catalog


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def test_of_many_writers_of_one_version_one_wins(house: House) -> None:
    request = await house.ask()
    events = [Cancelled(at=request.created_at + 1, by="UMIA", reason=str(n)) for n in range(200)]
    changes = [Change(request, advance(request, event), event) for event in events]
    answers = await asyncio.gather(*map(house.store.commit, changes), return_exceptions=True)
    assert sum(isinstance(answer, float) for answer in answers) == 1
    assert sum(isinstance(answer, Superseded) for answer in answers) == 199


async def test_the_same_commit_sent_again_after_a_lost_answer_is_the_same_commit(house: House) -> None:
    request = await house.ask()
    event = Cancelled(at=request.created_at + 1, by="UMIA")
    change = Change(request, advance(request, event), event)
    await house.store.commit(change)
    seq = await house.store.redis.get(house.store.keys.seq)
    await house.store.commit(change)
    assert await house.store.redis.get(house.store.keys.seq) == seq


async def test_an_answer_after_the_deadline_is_late_even_if_nobody_has_swept(house: House) -> None:
    request = await house.ask()
    event = Cancelled(at=request.created_at + 1, by="UMIA")
    change = Change(request, advance(request, event), event, deadline=request.created_at - 1)
    with pytest.raises(Late):
        await house.store.commit(change)
    assert (await house.now(request.id)).state is State.PENDING


async def test_a_body_that_we_did_not_seal_is_refused_everywhere_and_raises_an_alarm(house: House) -> None:
    request = await house.ask()
    forged = request.model_copy(update={"state": State.GRANTING, "approved_at": request.created_at})
    body = zlib.compress(forged.model_dump_json().encode())
    record = house.store.keys.record(request.id)
    await house.store.redis.hset(record, "body", body)
    await house.store.redis.zadd(house.store.keys.due, {request.id: 0})
    with pytest.raises(NotFound):  # as for an id that there is not
        await house.approve("dan", request.id)
    await house.work()
    assert await house.sandbox.list_access() == []
    assert await house.store.redis.zscore(house.store.keys.due, request.id) is not None
    rows: Any = await house.store.redis.zrange(house.store.keys.outbox, 0, -1)
    assert any(row.startswith(f"{request.id}|tampered:".encode()) for row in rows)


async def test_a_sealed_body_of_another_request_does_not_fit(house: House) -> None:
    one, other = await house.ask(), await house.ask("eve")
    stolen: Any = await house.store.redis.hgetall(house.store.keys.record(one.id))
    await house.store.redis.hset(house.store.keys.record(other.id), mapping=stolen)
    with pytest.raises(Tampered):
        await house.now(other.id)


async def test_a_due_request_without_a_record_stays_due_and_raises_an_alarm(house: House) -> None:
    await house.store.redis.zadd(house.store.keys.due, {"J-2222": 0})
    await house.work()
    assert await house.store.redis.zscore(house.store.keys.due, "J-2222") is not None
    rows: Any = await house.store.redis.zrange(house.store.keys.outbox, 0, -1)
    assert any(row.startswith(b"J-2222|tampered:") for row in rows)


async def test_a_worker_whose_lease_another_took_writes_nothing(house: House) -> None:
    request = await house.ask()
    await house.approve("dan", request.id)
    [old] = await house.store.due_set.claim([request.id], 0.01, new_fence())
    async with asyncio.timeout(30):
        while not (taken := await house.store.due_set.claim([request.id], 30, new_fence())):
            await house.store.now()  # a lease lapses by Redis' clock
    assert taken[0].fence != old.fence
    stale = await house.now(request.id)
    event = RequestExpired(at=stale.created_at)
    with pytest.raises(Superseded):
        await house.store.commit(Change(stale, stale.model_copy(update={"version": 9}), event, fence=old.fence))
    assert await house.store.due_set.release(taken[0])


async def test_two_workers_never_hold_one_claim(house: House) -> None:
    requests = [await house.ask(f"p{n}") for n in range(20)]
    for request in requests:
        await house.approve("dan", request.id)
    ids = [request.id for request in requests]
    claims = await asyncio.gather(*(house.store.due_set.claim(ids, 30, new_fence()) for _ in range(5)))
    held = [claimed.id for claimed_by_one in claims for claimed in claimed_by_one]
    assert sorted(held) == sorted(ids)


async def test_a_replica_with_another_policy_decides_nothing_new_and_still_closes(house: House) -> None:
    request = await house.granted()
    pending = await house.ask("eve")
    await house.store.policy.adopt("another generation")
    with pytest.raises(PolicyMoved):
        await house.ask("sam")
    with pytest.raises(PolicyMoved):
        await house.approve("dan", pending.id)
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.work()
    assert (await house.now(request.id)).state is State.ENDED


async def test_a_role_that_changed_voids_what_was_asked_for_it(house: House) -> None:
    request = await house.ask()
    house.policy = catalog(POLICY.replace("max: 8h", "max: 7h", 1))
    await house.open()
    with pytest.raises(RoleChanged):
        await house.approve("dan", request.id)
    assert (await house.now(request.id)).state is State.CANCELLED


async def test_someone_who_left_the_group_no_longer_counts(house: House) -> None:
    request = await house.ask("dan", "vault/admin")
    await house.approve("eve", request.id)
    house.dba = ("dan",)
    assert (await house.approve("sam", request.id)).state is State.PENDING
    house.dba = ("dan", "eve")
    assert (await house.approve("kim", request.id)).state is State.GRANTING
