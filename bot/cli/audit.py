"""`jit audit`: what an auditor types; like the other commands it imports nothing heavy before a command needs it."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from bot import terminal
from bot.cli import audit_search as cli_searching
from bot.cli.audit_reads import recorded
from bot.terminal import Cannot, counted

if TYPE_CHECKING:
    from bot.audit.verify import Report
    from bot.core.audit_chain import Head
    from bot.settings import Settings

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
    from bot.audit import text as audit_words
    from bot.core.audit_chain import Head

    with worded() as settings:
        known = [Head.parse(head) for head in heads]
        report = _file(settings, file, known) if file else _archive(settings, workspace, known)
        for line in audit_words.report(report, known=len(known)):
            terminal.say(line)
    sys.exit(1 if report.flaw else 0)


@audit.command()
@click.option("--person", default="", help="An e-mail address, a Slack user id, or cli:USER@HOST.")
@click.option("--system", default="", help="A system's name.")
@click.option("--role", default="", metavar="SYSTEM/ROLE", help="A role.")
@click.option("--request", default="", metavar="ID", callback=lambda _, __, id_: id_.upper(), help="A request's id.")
@click.option(
    "--kind",
    default="",
    shell_complete=cli_searching.complete_kind,
    help="What happened: submitted, approved, granted, revoked, refused, alarm, … (another word lists them all)",
)
@click.option("--when", default="", help='Such as "last week", 2026-03, or "at 2026-03-14T02:10Z": who held what then.')
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Events on a page.")
@click.option("--before", type=int, help="Turn the page: only what comes before the event of this number.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")
@whose_workspace
def search(limit: int, when: str, *, as_json: bool, workspace: str, **named: Any) -> None:
    """Search events by person, system, role, request, kind and time, the newest first; or who held what at a moment."""
    import asyncio

    from bot.audit.archive.timeline import EventQuery
    from bot.core import human_times

    with worded() as settings:
        moment = human_times.parse(when, time.time()) if when else human_times.When()
        wanted = EventQuery(since=moment.since, until=moment.until, most=limit, **named)
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
    from bot.audit.export import export
    from bot.cli import audit_context
    from bot.core import human_times

    with worded() as settings, audit_context.archive_of(settings) as archive:
        workspace = audit_context.whose(archive, workspace)
        moment = human_times.parse(when, time.time()) if when else human_times.When()
        part = export.part_of(archive, workspace, first, last, moment)
        drawn = export.draw(archive, workspace, part, sample, seed) if sample else None
        asked = {"format": form, "from": first, "to": last, "when": when, "sample": sample}
        rows = export.amount(archive, workspace, part, drawn)
        recorded(archive, workspace, "export", asked, rows=rows, first=part.first, last=part.last)
        lines = export.export(archive, workspace, part, form, drawn, time.time())
        with _target(output) as target:
            for line in counted(lines, "lines"):
                target.write(line)
        terminal.say(export.description(part, drawn), err=True)


@audit.command()
@click.argument("id_", metavar="ID")
@click.option("--html", is_flag=True, help="A page that prints, and checks itself in a browser without a network.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@whose_workspace
def evidence(id_: str, *, html: bool, output: Path | None, workspace: str) -> None:
    """Write one signed pack about the request ID: what was asked, decided, opened and closed, its policy, its seals."""
    import json

    from bot.audit.export import evidence as packing
    from bot.audit.export import evidence_page
    from bot.cli import audit_context

    with worded() as settings, audit_context.archive_of(settings) as archive:
        signer = audit_context.trusted(settings)
        if signer is None:
            raise audit_context.CannotAudit(
                "a pack is signed, and no keys are here: set JIT_KEYS, or JIT_HOME to where they are"
            )
        workspace = audit_context.whose(archive, workspace)
        found = packing.pack(archive, workspace, id_.upper(), signer, time.time())
        recorded(archive, workspace, "evidence", {"id": found["id"]}, **packing.shown(found))
        text = evidence_page.page(found) if html else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        with _target(output) as target:
            target.write(text)


@audit.command()
@whose_workspace
def reindex(workspace: str) -> None:
    """Make the archive's index again from its events, when it is doubted: it is what search looks through."""
    from bot.cli import audit_context

    with worded() as settings, audit_context.archive_of(settings) as archive:
        done = 0
        for done in counted(archive.index_again(audit_context.whose(archive, workspace)), "thousand events"):  # noqa: B007
            pass
        terminal.say(f"{done:,} events are indexed again.")


@audit.command()
@click.option("--reason", required=True, help="Why the archive that was used before is not used any more.")
def adopt(reason: str) -> None:
    """Use this host's archive though it is another one than before, or lacks what was sealed. Audited.

    Where the archive is the one that the workers seal into, there is nothing to adopt, and nothing is done.
    """
    import asyncio

    from bot.cli import audit_context, requests

    async def adopted(settings: Settings) -> str:
        async with audit_context.sealer_of(settings) as part:
            if why := await part.disagreement():
                await part.adopt(reason, requests.whoami())
            return why

    with worded() as settings, terminal.working("comparing the archive with what was sealed"):
        why = asyncio.run(adopted(settings))
    if not why:
        terminal.say("Nothing to adopt: this archive has all that was sealed.")
        return
    terminal.say("The worker seals into this archive from now on; what it lacks is sealed as lost.")


# verifying


def _archive(settings: Settings, workspace: str, known: list[Head]) -> Report:
    from bot.audit import sealer
    from bot.audit.verify import verify as look
    from bot.cli import audit_context

    with audit_context.archive_of(settings) as archive:
        whose = audit_context.whose(archive, workspace)
        kept = sealer.read_head(settings.home, whose)
        if kept:
            terminal.say(f"JIT_HOME knows the head {kept}", err=True)
        signer = audit_context.trusted(settings)
        items = counted(archive.sealed(whose), "events and seals")
        return look(items, [*known, *([kept] if kept else [])], signer.trusted if signer else None)


def _file(settings: Settings, file: IO[str], known: list[Head]) -> Report:
    from bot.audit.export import evidence, export
    from bot.audit.verify import verify as look
    from bot.cli import audit_context

    signer = audit_context.trusted(settings)
    first = file.readline()
    if first.strip() == "{":  # a pack of evidence, which is one object over many lines
        return evidence.verify(evidence.read(first + file.read()), known, signer.trusted if signer else None)
    part, _, items = export.read(itertools.chain([first] if first else [], file))
    return look(counted(items, "events and seals"), known, signer.trusted if signer else None, part)


# what all have in common


@contextlib.contextmanager
def worded() -> Iterator[Settings]:
    """The settings, none of which is needed; and what goes wrong in a sentence, with exit code 2."""
    from bot.audit.archive.archive import NoArchive
    from bot.audit.archive.timeline import UnknownNumber
    from bot.audit.export.evidence import NoEvidence
    from bot.audit.export.export import NotAnExport, NothingThere
    from bot.audit.sealer import Unsealable
    from bot.cli.audit_context import CannotAudit
    from bot.core.audit_chain import BadHead
    from bot.core.errors import JitError
    from bot.core.human_times import BadTime
    from bot.settings import SettingsMistakes, load
    from bot.store.keyring import BadKeys
    from bot.store.redis.embedded import CannotEmbed

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


@contextlib.contextmanager
def _target(output: Path | None) -> Iterator[IO[str]]:
    """Where an export goes; a file that is there already is left alone."""
    if output is None:
        yield terminal.pipe()
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            output.chmod(0o600)
            yield file
    except FileExistsError:
        raise Cannot(f"{output} is there already; it is left as it is") from None
