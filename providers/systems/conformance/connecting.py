# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite for `Connecting` systems: what is told is one line to copy, and no secret."""

from __future__ import annotations

from providers.systems.base import Connecting, Order, System
from providers.systems.conformance.bench import Bench, secret_of, shut
from providers.systems.conformance.suite import SystemConformance

LONGEST = 500
"""Characters; of a provider that tells more, nothing is shown."""


class ConnectingConformance(SystemConformance):
    """For systems that can tell how to get in."""

    async def test_how_to_connect_is_one_line_that_bears_no_secret(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        assert isinstance(system, Connecting)
        assert isinstance(other, Connecting)
        told = system.connect(order, receipt)
        assert order.subject.native in told
        assert told.isprintable()
        assert len(told) <= LONGEST
        secret = await secret_of(bench, system, order, receipt)
        assert secret is None or secret.password.get_secret_value() not in told
        assert other.connect(order, receipt) == told
        await shut(bench, system, order, prior, receipt)
