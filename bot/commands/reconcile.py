"""`jit reconcile`: an operator has the systems compared with the books now, and sees what is found.

It needs what the worker needs, the systems' secrets too, and not Slack.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bot.comparing import Look


@click.command()
@click.argument("system", required=False)
@click.option("--dry-run", is_flag=True, help="Only look: nothing is closed, written or told.")
def reconcile(system: str | None, *, dry_run: bool) -> None:
    """Compare what stands in SYSTEM (or in each one) with the books; what no request accounts for is closed.

    Exits 0 when nothing is wrong, 1 when something is or could not be looked at. It waits for what may be in flight,
    up to half a minute a system.
    """
    import asyncio

    from bot import operators
    from bot.comparing import Interrupted
    from bot.core.errors import JitError
    from bot.core.mistakes import PolicyMistakes
    from bot.settings import SettingsMistakes
    from handlers.replies import sentence
    from providers.systems.base import ProviderError

    try:
        looks = asyncio.run(_looks(system, dry_run=dry_run))
    except Interrupted as error:
        raise click.ClickException(f"{error} is compared by a worker just now: try again in a while") from error
    except (SettingsMistakes, PolicyMistakes, operators.NoBooks, ProviderError) as error:
        raise click.ClickException(str(error)) from error
    except JitError as error:
        raise click.ClickException(sentence(error).replace("`", "")) from error
    for look in looks:
        click.echo(_told(look))
    sys.exit(any(finding.wrong for look in looks for finding in look.findings))


async def _looks(system: str | None, *, dry_run: bool) -> list[Look]:
    from contextlib import AsyncExitStack

    from bot import operators
    from bot.posts import Post
    from bot.reconciling import Reconciler
    from bot.settings import environment, load
    from providers.systems import registry

    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(operators.books(load(role="store")))
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
    text = "\n".join(lines)
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)
