# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite for `Extending` systems: a later end opens nothing, and takes nothing away."""

from __future__ import annotations

import pytest

from providers.systems.base import Extending, Order, Presence, Receipt, Refused, System
from providers.systems.conformance.bench import Bench, shut
from providers.systems.conformance.suite import SystemConformance

_HOUR = 3600.0


class ExtendingConformance(SystemConformance):
    """For systems that can have a later end told."""

    async def test_it_says_so(self, bench: Bench, system: System) -> None:
        assert isinstance(system, Extending)
        assert bench.provider.capabilities(bench.params).can_extend

    async def test_after_a_later_end_all_is_as_before_and_it_is_closed_as_ever(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        later = order.model_copy(update={"not_after": order.not_after + _HOUR})
        extended = await _extended(system, later, receipt)
        assert extended.ours == receipt.ours
        assert await system.verify(later, extended) is Presence.PRESENT
        again = await _extended(other, later, receipt)
        assert again == extended, "the answer was lost, and it is asked again with the old receipt"
        await shut(bench, other, later, prior, extended)

    async def test_an_end_is_never_made_earlier(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        later = order.model_copy(update={"not_after": order.not_after + _HOUR})
        extended = await _extended(system, later, receipt)
        assert await _extended(system, order, extended) == extended
        await shut(bench, system, later, prior, extended)

    async def test_what_is_gone_has_no_later_end(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        await shut(bench, system, order, prior, receipt)
        with pytest.raises(Refused):
            await _extended(system, order, receipt)
        assert not await bench.usable(order, None)


async def _extended(system: System, order: Order, receipt: Receipt) -> Receipt:
    assert isinstance(system, Extending)
    return await system.extend(order, receipt)
