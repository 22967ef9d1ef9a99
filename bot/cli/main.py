"""`jit`, the command line: what an operator types; it imports nothing heavy before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from bot import terminal
from bot.cli import (
    audit,
    completion,
    delegations,
    digest,
    doctor_command,
    exit_codes,
    insights,
    lockdown,
    offboarding,
    people,
    policy_cases,
    policy_command,
    policy_diff_command,
    policy_explain,
    policy_replay,
    reconcile,
    request_commands,
    sinks,
    starter,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jit-access", prog_name="jit", message="%(prog)s %(version)s")
def main() -> None:
    """Just-in-time access: requested and approved in Slack, granted in the real system, revoked on time."""
    terminal.guard()


@main.command()
@click.option("--fast", is_flag=True, help="Do not pause between the steps of the story.")
def demo(*, fast: bool) -> None:
    """Show it all on this machine: a local Slack, a real store, a real login that is granted and revoked."""
    import asyncio

    from bot.cli.demo import tell

    sys.exit(asyncio.run(tell(fast=fast)))


@main.command()
@click.option("--role", type=click.Choice(["all", "web", "worker"]), default="all", show_default=True)
def run(role: Literal["all", "web", "worker"]) -> None:
    """Run the bot: `web` answers Slack, `worker` grants and revokes, `all` does both."""
    import asyncio
    import logging

    from bot import app, logs
    from bot.settings import SettingsMistakes, load

    try:
        settings = load(role=role)
    except SettingsMistakes as error:
        raise terminal.Failed(str(error)) from error
    log = logs.begin(settings.log, settings.log_level, settings.secrets())
    try:
        asyncio.run(app.serve(settings, role))
    except Exception as error:
        sentence = app.explained(error)
        if sentence and log.form == "pretty":
            raise terminal.Failed(sentence) from error
        logging.getLogger(__name__).critical(sentence or "an error that nobody expected", exc_info=not sentence)
        sys.exit(1)
    finally:
        log.close()


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=policy_command.STARTER)
@click.option("--template", type=click.Choice(starter.TEMPLATES), help="For one purpose; else a bit of everything.")
def init(file: Path, template: str | None) -> None:
    """Write a commented policy FILE (jit.yaml), and its tests beside it; existing files stay as they are."""
    starter.write(file, template or "")


@main.command()
@click.option("--id", "id_", default="k1", show_default=True, help="The key's id; a new key goes first in JIT_KEYS.")
def keys(id_: str) -> None:
    """Print a new key for JIT_KEYS. Keep it as you keep a password."""
    from bot.store.keyring import KeyRing

    terminal.say(KeyRing.generate(id_).spelled())


main.add_command(doctor_command.manifest)
main.add_command(doctor_command.doctor)
main.add_command(audit.audit)
main.add_command(digest.digest)
main.add_command(insights.insights)
main.add_command(reconcile.reconcile)
main.add_command(offboarding.offboarding)
main.add_command(lockdown.lockdown)
main.add_command(people.people)
main.add_command(delegations.delegations)
main.add_command(sinks.sinks)
policy_command.policy.add_command(policy_cases.test)
policy_command.policy.add_command(policy_diff_command.diff)
policy_command.policy.add_command(policy_explain.explain)
policy_command.policy.add_command(policy_replay.replay)
main.add_command(policy_command.policy)
main.add_command(request_commands.requests)
main.add_command(completion.completion)
exit_codes.explain(main)
