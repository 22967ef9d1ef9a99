"""`jit delegations`: an operator sees who stands in for whom, and ends it.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

import click

from bot import terminal
from bot.cli.session import run_verb


@click.group()
def delegations() -> None:
    """Who approves in whose place, for operators."""


@delegations.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")
def list_(*, as_json: bool) -> None:
    """Show who stands in for whom now, and until when."""
    from bot.access.delegate import all_active
    from bot.core.human_times import spelled

    found = run_verb(all_active, reads=True)
    for each in found:
        if as_json:
            terminal.document(each.model_dump(mode="json"))
        else:
            terminal.say(
                f"{each.id}  {each.stand_in.email} stands in for {each.person.email} until {spelled(each.until)}"
            )
    if not found and not as_json:
        terminal.say("Nobody stands in for anybody.")


@delegations.command()
@click.argument("id_", metavar="ID")
def end(id_: str) -> None:
    """End the delegation ID (`jit delegations list` shows it): the stand-in counts for nothing from now on."""
    from bot.access.delegate import end_by_operator
    from bot.cli import requests

    by = requests.whoami()
    found = run_verb(lambda context: end_by_operator(context, by, id_))
    if found is None:
        raise terminal.Failed(f"there is no delegation {id_[:20]!r}: jit delegations list shows them")
    terminal.say(f"{found.stand_in.email} no longer stands in for {found.person.email}. Both get a message.")
