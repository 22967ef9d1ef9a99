"""`jit people`: an operator frees an e-mail address that is bound to an account which nobody uses any more.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

import click


@click.group()
def people() -> None:
    """The accounts that e-mail addresses are bound to, for operators."""


@people.command()
@click.argument("email", metavar="EMAIL")
@click.option("--reason", required=True, help="How you made sure whose address it is; the audit channel reads this.")
def unbind(email: str, reason: str) -> None:
    """Free EMAIL from the account that it is bound to: the next account that Slack says has it is bound to it.

    For somebody who is told that their address is bound to another account. Make sure first that it is theirs: who is
    bound to an address is taken for the person who had it before. Running bots know it within a minute.
    """
    import asyncio

    from bot import operators
    from bot.core.errors import JitError
    from bot.core.mistakes import PolicyMistakes
    from bot.settings import SettingsMistakes
    from bot.unbinding import CannotUnbind
    from handlers.replies import sentence

    try:
        user = asyncio.run(_unbound(email, reason))
    except (SettingsMistakes, PolicyMistakes, operators.NoBooks, CannotUnbind) as error:
        raise click.ClickException(str(error)) from error
    except JitError as error:
        raise click.ClickException(sentence(error).replace("`", "")) from error
    click.echo(f"{email.strip()} is free; it was bound to {user}. Told in the audit channel by {operators.whoami()}.")


async def _unbound(email: str, reason: str) -> str:
    from bot import operators
    from bot.settings import load
    from bot.unbinding import Unbinding

    async with operators.books(load(role="store")) as desk:
        return await Unbinding(desk).unbind(operators.whoami(), email, reason)
