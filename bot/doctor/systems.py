"""What the doctor looks at beyond Slack and the store: every system, by its provider's own check; it grants nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.core.catalog import Catalog, System
from bot.doctor.findings import Check, Finding, good, wrong
from bot.hiding import Secrets, referred
from providers.systems import registry
from providers.systems.base import ProviderError, Refused, Unsure

PATIENCE = 15.0
"""Seconds that a system may take."""


def checks(catalog: Catalog, env: Mapping[str, str], secrets: Secrets) -> list[Check]:
    """One check a system; what its config refers to becomes a secret of the doctor's."""
    return [_check(name, system, env, secrets) for name, system in catalog.systems.items()]


def _check(name: str, system: System, env: Mapping[str, str], secrets: Secrets) -> Check:
    title = f"system {name}"

    async def look() -> Sequence[Finding]:
        try:
            secrets.add(referred(system.config, env))
            built = registry.build(system.provider, system.config, env)
        except ProviderError as error:
            return [wrong(title, str(error), "the worker does not start without it")]
        try:
            health = await built.check()
        except Refused as error:
            return [wrong(title, f"{system.provider} refuses: {error}", "give the bot's account what it says")]
        except Unsure as error:
            return [wrong(title, f"{system.provider} does not answer: {error}", "see that it can be reached from here")]
        finally:
            await built.close()
        return [
            good(title, f"{system.provider} {health.target} answers{f': {health.detail}' if health.detail else ''}")
        ]

    return Check(title, look, PATIENCE)
