"""A worker that stops hands back what it has not begun; one system that hangs keeps no other waiting."""

from __future__ import annotations

import asyncio

import pytest

import bot.worker.worker
from bot.access import own_request
from bot.core.request import State
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.worker.provider_gateway import SLOTS
from providers.systems.base import Order, Outcome, Prior, Receipt
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY, House, catalog


class Gated(Sandbox):
    """A sandbox in which a revoke waits until it is let through."""

    def __init__(self, config: SandboxConfig) -> None:
        """Shut at first."""
        super().__init__(config)
        self.gate, self.under_way = asyncio.Event(), 0

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Wait, then as always."""
        self.under_way += 1
        await self.gate.wait()
        return await super().revoke(order, prior, receipt)


async def test_what_is_under_way_is_finished_and_the_rest_is_anybodys_at_once(store: Store) -> None:
    vault = Gated(SandboxConfig(settles_within=30))
    house = await House(store, systems={"vault": vault}).open()
    names = [f"n{n}" for n in range(SLOTS + 20)]
    requests = [await house.granted(name) for name in names]
    for name, request in zip(names, requests, strict=True):
        await own_request.release(house.context, house.actor(name), request.id)
    stop = asyncio.Event()
    working = asyncio.create_task(house.worker.run(stop))
    async with asyncio.timeout(30):
        while vault.under_way < SLOTS:  # noqa: ASYNC110  # the worker is another task of this loop
            await asyncio.sleep(0.01)
    stop.set()
    vault.gate.set()
    await working
    states = [(await house.now(request.id)).state for request in requests]
    assert states.count(State.ENDED) == vault.under_way == SLOTS
    left = [request.id for request, state in zip(requests, states, strict=True) if state is State.REVOKING]
    claimed = await store.due_set.claim(left, 30, new_fence())
    assert len(claimed) == 20, "no lease is left that another worker would have to wait for"


async def test_a_system_that_hangs_keeps_no_other_systems_access_open(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.worker, "_MAX_CLAIMS", 24)
    shed = POLICY[POLICY.index("  vault:\n") : POLICY.index("templates:")].replace("  vault:", "  shed:")
    vault, other = Gated(SandboxConfig(settles_within=60)), Sandbox(SandboxConfig(id="shed"))
    rules = catalog(POLICY.replace("templates:", f"{shed}templates:"))
    house = await House(store, policy=rules, systems={"vault": vault, "shed": other}).open()
    hanging = [await house.granted(f"n{n}") for n in range(40)]
    beside = await house.granted("mia", "shed/read-only")
    for n, request in enumerate(hanging):
        await own_request.release(house.context, house.actor(f"n{n}"), request.id)
    await own_request.release(house.context, house.actor("mia"), beside.id)
    stop = asyncio.Event()
    working = asyncio.create_task(house.worker.run(stop))
    async with asyncio.timeout(30):
        while (await house.now(beside.id)).state is not State.ENDED:  # noqa: ASYNC110  # the worker is another task
            await asyncio.sleep(0.02)
    assert vault.under_way == SLOTS, "and the one that hangs still does"
    stop.set()
    vault.gate.set()
    await working
