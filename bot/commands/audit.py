"""`jit audit`: what an auditor types; like the other commands it imports nothing heavy before a command needs it.

Exit codes: 0 done or whole, 1 something is wrong with the record, 2 it could not be looked at.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import click

from bot.commands import searching as cli_searching
from bot.commands.reads import recorded

if TYPE_CHECKING:
    from bot.record.seals import Head
    from bot.record.verifying import Report
    from bot.settings import Settings

T = TypeVar("T")
_BLINK = 0.2
whose_workspace = click.option("--workspace", default="", metavar="T…", help="Which one, when the archive has several.")


@click.group()
def audit() -> None:
    """The audit trail: search it, verify it, export it. Needs JIT_HOME or JIT_ARCHIVE_URL; Redis is not needed."""


@audit.command()
@click.option(
    "--head", "heads", multiple=True, metavar="HEAD", help="A head from a digest; may be given several times."
)
@click.option("--file", type=click.File(encoding="utf-8"), help="Verify an export (JSON lines) or a pack of evidence.")
@whose_workspace
def verify(heads: tuple[str, ...], file: IO[str] | None, workspace: str) -> None:
    """Name the first event that was changed, removed, added or reordered since it was sealed, or say that none was."""
    from bot.record import words as audit_words
    from bot.record.seals import Head

    with worded() as settings:
        known = [Head.parse(head) for head in heads]
        report = _file(settings, file, known) if file else _archive(settings, workspace, known)
        for line in audit_words.report(report, known=len(known)):
            click.echo(line)
    sys.exit(1 if report.flaw else 0)


@audit.command()
@click.option("--person", default="", help="An e-mail address, a Slack user id, or cli:USER@HOST.")
@click.option("--system", default="", help="A system's name.")
@click.option("--role", default="", metavar="SYSTEM/ROLE", help="A role.")
@click.option("--request", default="", metavar="ID", callback=lambda _, __, id_: id_.upper(), help="A request's id.")
@click.option("--kind", default="", help="What happened: submitted, approved, granted, revoked, refused, alarm, …")
@click.option("--when", default="", help='Such as "last week", 2026-03, or "at 2026-03-14T02:10Z": who held what then.')
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Events on a page.")
@click.option("--before", type=int, help="Turn the page: only what comes before the event of this number.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")
@whose_workspace
def search(limit: int, when: str, *, as_json: bool, workspace: str, **named: Any) -> None:
    """Search events by person, system, role, request, kind and time, the newest first; or who held what at a moment."""
    import asyncio

    from bot import times
    from bot.record.audit import Wanted

    with worded() as settings:
        moment = times.parse(when, time.time()) if when else times.When()
        wanted = Wanted(since=moment.since, until=moment.until, most=limit, **named)
        asked = {"when": when, **named}
        asyncio.run(cli_searching.looked(settings, workspace, wanted, asked, moment.at, as_json=as_json))


@audit.command()
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "ocsf"]), default="jsonl", show_default=True)
@click.option("--from", "first", type=click.IntRange(1), help="The first number; without it, the first there is.")
@click.option("--to", "last", type=click.IntRange(1), help="The last number; without it, the last that is sealed.")
@click.option("--when", default="", help='Instead of numbers, such as "last month" or 2026-03-01..2026-03-14.')
@click.option("--sample", type=click.IntRange(1), help="Draw so many requests at random, each with all its events.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same requests.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@whose_workspace
def export(
    form: Literal["jsonl", "csv", "ocsf"],
    first: int | None,
    last: int | None,
    when: str,
    sample: int | None,
    seed: int,
    output: Path | None,
    workspace: str,
) -> None:
    """Write the sealed events from one number to another: complete, and saying so. JSON lines can be verified."""
    from bot import times
    from bot.record import auditor, exporting

    with worded() as settings, auditor.archive_of(settings) as archive:
        workspace = auditor.whose(archive, workspace)
        moment = times.parse(when, time.time()) if when else times.When()
        part = exporting.part_of(archive, workspace, first, last, moment)
        drawn = exporting.draw(archive, workspace, part, sample, seed) if sample else None
        asked = {"format": form, "from": first, "to": last, "when": when, "sample": sample}
        rows = exporting.amount(archive, workspace, part, drawn)
        recorded(archive, workspace, "export", asked, rows=rows, first=part.first, last=part.last)
        lines = exporting.export(archive, workspace, part, form, drawn, time.time())
        with _target(output) as target:
            for line in _progress(lines, "lines"):
                target.write(line)
        click.echo(exporting.said(part, drawn), err=True)


@audit.command()
@click.argument("id_", metavar="ID")
@click.option("--html", is_flag=True, help="A page that prints, and checks itself in a browser without a network.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@whose_workspace
def evidence(id_: str, *, html: bool, output: Path | None, workspace: str) -> None:
    """Write one signed pack about the request ID: what was asked, decided, opened and closed, its policy, its seals."""
    import json

    from bot.record import auditor, evidence_page
    from bot.record import evidence as packing

    with worded() as settings, auditor.archive_of(settings) as archive:
        signer = auditor.trusted(settings)
        if signer is None:
            raise auditor.CannotAudit(
                "a pack is signed, and no keys are here: set JIT_KEYS, or JIT_HOME to where they are"
            )
        workspace = auditor.whose(archive, workspace)
        found = packing.pack(archive, workspace, id_.upper(), signer, time.time())
        recorded(archive, workspace, "evidence", {"id": found["id"]}, **packing.shown(found))
        text = evidence_page.page(found) if html else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        with _target(output) as target:
            target.write(text)


@audit.command()
@whose_workspace
def reindex(workspace: str) -> None:
    """Make the archive's index again from its events, when it is doubted: it is what search looks through."""
    from bot.record import auditor

    with worded() as settings, auditor.archive_of(settings) as archive:
        done = 0
        for done in _progress(archive.index_again(auditor.whose(archive, workspace)), "thousand events"):  # noqa: B007
            pass
        click.echo(f"{done:,} events are indexed again.")


