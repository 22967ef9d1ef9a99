"""`jit requests`: the requests in the store, as an operator types it; what each does is in `requests.py` and access."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bot import terminal
from bot.cli.session import run_verb

if TYPE_CHECKING:
    from bot.core.request import Request

as_json_option = click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")


@click.group()
def requests() -> None:
    """The requests in the store, for operators. Needs the bot's store and keys, and not Slack."""


@requests.command("list")
@as_json_option
def list_(*, as_json: bool) -> None:
    """The open requests, the longest overdue first."""
    from bot.cli import requests as operators

    found = _open()
    for request in found:
        if as_json:
            terminal.document(operators.entry(request))
        else:
            terminal.say(operators.row(request))
    if not (found or as_json):
        terminal.say("None.")


@requests.command()
@as_json_option
def stuck(*, as_json: bool) -> None:
    """The requests whose access should have been revoked and is not."""
    from bot.cli import requests as operators

    found = [request for request in _open() if operators.stuck(request)]
    for request in found:
        if as_json:
            terminal.document(operators.entry(request))
        else:
            terminal.say(operators.row(request), f"    {operators.trouble(request)}")
    if not (found or as_json):
        terminal.say("None.")
    sys.exit(bool(found))


@requests.command()
@click.argument("id_", metavar="ID")
def show(id_: str) -> None:
    """All that the record of ID says, as JSON."""
    from bot.cli import requests as operators

    loaded = run_verb(lambda context: context.find_by_id(id_), reads=True)
    terminal.document(operators.details(loaded.request), indent=2)


@requests.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it is revoked; its holder reads this.")
def revoke(id_: str, reason: str) -> None:
    """Revoke ID now: audited, and posted to its holder, in its channel and in the audit channel."""
    from bot.access.revoke import revoke_at_terminal
    from bot.cli import requests as operators

    by = operators.whoami()
    request = run_verb(lambda context: revoke_at_terminal(context, by, id_, reason))
    terminal.say(f"{request.id} was ended by {by}; a worker revokes the access: jit requests show {request.id}")


@requests.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="What was done to make sure that the access is gone.")
def close(id_: str, reason: str) -> None:
    """Close ID manually, when it cannot be revoked: audited, posted in its channel, and marked as not verified."""
    from bot.access.revoke import close_manually
    from bot.cli import requests as operators

    request = run_verb(lambda context: close_manually(context, operators.whoami(), id_, reason))
    terminal.say(f"{request.id} was closed manually, not verified, by {operators.whoami()}")


def _open() -> list[Request]:
    from bot.access.read import all_open

    return run_verb(all_open, reads=True)
