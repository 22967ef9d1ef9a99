"""`jit manifest` and `jit doctor`: what an operator types on the first day, and whenever something seems wrong.

Like the other commands it imports nothing heavy before a command needs it.
"""

from __future__ import annotations

import sys
from typing import Literal

import click

from bot import terminal


@click.command()
@click.option("--socket-mode", is_flag=True, help="Slack is answered over Socket Mode (this is the default).")
@click.option("--url", metavar="https://HOST", help="Slack is answered over HTTP at this address.")
@click.option(
    "--app-id", metavar="A…", default="*", help="The app's id, once it has one: it then hears of its own alone."
)
@click.option("--organisation", is_flag=True, help="The app can be installed for a whole Enterprise Grid organisation.")
@click.option("--yaml", "as_yaml", is_flag=True, help="YAML instead of JSON; Slack takes both.")
def manifest(*, socket_mode: bool, url: str | None, app_id: str, organisation: bool, as_yaml: bool) -> None:
    """Print the Slack app manifest that fits this version: its scopes, its command, its events."""
    from bot.cli import manifest as manifests

    if socket_mode and url:
        raise click.UsageError("--socket-mode and --url are two ways to be answered: give one of them")
    try:
        said = manifests.manifest(url, app_id, organisation=organisation)
    except manifests.BadUrl as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    terminal.pipe().write(manifests.spelled(said, as_yaml=as_yaml))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: every finding as JSON.")
@click.option(
    "--role",
    type=click.Choice(["all", "web", "worker"]),
    default="all",
    show_default=True,
    help="The role of `jit run` that this host has.",
)
def doctor(*, as_json: bool, role: Literal["all", "web", "worker"]) -> None:
    """Check Slack, the policy, the store, the keys and every system, and say what to do.

    Whatever keeps `jit run` from starting is among the findings.
    """
    import asyncio

    from bot.cli.doctor import examine as surgery

    try:
        code = asyncio.run(surgery.examine(as_json=as_json, role=role))
    except surgery.CannotExamine as error:
        terminal.say(f"Nothing can be looked at: {error}", err=True)
        code = 2
    except Exception as error:  # noqa: BLE001  # its text may have a secret in it, and 1 is said of the bot alone
        terminal.say(f"The doctor broke ({type(error).__name__}); please report it", err=True)
        code = 2
    sys.exit(code)
