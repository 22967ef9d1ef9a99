"""`jit lockdown`: an operator stops all that is new, also while Slack is down; to lift, a terminal is whose it is.

Like `jit requests` it needs the bot's environment and its store, and not Slack. A worker ends what is live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot import terminal
from bot.cli.session import run_verb

if TYPE_CHECKING:
    from bot.access.context import AccessContext
    from bot.core.lockdown import Lockdowns


@click.command()
@click.argument("words", metavar="[lift] [SYSTEM]", nargs=-1)
@click.option("--reason", help="Why; everybody whom it stops reads this. Without it, the lockdowns are shown.")
@click.option("--json", "as_json", is_flag=True, help="The active lockdowns as JSON lines, for machines.")
def lockdown(words: tuple[str, ...], reason: str | None, *, as_json: bool) -> None:
    """Lock down SYSTEM, or everything: nothing new is granted, open access is ended, revoking goes on.

    With `lift`, say that it be lifted. Two operators lift it. This terminal counts as the person whose account it is,
    once they have said so in Slack: `jit people bind-cli`.
    """
    lifts, named = words[:1] == ("lift",), words[1:] if words[:1] == ("lift",) else words
    if len(named) > 1:
        raise click.UsageError("one system at a time, or none for everything")
    if lifts and reason is not None:
        raise click.UsageError("a lift needs no --reason")
    if as_json and (words or reason is not None):
        raise click.UsageError("--json shows the active lockdowns: give no SYSTEM, no lift and no --reason")
    system = named[0] if named else ""
    if lifts:
        _say(run_verb(lambda context: _lifted(context, system)))
    elif reason is not None:
        _say(run_verb(lambda context: _locked(context, system, reason)))
    elif named:
        raise click.UsageError("say why: --reason")
    else:
        standing = run_verb(_standing, reads=True)
        if as_json:
            for lock in standing.locks:
                terminal.document(lock.model_dump(mode="json"))
        else:
            _say(_shown(standing))


def _say(said: str) -> None:
    from handlers.views.text import unmarked

    terminal.say(*unmarked(said).split("\n"))


async def _locked(context: AccessContext, system: str, reason: str) -> str:
    from bot.access.lockdown import at_terminal, lock_as
    from bot.cli import requests
    from handlers.views.lockdown import locked

    lock = await lock_as(context, at_terminal(requests.whoami()), system, reason)
    said = f"{locked(lock)}\nThe workers are ending the open access: jit requests list"
    alone = "\nThe policy names no operators, and only operators lift it: name some before it is to be lifted."
    return said if context.catalog().workspace.operators else f"{said}{alone}"


async def _lifted(context: AccessContext, system: str) -> str:
    from bot.access import terminal_binding
    from bot.access.lockdown import lift_as
    from bot.cli import requests
    from handlers.views.lockdown import lifting

    operator, roster = await terminal_binding.operator_of(context, requests.account())
    return lifting(await lift_as(context, operator, roster, system))


async def _standing(context: AccessContext) -> Lockdowns:
    return await context.store.lockdowns.read()


def _shown(standing: Lockdowns) -> str:
    from handlers.views.lockdown import banner

    return banner(standing.locks).replace(":octagonal_sign: ", "") or "Nothing is locked down."
