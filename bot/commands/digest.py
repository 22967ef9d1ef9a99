"""`jit digest`: a day of the record at the terminal, out of the archive alone; it posts nothing."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bot.commands.audit import Cannot, whose_workspace, worded
from bot.commands.reads import recorded

if TYPE_CHECKING:
    from bot.digest.picture import Picture
    from bot.record.archive import Archive
    from bot.settings import Settings


@click.command()
@click.option("--date", "day", default="yesterday", show_default=True, help="Such as 2026-11-24, monday, today.")
@click.option("--format", "form", type=click.Choice(["text", "json", "png"]), default="text", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@click.option("--timezone", default="", metavar="ZONE", help="Where the day is; without it, where the policy says.")
@whose_workspace
def digest(day: str, form: Literal["text", "json", "png"], out: Path | None, timezone: str, workspace: str) -> None:
    """Tell a day: asked, decided, opened, closed, what was open, what was not right. Needs the archive alone."""
    from bot import policy_file, times
    from bot.core import moments
    from bot.digest import facts
    from bot.digest import words as digest_words
    from bot.record import auditor

    with worded() as settings, auditor.archive_of(settings) as archive:
        workspace = auditor.whose(archive, workspace)
        zone = timezone or _zone(settings, archive, workspace)
        if not moments.known(zone):
            raise Cannot(f"there is no time zone {zone[:60]!r}; write it like Europe/Berlin, or UTC")
        now = time.time()
        found = facts.make(archive, workspace, times.day(day, now, zone), zone, now, policy_file.of_text)
        asked = {"day": found.day, "timezone": zone, "format": form}
        recorded(archive, workspace, "digest", asked, rows=found.events, first=found.first, last=found.last)
        match form:
            case "text":
                content = digest_words.text(found).encode()
            case "json":
                content = digest_words.as_json(found).encode()
            case "png":
                content = _drawn(found.picture, out)
        _write(content, out)


def _zone(settings: Settings, archive: Archive, workspace: str) -> str:
    """The policy's, as it stands here or as it was archived last; UTC where neither says."""
    from bot import policy_file
    from bot.core.mistakes import PolicyMistakes

    try:
        catalog = policy_file.load(settings.policy)
    except PolicyMistakes:
        kept = archive.last_policy(workspace)
        archived = policy_file.of_text(kept) if kept else None
        if archived is None:
            click.echo("There is no policy here, so the day is one of UTC: say --timezone for another.", err=True)
            return "UTC"
        catalog = archived
    return catalog.workspace.digest.timezone if catalog.workspace.digest else "UTC"


def _drawn(picture: Picture, out: Path | None) -> bytes:
    from bot.digest.picture import NoPicture, png

    if out is None and sys.stdout.isatty():
        raise Cannot("a picture is nothing for a terminal: say --out FILE")
    try:
        return png(picture)
    except NoPicture as error:
        raise Cannot(str(error)) from error


def _write(content: bytes, out: Path | None) -> None:
    """To a file of its owner's alone; one that is there already is left alone."""
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("xb") as file:
            out.chmod(0o600)
            file.write(content)
    except FileExistsError:
        raise Cannot(f"{out} is there already; it is left as it is") from None
    except OSError as error:
        raise Cannot(f"{out} cannot be written: {error.strerror}") from error
