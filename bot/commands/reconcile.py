"""`jit reconcile`: an operator has the systems compared with the books now, and sees what is found.

It needs what the worker needs, the systems' secrets too, and not Slack.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bot.commands.desk import at_desk, printable

if TYPE_CHECKING:
    from bot.comparing import Look
    from bot.desk import Desk


@click.command()
@click.argument("system", required=False)
@click.option("--dry-run", is_flag=True, help="Only look: nothing is closed, written or told.")
def reconcile(system: str | None, *, dry_run: bool) -> None:
    """Compare what stands in SYSTEM (or in each one) with the books; what no request accounts for is closed.

    Exits 0 when nothing is wrong, 1 when something is or could not be looked at. It waits for what may be in flight,
    up to half a minute a system.
    """
    from bot.comparing import Interrupted
    from providers.systems.base import ProviderError

    try:
        looks = at_desk(lambda desk: _looks(desk, system, dry_run=dry_run), ProviderError)
    except Interrupted as error:
        raise click.ClickException(f"{error} is compared by a worker just now: try again in a while") from error
    for look in looks:
        click.echo(_told(look))
    sys.exit(any(finding.wrong for look in looks for finding in look.findings))


async def _looks(desk: Desk, system: str | None, *, dry_run: bool) -> list[Look]:
    from contextlib import AsyncExitStack

    from bot import operators
    from bot.posts import Post
    from bot.reconciling import Reconciler
    from bot.settings import environment
    from providers.systems import registry

    async with AsyncExitStack() as stack:
        systems = desk.catalog().systems
        if system is not None and system not in systems:
            raise operators.NoBooks(f"the policy has no system {system}: there are {', '.join(systems)}")
        posts = {}
        for name in [system] if system else systems:
            built = registry.build(systems[name].provider, systems[name].config, environment())
            stack.push_async_callback(built.close)
            posts[name] = Post(built, name=name)
        reconciler = Reconciler(desk.store, posts, desk.catalog, by=operators.whoami())
        return [await (reconciler.dry_run(name) if dry_run else reconciler.reconcile(name)) for name in posts]


def _told(look: Look) -> str:
    """One line for the system, one a finding; signs that a terminal would obey are taken out."""
    lines = [f"{look.system}: {look.stands} stand, {look.ours} of them ours"] if look.whole else []
    lines += [f"  {finding.kind.value:<8} {finding.said}" for finding in look.findings]
    return printable("\n".join(lines))
