"""What ill will and bad luck do to the verbs, the store and the workers; and what must not come of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from bot.access import own_request, read, revoke
from bot.access import review as reviewing
from bot.access.review import ReviewDecision
from bot.core import deadlines
from bot.core.errors import (
    AlreadyAnswered,
    BadDuration,
    CouldNotCheck,
    NotAllowed,
    UnknownChoice,
)
from bot.core.events import Approved, GrantAttempted, Granted
from bot.core.lifecycle import fold
from bot.core.request import Request, Review, State, Verb
from bot.core.verdict import Actor, Members
from bot.policy import authorization
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.store.types import Change, ClaimedRequest
from providers.systems.base import Order, Outcome, Prior, Receipt, System
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.core.test_lifecycle import attempted, review, submitted
from tests.house import POLICY, House, catalog, person

ROLES = """
      pair:
        grants: {door: pair}
        max: 1h
        may_ask: [everyone]
        approval: {steps: [{any_of: [dba], count: 2}]}
      both-keys:
        grants: {door: keys}
        max: 1h
        may_ask: [everyone]
        approval: {steps: [{any_of: [dba]}, {any_of: [security]}]}
      another:
        grants: {door: another, secret: true}
        max: 8h
        may_ask: [everyone]
      staff:
        grants: {door: staff}
        max: 1h
        may_ask: [security]
"""
TEMPLATES = """
  two-secrets:
    title: Two logins
    roles: [vault/shared, vault/read-only, vault/another]
    durations: [30m]
"""
POLICY_PLUS = POLICY.replace("\ntemplates:", f"{ROLES}\ntemplates:") + TEMPLATES


@pytest.fixture
async def house(store: Store) -> House:
    """An open house with a few more roles."""
    return await House(store, policy=catalog(POLICY_PLUS)).open()


def doors(*faults: SandboxFault, settles_within: float = 0.2) -> dict[str, System]:
    """A vault whose provider fails as told."""
    return {"vault": Sandbox(SandboxConfig(faults=faults, settles_within=settles_within))}


async def opened(store: Store, systems: dict[str, System], **more: Any) -> House:
    """An open house over such doors."""
    return await House(store, policy=catalog(POLICY_PLUS), systems=systems, **more).open()


async def holds(store: Store) -> list[bytes | str]:
    """The holds that are left in this workspace."""
    return list(await store.redis.keys(f"jit:{{{store.workspace}}}:shared:*"))


async def rows(store: Store) -> list[Any]:
    """The notices that wait."""
    return list(await store.redis.zrange(store.keys.outbox, 0, -1))


@contextlib.asynccontextmanager
async def laboring(*houses: House) -> AsyncIterator[None]:
    """Their workers run, as in a process of their own."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(house.worker.run(stop)) for house in houses]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def met(condition: Callable[[], Awaitable[bool]], patience: float = 30.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(patience):
        while not await condition():  # noqa: ASYNC110  # other processes could change it, too
            await asyncio.sleep(0.02)


async def becomes(house: House, id_: str, *states: State) -> Request:
    """Wait until somebody has worked it there."""

    async def there() -> bool:
        return (await house.now(id_)).state in states

    await met(there)
    return await house.now(id_)


async def tries(house: House, id_: str) -> int:
    """How often its first leg has failed."""
    return (await house.now(id_)).legs[0].tries


# one person, one answer


def renamed(actor: Actor, address: str) -> Actor:
    """The same Slack account after its e-mail address was changed."""
    changed = actor.person.model_copy(update={"identity": address.casefold(), "email": address})
    return Actor(person=changed, roster=actor.roster, looked_up_now=True)


async def test_who_changes_their_address_between_two_answers_still_counts_once(house: House) -> None:
    request = await house.ask(what="vault/pair")
    await house.approve("dan", request.id)
    again = renamed(house.actor("dan"), "daniel@example.com")
    with pytest.raises(AlreadyAnswered):
        await reviewing.review(house.context, again, request.id, ReviewDecision(verb=Verb.APPROVE))
    assert (await house.now(request.id)).state is State.PENDING
    assert (await house.approve("eve", request.id)).state is State.GRANTING


async def test_two_answers_of_one_account_fill_one_place_even_if_both_are_in_the_record(house: House) -> None:
    request = await house.ask(what="vault/pair")
    dan = person(house.store.workspace, "dan")
    other = dan.model_copy(update={"identity": "daniel@example.com", "email": "daniel@example.com"})
    reviews = tuple(Review(verb=Verb.APPROVE, by=who, at=1.0, duration=1800) for who in (dan, other))
    twice = request.model_copy(update={"reviews": reviews})
    [still_open] = authorization.approval_progress(house.policy, house.actor("eve").roster, twice, 1.0).open
    assert still_open.missing == 1


