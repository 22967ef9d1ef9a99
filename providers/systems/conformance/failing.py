# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite in which a lesser step of a revoke fails: the access is shut all the same."""

from __future__ import annotations

from providers.systems.base import Order, Presence, Prior, Receipt, Refused, System, Unsure
from providers.systems.conformance.bench import Bench, LesserStep, secret_of, shut
from providers.systems.conformance.suite import SystemConformance


class FailingStepConformance(SystemConformance):
    """Owed by every provider. The bench can make each lesser step fail: `Bench.lesser_steps`."""

    async def test_whichever_lesser_step_fails_the_access_is_shut_and_what_is_left_is_named(
        self, bench: Bench, system: System
    ) -> None:
        steps = bench.lesser_steps()
        assert steps, "a bench tells which steps come after the one that shuts"
        for step in steps:
            order = await bench.order(system)
            try:
                await _played(bench, system, order, step)
            except Exception as error:
                error.add_note(f"the step that failed: {step.name}")
                raise


async def _played(bench: Bench, system: System, order: Order, step: LesserStep) -> None:
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    secret = await secret_of(bench, system, order, receipt)
    lives = await bench.enter(order, secret)
    assert await lives()
    await step.fail(order)
    try:
        told = await _told(system, order, prior, receipt)
        assert not await bench.usable(order, secret), "the access is shut, whatever else fails"
        assert await lives() is not bench.provider.capabilities(order.params).kills_sessions
    finally:
        await step.mend(order)
    assert step.told in told
    await shut(bench, system, order, prior, receipt)


async def _told(system: System, order: Order, prior: Prior, receipt: Receipt) -> str:
    """What one revoke says."""
    try:
        outcome = await system.revoke(order, prior, receipt)
    except (Refused, Unsure) as error:
        return str(error)
    assert outcome.presence is Presence.ABSENT
    return f"{outcome.remains} {outcome.kept} {outcome.detail}"
