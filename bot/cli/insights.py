"""`jit insights`: the findings at the terminal, from the archive alone; it snoozes nothing.

The members of Slack user groups are not known here, so it says nothing about inactive ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import click

from bot import terminal
from bot.cli.audit import whose_workspace, worded
from bot.terminal import Cannot

if TYPE_CHECKING:
    from bot.audit.archive.archive import Archive
    from bot.policy.catalog import Catalog
    from bot.reports.insights.cases import Insight
    from bot.reports.insights.findings import Snooze
    from bot.settings import Settings

_SHOWN = 10


@click.command()
@click.option(
    "--since", default="", metavar="30d", help="Look back no further than this; each rule has its own period."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@whose_workspace
def insights(since: str, form: Literal["text", "json"], workspace: str) -> None:
    """Show findings from the audit log, each with its evidence and what to do. Needs only the archive."""
    from bot.cli import audit_context
    from bot.cli import audit_reads as cli_reads
    from bot.policy import loader
    from bot.reports.insights import findings as facts

    longest = _seconds(since)
    with worded() as settings, audit_context.archive_of(settings) as archive:
        workspace = audit_context.whose(archive, workspace)
        catalog, now = _catalog(settings, archive, workspace), time.time()
        with terminal.working("reading the archive"):
            found = facts.look(archive, workspace, catalog, now, loader.of_text, longest=longest)
        quiet = facts.snoozes(archive, workspace, now)
        cli_reads.recorded(archive, workspace, "insights", {"since": since}, rows=len(found))
    if form == "json":
        terminal.document(_document(workspace, now, found, quiet), indent=2)
        return
    for line in _lines(found, quiet):
        terminal.say(line)


def _seconds(since: str) -> int | None:
    from bot.core import durations

    if not since:
        return None
    try:
        return durations.parse(since)
    except durations.NotADuration as error:
        raise Cannot(f"--since: {error}") from error


def _catalog(settings: Settings, archive: Archive, workspace: str) -> Catalog:
    """The policy here, or the last archived one: its thresholds and groups apply."""
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    try:
        return loader.load(settings.policy)
    except PolicyMistakes:
        kept = archive.last_policy(workspace)
        archived = loader.of_text(kept) if kept else None
        if archived is None:
            raise Cannot("no policy can be read, here or in the archive: set JIT_POLICY") from None
        terminal.say(f"There is no policy here, so the last archived one applies ({archived.policy_hash}).", err=True)
        return archived


def _document(workspace: str, now: float, found: Sequence[Insight], quiet: Mapping[str, Snooze]) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    from dataclasses import asdict

    from bot.reports.insights.findings import document, explained

    findings = [{**document(each), "snoozed": asdict(quiet[each.key]) if each.key in quiet else None} for each in found]
    return {"version": 1, "workspace": workspace, "at": now, "rules": explained(), "findings": findings}


def _lines(found: Sequence[Insight], quiet: Mapping[str, Snooze]) -> Iterator[str]:
    from bot.core import human_times
    from bot.reports.insights.findings import explained

    awake = [finding for finding in found if finding.key not in quiet]
    if not awake:
        yield "No findings."
    for finding in awake:
        yield f"{finding.severity.value:<6}  {finding.sentence}"
        yield f"        {finding.rule}: {explained().get(finding.rule, '')} Since {human_times.spelled(finding.since)}."
        yield f"        {finding.act}"
        yield f"        Evidence: {_evidence(finding)}"
    for finding in found:
        if snooze := quiet.get(finding.key):
            yield f"Snoozed by {snooze.by} until {human_times.spelled(snooze.until)}: {finding.sentence}"
    if any(finding.requests for finding in awake):
        yield "To see one request: jit audit evidence ID."


def _evidence(finding: Insight) -> str:
    if not finding.requests:
        return ", ".join(finding.people)
    ids = finding.requests[-_SHOWN:]
    more = f" and {len(finding.requests) - len(ids)} more (--format json has them)"
    return f"{', '.join(ids)}{more if len(finding.requests) > len(ids) else ''}"