async def test_the_asker_never_counts_not_under_a_new_address_and_not_from_a_second_account(house: House) -> None:
    request = await house.ask("dan")
    with pytest.raises(NotAllowed, match="own_request"):
        await reviewing.review(
            house.context, renamed(house.actor("dan"), "new@example.com"), request.id, ReviewDecision(verb=Verb.APPROVE)
        )
    eve = house.actor("eve")
    second = Actor(
        person=eve.person.model_copy(update={"identity": "dan@example.com"}), roster=eve.roster, looked_up_now=True
    )
    with pytest.raises(NotAllowed, match="own_request"):
        await reviewing.review(house.context, second, request.id, ReviewDecision(verb=Verb.APPROVE))


async def test_an_answer_that_relies_on_a_group_nobody_tells_is_not_lost_but_asked_for_again(house: House) -> None:
    request = await house.ask(what="vault/both-keys")
    await house.approve("dan", request.id)
    sam = house.actor("sam")
    dark = Actor(person=sam.person, roster={**sam.roster, "dba": Members(known=False)}, looked_up_now=True)
    with pytest.raises(CouldNotCheck):
        await reviewing.review(house.context, dark, request.id, ReviewDecision(verb=Verb.APPROVE))
    assert (await house.approve("sam", request.id)).state is State.GRANTING


async def test_who_lost_the_right_to_ask_is_not_given_it_by_an_approval(house: House) -> None:
    request = await house.ask("sam", "vault/staff")
    dan = house.actor("dan")
    left = Actor(
        person=dan.person, roster={**dan.roster, "security": Members(identities=frozenset({"kim@example.com"}))}
    )
    with pytest.raises(NotAllowed, match="asker_may_not"):
        await reviewing.review(house.context, left, request.id, ReviewDecision(verb=Verb.APPROVE))
    dark = Actor(person=dan.person, roster={**dan.roster, "security": Members(known=False)}, looked_up_now=True)
    with pytest.raises(NotAllowed, match="unknown_group"):
        await reviewing.review(house.context, dark, request.id, ReviewDecision(verb=Verb.APPROVE))
    assert (await house.now(request.id)).state is State.PENDING
    denied = await reviewing.review(
        house.context, left, request.id, ReviewDecision(verb=Verb.DENY, reason="has left the team")
    )
    assert denied.state is State.DENIED


@pytest.mark.parametrize("duration", [-1800, 0, 1, 1801, 10**12])
async def test_an_answer_for_a_duration_that_nobody_offered_is_none(house: House, duration: int) -> None:
    request = await house.ask()
    with pytest.raises(BadDuration):
        await house.approve("dan", request.id, duration)
    assert (await house.now(request.id)).reviews == ()


@pytest.mark.parametrize("duration", [-5, 0, 4, 8 * 3600 + 1, 10**12])
async def test_a_duration_beyond_the_cap_is_not_asked_for(house: House, duration: int) -> None:
    with pytest.raises(BadDuration):
        await house.ask(duration=duration)
    assert await read.own_open(house.context, house.actor("mia")) == []


@pytest.mark.parametrize("what", ["vault/admin", "vault/", "/", "", "vault", "vault/admin/x", "__class__", "x" * 5000])
async def test_what_is_not_offered_cannot_be_asked_for(house: House, what: str) -> None:
    with pytest.raises((NotAllowed, UnknownChoice)):
        await house.ask(what=what)
    assert await read.own_open(house.context, house.actor("mia")) == []


# shared entitlements


async def test_a_grant_that_lands_after_the_last_holder_left_does_not_pass_for_standing_access(
    store: Store,
) -> None:
    late = SandboxFault(verb="grant", does="late", door="hall", times=1)
    house = await opened(store, doors(late, settles_within=1.5))
    slow = await house.ask(what="vault/shared")
    await house.approve("dan", slow.id)
    await house.work()
    other = await house.granted(what="both")
    for id_ in (slow.id, other.id):
        await own_request.release(house.context, house.actor("mia"), id_)
        await house.work()
    house.sandbox.land()
    third = await house.granted(what="vault/shared")
    assert third.state is State.ACTIVE, "all this has to happen while the slow grant may still land"
    await house.until(slow.id, State.ENDED)
    await own_request.release(house.context, house.actor("mia"), third.id)
    await house.until(third.id, State.ENDED)
    assert not house.sandbox.is_open("hall", "mia@example.com")
    assert await holds(store) == []


class Interrupted(Sandbox):
    """A sandbox in which something happens while it looks at a shared door, once: just before, and just after."""

    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def inspect(self, order: Order) -> Prior:
        if order.subject.own:
            return await super().inspect(order)
        before, after, self.before, self.after = self.before, self.after, None, None
        if before:
            await before()
        prior = await super().inspect(order)
        if after:
            await after()
        return prior


