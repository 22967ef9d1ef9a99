"""A start that is still to come: judged again when it comes, and missed by more than its grace it lapses."""

from __future__ import annotations

import pytest

from bot.access import own_request, revoke
from bot.core import deadlines
from bot.core.errors import BadStart
from bot.core.events import Approved, RequestExpired, Started
from bot.core.lifecycle import advance, begin
from bot.core.request import Person, Request, Review, State, Verb
from bot.store.store import Store
from bot.store.types import Change
from tests.core.test_lifecycle import submitted
from tests.house import POLICY, House, catalog

DAY = 86_400


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def scheduled(house: House, name: str = "mia", what: str = "vault/read-only") -> Request:
    """Asked for in an hour, and approved."""
    request = await house.ask(name, what, starts_at=await house.store.now() + 3600)
    return await house.approve("dan", request.id)


async def started(house: House, request: Request) -> Request:
    """Its start has come: the worker judges it, as if the hour had passed."""
    early = request.model_copy(update={"starts_at": await house.store.now() - 1})
    [event] = [judged for judged in [await house.judge(early, await house.store.now())] if judged]
    before = await house.now(request.id)
    await house.store.commit(Change(before, advance(before, event[0]), event[0], guards=event[1]))
    return await house.now(request.id)


async def test_it_waits_for_its_start_and_is_opened_then(house: House) -> None:
    request = await scheduled(house)
    assert request.state is State.SCHEDULED
    assert deadlines.due(request) == request.starts_at
    await house.work()
    assert await house.sandbox.list_access() == []
    opening = await started(house, request)
    assert opening.state is State.GRANTING
    await house.work()
    active = await house.now(request.id)
    assert active.state is State.ACTIVE
    assert active.ends_at == pytest.approx(active.granted_at + 1800)


async def test_it_is_taken_back_before_its_start(house: House) -> None:
    request = await scheduled(house)
    cancelled = await own_request.cancel(house.context, house.actor("mia"), request.id)
    assert cancelled.state is State.CANCELLED
    other = await scheduled(house)
    revoked = await revoke.revoke(house.context, house.actor("eve"), other.id, "not tonight")
    assert (revoked.state, revoked.closed_reason) == (State.CANCELLED, "not tonight")


async def test_an_approval_that_does_not_count_any_more_opens_nothing(house: House) -> None:
    request = await scheduled(house)
    house.dba = ("eve",)
    void = await started(house, request)
    assert (void.state, void.closed_by) == (State.CANCELLED, "policy")


async def test_a_role_that_was_changed_meanwhile_opens_nothing(house: House) -> None:
    request = await scheduled(house)
    house.policy = catalog(POLICY.replace("max: 8h", "max: 7h"))
    await house.open()
    assert (await started(house, request)).state is State.CANCELLED


@pytest.mark.parametrize("ahead", [-DAY, 0.0, 30.0, 31 * DAY])
async def test_a_start_is_neither_past_nor_far_away(house: House, ahead: float) -> None:
    with pytest.raises(BadStart):
        await house.ask(starts_at=await house.store.now() + ahead)


def approved(at: float, start: float) -> Request:
    """Asked at 1000 for a start, with 900 seconds of grace, and approved."""
    first = submitted().model_copy(update={"starts_at": start, "start_grace": 900, "decide_by": start + 900})
    dan = Person(workspace="T", id="UDAN", identity="dan@example.com", email="dan@example.com")
    yes = Review(verb=Verb.APPROVE, by=dan, at=at, duration=1800)
    return advance(begin(first), Approved(at=at, review=yes, duration=1800))


def test_a_start_missed_by_more_than_its_grace_lapses() -> None:
    request = approved(1100.0, 5000.0)
    assert deadlines.due_event(request, 5000.0) is None
    assert deadlines.due_event(request, 5899.0) is None
    assert isinstance(deadlines.due_event(request, 5900.0), RequestExpired)


def test_its_budget_counts_from_the_start() -> None:
    request = advance(approved(1100.0, 5000.0), Started(at=5003.0))
    assert deadlines.budget_ends(request) == 5003.0 + request.grant_budget
    assert request.not_after == 5003.0 + request.grant_budget + request.duration


def test_approved_after_its_start_it_opens_at_once() -> None:
    assert approved(5100.0, 5000.0).state is State.GRANTING
