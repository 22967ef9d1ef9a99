# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite for `Prolonging` systems: a later end opens nothing, and takes nothing away."""

from __future__ import annotations

import pytest

from providers.systems.base import Order, Presence, Prolonging, Receipt, Refused, System
from providers.systems.conformance.bench import Bench, shut
from providers.systems.conformance.suite import SystemConformance

_HOUR = 3600.0


class ProlongingConformance(SystemConformance):
    """For systems that can have a later end told."""

    async def test_it_says_so(self, bench: Bench, system: System) -> None:
        assert isinstance(system, Prolonging)
        assert bench.provider.capabilities(bench.params).prolongs

    async def test_after_a_later_end_all_is_as_before_and_it_is_closed_as_ever(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        later = order.model_copy(update={"not_after": order.not_after + _HOUR})
        prolonged = await _prolonged(system, later, receipt)
        assert prolonged.ours == receipt.ours
        assert await system.verify(later, prolonged) is Presence.PRESENT
        again = await _prolonged(other, later, receipt)
        assert again == prolonged, "the answer was lost, and it is asked again with the old receipt"
        await shut(bench, other, later, prior, prolonged)

    async def test_an_end_is_never_made_earlier(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        later = order.model_copy(update={"not_after": order.not_after + _HOUR})
        prolonged = await _prolonged(system, later, receipt)
        assert await _prolonged(system, order, prolonged) == prolonged
        await shut(bench, system, later, prior, prolonged)

    async def test_what_is_gone_has_no_later_end(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        await shut(bench, system, order, prior, receipt)
        with pytest.raises(Refused):
            await _prolonged(system, order, receipt)
        assert not await bench.usable(order, None)


async def _prolonged(system: System, order: Order, receipt: Receipt) -> Receipt:
    assert isinstance(system, Prolonging)
    return await system.prolong(order, receipt)
