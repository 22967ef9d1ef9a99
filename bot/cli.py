"""`jit`, the command line: what an operator types; it imports nothing heavy before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bot.commands import audit, digest, doctor, insights, leavers, lockdown, people, reconcile, sinks
from bot.commands.desk import at_desk

if TYPE_CHECKING:
    from bot.core.mistakes import PolicyMistakes

STARTER = "jit.yaml"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jit-access", prog_name="jit")
def main() -> None:
    """Just-in-time access: asked for and approved in Slack, opened for real, closed on time."""


@main.command()
@click.option("--fast", is_flag=True, help="Do not pause between the steps of the story.")
def demo(*, fast: bool) -> None:
    """Show the whole thing on this machine: a local Slack, a real store, a real login that opens and closes."""
    import asyncio

    from bot.demo import tell

    sys.exit(asyncio.run(tell(fast=fast)))


@main.command()
@click.option("--role", type=click.Choice(["all", "web", "worker"]), default="all", show_default=True)
def run(role: Literal["all", "web", "worker"]) -> None:
    """Run the bot: `web` answers Slack, `worker` opens and closes, `all` does both."""
    import asyncio
    import logging

    from bot import app, logs
    from bot.settings import SettingsMistakes, load

    try:
        settings = load(role=role)
    except SettingsMistakes as error:
        raise click.ClickException(str(error)) from error
    log = logs.begin(settings.log, settings.log_level, settings.secrets())
    try:
        asyncio.run(app.serve(settings, role))
    except Exception as error:
        sentence = app.explained(error)
        if sentence and log.form == "pretty":
            raise click.ClickException(sentence) from error
        logging.getLogger(__name__).critical(sentence or "an error that nobody expected", exc_info=not sentence)
        sys.exit(1)
    finally:
        log.close()


@main.group()
def policy() -> None:
    """The policy file."""


@policy.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a policy FILE (or a folder of them): every mistake at once, each with its place."""
    from bot import policy_file
    from bot.core.mistakes import PolicyMistakes

    try:
        catalog = policy_file.load(file)
    except PolicyMistakes as error:
        click.echo(_mistakes(error), err=True)
        sys.exit(1)
    roles = sum(len(system.roles) for system in catalog.systems.values())
    counted = f"{len(catalog.systems)} systems, {roles} roles, {len(catalog.templates)} templates"
    click.echo(f"{file} is good: {counted}; generation {catalog.generation}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=STARTER)
def init(file: Path) -> None:
    """Write a commented policy FILE to start from (jit.yaml); one that is there already is left alone."""
    from importlib.resources import files

    text = files("bot").joinpath("guides", "starter.yaml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as output:
            output.write(text)
    except FileExistsError:
        raise click.ClickException(f"{file} is there already; it is left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file} is written. Change it, then: jit policy check {file}")


@main.command()
@click.option("--id", "id_", default="k1", show_default=True, help="The key's id; a new key goes first in JIT_KEYS.")
def keys(id_: str) -> None:
    """Print a new key for JIT_KEYS. Keep it as you keep a password."""
    from bot.keyring import KeyRing

    click.echo(KeyRing.generate(id_).spelled())


@main.group()
def requests() -> None:
    """The requests in the store, for operators: needs the bot's environment, and not Slack."""


@requests.command("list")
def list_() -> None:
    """The open requests, the longest overdue first."""
    from bot import operators

    for request in at_desk(lambda desk: desk.everything()):
        click.echo(operators.row(request))


@requests.command()
def stuck() -> None:
    """The requests that should be closed and are not; exits 1 when there are any."""
    from bot import operators

    found = [request for request in at_desk(lambda desk: desk.everything()) if operators.stuck(request)]
    for request in found:
        click.echo(f"{operators.row(request)}\n    {operators.trouble(request)}")
    sys.exit(bool(found))


@requests.command()
@click.argument("id_", metavar="ID")
def show(id_: str) -> None:
    """All that the record of ID says, as JSON."""
    from bot import operators

    click.echo(operators.details(at_desk(lambda desk: desk.get(id_)).request))


@requests.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why it is taken away; who has it reads this.")
def revoke(id_: str, reason: str) -> None:
    """Take ID away now: audited, told to who has it, in its channel and in the audit channel."""
    from bot import operators
    from bot.stopping import Stopping

    by = operators.whoami()
    request = at_desk(lambda desk: Stopping(desk).take_at_terminal(by, id_, reason))
    click.echo(f"{request.id} is taken away by {by}; a worker closes it: jit requests show {request.id}")


@requests.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="What was done to make sure that the access is closed.")
def close(id_: str, reason: str) -> None:
    """Take ID out of the books by hand, when it cannot be closed: audited, told in its channel, never read back."""
    from bot import operators

    request = at_desk(lambda desk: desk.close_by_hand(operators.whoami(), id_, reason))
    click.echo(f"{request.id} is closed in the books, unverified, by {operators.whoami()}")


def _mistakes(error: PolicyMistakes) -> str:
    count = len(error.mistakes)
    return f"{error}\n{count} mistake{'s' if count != 1 else ''}"


main.add_command(doctor.manifest)
main.add_command(doctor.doctor)
main.add_command(audit.audit)
main.add_command(digest.digest)
main.add_command(insights.insights)
main.add_command(reconcile.reconcile)
main.add_command(leavers.leavers)
main.add_command(lockdown.lockdown)
main.add_command(people.people)
main.add_command(sinks.sinks)
