"""`jit leavers`: an operator sees who would lose access at once, and confirms that they have left.

Like `jit requests` it needs the bot's environment and its store, and not Slack; it takes nothing away itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bot.store.sightings import Held


@click.command()
@click.option("--confirm", is_flag=True, help="They have left: what is shown is taken away, for an hour from now.")
def leavers(*, confirm: bool) -> None:
    """Show who seems to have left, where it is so many that nothing is taken away before somebody confirms it."""
    import asyncio

    from bot import operators
    from bot.core.errors import JitError
    from bot.core.mistakes import PolicyMistakes
    from bot.settings import SettingsMistakes
    from handlers.replies import sentence

    try:
        held = asyncio.run(_held(confirm=confirm))
    except (SettingsMistakes, PolicyMistakes, operators.NoBooks) as error:
        raise click.ClickException(str(error)) from error
    except JitError as error:
        raise click.ClickException(sentence(error).replace("`", "")) from error
    for each in held:
        line = f"{each.request}  {each.who:<30}  {each.what:<30}  {each.why}"
        click.echo("".join(sign if sign.isprintable() else "\ufffd" for sign in line))
    people = len({each.user for each in held})
    if not held:
        click.echo("Nobody's access is held back.")
    elif confirm:
        click.echo(f"Confirmed for {people} people by {operators.whoami()}: it is taken away within a minute or so.")
    else:
        click.echo(f"{people} people. If they have left: jit leavers --confirm")


async def _held(*, confirm: bool) -> tuple[Held, ...]:
    from bot import operators
    from bot.settings import load
    from bot.store.sightings import Sightings

    async with operators.books(load(role="store")) as desk:
        sightings = Sightings(desk.store)
        held = await sightings.held()
        if confirm and held:
            await sightings.confirm({each.user for each in held}, operators.whoami())
        return held
