"""`jit leavers`: an operator sees who would lose access at once, and confirms that they have left.

Like `jit requests` it needs the bot's environment and its store, and not Slack; it takes nothing away itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.commands.desk import at_desk, printable

if TYPE_CHECKING:
    from bot.desk import Desk
    from bot.store.sightings import Held


@click.command()
@click.option("--confirm", is_flag=True, help="They have left: what is shown is taken away, for an hour from now.")
def leavers(*, confirm: bool) -> None:
    """Show who seems to have left, where it is so many that nothing is taken away before somebody confirms it."""
    from bot import operators

    held = at_desk(lambda desk: _held(desk, confirm=confirm))
    for each in held:
        line = f"{each.request}  {each.who:<30}  {each.what:<30}  {each.why}"
        click.echo(printable(line.replace("\n", " ")))
    people = len({each.user for each in held})
    if not held:
        click.echo("Nobody's access is held back.")
    elif confirm:
        click.echo(f"Confirmed for {people} people by {operators.whoami()}: it is taken away within a minute or so.")
    else:
        click.echo(f"{people} people. If they have left: jit leavers --confirm")


async def _held(desk: Desk, *, confirm: bool) -> tuple[Held, ...]:
    from bot import operators
    from bot.store.sightings import Sightings

    sightings = Sightings(desk.store)
    held = await sightings.held()
    if confirm and held:
        await sightings.confirm({each.user for each in held}, operators.whoami())
    return held
