"""From asking to closed, over a real store and doors that can be scripted to fail."""

from __future__ import annotations

import asyncio

import pytest

from bot.access import own_request
from bot.core.errors import AlreadyAnswered, AlreadyRequested, NotAllowed, Overtaken
from bot.core.request import Ending, State
from bot.store.store import Store
from providers.systems.base import System
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.house import House


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def orders(house: House) -> list[str | None]:
    """The orders behind the doors that stand open."""
    return [list_access.order for list_access in await house.sandbox.list_access()]


def failing(*faults: SandboxFault, settles_within: float = 0.2) -> dict[str, System]:
    """A vault whose provider fails as told."""
    return {"vault": Sandbox(SandboxConfig(faults=faults, settles_within=settles_within))}


async def test_asked_approved_opened_released_closed(house: House) -> None:
    request = await house.ask()
    assert request.state is State.PENDING
    approved = await house.approve("dan", request.id)
    assert approved.state is State.GRANTING
    active = await house.attempted(request.id)
    assert active.state is State.ACTIVE
    assert await orders(house) == [active.order_id(0)]
    assert active.ends_at == pytest.approx(active.granted_at + 1800)
    await own_request.release(house.context, house.actor("mia"), None)
    await house.work()
    ended = await house.now(request.id)
    assert (ended.state, ended.ending) == (State.ENDED, Ending.RELEASED)
    assert await orders(house) == []


async def test_nobody_approves_their_own_and_nobody_answers_twice(house: House) -> None:
    request = await house.ask("dan", "vault/admin")
    with pytest.raises(NotAllowed):
        await house.approve("dan", request.id)
    await house.approve("eve", request.id)
    with pytest.raises(AlreadyAnswered):
        await house.approve("eve", request.id)
    assert (await house.approve("sam", request.id)).state is State.GRANTING


async def test_a_hundred_clicks_at_once_are_one_approval(house: House) -> None:
    request = await house.ask()
    clicks = [house.approve(who, request.id) for who in ("dan", "eve") for _ in range(50)]
    answers = await asyncio.gather(*clicks, return_exceptions=True)
    won = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(won) == 1
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} <= {Overtaken, AlreadyAnswered}
    assert len((await house.now(request.id)).reviews) == 1


async def test_the_same_submission_delivered_twice_asks_once(house: House) -> None:
    first, second = await asyncio.gather(house.ask(token="V1"), house.ask(token="V1"), return_exceptions=True)
    ids = {r.id for r in (first, second) if not isinstance(r, BaseException)}
    assert len(ids) == 1
    with pytest.raises(AlreadyRequested):
        await house.ask(token="V2")


async def test_what_stood_before_is_still_there_after(house: House) -> None:
    house.sandbox.open_by_hand("hall", "mia@example.com")
    request = await house.granted(what="vault/shared")
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.work()
    assert (await house.now(request.id)).state is State.ENDED
    assert house.sandbox.is_open("hall", "mia@example.com")


async def test_of_two_requests_for_one_shared_door_the_last_one_closes(house: House) -> None:
    first = await house.granted(what="vault/shared")
    second = await house.granted(what="both")
    await own_request.release(house.context, house.actor("mia"), first.id)
    await house.work()
    assert (await house.now(first.id)).state is State.ENDED
    assert house.sandbox.is_open("hall", "mia@example.com")
    await own_request.release(house.context, house.actor("mia"), second.id)
    await house.work()
    assert (await house.now(second.id)).state is State.ENDED
    assert await orders(house) == []
    assert await house.store.redis.keys(f"*{house.store.workspace}*:shared:*") == []


async def test_who_joined_a_shared_door_and_was_refused_does_not_keep_it_open(store: Store) -> None:
    house = await House(store).open()
    first = await house.granted(what="vault/shared")
    refusing = failing(SandboxFault(verb="grant", does="refuse", door="hall"))["vault"]
    assert isinstance(refusing, Sandbox)
    refusing.doors = house.sandbox.doors
    other = House(store, systems={"vault": refusing})
    second = await other.ask(what="both")
    await other.approved(second.id)
    await other.until(second.id, State.ENDED, State.FAILED)
    await own_request.release(house.context, house.actor("mia"), first.id)
    await house.work()
    assert await orders(house) == []
    assert await store.redis.keys(f"*{store.workspace}*:shared:*") == []


async def test_a_grant_that_lands_late_is_found_and_closed(store: Store) -> None:
    late = SandboxFault(verb="grant", does="late", seconds=0.15, times=1)
    house = await House(store, systems=failing(late)).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    await house.work()
    assert (await house.now(request.id)).state is State.GRANTING
    await own_request.release(house.context, house.actor("mia"), request.id)
    ended = await house.until(request.id, State.ENDED)
    assert ended.closed_at >= ended.legs[0].in_flight_until
    assert await orders(house) == []


async def test_a_refusal_ends_as_failed_and_nothing_stands(store: Store) -> None:
    house = await House(store, systems=failing(SandboxFault(verb="grant", does="refuse"))).open()
    request = await house.granted()
    assert request.state is State.FAILED
    assert "refuses to grant" in request.closed_reason


async def test_a_revoke_that_fails_is_tried_until_it_succeeds(store: Store) -> None:
    faults = (
        SandboxFault(verb="revoke", does="unsure", times=2),
        SandboxFault(verb="revoke", does="crash after", times=1),
    )
    house = await House(store, systems=failing(*faults)).open()
    request = await house.granted()
    await own_request.release(house.context, house.actor("mia"), request.id)
    ended = await house.until(request.id, State.ENDED)
    assert ended.legs[0].tries == 3
    assert await orders(house) == []


async def test_a_reveal_hands_the_secret_to_the_view_and_records_only_that_it_did(house: House) -> None:
    request = await house.granted()
    await own_request.reveal(house.context, house.actor("mia"), request.id, "V0VIEW")
    await house.work()
    [(id_, view, secret)] = house.shown
    assert (id_, view) == (request.id, "V0VIEW")
    assert not isinstance(secret, str)
    password = secret.password.get_secret_value().encode()
    dump = b"".join([await house.store.redis.dump(key) or b"" for key in await house.store.redis.keys("*")])
    assert password not in dump
