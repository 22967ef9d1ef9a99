"""Bindings, leases and holds that somebody else wrote or took away: nobody becomes another, nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.access import own_request
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail, TrailUnknown
from bot.core.request import State
from bot.store.indexes.identity_bindings import Bindings
from bot.store.key_types import kinds
from bot.store.store import Store
from bot.worker.recovery import Recovery
from tests.house import House

ADDRESS = "mia@example.com"
Put = Callable[[Store], Awaitable[Any]]
WAYS: dict[str, Put] = {
    "a name": lambda store: store.redis.set(store.keys.identity(ADDRESS), "UEVIL"),
    "another's binding": lambda store: store.redis.copy(
        store.keys.identity("evil@example.com"), store.keys.identity(ADDRESS), replace=True
    ),
    "nothing": lambda store: store.redis.delete(store.keys.identity(ADDRESS)),
    "no text": lambda store: store.redis.eval(
        "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", 1, store.keys.identity(ADDRESS)
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_an_address_stays_bound_whatever_is_put_in_place_of_its_binding(store: Store, way: str) -> None:
    assert await store.identities.bind("evil@example.com", "UEVIL")
    assert await store.identities.bind(ADDRESS, "UMIA")
    await WAYS[way](store)
    assert await store.identities.bound(ADDRESS) == ""
    assert await store.identities.bind(ADDRESS, "UMIA")
    assert not await store.identities.bind(ADDRESS, "UEVIL")
    assert await store.identities.bound(ADDRESS) == "UMIA"
    assert await Bindings(store).unbind(ADDRESS, "UMIA", {})
    assert await store.identities.bind(ADDRESS, "USAM"), "an operator has freed it"


async def test_whoever_comes_first_after_a_binding_was_deleted_does_not_get_it_where_it_is_known(store: Store) -> None:
    assert await store.identities.bind(ADDRESS, "UMIA")
    await store.redis.delete(store.keys.identity(ADDRESS))
    assert not await store.identities.bind(ADDRESS, "UEVIL")
    assert await store.identities.bind(ADDRESS, "UMIA")


@pytest.mark.parametrize("ttl", [None, 86_400])
async def test_a_lease_that_nobody_of_ours_would_take_keeps_nobody_from_working(store: Store, ttl: int | None) -> None:
    for key in (store.keys.poster, store.keys.sealer, store.keys.shipper, store.keys.reconciling("vault")):
        await store.redis.set(key, "somebody", ex=ttl)
        assert await store.lease(key, "me", 5)
        assert not await store.lease(key, "another", 5)


async def test_access_whose_hold_was_deleted_does_not_pass_for_access_that_stood_before(store: Store) -> None:
    house = await House(store).open()
    first = await house.ask(what="vault/shared")
    await house.approve("dan", first.id)
    await house.until(first.id, State.ACTIVE)
    for key in await store.redis.keys(f"jit:{{{store.workspace}}}:shared:*"):
        await store.redis.delete(key)
    second = await house.ask(what="both")
    await house.approved(second.id)
    await house.until(second.id, State.ACTIVE)
    for request in (first, second):
        await own_request.release(house.context, house.actor("mia"), request.id)
        await house.until(request.id, State.ENDED)
    assert not house.sandbox.is_open("hall", "mia@example.com")


async def test_access_ends_and_a_process_starts_while_any_key_is_of_another_kind(store: Store, tmp_path: Path) -> None:
    def archive() -> Archive:
        return Archive.open("", tmp_path, create=True)

    recovery = Recovery(store, Trail(store, archive))
    house = await House(store, recovery=recovery).open()
    for key, kind in kinds(store.keys).items():
        await store.recognise()
        await house.open()
        request = await house.ask()
        await house.approve("dan", request.id)
        await house.until(request.id, State.ACTIVE)
        await own_request.release(house.context, house.actor("mia"), request.id)
        command = "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')"
        if kind == "set":
            command = "redis.call('SET', KEYS[1], 'x')"
        await store.redis.eval(command, 1, key)
        other = Store(store.redis, store.workspace, store.ring)
        await other.recognise()
        await other.policy.adopt(house.policy.policy_hash)
        await store.redis.eval(command, 1, key)
        async with asyncio.timeout(30):
            while (await house.now(request.id)).state is not State.ENDED:
                with contextlib.suppress(TrailUnknown):
                    await recovery.compare()
                await house.work()
                await asyncio.sleep(0.02)
        assert await house.sandbox.list_access() == [], key
        await store.redis.delete(store.keys.ledger("UMIA"), store.keys.lockdown)
        await Sealer(store, archive, tmp_path).once()
    await recovery.trail.close()
