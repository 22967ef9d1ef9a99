# ruff: noqa: S101 -- a suite asserts
"""The conformance tests of systems that are `Closing`; how they are used is in `suite`."""

from __future__ import annotations

from providers.systems.base import Closing, Order, Presence, System
from providers.systems.conformance.bench import Bench, secret_of, seen, shut
from providers.systems.conformance.suite import SystemConformance


class ClosingConformance(SystemConformance):
    """For roles whose orders have an account of their own, which can be closed when all records of it are lost."""

    async def test_an_orphan_is_closed_with_all_who_are_in(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        receipt = await system.grant(order, await system.inspect(order))
        secret = await secret_of(bench, system, order, receipt)
        lives = await bench.enter(order, secret)
        assert await lives()
        [told] = await seen(other, order)
        assert isinstance(other, Closing)
        outcome = await other.close_orphan(told)
        assert outcome.presence is Presence.ABSENT
        assert outcome.killed >= 1
        assert await lives() is not bench.provider.capabilities(order.params).kills_sessions
        assert not await bench.usable(order, secret)
        assert await system.verify(order, receipt) is Presence.ABSENT
        assert await seen(system, order) == []

    async def test_an_orphan_that_is_gone_is_closed(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        [told] = await seen(system, order)
        await shut(bench, system, order, prior, receipt)
        assert isinstance(system, Closing)
        assert (await system.close_orphan(told)).presence is Presence.ABSENT

    async def test_an_account_of_another_hand_is_no_orphan_of_ours(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        [told] = await seen(system, order)
        await shut(bench, system, order, prior, receipt)
        await bench.stand(order)
        assert isinstance(system, Closing)
        outcome = await system.close_orphan(told)
        assert outcome.presence is Presence.FOREIGN
        assert outcome.kept
        assert await bench.stands(order)
