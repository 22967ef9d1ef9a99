# ruff: noqa: S101 -- a suite asserts
"""The conformance tests of providers that speak TCP: each message of a grant is lost once, and held once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from providers.systems.base import Order, Prior, Receipt, System, Unsure
from providers.systems.conformance.bench import Bench, call, granted, real_server, secret_of, shut
from providers.systems.conformance.hazards import Wire
from providers.systems.conformance.suite import SystemConformance

_MOST_MESSAGES = 60
_MOST_SLOW = 10


class ServerConformance(SystemConformance):
    """For providers that speak TCP: each message of a grant is lost once, and held once."""

    async def test_a_server_that_never_answers_is_unsure_in_time(
        self, bench: Bench, order: Order, caplog: pytest.LogCaptureFixture
    ) -> None:
        for verb in ("check", "inspect", "grant", "revoke", "verify", "close", "list_access"):
            async with Wire(real_server(bench), hold=1) as wire:
                system = bench.build(wire.port)
                began = time.monotonic()
                with pytest.raises(Unsure) as told:
                    await call(system, verb, order)
                assert time.monotonic() - began <= system.settles_within
                await system.close()
                assert not [word for word in bench.hidden if word in str(told.value) + caplog.text]

    async def test_whichever_answer_is_lost_a_revoke_without_receipt_closes(self, bench: Bench, system: System) -> None:
        async for struck in each_message(bench, system, lose=True):
            await shut(bench, system, struck.order, struck.prior, struck.receipt)

    async def test_whichever_answer_is_lost_a_second_grant_opens(self, bench: Bench, system: System) -> None:
        async for struck in each_message(bench, system, lose=True):
            order, prior = struck.order, struck.prior
            receipt = await system.grant(order, prior)
            assert await bench.usable(order, await secret_of(bench, system, order, receipt))
            await shut(bench, system, order, prior, receipt)

    async def test_whichever_call_lands_late_the_second_revoke_closes(self, bench: Bench, system: System) -> None:
        async for struck in each_message(bench, system, hold=True):
            await shut(bench, system, struck.order, struck.prior, struck.receipt)
            if struck.receipt is None:
                await struck.wire.release()
                await shut(bench, system, struck.order, struck.prior, None)


@dataclass(frozen=True)
class Struck:
    """A grant of which one message was lost or held. ``receipt``: None but for the last, which met with nothing."""

    order: Order
    prior: Prior
    wire: Wire
    receipt: Receipt | None


async def each_message(
    bench: Bench, system: System, *, lose: bool = False, hold: bool = False
) -> AsyncIterator[Struck]:
    """A grant for each message that one takes, which the wire strikes; the last comes through.

    A grant that ran out of its short time on a busy machine, and met with nothing, is made again.
    """
    n, slow = 1, 0
    while n < _MOST_MESSAGES:
        order = await bench.order(system)
        prior = await system.inspect(order)
        async with Wire(real_server(bench), lose=n if lose else None, hold=n if hold else None) as wire:
            receipt = await granted(bench.build(wire.port), order, prior)
            if receipt is None and not wire.struck and slow < _MOST_SLOW:
                slow += 1
                await shut(bench, system, order, prior, None)
                continue
            assert (receipt is None) or not wire.struck or lose, "what is held cannot be answered"
            assert wire.struck or receipt is not None, "with nothing in its way a grant answers"
            yield Struck(order, prior, wire, receipt)
            if not wire.struck:
                return
        n += 1
    pytest.fail(f"a grant took more than {_MOST_MESSAGES} messages")
