"""What the doctor looks at beyond Slack and the store: every system, by its provider's own check; it grants nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.cli.doctor.checks import Check, CheckResult, good, note, stops_run, unchecked, wrong
from bot.policy.catalog import Catalog, System
from bot.redaction import Secrets, referred
from providers.systems import registry
from providers.systems.base import Examining, ProviderError, Refused, Unsure
from providers.systems.base import System as Provider

PATIENCE = 15.0
"""Seconds that a system may take."""


def checks(catalog: Catalog, env: Mapping[str, str], secrets: Secrets) -> list[Check]:
    """One check a system; what its config refers to becomes a secret of the doctor's."""
    return [_check(name, system, env, secrets) for name, system in catalog.systems.items()]


def _check(name: str, system: System, env: Mapping[str, str], secrets: Secrets) -> Check:
    title = f"system {name}"

    async def look() -> Sequence[CheckResult]:
        try:
            secrets.add(referred(system.config, env))
            built = registry.build(system.provider, system.config, env)
        except ProviderError as error:
            return [stops_run(title, str(error), "the worker does not start without it")]
        try:
            health = await built.check()
            roles = await _roles(title, system, built)
        except Refused as error:
            return [wrong(title, f"{system.provider} refuses: {error}", "give the bot's account what it says")]
        except Unsure as error:
            return [wrong(title, f"{system.provider} does not answer: {error}", "see that it can be reached from here")]
        finally:
            await built.close()
        answers = f"{system.provider} {health.target} answers{f': {health.detail}' if health.detail else ''}"
        return [good(title, answers), *roles]

    return Check(title, look, PATIENCE)


async def _roles(title: str, system: System, built: Provider) -> list[CheckResult]:
    """What each role would grant on the live server, where the provider can look."""
    found: list[CheckResult] = []
    if not isinstance(built, Examining):
        return found
    for name, role in system.roles.items():
        about = f"{title}, role {name}"
        try:
            looked = [said for params in role.samples for said in await built.examine(params)]
            found += [note(about, said) for said in dict.fromkeys(looked)]
        except Refused as error:
            found.append(wrong(about, f"could not be granted: {error}", "do what it says, or change the role"))
        except Unsure as error:
            found.append(unchecked(about, str(error)))
    return found
