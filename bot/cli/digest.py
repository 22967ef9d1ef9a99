"""`jit digest`: a day, a week or a month at the terminal, from the archive alone; it posts nothing."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bot import terminal
from bot.cli.audit import whose_workspace, worded
from bot.cli.audit_reads import recorded
from bot.terminal import Cannot

if TYPE_CHECKING:
    from bot.audit.archive.archive import Archive
    from bot.reports.digest.chart import Picture
    from bot.settings import Settings


@click.command()
@click.option("--date", "day", default="yesterday", show_default=True, help="Such as 2026-11-24, monday, today.")
@click.option(
    "--edition",
    type=click.Choice(["daily", "weekly", "monthly"]),
    default="daily",
    show_default=True,
    help="That day, or the week or month that ends with it.",
)
@click.option("--format", "form", type=click.Choice(["text", "json", "png"]), default="text", show_default=True)
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@click.option("--timezone", default="", metavar="ZONE", help="Where the day is; without it, where the policy says.")
@whose_workspace
def digest(
    day: str, edition: str, form: Literal["text", "json", "png"], out: Path | None, timezone: str, workspace: str
) -> None:
    """Show what happened: what needs somebody, requests and decisions, what was open. Needs only the archive."""
    from bot.cli import audit_context
    from bot.core import human_times, start_times
    from bot.policy import loader
    from bot.reports.digest import facts
    from bot.reports.digest import text as digest_words
    from bot.reports.digest.editions import Edition, Span

    with worded() as settings, audit_context.archive_of(settings) as archive:
        workspace = audit_context.whose(archive, workspace)
        zone = timezone or _zone(settings, archive, workspace)
        if not start_times.known(zone):
            raise Cannot(f"there is no time zone {zone[:60]!r}; {_near(zone) or 'write it like Europe/Berlin, or UTC'}")
        now = time.time()
        span = Span(Edition(edition), human_times.day(day, now, zone))
        with terminal.working("reading the archive"):
            found = facts.make(archive, workspace, span, zone, now, loader.of_text)
        asked = {"day": found.day, "edition": edition, "timezone": zone, "format": form}
        recorded(archive, workspace, "digest", asked, rows=found.events, first=found.first, last=found.last)
        match form:
            case "text":
                content = digest_words.text(found).encode()
            case "json":
                content = digest_words.as_json(found).encode()
            case "png":
                content = _drawn(found.picture, out)
        _write(content, out)


def _near(zone: str) -> str:
    import zoneinfo

    from bot.policy.problems import did_you_mean, like

    return did_you_mean(like(zone, sorted(zoneinfo.available_timezones())))


def _zone(settings: Settings, archive: Archive, workspace: str) -> str:
    """The policy's, from the file here or else from the archive; UTC where neither has one."""
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    try:
        catalog = loader.load(settings.policy)
    except PolicyMistakes:
        kept = archive.last_policy(workspace)
        archived = loader.of_text(kept) if kept else None
        if archived is None:
            terminal.say("There is no policy here, so days are in UTC: say --timezone for another zone.", err=True)
            return "UTC"
        catalog = archived
    return catalog.workspace.digest.timezone if catalog.workspace.digest else "UTC"


def _drawn(picture: Picture, out: Path | None) -> bytes:
    from bot.reports.digest.chart import NoPicture, png

    if out is None and sys.stdout.isatty():
        raise Cannot("a terminal cannot show a picture: say --out FILE")
    try:
        return png(picture)
    except NoPicture as error:
        raise Cannot(str(error)) from error


def _write(content: bytes, out: Path | None) -> None:
    """To a file that only its owner can read; an existing file is never overwritten."""
    if out is None:
        terminal.bytes_out(content)
        return
    try:
        with out.open("xb") as file:
            out.chmod(0o600)
            file.write(content)
    except FileExistsError:
        raise Cannot(f"{out} is there already and is not overwritten") from None
    except OSError as error:
        raise Cannot(f"{out} cannot be written: {error.strerror}") from error
