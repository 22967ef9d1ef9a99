"""`jit sinks`: how far each sink has the record, and the word of a person that a stopped one goes on.

It needs the policy and the archive (JIT_ARCHIVE_URL, or JIT_HOME), and neither Slack nor Redis; it sends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bot.record.archive import Archive
    from bot.record.cursors import Cursor


@click.command()
@click.option("--resume", metavar="NAME", help="A sink that was stopped goes on where it stands.")
def sinks(*, resume: str | None) -> None:
    """Show how far each sink has the record, or have a stopped one go on."""
    from bot import policy_file
    from bot.core.mistakes import PolicyMistakes
    from bot.record.archive import Archive, NoArchive
    from bot.settings import SettingsMistakes, load

    try:
        settings = load(role="doctor")
        catalog = policy_file.load(settings.policy)
        url = settings.archive_url.get_secret_value() if settings.archive_url else ""
        archive = Archive.open(url, settings.home)
    except (SettingsMistakes, PolicyMistakes, NoArchive) as error:
        raise click.ClickException(str(error)) from error
    try:
        if resume is not None:
            _resume(archive, resume)
        _show(archive, set(catalog.workspace.sinks))
    except NoArchive as error:
        raise click.ClickException(str(error)) from error
    finally:
        archive.close()


def _resume(archive: Archive, name: str) -> None:
    from bot.record import cursors

    found = [cursor for cursor in _all(archive) if cursor.sink == name]
    if not found:
        raise click.ClickException(f"no sink {name!r} was ever shipped to: `jit sinks` shows those that were")
    for cursor in found:
        cursors.resume(archive, cursor)
        click.echo(f"{name} goes on behind {cursor.number}.")


def _show(archive: Archive, named: set[str]) -> None:
    from time import time

    from bot.record import cursors

    for cursor in sorted(_all(archive), key=lambda cursor: (cursor.workspace, cursor.sink)):
        lag = cursors.lag(archive, cursor, time())
        refused = len(cursors.refusals(archive, cursor.workspace).get(cursor.sink, []))
        state = "stopped: " + cursor.stopped if cursor.stopped else "" if cursor.sink in named else "not in the policy"
        line = f"{cursor.workspace}  {cursor.sink:<20}  up to {cursor.number}  behind {lag.events}  refused {refused}"
        click.echo("".join(sign if sign.isprintable() else "\ufffd" for sign in f"{line}  {state}".rstrip()))
        named = named - {cursor.sink}
    for name in sorted(named):
        click.echo(f"{name}: nothing was shipped there yet")


def _all(archive: Archive) -> list[Cursor]:
    from bot.record import cursors

    return [cursor for workspace in archive.workspaces() for cursor in cursors.cursors(archive, workspace).values()]
