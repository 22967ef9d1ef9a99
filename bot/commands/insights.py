"""`jit insights`: what stands out in the record at the terminal, out of the archive alone; it snoozes nothing.

Who is in a Slack user group is not known here, so that nothing is said of who is inactive in one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import click

from bot.commands.audit import Cannot, whose_workspace, worded

if TYPE_CHECKING:
    from bot.core.catalog import Catalog
    from bot.insights.cases import Finding
    from bot.insights.findings import Snooze
    from bot.record.archive import Archive
    from bot.settings import Settings

_SHOWN = 10


@click.command()
@click.option(
    "--since", default="", metavar="30d", help="Look back no further than this; each rule has its own period."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@whose_workspace
def insights(since: str, form: Literal["text", "json"], workspace: str) -> None:
    """Tell what stands out: each finding with its evidence and what could be done. Needs the archive alone."""
    from bot import policy_file
    from bot.commands import reads as cli_reads
    from bot.insights import findings as facts
    from bot.record import auditor

    longest = _seconds(since)
    with worded() as settings, auditor.archive_of(settings) as archive:
        workspace = auditor.whose(archive, workspace)
        catalog, now = _catalog(settings, archive, workspace), time.time()
        found = facts.look(archive, workspace, catalog, now, policy_file.of_text, longest=longest)
        quiet = facts.snoozes(archive, workspace, now)
        cli_reads.recorded(archive, workspace, "insights", {"since": since}, rows=len(found))
    if form == "json":
        click.echo(json.dumps(_document(workspace, now, found, quiet), indent=2, ensure_ascii=False))
        return
    for line in _lines(found, quiet):
        click.echo("".join(sign if sign.isprintable() else "\ufffd" for sign in line))


def _seconds(since: str) -> int | None:
    from bot.core import durations

    if not since:
        return None
    try:
        return durations.parse(since)
    except durations.NotADuration as error:
        raise Cannot(f"--since: {error}") from error


def _catalog(settings: Settings, archive: Archive, workspace: str) -> Catalog:
    """The policy as it stands here, or as it was archived last; its thresholds count, and who is in its groups."""
    from bot import policy_file
    from bot.core.mistakes import PolicyMistakes

    try:
        return policy_file.load(settings.policy)
    except PolicyMistakes:
        kept = archive.last_policy(workspace)
        archived = policy_file.of_text(kept) if kept else None
        if archived is None:
            raise Cannot("there is no policy that can be read, here or in the archive: set JIT_POLICY") from None
        click.echo(f"There is no policy here: the one that was archived last counts ({archived.generation}).", err=True)
        return archived


def _document(workspace: str, now: float, found: Sequence[Finding], quiet: Mapping[str, Snooze]) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    from dataclasses import asdict

    from bot.insights.findings import document, explained

    findings = [{**document(each), "snoozed": asdict(quiet[each.key]) if each.key in quiet else None} for each in found]
    return {"version": 1, "workspace": workspace, "at": now, "rules": explained(), "findings": findings}


def _lines(found: Sequence[Finding], quiet: Mapping[str, Snooze]) -> Iterator[str]:
    from bot import times
    from bot.insights.findings import explained

    awake = [finding for finding in found if finding.key not in quiet]
    if not awake:
        yield "Nothing stands out."
    for finding in awake:
        yield f"{finding.severity.value:<6}  {finding.sentence}"
        yield f"        {finding.rule}: {explained().get(finding.rule, '')} Since {times.spelled(finding.since)}."
        yield f"        {finding.act}"
        yield f"        Evidence: {_evidence(finding)}"
    for finding in found:
        if snooze := quiet.get(finding.key):
            yield f"Snoozed by {snooze.by} until {times.spelled(snooze.until)}: {finding.sentence}"
    if any(finding.requests for finding in awake):
        yield "One of them: jit audit evidence ID."


def _evidence(finding: Finding) -> str:
    if not finding.requests:
        return ", ".join(finding.people)
    ids = finding.requests[-_SHOWN:]
    more = f" and {len(finding.requests) - len(ids)} more (--format json has them)"
    return f"{', '.join(ids)}{more if len(finding.requests) > len(ids) else ''}"
