"""Several roles in one request: granted in order, revoked in reverse, all or nothing, each with its own password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from bot.access import extend, own_request, review, revoke
from bot.access.review import ReviewDecision
from bot.core.request import LegState, Request, State, Verb
from bot.store.due_set import new_fence
from bot.store.store import Store
from providers.systems.base import Order, Outcome, Prior, Receipt, Secret
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.house import POLICY, House, catalog

ORDERS = """
  orders:
    title: Orders
    provider: sandbox
    channel: C0ORDERS1
    approvers: [security]
    roles:
      read-only:
        grants: {door: orders, secret: true}
        sensitivity: low
        max: 2h
        may_ask: [everyone]
        notify: {dm: all}
  queue:
    title: Queue
    provider: sandbox
    channel: C0VAULT01
    approvers: [platform]
    roles:
      reader:
        grants: {door: queue}
        max: 8h
        may_ask: [everyone]
templates:
  incident:
    title: Incident
    roles: [vault/read-only, orders/read-only, queue/reader]
    durations: [30m]
"""
THREE = POLICY.replace("templates:\n", ORDERS, 1)
ORDER = ("vault", "orders", "queue")
"""Of the template."""


@dataclass
class Journal:
    """What the systems were asked to do, in order."""

    said: list[str] = field(default_factory=list)


class Noted(Sandbox):
    """A system that notes what it is asked to do."""

    def __init__(self, name: str, journal: Journal, *faults: SandboxFault) -> None:
        super().__init__(SandboxConfig(faults=faults, settles_within=0.2))
        self.name, self.journal = name, journal

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        self.journal.said.append(f"grant {self.name}")
        return await super().grant(order, prior)

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        self.journal.said.append(f"revoke {self.name}")
        return await super().revoke(order, prior, receipt)

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        self.journal.said.append(f"extend {self.name}")
        return await super().extend(order, receipt)


@dataclass
class Place:
    """A house with three systems, each of which has approvers of its own."""

    house: House
    journal: Journal

    async def approved(self) -> Request:
        """Mia asks for the template, and one person of each system says yes."""
        request = await self.house.ask(what="incident")
        for who in ("dan", "sam", "pat"):
            assert request.state is State.PENDING
            request = await self.house.approve(who, request.id)
        return request

    async def active(self) -> Request:
        """The same, granted."""
        return await self.house.until((await self.approved()).id, State.ACTIVE)

    def password(self, name: str, account: str) -> str | None:
        """The password that a system takes for an account now."""
        system = self.house.systems[name]
        assert isinstance(system, Sandbox)
        [entry] = [entry for _, who, entry in system.doors.all() if who == account]
        return entry.password

    async def standing(self) -> list[str]:
        """The systems on which anybody has access."""
        systems = self.house.systems
        return [name for name in ORDER if await systems[name].list_access()]


async def place(store: Store, **faults: SandboxFault) -> Place:
    """Ready; ``faults``: of a system."""
    journal = Journal()
    systems = {name: Noted(name, journal, *([faults[name]] if name in faults else [])) for name in ORDER}
    return Place(await House(store, policy=catalog(THREE), systems=systems).open(), journal)


async def test_granted_in_the_order_of_the_template_and_revoked_in_reverse(store: Store) -> None:
    there = await place(store)
    request = await there.active()
    assert there.journal.said == ["grant vault", "grant orders", "grant queue"]
    await own_request.release(there.house.context, there.house.actor("mia"), request.id)
    await there.house.until(request.id, State.ENDED)
    assert there.journal.said[3:] == ["revoke queue", "revoke orders", "revoke vault"]
    assert await there.standing() == []


async def test_the_second_waits_until_the_first_is_granted(store: Store) -> None:
    there = await place(store, vault=SandboxFault(verb="grant", does="crash before", times=2))
    request = await there.active()
    assert there.journal.said == ["grant vault"] * 3 + ["grant orders", "grant queue"]
    assert [leg.state for leg in request.legs] == [LegState.ACTIVE] * 3


@pytest.mark.parametrize("refusing", ORDER)
async def test_one_that_is_refused_ends_the_others_in_reverse(store: Store, refusing: str) -> None:
    there = await place(store, **{refusing: SandboxFault(verb="grant", does="refuse")})
    before = ORDER[: ORDER.index(refusing)]
    request = await there.house.until((await there.approved()).id, State.FAILED, State.ENDED)
    assert request.state is (State.ENDED if before else State.FAILED)
    assert there.journal.said == [
        *(f"grant {name}" for name in (*before, refusing)),
        *(f"revoke {name}" for name in reversed(before)),
    ]
    assert [leg.role.system for leg in request.legs if leg.refused] == [refusing]
    assert [leg.state for leg in request.legs] == [LegState.CLOSED] * len(before) + [LegState.UNOPENED] * (
        len(ORDER) - len(before)
    )
    assert await there.standing() == []


async def test_one_that_cannot_be_revoked_yet_keeps_no_other_waiting(store: Store) -> None:
    there = await place(store, queue=SandboxFault(verb="revoke", does="unsure", times=3))
    request = await there.active()
    await revoke.revoke(there.house.context, there.house.actor("dan"), request.id, "now")
    await there.house.until(request.id, State.ENDED)
    revokes = there.journal.said[3:]
    assert revokes[:3] == ["revoke queue", "revoke orders", "revoke vault"]
    assert revokes[3:] == ["revoke queue"] * 3
    assert await there.standing() == []


@pytest.mark.parametrize("steps", range(1, 9))
async def test_a_crash_between_the_roles_leaves_enough_to_end_all_of_them(store: Store, steps: int) -> None:
    """A worker dies after so many commits; another one goes on, and the requester ends what there is."""
    there = await place(store)
    request, house = await there.approved(), there.house
    for _ in range(steps):
        if (await house.now(request.id)).state is not State.GRANTING:
            break
        for claimed in await house.store.due_set.claim([request.id], 0.05, new_fence()):
            await house.worker.handle(claimed)
    other = Place(House(store, policy=house.policy, systems=house.systems), there.journal)
    request = await other.house.until(request.id, State.ACTIVE)
    assert [name for name in there.journal.said if name.startswith("grant")] == [f"grant {name}" for name in ORDER]
    await own_request.release(other.house.context, other.house.actor("mia"), request.id)
    await other.house.until(request.id, State.ENDED)
    assert await other.standing() == []


async def test_an_extension_needs_each_role_s_approvers_and_reaches_all(store: Store) -> None:
    there = await place(store)
    request, house = await there.active(), there.house
    await extend.extend(house.context, house.actor("mia"), request.id, 600, "not done yet")
    for who in ("pat", "sam", "dan"):
        assert (await house.now(request.id)).awaits_extension
        await review.review(house.context, house.actor(who), request.id, ReviewDecision(verb=Verb.APPROVE), extension=1)
    await house.work()
    extended = await house.now(request.id)
    assert extended.ends_at == pytest.approx(request.ends_at + 600)
    assert there.journal.said[3:] == [f"extend {name}" for name in ORDER]


# passwords


def passwords(shown: Sequence[tuple[str, str, Secret | str]]) -> list[tuple[str, str]]:
    """The view and the account of each that was shown."""
    return [(view, secret.username) for _, view, secret in shown if isinstance(secret, Secret)]


async def test_each_role_shows_its_own_password_and_leaves_the_others_as_they_are(store: Store) -> None:
    there = await place(store)
    request, house = await there.active(), there.house
    for view, leg in (("V1", 0), ("V2", 1), ("V3", 0)):
        await own_request.reveal(house.context, house.actor("mia"), request.id, view, leg)
        await house.work()
    accounts = dict(passwords(house.shown))
    assert accounts["V1"] == accounts["V3"] != accounts["V2"]
    secrets = [secret.password.get_secret_value() for _, _, secret in house.shown if isinstance(secret, Secret)]
    assert [secrets.index(secret) for secret in secrets] == [0, 1, 2], "each is a new one"
    assert there.password("vault", accounts["V1"]) == secrets[2]
    assert there.password("orders", accounts["V2"]) == secrets[1], "the vault's second one did not spoil it"


async def test_a_role_without_a_password_has_none_to_show(store: Store) -> None:
    there = await place(store)
    request, house = await there.active(), there.house
    for leg in (2, 7):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V1", leg)
        await house.work()
    [of_queue, of_none] = [shown for _, _, shown in house.shown]
    assert "has no password" in str(of_queue)
    assert of_none == "there is no secret to show for this access"
