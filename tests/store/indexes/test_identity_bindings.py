"""Whose an address is, by Slack and by directories: bound once, and nobody who writes to Redis becomes another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.core.bound_person import DirectoryBinding
from bot.core.errors import CouldNotCheck, IdentityTaken
from bot.core.identity_errors import IdentityChanged
from bot.store.indexes.directory_changes import REISSUED, DirectoryChanges
from bot.store.indexes.identity_bindings import Bindings
from bot.store.keyring import KeyRing
from bot.store.store import Store

MIA, EVE, NEW = "mia@example.com", "eve@example.com", "mia.new@example.com"
BOUND, OTHER_ID, OTHER_ADDRESS = DirectoryBinding


async def events(store: Store, kind: str) -> list[dict[str, Any]]:
    found: Any = await store.redis.xrange(store.keys.audit)
    return [json.loads(entry[b"event"]) for _, entry in found if entry[b"kind"].decode() == kind]


async def rows(store: Store) -> list[str]:
    found: Any = await store.redis.hkeys(store.keys.rows)
    return sorted(row.decode().rpartition(":")[0] for row in found)


def another(store: Store) -> Store:
    """Another process with the same keys, which has seen nothing yet."""
    return Store(store.redis, store.workspace, store.ring)


def found_in(store: Store) -> set[str]:
    return store.forged_values.forged | store.forged_values.put_back


# Slack


async def test_an_address_is_of_the_account_that_it_was_bound_to_first(store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(MIA, "UMIA")
    before = await bindings.person(MIA)
    with pytest.raises(IdentityTaken):
        await bindings.admit(MIA, "UEVE")
    await bindings.admit(MIA, "UMIA")
    assert await Bindings(another(store)).person(MIA) == before
    assert (before.user, before.revision) == ("UMIA", 1)
    assert 0 <= await store.now() - before.since < 60
    assert await rows(store) == []


async def test_another_address_of_the_same_account_is_told_once_to_both_and_in_the_audit_channel(store: Store) -> None:
    await Bindings(store).admit(MIA, "UMIA")
    assert await Bindings(store).unbind(MIA, "UMIA", {})
    await Bindings(store).admit(MIA, "UMIA2")
    for _ in range(2):
        await Bindings(another(store)).admit(NEW, "UMIA")
    [event] = await events(store, "address_changed")
    assert (event["user"], event["before"], event["identity"]) == ("UMIA", MIA, NEW)
    assert await rows(store) == ["UMIA2|person", "UMIA|person", "people|record", "people|record"]


# directories


async def test_the_stable_id_of_a_directory_is_bound_at_first_sight(store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(MIA, "UMIA")
    for process in (bindings, bindings, Bindings(another(store))):
        assert await process.bind_directory(MIA, "ad", "guid-1") is BOUND
    assert await bindings.bind_directory(MIA, "okta", "00u1") is BOUND
    person = await bindings.person(MIA)
    assert {name: each.id for name, each in person.directories.items()} == {"ad": "guid-1", "okta": "00u1"}
    assert person.user == "UMIA"
    await bindings.admit(MIA, "UMIA")
    assert await events(store, "alarm") == []


async def test_an_address_that_was_given_to_another_person_is_refused_until_an_operator_binds_it(store: Store) -> None:
    worker, web = Bindings(store), Bindings(another(store))
    await web.admit(MIA, "UMIA")
    await worker.bind_directory(MIA, "ad", "guid-1")
    for id_ in ("guid-2", "guid-2", "guid-1"):
        assert await worker.bind_directory(MIA, "ad", id_) is OTHER_ID
    with pytest.raises(IdentityChanged) as refused:
        await web.admit(MIA, "UMIA")
    assert refused.value.directory == "ad"
    [alarm] = await events(store, "alarm")
    assert f"jit people bind {MIA} --directory ad" in alarm["said"]
    assert "guid-2 and not guid-1" in alarm["said"]
    assert await rows(store) == ["people|record"]
    assert (await DirectoryChanges(store).read()).gone[MIA].kind == REISSUED

    assert await Bindings(another(store)).accept_directory(MIA, "ad", "guid-2", {"said": "it is hers"}) == ""
    await web.admit(MIA, "UMIA")
    assert await worker.bind_directory(MIA, "ad", "guid-2") is BOUND
    assert await rows(store) == ["UMIA|person", "people|record", "people|record"]
    assert (await DirectoryChanges(another(store)).read()).gone == {}
    # Who had the address before has another one now, and is another person.
    assert await worker.bind_directory(NEW, "ad", "guid-1") is BOUND


async def test_one_person_of_a_directory_is_not_two_people_here(store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(MIA, "UMIA")
    await bindings.admit(EVE, "UEVE")
    await bindings.bind_directory(MIA, "ad", "guid-1")
    for _ in range(2):
        assert await bindings.bind_directory(EVE, "ad", "guid-1") in {OTHER_ID, OTHER_ADDRESS}
    with pytest.raises(IdentityChanged):
        await bindings.admit(EVE, "UEVE")
    await bindings.admit(MIA, "UMIA")
    [alarm] = await events(store, "alarm")
    assert f"guid-1, which is {MIA}'s" in alarm["said"]
    assert await bindings.bind_directory(EVE, "okta", "guid-1") is BOUND, "ids are each directory's own"
    assert await Bindings(store).accept_directory(EVE, "ad", "guid-1", {}) == MIA
    assert await bindings.bind_directory(MIA, "ad", "guid-1") is OTHER_ADDRESS
    # What Mia had before is Eve's now, and stays hers when Mia gets an id of her own.
    assert await Bindings(store).accept_directory(MIA, "ad", "guid-3", {}) == ""
    assert await bindings.bind_directory(NEW, "ad", "guid-1") is OTHER_ADDRESS
    assert await bindings.bind_directory(EVE, "ad", "guid-1") is BOUND


async def test_who_has_another_address_in_slack_and_in_the_directory_is_the_same_person(store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(MIA, "UMIA")
    await bindings.bind_directory(MIA, "ad", "guid-1")
    await bindings.admit(NEW, "UMIA")
    for address in (NEW, MIA, NEW):
        assert await bindings.bind_directory(address, "ad", "guid-1") is BOUND
    assert await bindings.unbind(MIA, "UMIA", {})
    await bindings.admit(MIA, "UEVE")
    assert await bindings.bind_directory(NEW, "ad", "guid-1") is BOUND
    assert await bindings.bind_directory(MIA, "ad", "guid-1") is OTHER_ADDRESS
    await bindings.admit(NEW, "UMIA")


@pytest.mark.parametrize("id_", ["", "x" * 256, "a b", "a\n", "gu\u0456d-1"])
async def test_what_is_no_stable_id_binds_nobody(store: Store, id_: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        await Bindings(store).bind_directory(MIA, "ad", id_)
    assert (await Bindings(store).person(MIA)).directories == {}


async def test_two_processes_at_one_moment_bind_one_id(store: Store) -> None:
    both = [Bindings(another(store)), Bindings(another(store))]
    outcomes = await asyncio.gather(*(each.bind_directory(MIA, "ad", f"guid-{n}") for n, each in enumerate(both)))
    assert sorted(outcomes) == [BOUND, OTHER_ID]
    assert len(await events(store, "alarm")) == 1


# operators


async def test_an_operator_binds_only_an_address_that_is_free(store: Store) -> None:
    bindings = Bindings(store)
    assert await bindings.bind_account(MIA, "UMIA", {"said": "x"})
    assert not await bindings.bind_account(MIA, "UEVE", {"said": "x"})
    with pytest.raises(IdentityTaken):
        await Bindings(another(store)).admit(MIA, "UEVE")
    await Bindings(another(store)).admit(MIA, "UMIA")
    assert await rows(store) == ["UMIA|person", "people|record"]
    assert await Bindings(another(store)).unbind(MIA, "UMIA", {})
    assert (await bindings.person(MIA)).user == ""
    await Bindings(another(store)).admit(MIA, "UEVE")


async def test_what_was_bound_before_there_were_records_is_bound_still(store: Store) -> None:
    assert await store.identities.bind(MIA, "UMIA")
    assert (await Bindings(another(store)).person(MIA)).user == "UMIA"
    assert not await Bindings(another(store)).bind_account(MIA, "UEVE", {})
    with pytest.raises(IdentityTaken):
        await Bindings(another(store)).admit(MIA, "UEVE")
    assert await Bindings(another(store)).unbind(MIA, "UMIA", {})
    await Bindings(another(store)).admit(MIA, "UEVE")


# whoever can write to Redis

Put = Callable[[Store], Awaitable[Any]]
WAYS: dict[str, Put] = {
    "a forged record": lambda store: store.redis.set(
        store.keys.bound_person(MIA), json.dumps({"identity": MIA, "revision": 9, "user": "UEVE"}) + "|k1:00"
    ),
    "another's record": lambda store: store.redis.copy(
        store.keys.bound_person(EVE), store.keys.bound_person(MIA), replace=True
    ),
    "no record": lambda store: store.redis.delete(store.keys.bound_person(MIA)),
    "another kind": lambda store: store.redis.eval(
        "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'x')", 1, store.keys.bound_person(MIA)
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_who_is_refused_stays_so_whatever_is_put_in_place_of_the_record(store: Store, way: str) -> None:
    worker, web = Bindings(store), Bindings(another(store))
    await web.admit(EVE, "UEVE")
    await web.admit(MIA, "UMIA")
    await worker.bind_directory(MIA, "ad", "guid-1")
    await worker.bind_directory(MIA, "ad", "guid-2")
    with pytest.raises(IdentityChanged):
        await web.admit(MIA, "UMIA")
    await WAYS[way](store)
    with pytest.raises(IdentityChanged):
        await web.admit(MIA, "UMIA")
    # The worker writes it again at its next look, so that a process that has just started knows it too.
    assert await worker.bind_directory(MIA, "ad", "guid-2") is OTHER_ID
    with pytest.raises(IdentityChanged):
        await Bindings(another(store)).admit(MIA, "UMIA")
    assert len(await events(store, "alarm")) == 1


async def test_the_record_of_somebody_else_makes_nobody_them(store: Store) -> None:
    await Bindings(store).admit(EVE, "UEVE")
    await Bindings(store).bind_directory(EVE, "ad", "guid-2")
    await store.redis.copy(store.keys.bound_person(EVE), store.keys.bound_person(MIA))
    new = another(store)
    assert (await Bindings(new).person(MIA)).model_dump(exclude_defaults=True) == {"identity": MIA}
    assert found_in(new) == {"bound_person:*"}
    await Bindings(new).admit(MIA, "UMIA")


async def test_an_older_record_that_is_put_back_is_not_believed_and_raises_an_alarm(store: Store) -> None:
    worker = Bindings(store)
    await worker.admit(MIA, "UMIA")
    await worker.bind_directory(MIA, "ad", "guid-1")
    older: Any = await store.redis.get(store.keys.bound_person(MIA))
    await worker.bind_directory(MIA, "ad", "guid-2")
    await store.redis.set(store.keys.bound_person(MIA), older)
    with pytest.raises(IdentityChanged):
        await worker.admit(MIA, "UMIA")
    assert found_in(store) == {"bound_person:*"}
    assert await worker.bind_directory(MIA, "ad", "guid-2") is OTHER_ID
    assert await store.redis.get(store.keys.bound_person(MIA)) != older


@pytest.mark.parametrize("gone", ["identity", "bound_person"])
async def test_a_binding_of_which_one_half_was_deleted_frees_nobodys_address(store: Store, gone: str) -> None:
    await Bindings(store).admit(MIA, "UMIA")
    await store.redis.delete(getattr(store.keys, gone)(MIA))
    new = another(store)
    with pytest.raises(IdentityTaken):
        await Bindings(new).admit(MIA, "UEVE")
    assert not await Bindings(new).bind_account(MIA, "UEVE", {})
    await Bindings(new).admit(MIA, "UMIA")
    assert await new.identities.bound(MIA) == "UMIA"
    assert (await Bindings(another(store)).person(MIA)).user == "UMIA"


async def test_what_was_deleted_while_no_process_ran_is_forgotten(store: Store) -> None:
    """The limit that the security model admits."""
    await Bindings(store).admit(MIA, "UMIA")
    await Bindings(store).bind_directory(MIA, "ad", "guid-1")
    await store.redis.delete(*(key(MIA) for key in (store.keys.bound_person, store.keys.identity)))
    assert await Bindings(another(store)).bind_directory(MIA, "ad", "guid-2") is BOUND
    await Bindings(another(store)).admit(MIA, "UEVE")


async def test_an_operator_can_free_a_binding_of_which_one_half_was_deleted(store: Store) -> None:
    await Bindings(store).admit(MIA, "UMIA")
    await store.redis.delete(store.keys.identity(MIA))
    assert await Bindings(another(store)).unbind(MIA, "UMIA", {})
    await Bindings(another(store)).admit(MIA, "UEVE")


@pytest.mark.parametrize("way", ["deleted", "forged", "another's"])
async def test_the_way_from_a_stable_id_to_its_address_leads_nobody_else_to_it(store: Store, way: str) -> None:
    bindings = Bindings(store)
    await bindings.bind_directory(MIA, "ad", "guid-1")
    await bindings.bind_directory(EVE, "ad", "guid-2")
    key = store.keys.bound_id("ad", "guid-1")
    if way == "deleted":
        await store.redis.delete(key)
    elif way == "forged":
        await store.redis.set(key, f"{NEW} k1:00")
    else:
        await store.redis.copy(store.keys.bound_id("ad", "guid-2"), key, replace=True)
    assert await bindings.bind_directory(NEW, "ad", "guid-1") is OTHER_ADDRESS
    assert await bindings.bind_directory(MIA, "ad", "guid-1") is BOUND
    assert await Bindings(another(store)).bind_directory("joe@example.com", "ad", "guid-1") is OTHER_ADDRESS
    assert found_in(store) == (set() if way == "deleted" else {"bound_id:*"})


async def test_a_forged_former_address_tells_nobody_anything(store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(MIA, "UMIA")
    await store.redis.set(store.keys.bound_account("UMIA"), f"{EVE} k1:00")
    await bindings.admit(MIA, "UMIA")
    assert await events(store, "address_changed") == []
    assert found_in(store) == {"bound_account:*"}


async def test_what_another_version_wrote_is_not_known_and_lets_nobody_in(store: Store) -> None:
    body = json.dumps({"identity": MIA, "user": "UMIA", "revision": 1, "later": True})
    await store.redis.set(store.keys.bound_person(MIA), store.authorship.wrapped("bound person", body))
    with pytest.raises(CouldNotCheck):
        await Bindings(store).admit(MIA, "UMIA")


async def test_what_is_looked_at_outlives_the_key_that_signed_it(store: Store) -> None:
    old = {"old": b"1" * 32}
    await Bindings(Store(store.redis, store.workspace, KeyRing(old))).admit(MIA, "UMIA")
    await Bindings(Store(store.redis, store.workspace, KeyRing(old))).bind_directory(MIA, "ad", "guid-1")
    both = Bindings(Store(store.redis, store.workspace, KeyRing({"new": b"2" * 32, **old})))
    await both.admit(MIA, "UMIA")
    assert await both.bind_directory(MIA, "ad", "guid-1") is BOUND
    new = Store(store.redis, store.workspace, KeyRing({"new": b"2" * 32}))
    assert await Bindings(new).bind_directory(MIA, "ad", "guid-2") is OTHER_ID
    assert await Bindings(new).bind_directory(EVE, "ad", "guid-1") is OTHER_ADDRESS
    with pytest.raises(IdentityTaken):
        await Bindings(new).admit(MIA, "UEVE")


# all of them


async def test_the_index_shows_who_is_bound_page_by_page_and_a_forged_entry_shows_nobody(store: Store) -> None:
    bindings = Bindings(store)
    for n in range(7):
        await bindings.admit(f"p{n}@example.com", f"U{n}")
    await bindings.bind_directory("q@example.com", "ad", "guid-1")
    forged = [f"p{n}x@example.com" for n in range(9)]
    await store.redis.zadd(store.keys.bound_people, dict.fromkeys([*forged, "P1@example.com"], 0))
    await store.redis.zadd(store.keys.bound_people, {b"\xff": 0})
    seen, after = list[str](), ""
    while page := await bindings.people.page(after, 3):
        seen += [person.identity for person in page]
        after = page[-1].identity
    assert seen == [*(f"p{n}@example.com" for n in range(7)), "q@example.com"]
    assert await bindings.people.missing() == 0


async def test_an_index_that_is_gone_is_noticed_and_whoever_is_looked_up_is_in_it_again(store: Store) -> None:
    await Bindings(store).admit(MIA, "UMIA")
    await Bindings(store).admit(EVE, "UEVE")
    await store.redis.delete(store.keys.bound_people)
    new = Bindings(another(store))
    assert (await new.people.page("", 9), await new.people.missing()) == ([], 2)
    await new.admit(MIA, "UMIA")
    assert ([each.identity for each in await new.people.page("", 9)], await new.people.missing()) == ([MIA], 1)
