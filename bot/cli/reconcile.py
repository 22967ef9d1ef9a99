"""`jit reconcile`: an operator has the systems compared with our records now, and sees what is found.

It needs what the worker needs, the systems' secrets too, and not Slack.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bot import terminal
from bot.cli.session import run_verb

if TYPE_CHECKING:
    from bot.access.context import AccessContext
    from bot.worker.drift import DriftReport


@click.command()
@click.argument("system", required=False)
@click.option("--dry-run", is_flag=True, help="Only look: nothing is revoked, recorded or posted.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one a system, for machines.")
def reconcile(system: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Compare the access in SYSTEM (or in each one) with our records; what no request accounts for is revoked.

    It waits for what may be in flight, up to half a minute a system. A system that is in the memory of another process
    cannot be compared from here; that is said, and is nothing wrong, unless it is the SYSTEM that was asked for.
    """
    from bot.worker.drift import ScanInterrupted
    from providers.systems.base import ProviderError

    try:
        looks = run_verb(lambda context: _looks(context, system, dry_run=dry_run), work="")
    except ScanInterrupted as error:
        raise terminal.Cannot(f"{error} is compared by a worker just now: try again in a while") from error
    except ProviderError as error:
        raise terminal.Cannot(str(error)) from error
    for look in looks.reports:
        terminal.document(_document(look)) if as_json else terminal.say(*_told(look))
    for name, why in looks.elsewhere.items():
        terminal.say(f"{name} cannot be compared from here: {why}", err=True)
    if system in looks.elsewhere:
        sys.exit(2)
    sys.exit(any(finding.wrong for look in looks.reports for finding in look.findings))


@dataclass(frozen=True)
class _Looks:
    """What was compared, and what could not be from this process, each with why."""

    reports: Sequence[DriftReport]
    elsewhere: Mapping[str, str]


async def _looks(context: AccessContext, system: str | None, *, dry_run: bool) -> _Looks:
    from contextlib import AsyncExitStack

    from bot.cli import requests
    from bot.policy.problems import did_you_mean, like
    from bot.settings import environment
    from bot.worker.provider_gateway import ProviderGateway
    from bot.worker.reconcile import Reconciler
    from providers.systems import registry
    from providers.systems.base import InMemory

    async with AsyncExitStack() as stack:
        systems = context.catalog().systems
        if system is not None and system not in systems:
            near = did_you_mean(like(system, list(systems))) or f"there are {', '.join(systems)}"
            raise requests.NoStore(f"the policy has no system {system}: {near}")
        gateways, elsewhere = {}, {}
        for name in [system] if system else systems:
            built = registry.build(systems[name].provider, systems[name].config, environment())
            stack.push_async_callback(built.close)
            if isinstance(built, InMemory) and built.in_memory:
                elsewhere[name] = built.in_memory
                continue
            gateways[name] = ProviderGateway(built, name=name)
        reconciler = Reconciler(context.store, gateways, context.catalog, by=requests.whoami())
        reports = []
        for number, name in enumerate(gateways, start=1):
            with terminal.working(f"{number} of {len(gateways)}: comparing {name}"):
                reports.append(await (reconciler.dry_run(name) if dry_run else reconciler.reconcile(name)))
        return _Looks(reports, elsewhere)


def _told(look: DriftReport) -> list[str]:
    """One line for the system, one a finding."""
    lines = [f"{look.system}: {look.total} grants, {look.ours} of them ours"] if look.complete else []
    return lines + [f"  {finding.kind.value:<8} {finding.sentence}" for finding in look.findings]


def _document(look: DriftReport) -> dict[str, Any]:
    """For machines; keys stay, more may come."""
    findings = [
        {"kind": f.kind.value, "what": f.what, "found": f.sentence, "request": f.request, "wrong": f.wrong}
        for f in look.findings
    ]
    return {
        "system": look.system,
        "whole": look.complete,
        "grants": look.total,
        "ours": look.ours,
        "findings": findings,
    }
