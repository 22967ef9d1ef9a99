# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite in which the holder is the adversary: whatever they did, the end is the end."""

from __future__ import annotations

import asyncio

from providers.systems.base import Order, Presence, Prior, Receipt, Refused, System, Unsure
from providers.systems.conformance.bench import Bench, HostileAct, secret_of
from providers.systems.conformance.suite import SystemConformance

WITHIN = 60.0
"""Seconds in which an access is closed, however busy the machine."""
_TRIES = 20


class HostileConformance(SystemConformance):
    """Owed by every provider. The bench tells what a holder could do: `Bench.hostile_acts`."""

    async def test_whatever_a_holder_did_nobody_can_act_after_the_end(self, bench: Bench, system: System) -> None:
        acts = bench.hostile_acts()
        assert acts, "a bench tells what a holder could do to stay"
        for act in acts:
            try:
                await _played(bench, system, act)
            except Exception as error:
                error.add_note(f"the hostile act: {act.name}")
                raise


async def _played(bench: Bench, system: System, act: HostileAct) -> None:
    order = await bench.order(system, act.params)
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    secret = await secret_of(bench, system, order, receipt)
    assert await bench.usable(order, secret)
    sessions = await act.do(order, secret)
    told = await asyncio.wait_for(_closed(system, order, prior, receipt, act.left), WITHIN)
    assert act.left in told, f"what is left is named: {told!r}"
    assert not [n for n, lives in enumerate(sessions) if await lives()], "somebody can still act"
    assert not await bench.usable(order, secret)
    if not act.left:
        assert await system.verify(order, receipt) is Presence.ABSENT


async def _closed(system: System, order: Order, prior: Prior, receipt: Receipt, left: str) -> str:
    """Revoke as often as the worker would; what was said at the end."""
    for _ in range(_TRIES):
        try:
            outcome = await system.revoke(order, prior, receipt)
        except Unsure:
            continue
        except Refused as error:
            if left and left in str(error):
                return str(error)
            raise
        if outcome.presence is Presence.ABSENT:
            return f"{outcome.remains} {outcome.kept} {outcome.detail}"
    raise AssertionError(f"not closed after {_TRIES} tries")