@audit.command()
@click.option("--reason", required=True, help="Why the archive that was used before is not used any more.")
def adopt(reason: str) -> None:
    """Go on with this host's archive though it is not the one, or not as far, as before. Audited; a loss stays told."""
    import asyncio

    from bot import operators
    from bot.record import auditor

    async def adopted(settings: Settings) -> None:
        async with auditor.sealer_of(settings) as part:
            await part.adopt(reason, operators.whoami())

    with worded() as settings:
        asyncio.run(adopted(settings))
    click.echo("The worker seals into this archive from now on; what it lacks is sealed as lost.")


# verifying


def _archive(settings: Settings, workspace: str, known: list[Head]) -> Report:
    from bot.record import auditor, sealing
    from bot.record.verifying import verify as look

    with auditor.archive_of(settings) as archive:
        whose = auditor.whose(archive, workspace)
        kept = sealing.read_head(settings.home, whose)
        if kept:
            click.echo(f"JIT_HOME knows the head {kept}", err=True)
        signer = auditor.trusted(settings)
        items = _progress(archive.sealed(whose), "events and seals")
        return look(items, [*known, *([kept] if kept else [])], signer.trusted if signer else None)


def _file(settings: Settings, file: IO[str], known: list[Head]) -> Report:
    from bot.record import auditor, evidence, exporting
    from bot.record.verifying import verify as look

    signer = auditor.trusted(settings)
    first = file.readline()
    if first.strip() == "{":  # a pack of evidence, which is one object over many lines
        return evidence.verify(evidence.read(first + file.read()), known, signer.trusted if signer else None)
    part, _, items = exporting.read(itertools.chain([first] if first else [], file))
    return look(_progress(items, "events and seals"), known, signer.trusted if signer else None, part)


# what all have in common


@contextlib.contextmanager
def worded() -> Iterator[Settings]:
    """The settings, none of which is needed; and what goes wrong in a sentence, with exit code 2."""
    from bot.core.errors import JitError
    from bot.keyring import BadKeys
    from bot.record.archive import NoArchive
    from bot.record.audit import UnknownNumber
    from bot.record.auditor import CannotAudit
    from bot.record.evidence import NoEvidence
    from bot.record.exporting import NotAnExport, NothingThere
    from bot.record.sealing import Unsealable
    from bot.record.seals import BadHead
    from bot.settings import SettingsMistakes, load
    from bot.store.embedded import CannotEmbed
    from bot.times import BadTime

    try:
        yield load(role="doctor")
    except (CannotAudit, NoArchive, NoEvidence, UnknownNumber, Unsealable, CannotEmbed) as error:
        raise Cannot(str(error)) from error
    except (BadHead, BadKeys, BadTime, NotAnExport, NothingThere, SettingsMistakes) as error:
        raise Cannot(str(error)) from error
    except UnicodeDecodeError as error:
        raise Cannot("the file is not UTF-8 text, so it is no export") from error
    except JitError as error:
        raise Cannot(f"the store is away: {error}") from error


class Cannot(click.ClickException):
    """It could not be looked at."""

    exit_code = 2


@contextlib.contextmanager
def _target(output: Path | None) -> Iterator[IO[str]]:
    """Where an export goes; a file that is there already is left alone."""
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            output.chmod(0o600)
            yield file
    except FileExistsError:
        raise Cannot(f"{output} is there already; it is left as it is") from None


def _progress(items: Iterable[T], what: str) -> Iterator[T]:
    """Count on a terminal, on stderr, where it keeps out of the way of the output."""
    if not sys.stderr.isatty():
        yield from items
        return
    shown = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):  # told when it is over
        if (now := time.monotonic()) - shown > _BLINK:
            shown = now
            click.echo(f"\r{count:,} {what}", err=True, nl=False)
        yield item
    click.echo(f"\r{count:,} {what}", err=True)
