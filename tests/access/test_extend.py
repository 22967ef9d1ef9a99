"""A later end: asked for, decided, told to the systems; and until then access closes at the end that it has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import extend, own_request, review
from bot.access.review import ReviewDecision
from bot.core.errors import AlreadyAnswered, BadDuration, CannotExtend, NotAllowed, Overtaken
from bot.core.request import Ending, ExtensionState, Request, State, Verb
from bot.core.verdict import Actor, Members
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.house import House

YES, NO = ReviewDecision(verb=Verb.APPROVE), ReviewDecision(verb=Verb.DENY, reason="not tonight")


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def failing(store: Store, *faults: SandboxFault) -> House:
    """An open house whose vault fails as told."""
    return await House(store, systems={"vault": Sandbox(SandboxConfig(faults=faults, settles_within=0.2))}).open()


async def asked(house: House, request: Request, more: int = 1800) -> Request:
    """The requester wants so many seconds more."""
    return await extend.extend(house.context, house.actor("mia"), request.id, more, "INC-1 still burns")


async def answered(house: House, name: str, request: Request, decision: ReviewDecision, n: int = 1) -> Request:
    """Somebody decides."""
    return await review.review(house.context, house.actor(name), request.id, decision, extension=n)


def state(request: Request) -> ExtensionState:
    """Where the wish stands."""
    assert request.extension is not None
    return request.extension.state


async def test_asked_approved_told_to_the_system_and_only_then_the_end(house: House) -> None:
    request = await house.granted()
    wished = await asked(house, request)
    assert (state(wished), wished.ends_at) == (ExtensionState.PENDING, request.ends_at)
    approved = await answered(house, "dan", request, YES)
    assert (state(approved), approved.ends_at) == (ExtensionState.EXTENDING, request.ends_at)
    await house.work()
    extended = await house.now(request.id)
    assert (state(extended), extended.ends_at) == (ExtensionState.DONE, request.ends_at + 1800)
    assert extended.not_after >= extended.ends_at
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    assert await house.sandbox.list_access() == []


async def test_undecided_at_the_end_it_closes_on_time(house: House) -> None:
    request = await house.ask(duration=5)
    await house.approve("dan", request.id)
    request = await house.attempted(request.id)
    await asked(house, request)
    ended = await house.until(request.id, State.ENDED)
    assert ended.ending is Ending.EXPIRED
    assert ended.extension is not None
    assert request.ends_at <= ended.closed_at < ended.extension.until
    with pytest.raises(Overtaken):
        await answered(house, "dan", request, YES)


async def test_approved_but_not_told_to_the_system_it_closes_on_time(store: Store) -> None:
    house = await failing(store, SandboxFault(verb="extend", does="unsure"))
    request = await house.ask(duration=5)
    await house.approve("dan", request.id)
    request = await house.attempted(request.id)
    await asked(house, request)
    await answered(house, "dan", request, YES)
    ended = await house.until(request.id, State.ENDED)
    assert ended.extension is not None
    assert ended.extension.tries > 0
    assert ended.extension is not None
    assert ended.closed_at < ended.extension.until
    assert await house.sandbox.list_access() == []


async def test_a_system_that_hangs_while_it_is_told_keeps_nothing_from_closing(store: Store) -> None:
    house = await House(
        store,
        systems={
            "vault": Sandbox(
                SandboxConfig(faults=(SandboxFault(verb="extend", does="slow", seconds=60),), settles_within=50)
            )
        },
    ).open()
    request = await house.ask(duration=5)
    await house.approve("dan", request.id)
    request = await house.attempted(request.id)
    await asked(house, request)
    await answered(house, "dan", request, YES)
    ended = await house.until(request.id, State.ENDED, patience=30)
    assert ended.extension is not None
    assert ended.closed_at < ended.extension.until


@pytest.mark.parametrize(("does", "left"), [("refuse", ExtensionState.FAILED), ("crash after", ExtensionState.DONE)])
async def test_what_the_system_says_decides(store: Store, does: Any, left: ExtensionState) -> None:
    house = await failing(store, SandboxFault(verb="extend", does=does, times=1))
    request = await house.granted()
    await asked(house, request)
    await answered(house, "dan", request, YES)
    async with asyncio.timeout(30):
        while state(await house.now(request.id)) is ExtensionState.EXTENDING:
            await house.work()
            await asyncio.sleep(0.02)
    after = await house.now(request.id)
    assert state(after) is left
    assert after.ends_at == (request.ends_at if left is ExtensionState.FAILED else request.ends_at + 1800)


async def test_a_denial_leaves_the_end_and_another_may_be_asked_for(house: House) -> None:
    request = await house.granted()
    await asked(house, request)
    denied = await answered(house, "dan", request, NO)
    assert (state(denied), denied.ends_at) == (ExtensionState.DENIED, request.ends_at)
    again = await asked(house, request)
    assert again.extension is not None
    assert again.extension.n == 2
    with pytest.raises(Overtaken):
        await answered(house, "eve", request, YES, n=1)
    assert state(await house.now(request.id)) is ExtensionState.PENDING


async def test_nobody_decides_about_their_own_and_nobody_twice(house: House) -> None:
    request = await house.ask("dan", "vault/admin", duration=1800)
    await house.approve("eve", request.id)
    await house.approve("sam", request.id)
    await house.work()
    await extend.extend(house.context, house.actor("dan"), request.id, 600, "INC-1 still burns")
    with pytest.raises(NotAllowed, match="own_request"):
        await answered(house, "dan", request, YES)
    await answered(house, "eve", request, YES)
    with pytest.raises(AlreadyAnswered):
        await answered(house, "eve", request, YES)
    with pytest.raises(NotAllowed, match="not_an_approver"):
        await answered(house, "mia", request, YES)
    assert state(await answered(house, "kim", request, YES)) is ExtensionState.EXTENDING


async def test_the_cap_counts_from_the_first_grant(house: House) -> None:
    request = await house.granted()
    with pytest.raises(CannotExtend, match="cap"):
        await asked(house, request, 8 * 3600)
    latest = await asked(house, request, 8 * 3600 - 1800 - 5)
    assert latest.extension is not None
    assert latest.extension.until <= request.opened_at + 8 * 3600
    with pytest.raises(CannotExtend, match="asked"):
        await asked(house, request)


@pytest.mark.parametrize("more", [0, -60, 4])
async def test_an_extension_never_shortens(house: House, more: int) -> None:
    request = await house.granted()
    with pytest.raises(BadDuration):
        await asked(house, request, more)


async def test_only_the_asker_wishes_and_only_while_they_may_ask(house: House) -> None:
    request = await house.ask("dan", "vault/admin", duration=1800)
    await house.approve("eve", request.id)
    await house.approve("sam", request.id)
    await house.work()
    with pytest.raises(NotAllowed, match="not_the_asker"):
        await extend.extend(house.context, house.actor("eve"), request.id, 600, "INC-1 still burns")
    dan = house.actor("dan")
    gone = Actor(
        person=dan.person, roster={**dan.roster, "dba": Members(users=frozenset({"UEVE"}))}, looked_up_now=True
    )
    with pytest.raises(NotAllowed, match="asker_may_not"):
        await extend.extend(house.context, gone, request.id, 600, "INC-1 still burns")


async def test_the_asker_is_warned_once_before_the_end(house: House) -> None:
    request = await house.granted()
    assert request.warn_at == pytest.approx(request.ends_at - 450)
    short = await house.ask("kim", duration=5)
    await house.approve("dan", short.id)
    assert (await house.attempted(short.id)).warn_at == 0
