"""What the doctor looks at beyond Slack and the store: every system, by its provider's own check; it grants nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.cli.doctor.checks import Check, CheckResult, good, note, stops_run, unchecked, wrong
from bot.policy import bindings
from bot.policy.catalog import Catalog, Role, System
from bot.redaction import Secrets, referred
from providers.systems import registry
from providers.systems.base import Examining, ProviderError, Refused, Unsure
from providers.systems.base import System as Provider

_MOST_SAMPLES = 10
"""Values of a role's inputs that are looked at."""
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
        samples = list(bindings.samples(role.asks))
        for _, _, values in samples[:_MOST_SAMPLES]:
            looked = await _examined(about, role, values, built)
            found += [each for each in looked if each not in found]
        if len(samples) > _MOST_SAMPLES:
            found.append(unchecked(about, f"of {len(samples)} choices, only the first {_MOST_SAMPLES} were looked at"))
    return found


async def _examined(about: str, role: Role, values: Mapping[str, str], built: Examining) -> list[CheckResult]:
    """The same for one value of each input; the examples of the policy need not be there."""
    given = ", ".join(f"{name}={value}" for name, value in values.items())
    at = f"{about}, with {given}" if given else about
    try:
        return [note(about, said) for said in await built.examine(bindings.bound(role.grants, values))]
    except Refused as error:
        if all(shape.choice for shape in role.asks.values()):
            return [wrong(at, f"could not be granted: {error}", "do what it says, or change the role")]
        return [note(at, f"this example could not be granted: {error}")]
    except Unsure as error:
        return [unchecked(about, str(error))]
