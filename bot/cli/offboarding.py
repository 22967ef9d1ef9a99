"""`jit offboarding`: an operator sees who would lose access at once, and confirms that they have left.

Like `jit requests` it needs the bot's environment and its store, and not Slack; it revokes nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot import terminal
from bot.cli.session import run_verb

if TYPE_CHECKING:
    from bot.access.context import AccessContext
    from bot.store.indexes.offboarding import HeldAccess


@click.command()
@click.option("--confirm", is_flag=True, help="They have left: what is shown is revoked, for an hour from now.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")
def offboarding(*, confirm: bool, as_json: bool) -> None:
    """Show who seems to have left, where it is so many that nothing is revoked before somebody confirms it."""
    from bot.cli import requests

    held = run_verb(lambda context: _held(context, confirm=confirm), reads=not confirm)
    for each in held:
        if as_json:
            terminal.document(each.model_dump(mode="json") | {"confirmed": confirm})
        else:
            terminal.say(f"{each.request}  {each.who:<30}  {each.what:<30}  {each.why}")
    if as_json:
        return
    people = len({each.user for each in held})
    if not held:
        terminal.say("Nobody's access is held back.")
    elif confirm:
        terminal.say(f"Confirmed for {people} people by {requests.whoami()}: revoked within a minute or so.")
    else:
        terminal.say(f"{people} people. If they have left: jit offboarding --confirm")


async def _held(context: AccessContext, *, confirm: bool) -> tuple[HeldAccess, ...]:
    from bot.cli import requests
    from bot.store.indexes.offboarding import Sightings

    sightings = Sightings(context.store)
    held = await sightings.held()
    if confirm and held:
        await sightings.confirm({each.user for each in held}, requests.whoami())
    return held
