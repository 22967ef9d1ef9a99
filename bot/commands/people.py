"""`jit people`: an operator frees an e-mail address that is bound to an account which nobody uses any more.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

import click

from bot.commands.desk import at_desk


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
    from bot import operators
    from bot.unbinding import CannotUnbind, Unbinding

    by = operators.whoami()
    user = at_desk(lambda desk: Unbinding(desk).unbind(by, email, reason), CannotUnbind)
    click.echo(f"{email.strip()} is free; it was bound to {user}. Told in the audit channel by {by}.")
