# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite in which another server answers at the address of the one that granted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from providers.systems.base import Extending, Order, Outcome, Presence, Prior, Receipt, Refused, Revealing, System
from providers.systems.conformance.bench import Bench, secret_of, shut
from providers.systems.conformance.suite import SystemConformance


class FailoverConformance(SystemConformance):
    """Owed by every provider. The bench has another server, reached by the same config: `Bench.elsewhere`."""

    async def test_on_another_server_behind_the_same_address_nothing_is_changed_or_called_closed(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        secret = await secret_of(bench, system, order, receipt)
        lives = await bench.enter(order, secret)
        away = bench.elsewhere()
        before = await bench.seen_elsewhere()
        try:
            for name, attempt in _attempts(away, order, prior, receipt).items():
                assert await _refused(attempt), f"{name} took another server for the one that granted"
        finally:
            await away.close()
        assert await bench.seen_elsewhere() == before
        assert await lives()
        assert await system.verify(order, receipt) is Presence.PRESENT
        await shut(bench, system, order, prior, receipt)
        assert await lives() is not bench.provider.capabilities(order.params).kills_sessions


def _attempts(away: System, order: Order, prior: Prior, receipt: Receipt) -> dict[str, Callable[[], Awaitable[object]]]:
    """Each verb that knows the order; a revoke also as after a crash that lost the receipt."""
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "grant": lambda: away.grant(order, prior),
        "verify": lambda: away.verify(order, receipt),
        "revoke": lambda: away.revoke(order, prior, receipt),
        "revoke without a receipt": lambda: away.revoke(order, prior, None),
    }
    if isinstance(away, Revealing):
        attempts["reveal"] = lambda: away.reveal(order, receipt)
    if isinstance(away, Extending):
        attempts["extend"] = lambda: away.extend(order, receipt)
    return attempts


async def _refused(attempt: Callable[[], Awaitable[object]]) -> bool:
    """Whether it was refused, or at the least not called closed or open."""
    try:
        answer = await attempt()
    except Refused:
        return True
    presence = answer.presence if isinstance(answer, Outcome) else answer
    return presence is Presence.FOREIGN
