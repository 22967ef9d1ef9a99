"""What came of earlier requests for the same roles: counted where all of them are known, and else not said."""

from __future__ import annotations

import pytest

from bot.access import own_request, review
from bot.access.review import ReviewDecision
from bot.access.track_record import DAYS, TrackRecord, track_record
from bot.core import ssh_keys
from bot.core.request import Request, Verb
from bot.store.store import Store
from tests.house import POLICY, House, catalog

DAY = 86_400
NO = ReviewDecision(verb=Verb.DENY, reason="not now")


@pytest.fixture
async def house(store: Store) -> House:
    """An open house in which people may ask a lot."""
    limits = "workspace:\n  limits: {open: 100, submits: 1000}"
    return await House(store, catalog(POLICY.replace("workspace:", limits, 1))).open()


async def cancelled(house: House, name: str = "mia", what: str = "vault/read-only") -> Request:
    """Asked for and cancelled."""
    request = await house.ask(name, what)
    return await own_request.cancel(house.context, house.actor(name), request.id)


async def denied(house: House, name: str = "mia", what: str = "vault/read-only") -> Request:
    """Asked for and denied."""
    request = await house.ask(name, what)
    return await review.review(house.context, house.actor("dan"), request.id, NO)


async def earlier(house: House) -> Request:
    """Mia asked: approved and ended, denied, cancelled, and for another role; and asks once more."""
    approved = await house.granted()
    await own_request.release(house.context, house.actor("mia"), approved.id)
    await denied(house)
    await cancelled(house)
    await denied(house, what="vault/shared")
    await cancelled(house, "kim")
    return await house.ask()


async def test_earlier_requests_for_the_same_role_are_counted_by_what_came_of_them(house: House) -> None:
    request = await earlier(house)
    assert await track_record(house.store, request) == TrackRecord(days=DAYS, requests=2, approved=1, denied=1)


async def asking(house: House, grants: str, **asks: str) -> None:
    """The policy's shared role asks for these from now on."""
    limits = "workspace:\n  limits: {open: 100, submits: 1000}"
    shapes = ", ".join(f"{name}: {{{shape}}}" for name, shape in asks.items())
    text = POLICY.replace("grants: {door: hall, shared: true}", f"{grants}\n        asks: {{{shapes}}}")
    house.policy = catalog(text.replace("workspace:", limits, 1))
    await house.open()


async def denied_with(house: House, **given: str) -> Request:
    """Asked for with these inputs, and denied."""
    request = await house.ask(what="vault/shared", inputs=given)
    return await review.review(house.context, house.actor("dan"), request.id, NO)


@pytest.mark.parametrize("room", ["choice: [hall, attic]", "pattern: '[a-z]+', example: hall"])
async def test_what_was_given_for_another_value_is_not_counted(house: House, room: str) -> None:
    await asking(house, "grants: {door: {ask: room}, shared: true}", room=room)
    for each in ("hall", "hall", "attic"):
        await denied_with(house, room=each)
    request = await house.ask(what="vault/shared", inputs={"room": "hall"})
    assert await track_record(house.store, request) == TrackRecord(days=DAYS, requests=2, approved=0, denied=2)


async def test_approvals_of_another_value_alone_say_nothing(house: House) -> None:
    await asking(house, "grants: {door: {ask: room}, shared: true}", room="pattern: '[a-z]+', example: hall")
    for each in ("test", "testb"):
        before = await house.ask(what="vault/shared", inputs={"room": each})
        await house.approve("dan", before.id)
    assert await track_record(house.store, await house.ask(what="vault/shared", inputs={"room": "prod"})) is None


async def test_a_value_is_the_same_whether_it_was_chosen_or_typed(house: House) -> None:
    grants = "grants: {door: {ask: room}, shared: true}"
    await asking(house, grants, room="choice: [hall, attic]")
    await denied_with(house, room="hall")
    await asking(house, grants, room="pattern: '[a-z]+', example: hall")
    request = await house.ask(what="vault/shared", inputs={"room": "hall"})
    assert await track_record(house.store, request) == TrackRecord(days=DAYS, requests=1, approved=0, denied=1)


async def test_another_ssh_key_is_the_same_access(house: House) -> None:
    await asking(house, "grants: {door: {ask: key}, shared: true}", key="ssh_public_key: true")
    await denied_with(house, key=ssh_keys.EXAMPLE)
    other = ssh_keys.EXAMPLE[:-4] + "AAAA"
    assert other != ssh_keys.EXAMPLE
    request = await house.ask(what="vault/shared", inputs={"key": other})
    assert await track_record(house.store, request) == TrackRecord(days=DAYS, requests=1, approved=0, denied=1)


async def test_of_the_first_request_and_of_a_decided_one_nothing_is_said(house: House) -> None:
    first = await house.ask()
    assert await track_record(house.store, first) is None
    await cancelled(house, what="vault/shared")
    again = await house.approve("dan", first.id)
    assert await track_record(house.store, again) is None


async def test_what_is_further_back_is_not_counted(house: House) -> None:
    request = await earlier(house)
    later = request.model_copy(update={"created_at": request.created_at + (DAYS + 1) * DAY})
    submits = house.store.keys.submits("UMIA")
    await house.store.redis.zadd(submits, {request.id: later.created_at})
    assert await track_record(house.store, later) is None


@pytest.mark.parametrize("lost", ["record", "index"])
async def test_where_one_of_them_is_not_known_any_more_nothing_is_said(house: House, lost: str) -> None:
    before = await denied(house)
    request = await house.ask()
    assert await track_record(house.store, request)
    keys = house.store.keys
    await house.store.redis.delete(keys.record(before.id) if lost == "record" else keys.submits("UMIA"))
    assert await track_record(house.store, request) is None


async def test_of_more_than_are_read_nothing_is_said(house: House) -> None:
    for _ in range(20):
        await denied(house)
    request = await house.ask()
    found = await track_record(house.store, request)
    assert found is not None
    assert found.requests == 20
    await own_request.cancel(house.context, house.actor("mia"), request.id)
    assert await track_record(house.store, await house.ask()) is None


async def test_it_goes_back_no_further_than_records_are_kept(house: House) -> None:
    await denied(house)
    request = await house.ask()
    house.store.retention = 7 * DAY
    found = await track_record(house.store, request)
    assert found is not None
    assert found.days == 7
    house.store.retention = DAY - 1
    assert await track_record(house.store, request) is None
