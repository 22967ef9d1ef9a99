"""A system that answers nothing: no access is granted but for one trial at a time, revoking goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.access import own_request
from bot.core.request import Request, State
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.worker.provider_gateway import Circuit, ProviderGateway
from providers.systems.base import Order, Outcome, Prior, Receipt, Refused, Unsure
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import House

FIRST = 0.125
"""Seconds of a circuit's first interval."""


@dataclass
class Clock:
    """A steady clock that moves when it is told to."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


class Dark(Sandbox):
    """Doors that can be out of reach, and count who came."""

    def __init__(self) -> None:
        super().__init__(SandboxConfig(settles_within=0.2))
        self.dark, self.came = False, list[str]()

    async def inspect(self, order: Order) -> Prior:
        self._comes("inspect")
        return await super().inspect(order)

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        self._comes("grant")
        return await super().grant(order, prior)

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        self._comes("revoke")
        return await super().revoke(order, prior, receipt)

    def _comes(self, verb: str) -> None:
        self.came.append(verb)
        if self.dark:
            raise Unsure("nobody answers")


@dataclass
class Place:
    """A house whose vault can go dark, and whose circuit has a clock of the test's."""

    house: House
    doors: Dark
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.post.circuit = Circuit(first_interval=FIRST, clock=self.clock)

    @property
    def post(self) -> ProviderGateway:
        return self.house.worker.gateways["vault"]

    async def step(self, request: Request) -> Request:
        """One step of a request, once it is due."""
        store = self.house.store
        async with asyncio.timeout(30):
            while not (claimed := await store.due_set.claim([request.id], 30, new_fence())):  # noqa: ASYNC110  # it is due by Redis' clock
                await asyncio.sleep(0.01)
        await self.house.worker.handle(claimed[0])
        return await self.house.now(request.id)

    async def approved(self, name: str) -> Request:
        request = await self.house.ask(name)
        return await self.house.approve("dan", request.id)

    async def goes_dark(self) -> None:
        """Five requests in a row find no answer."""
        self.doors.dark = True
        for n in range(5):
            await self.step(await self.approved(f"n{n}"))
        assert self.post.circuit.is_open


@pytest.fixture
async def place(store: Store) -> Place:
    doors = Dark()
    return Place(await House(store, systems={"vault": doors}).open(), doors)


async def test_after_five_calls_without_an_answer_a_new_grant_is_held_back_and_says_why(place: Place) -> None:
    await place.goes_dark()
    place.doors.came.clear()
    held = await place.step(await place.approved("mia"))
    assert place.doors.came == []
    assert held.state is State.GRANTING
    [leg] = held.legs
    assert leg.error.startswith("vault does not answer; tried again at ")
    assert (leg.tries, leg.attempts) == (0, 0), "no failure of this request's"
    assert leg.retry_at > await place.house.store.now()


async def test_a_claim_that_is_held_back_is_given_back(place: Place) -> None:
    await place.goes_dark()
    held = await place.step(await place.approved("mia"))
    store = place.house.store
    assert await store.redis.zscore(store.keys.due, held.id) == pytest.approx(held.legs[0].retry_at, abs=0.001)


async def test_one_trial_an_interval_and_the_interval_grows(place: Place) -> None:
    await place.goes_dark()
    first, second = await place.approved("mia"), await place.approved("kim")
    place.doors.came.clear()
    for passed, came in ((FIRST, 1), (FIRST, 1), (FIRST, 2), (3 * FIRST, 2), (FIRST, 3)):
        place.clock.at += passed
        await place.step(first)
        await place.step(second)
        assert len(place.doors.came) == came, "one a time, after once, twice, four times the interval"


async def test_an_answer_closes_the_circuit_and_all_is_opened(place: Place) -> None:
    await place.goes_dark()
    requests = [await place.approved("mia"), await place.approved("kim")]
    for request in requests:
        await place.step(request)
    place.doors.dark = False
    place.clock.at += FIRST
    for request in requests:
        assert (await place.step(request)).state is State.ACTIVE
    assert not place.post.circuit.is_open


async def test_closing_is_never_held_back(place: Place) -> None:
    request = await place.house.granted("mia")
    await place.goes_dark()
    await own_request.release(place.house.context, place.house.actor("mia"), request.id)
    place.doors.came.clear()
    for _ in range(3):
        await place.step(request)
    assert place.doors.came == ["revoke"] * 3
    place.doors.dark = False
    assert (await place.step(request)).state is State.ENDED
    assert not place.post.circuit.is_open, "that it closes is an answer, too"


async def test_a_revoke_that_fails_takes_no_trial_and_puts_none_off(place: Place) -> None:
    request = await place.house.granted("mia")
    await place.goes_dark()
    await own_request.release(place.house.context, place.house.actor("mia"), request.id)
    before = place.post.circuit.seconds_to_wait()
    for _ in range(2):
        await place.step(request)
    assert place.post.circuit.seconds_to_wait() == before == pytest.approx(FIRST)


async def test_a_system_that_refuses_answers(place: Place) -> None:
    async def refuses() -> None:
        raise Refused("not this one")

    place.doors.dark = True
    for n in range(4):
        await place.step(await place.approved(f"n{n}"))
    with pytest.raises(Refused):
        await place.post.call(refuses())
    await place.step(await place.approved("mia"))
    assert not place.post.circuit.is_open


async def test_a_call_that_nobody_could_wait_for_says_nothing_of_the_system(place: Place) -> None:
    for _ in range(10):
        with pytest.raises(Unsure):
            await place.post.call(asyncio.Event().wait(), within=0.0)
    assert not place.post.circuit.is_open


async def test_what_else_a_provider_breaks_with_is_no_answer(place: Place) -> None:
    async def breaks() -> None:
        raise KeyError("a mistake of the provider's")

    for _ in range(5):
        with pytest.raises(KeyError):
            await place.post.call(breaks())
    assert place.post.circuit.is_open


def test_failures_that_are_far_apart_are_not_in_a_row() -> None:
    clock = Clock()
    circuit = Circuit(window=60.0, clock=clock)
    for _ in range(20):
        assert not circuit.failed()
        clock.at += 16
    assert not circuit.is_open


def test_the_interval_grows_to_its_longest_and_starts_anew_after_an_answer() -> None:
    clock = Clock()
    circuit = Circuit(clock=clock)
    assert [circuit.failed() for _ in range(7)] == [False] * 4 + [True] + [False] * 2
    waits = []
    for _ in range(6):
        waits.append(circuit.seconds_to_wait())
        clock.at += waits[-1]
        assert circuit.seconds_to_wait() == 0
    assert waits == [5, 10, 20, 40, 60, 60]
    assert circuit.answered()
    assert not circuit.answered()
    assert circuit.seconds_to_wait() == 0
    for _ in range(5):
        circuit.failed()
    assert circuit.seconds_to_wait() == 5


def test_calls_that_fail_as_late_as_they_may_are_still_in_a_row() -> None:
    post = ProviderGateway(Sandbox(SandboxConfig(settles_within=40.0)), name="slow")
    clock = Clock()
    post.circuit.clock = clock
    for _ in range(5):
        post.circuit.failed()
        clock.at += 45
    assert post.circuit.is_open
