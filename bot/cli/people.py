"""`jit people`: whose accounts are whose: an address that an operator frees, a terminal that counts as a person.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

import click

from bot import terminal
from bot.cli.session import run_verb


@click.group()
def people() -> None:
    """Whose an e-mail address is, and whose a terminal, for operators."""


@people.command()
@click.argument("email", metavar="EMAIL")
@click.option("--reason", required=True, help="How you made sure whose address it is; the audit channel reads this.")
def unbind(email: str, reason: str) -> None:
    """Free EMAIL from the account that it is bound to: the next account that Slack says has it is bound to it.

    For somebody who is told that their address is bound to another account. Make sure first that it is theirs: who is
    bound to an address is taken for the person who had it before. Running bots know it within a minute.
    """
    from bot.access.unbind import CannotUnbind
    from bot.access.unbind import unbind as free
    from bot.cli import requests

    by = requests.whoami()
    user = run_verb(lambda context: free(context, by, email, reason), CannotUnbind)
    terminal.say(f"{email.strip()} is free; it was bound to {user}. The audit channel got a notice, as by {by}.")


@people.command("bind-cli")
def bind_cli() -> None:
    """Have this terminal count as you where operators are counted: prints a code, which you type into Slack.

    This terminal is the account that the kernel says types here: your uid; under sudo, the account that logged in
    (/proc/self/loginuid, else SUDO_UID). LOGNAME and USER are not asked. It lasts for 90 days.
    """
    from bot.access import terminal_binding
    from bot.cli import requests

    account = requests.account()
    bound = run_verb(lambda context: terminal_binding.binding_of(context, account))
    if bound and bound.terminal.uid == account.uid:
        terminal.say(f"{account.by} counts as {bound.person.email}. To end it: jit people unbind-cli")
        return
    code = run_verb(lambda context: terminal_binding.new_code(context, account))
    terminal.say(f"In Slack, within 10 minutes, as an operator, type: /jit terminal {code}")
    terminal.say(f"{account.by} then counts as you.")


@people.command("unbind-cli")
def unbind_cli() -> None:
    """Have this terminal count as nobody."""
    from bot.access import terminal_binding
    from bot.cli import requests

    account = requests.account()
    bound = run_verb(lambda context: terminal_binding.unbind_own(context, account))
    whose = f"; it counted as {bound.person.email}. Told in the audit channel." if bound else " already."
    terminal.say(f"{account.by} counts as nobody{whose}")