async def step(house: House, id_: str, count: int = 1) -> None:
    """Have the worker make so many steps of one request."""
    for _ in range(count):
        [claimed] = await house.store.due_set.claim([id_], 30, new_fence())
        await house.worker.handle(claimed)


async def end(house: House, id_: str, steps: int) -> None:
    """Give it back, and have it closed."""
    await own_request.release(house.context, house.actor("mia"), id_)
    await step(house, id_, steps)
    assert (await house.now(id_)).state is State.ENDED


async def test_access_of_ours_that_is_closed_while_another_looks_does_not_pass_for_standing_access(
    store: Store,
) -> None:
    vault = Interrupted(SandboxConfig())
    house = await opened(store, {"vault": vault})
    first = await house.granted(what="vault/shared")
    request = await house.ask(what="both")
    vault.after = lambda: end(house, first.id, 1)
    await house.approved(request.id)
    await house.until(request.id, State.ACTIVE)
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    assert not vault.is_open("hall", "mia@example.com")
    assert await holds(store) == []


async def test_access_of_ours_that_lives_and_dies_while_another_looks_does_not_pass_for_standing_access(
    store: Store,
) -> None:
    vault = Interrupted(SandboxConfig())
    house = await opened(store, {"vault": vault})
    request, other = await house.ask(what="vault/shared"), await house.ask(what="both")
    await house.approve("dan", request.id)
    await house.approved(other.id)
    seen: list[bool] = []

    async def live() -> None:
        await step(house, other.id, 2)
        seen.append(vault.is_open("hall", "mia@example.com"))

    vault.before, vault.after = live, lambda: end(house, other.id, 2)
    await step(house, request.id)
    assert seen == [True]
    await house.until(request.id, State.ACTIVE)
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    assert not vault.is_open("hall", "mia@example.com")
    assert await holds(store) == []


@pytest.mark.parametrize(
    "name",
    [b"J-ZZZZ.0", b"J-ZZZ.0", b"J-ZZZZZZZZZ.0", b"J-ZZZZ", b"nobody\nat all", b"\xff\xfe", b"J-ZZZZ.99999999999"],
)
async def test_a_hold_that_no_record_of_ours_tells_of_keeps_nothing_open(house: House, name: bytes) -> None:
    request = await house.granted(what="vault/shared")
    [key] = await holds(house.store)
    await house.store.redis.hset(key, name, "held")
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    assert not house.sandbox.is_open("hall", "mia@example.com")


async def test_a_forged_hold_of_a_request_that_has_ended_keeps_nothing_open(house: House) -> None:
    first = await house.granted(what="vault/shared")
    [key] = await holds(house.store)
    await own_request.release(house.context, house.actor("mia"), first.id)
    await house.until(first.id, State.ENDED)
    second = await house.granted(what="both")
    await house.store.redis.hset(key, first.order_id(0), "held")
    await own_request.release(house.context, house.actor("mia"), second.id)
    await house.until(second.id, State.ENDED)
    assert not house.sandbox.is_open("hall", "mia@example.com")


Claim = Callable[[Sequence[str], float, str], Awaitable[list[ClaimedRequest]]]


def counted(claim: Claim, claims: list[str]) -> Claim:
    """The same, noting what it took."""

    async def counting(ids: Sequence[str], lease: float, fence: str) -> list[ClaimedRequest]:
        claimed = await claim(ids, lease, fence)
        claims.extend(one.id for one in claimed)
        return claimed

    return counting


