"""`jit manifest` and `jit doctor`: what an operator types on the first day, and whenever something seems wrong.

Like the other commands it imports nothing heavy before a command needs it.
"""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--socket-mode", is_flag=True, help="Slack is answered over Socket Mode (this is the default).")
@click.option("--url", metavar="https://HOST", help="Slack is answered over HTTP at this address.")
@click.option(
    "--app-id", metavar="A…", default="*", help="The app's id, once it has one: it then hears of its own alone."
)
@click.option("--yaml", "as_yaml", is_flag=True, help="YAML instead of JSON; Slack takes both.")
def manifest(*, socket_mode: bool, url: str | None, app_id: str, as_yaml: bool) -> None:
    """Print the Slack app manifest that fits this version: its scopes, its command, its events."""
    from bot import manifest as manifests

    if socket_mode and url:
        raise click.UsageError("--socket-mode and --url are two ways to be answered: give one of them")
    try:
        said = manifests.manifest(url, app_id)
    except manifests.BadUrl as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    click.echo(manifests.spelled(said, as_yaml=as_yaml), nl=False)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: every finding as JSON.")
def doctor(*, as_json: bool) -> None:
    """Check Slack, the policy, the store, the keys and every system, and say what to do.

    Exits 0 when nothing is wrong, 1 when something is, 2 when it could not look.
    """
    import asyncio

    from bot.doctor import doctor as surgery

    try:
        code = asyncio.run(surgery.examine(as_json=as_json))
    except surgery.CannotExamine as error:
        click.echo(f"Nothing can be looked at: {error}", err=True)
        code = 2
    except Exception as error:  # noqa: BLE001  # its text may have a secret in it, and 1 is said of the bot alone
        click.echo(f"The doctor broke ({type(error).__name__}); please report it", err=True)
        code = 2
    sys.exit(code)
