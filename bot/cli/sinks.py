"""`jit sinks`: how far each sink has the record, and the word of a person that a stopped one goes on.

It needs the policy and the archive (JIT_ARCHIVE_URL, or JIT_HOME), and neither Slack nor Redis; it sends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot import terminal

if TYPE_CHECKING:
    from bot.audit.archive.archive import Archive
    from bot.audit.shipping.cursors import Cursor


@click.command()
@click.option("--resume", metavar="NAME", help="Have a sink that was stopped continue where it is.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")
def sinks(*, resume: str | None, as_json: bool) -> None:
    """Show how far each sink has the audit log, or have a stopped one continue."""
    from bot.audit.archive.archive import Archive, NoArchive
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes
    from bot.settings import SettingsMistakes, load

    try:
        settings = load(role="doctor")
        catalog = loader.load(settings.policy)
        url = settings.archive_url.get_secret_value() if settings.archive_url else ""
        archive = Archive.open(url, settings.home)
    except (SettingsMistakes, PolicyMistakes, NoArchive) as error:
        raise terminal.Cannot(str(error)) from error
    try:
        if resume is not None:
            _resume(archive, resume, as_json=as_json)
        _show(_rows(archive, set(catalog.workspace.sinks)), as_json=as_json)
    except NoArchive as error:
        raise terminal.Cannot(str(error)) from error
    finally:
        archive.close()


def _resume(archive: Archive, name: str, *, as_json: bool) -> None:
    from bot.audit.shipping import cursors
    from bot.policy.problems import did_you_mean, like

    known = _all(archive)
    found = [cursor for cursor in known if cursor.sink == name]
    if not found:
        near = did_you_mean(like(name, [cursor.sink for cursor in known]))
        raise terminal.Failed(f"nothing was ever shipped to a sink {name!r}: {near or '`jit sinks` shows them'}")
    for cursor in found:
        if not cursor.stopped:
            terminal.say(f"{name} is not stopped: nothing to resume.", err=as_json)
            continue
        cursors.resume(archive, cursor)
        terminal.say(f"{name} continues after event {cursor.number}.", err=as_json)


def _rows(archive: Archive, named: set[str]) -> list[dict[str, Any]]:
    """Each sink that was shipped to, and each of the policy (``named``) that was not yet; keys stay, more may come."""
    from time import time

    from bot.audit.shipping import cursors

    rows: list[dict[str, Any]] = [
        {
            "workspace": cursor.workspace,
            "sink": cursor.sink,
            "number": cursor.number,
            "behind": cursors.lag(archive, cursor, time()).events,
            "refused": len(cursors.refusals(archive, cursor.workspace).get(cursor.sink, [])),
            "stopped": cursor.stopped,
            "in_policy": cursor.sink in named,
        }
        for cursor in sorted(_all(archive), key=lambda cursor: (cursor.workspace, cursor.sink))
    ]
    begun = {row["sink"] for row in rows}
    return rows + [{"sink": name, "number": None, "in_policy": True} for name in sorted(named - begun)]


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            terminal.document(row)
        elif row["number"] is None:
            terminal.say(f"{row['sink']}: nothing was shipped there yet")
        else:
            state = f"stopped: {row['stopped']}" if row["stopped"] else "" if row["in_policy"] else "not in the policy"
            line = f"{row['workspace']}  {row['sink']:<20}  up to {row['number']}  behind {row['behind']}"
            terminal.say(f"{line}  refused {row['refused']}  {state}".rstrip())
    if not (rows or as_json):
        terminal.say("None: the policy has no `sinks`.")


def _all(archive: Archive) -> list[Cursor]:
    from bot.audit.shipping import cursors

    return [cursor for workspace in archive.workspaces() for cursor in cursors.cursors(archive, workspace).values()]
