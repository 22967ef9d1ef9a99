"""How long the last requests for the same roles took: by their records, of anybody, and the last five of them."""

from __future__ import annotations

import pytest

from bot.access import review
from bot.access.decision_times import LAST, DecisionHistory, DecisionTimes
from bot.access.review import ReviewDecision
from bot.core.request import Request, Verb
from bot.store.indexes import recent_outcomes
from bot.store.store import Store
from tests.house import POLICY, House, catalog

NO = ReviewDecision(verb=Verb.DENY, reason="not now")
ROLE = "vault/read-only"


@pytest.fixture
async def house(store: Store) -> House:
    """An open house in which people may ask a lot."""
    limits = "workspace:\n  limits: {open: 100, submits: 1000}"
    return await House(store, catalog(POLICY.replace("workspace:", limits, 1))).open()


async def denied(house: House, name: str = "mia", what: str = ROLE) -> Request:
    request = await house.ask(name, what)
    return await review.review(house.context, house.actor("dan"), request.id, NO)


async def test_none_is_none(house: House) -> None:
    await house.ask()
    assert await DecisionHistory(house.store).of([ROLE]) == DecisionTimes()


async def test_what_was_approved_or_denied_counts_for_exactly_these_roles_whoever_asked(house: House) -> None:
    approved = await house.approve("dan", (await house.ask()).id)
    no = await denied(house, "kim")
    await denied(house, what="vault/shared")
    times = await DecisionHistory(house.store).of([ROLE])
    assert times is not None
    assert times.expired == 0
    assert times.decided == (no.closed_at - no.created_at, approved.approved_at - approved.created_at)
    assert (await DecisionHistory(house.store).of([ROLE, "vault/shared"])) == DecisionTimes()
    await house.approve("dan", (await house.ask("kim", "both")).id)
    await house.approve("eve", (await house.store.open_of("UKIM"))[0].request.id)
    both = await DecisionHistory(house.store).of(["vault/shared", ROLE])
    assert both is not None
    assert len(both.decided) == 1


async def test_the_last_five_are_enough(house: House) -> None:
    ids = [(await denied(house)).id for _ in range(LAST + 2)]
    times = await DecisionHistory(house.store).of([ROLE])
    assert times is not None
    assert times.requests == LAST
    last = [(await house.now(id_)) for id_ in reversed(ids[2:])]
    assert times.decided == tuple(request.closed_at - request.created_at for request in last)


async def test_a_forged_event_names_no_request(house: House) -> None:
    waiting = await house.ask()
    await denied(house, "kim")
    await house.store.redis.xadd(house.store.keys.audit, {"id": waiting.id, "kind": "denied", "event": "{}"})
    assert waiting.id not in await recent_outcomes.RecentOutcomes(house.store).ids()
    times = await DecisionHistory(house.store).of([ROLE])
    assert times is not None
    assert times.requests == 1


async def test_it_is_read_once_a_minute(house: House) -> None:
    history = DecisionHistory(house.store)
    assert await history.of([ROLE]) == DecisionTimes()
    await denied(house)
    assert await history.of([ROLE]) == DecisionTimes()