async def test_beside_a_forged_hold_nothing_is_opened_that_could_not_be_closed_and_nothing_spins(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.granted(what="vault/shared")
    [key] = await holds(house.store)
    await own_request.release(house.context, house.actor("mia"), first.id)
    await house.until(first.id, State.ENDED)
    house.sandbox.open_by_hand("hall", "mia@example.com")
    await house.store.redis.hset(key, "J-ZZZZ.0", "held")
    second = await house.ask(what="vault/shared")
    await house.approve("dan", second.id)
    claims: list[str] = []
    monkeypatch.setattr(house.store.due_set, "claim", counted(house.store.due_set.claim, claims))

    async def tried() -> bool:
        return bool((await house.now(second.id)).legs[0].error)

    async with laboring(house):
        await met(tried)
        before = len(claims)
        await asyncio.sleep(1)  # in which a worker that does not pause would claim it some hundred times
    assert len(claims) - before < 20
    assert (await house.now(second.id)).state is State.GRANTING


# time


def two_doors(cap: int) -> Request:
    """One of two doors was opened at 1105, and the other one's provider does not answer."""
    first = submitted(2)
    roles = tuple(role.model_copy(update={"cap": cap}) for role in first.roles)
    first = first.model_copy(update={"roles": roles, "duration": min(cap, 1800)})
    approved = Approved(at=1100.0, review=review(), duration=min(cap, 1800))
    return fold([first, approved, attempted(0, 1104.0), Granted(at=1105.0, leg=0, receipt={})])


def test_no_door_stays_open_past_its_cap_while_another_is_waited_for() -> None:
    request = two_doors(cap=60)
    assert request.state is State.GRANTING
    assert deadlines.budget_ends(request) <= 1105.0 + 60
    assert deadlines.due(request) is not None
    assert two_doors(cap=3600).approved_at + 600 == deadlines.budget_ends(two_doors(cap=3600))


async def test_a_revoke_that_takes_longer_than_a_lease_is_counted_and_alarmed(store: Store) -> None:
    hanging = SandboxFault(verb="revoke", does="slow", seconds=9)
    house = await opened(store, doors(hanging, settles_within=0.5), lease=0.3)
    second = House(store, policy=house.policy, systems=house.systems, lease=0.3)
    request = await house.granted()
    async with laboring(house, second):
        await own_request.release(house.context, house.actor("mia"), request.id)

        async def thrice() -> bool:
            return await tries(house, request.id) >= 3

        await met(thrice)
    assert any(b"|alarm:" in row for row in await rows(store))


class Endless(Sandbox):
    """A provider that breaks its promise: some calls never return."""

    hangs: frozenset[str] = frozenset()
    calls = 0

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        self.calls += 1
        if order.id.partition(".")[0] in self.hangs:
            await asyncio.Event().wait()
        return await super().revoke(order, prior, receipt)


async def test_a_call_that_never_returns_keeps_no_other_from_being_closed(store: Store) -> None:
    vault = Endless(SandboxConfig(settles_within=0.1))
    house = await opened(store, {"vault": vault}, lease=0.3, timeout_margin=0.2)
    names = [f"n{n}" for n in range(17)]
    requests = [await house.granted(name) for name in names]
    vault.hangs = frozenset(request.id for request in requests[:16])
    async with laboring(house):
        for name, request in zip(names, requests, strict=True):
            await own_request.release(house.context, house.actor(name), request.id)
        await becomes(house, requests[16].id, State.ENDED)

        async def all_given_up() -> bool:
            return all([await tries(house, request.id) for request in requests[:16]])

        await met(all_given_up)
        vault.hangs = frozenset()
        for request in requests:
            await becomes(house, request.id, State.ENDED)
    assert await house.sandbox.list_access() == []


class SlowStore(Store):
    """A store whose answer to the record of an attempt takes a while."""

    delay = 0.0

    async def commit(self, change: Change) -> float:
        at = await super().commit(change)
        if isinstance(change.event, GrantAttempted):
            await asyncio.sleep(self.delay)
        return at


class Timed(Sandbox):
    """A sandbox that notes the store's time at which each grant was sent."""

    clock: Callable[[], Awaitable[float]]

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        self.sent = [*getattr(self, "sent", []), (order.id, await self.clock())]
        return await super().grant(order, prior)


async def test_a_grant_is_sent_only_while_it_can_land_within_the_time_that_the_record_says(store: Store) -> None:
    slow = SlowStore(store.redis, store.workspace, store.ring)
    vault = Timed(SandboxConfig(settles_within=0.3))
    vault.clock = store.now
    house = await opened(slow, {"vault": vault}, margin=0.1)
    request = await house.ask()
    await house.approve("dan", request.id)
    slow.delay = 0.25
    await house.work()
    assert getattr(vault, "sent", []) == []
    slow.delay = 0.0
    active = await house.until(request.id, State.ACTIVE)
    [(_, sent)] = vault.sent
    assert sent + vault.settles_within <= active.legs[0].in_flight_until + 0.02 or active.legs[0].attempts > 1


async def test_two_workers_and_many_clicks_open_once_and_close_once(store: Store) -> None:
    house = await opened(store, doors())
    other = House(store, policy=house.policy, systems=house.systems)
    request = await house.ask(what="both")
    async with laboring(house, other):
        await asyncio.gather(*(house.approve(who, request.id) for who in ("dan", "eve")), return_exceptions=True)
        await becomes(house, request.id, State.ACTIVE)
        ends: list[Awaitable[Any]] = [
            own_request.release(house.context, house.actor("mia"), request.id) for _ in range(5)
        ]
        ends += [revoke.revoke(house.context, house.actor("eve"), request.id, "now") for _ in range(5)]
        answers = await asyncio.gather(*ends, return_exceptions=True)
        assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
        ended = await becomes(house, request.id, State.ENDED)
    assert [leg.attempts for leg in ended.legs] == [1, 1]
    assert await house.sandbox.list_access() == []
