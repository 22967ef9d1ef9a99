# ruff: noqa: S101 -- a suite asserts
"""The part of the conformance suite in which rights are missing: a `check` that passes has tried each of them."""

from __future__ import annotations

import pytest

from providers.systems.base import Refused, System
from providers.systems.conformance.bench import Bench
from providers.systems.conformance.suite import SystemConformance


class RightsConformance(SystemConformance):
    """Owed by every provider. The bench can take each right of the bot's account away: `Bench.rights`."""

    async def test_check_names_each_right_that_is_missing_with_the_command_that_grants_it(
        self, bench: Bench, system: System
    ) -> None:
        rights = bench.rights()
        assert rights, "a bench tells which rights the bot's account needs"
        await system.check()
        for right in rights:
            weak = bench.build()
            await right.take()
            try:
                with pytest.raises(Refused) as told:
                    await weak.check()
            except BaseException as error:
                error.add_note(f"without the right that `{right.cure}` grants")
                raise
            finally:
                await right.give()
                await weak.close()
            assert right.cure in str(told.value)
        await system.check()
