"""`jit lockdown`: an operator stops all that is new, also while Slack is down; alone, a terminal lifts nothing.

Like `jit requests` it needs the bot's environment and its store, and not Slack. A worker ends what is live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.commands.desk import at_desk, plain

if TYPE_CHECKING:
    from bot.core.lockdown import Standing
    from bot.desk import Desk


@click.command()
@click.argument("words", metavar="[lift] [SYSTEM]", nargs=-1)
@click.option("--reason", help="Why; everybody whom it stops reads this. Without it, what stands is shown.")
def lockdown(words: tuple[str, ...], reason: str | None) -> None:
    """Lock down SYSTEM, or everything: nothing new is opened, what is live is ended, closing goes on.

    With `lift`, say that it be lifted. Two operators lift it; all terminals count as one, so that the other one does it
    in Slack.
    """
    lifts, named = words[:1] == ("lift",), words[1:] if words[:1] == ("lift",) else words
    if len(named) > 1:
        raise click.UsageError("one system at a time, or none for everything")
    if lifts and reason is not None:
        raise click.UsageError("a lift needs no --reason")
    system = named[0] if named else ""
    if lifts:
        click.echo(plain(at_desk(lambda desk: _lifted(desk, system))))
    elif reason is not None:
        click.echo(plain(at_desk(lambda desk: _locked(desk, system, reason))))
    elif named:
        raise click.UsageError("say why: --reason")
    else:
        click.echo(plain(at_desk(_shown)))


async def _locked(desk: Desk, system: str, reason: str) -> str:
    from bot import operators
    from bot.stopping import Stopping, at_terminal
    from handlers.views.stopping import locked

    lock = await Stopping(desk).lock_as(at_terminal(operators.whoami()), system, reason)
    said = f"{locked(lock)}\nWhat is live is being ended by the workers: jit requests list"
    alone = "\nThe policy names no operators, and a terminal alone lifts nothing: name some before it is to be lifted."
    return said if desk.catalog().workspace.operators else f"{said}{alone}"


async def _lifted(desk: Desk, system: str) -> str:
    from bot import operators
    from bot.stopping import Stopping, at_terminal, known_without_slack
    from handlers.views.stopping import lifting

    roster = known_without_slack(desk.catalog())
    return lifting(await Stopping(desk).lift_as(at_terminal(operators.whoami()), roster, system))


async def _shown(desk: Desk) -> str:
    from handlers.views.stopping import banner

    standing: Standing = await desk.store.lockdowns.read()
    return banner(standing.locks).replace(":octagonal_sign: ", "") or "Nothing is locked down."
