"""What only shows over time: the span against the one before it, who uses the bot, unused roles, rubber stamps.

Read from the archive. Where it does not reach back far enough, or a policy cannot be read, nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.core import durations, start_times
from bot.core.lifecycle import BEGINNINGS
from bot.policy.catalog import Catalog
from bot.reports.digest.editions import Edition, Span
from bot.reports.digest.tally import DayCounts
from bot.reports.insights.cases import KINDS, Insight, feed
from bot.reports.insights.findings import snoozes
from bot.reports.insights.rules import Stamps

Policies = Callable[[str], Catalog | None]
"""An archived policy text → its catalog; None where it cannot be read here."""
_WEEK = 7
_COUNTED = {"requested": BEGINNINGS, "granted": ("granted",), "denied": ("denied",), "revoked": ("revoked",)}
"""The four numbers of a digest, and the events that each counts."""


@dataclass(frozen=True)
class Compared:
    """A count, and what is usual: a day of the week before, or the span before; None where nothing is known of it."""

    name: str
    count: int
    usual: float | None


@dataclass(frozen=True)
class Adoption:
    """Who used the bot, in numbers; ``before``: how many people requested in the span before, None if not known.

    ``unused``: the roles that the policy had all the time and nobody requested; None where that is not known.
    """

    people: int
    before: int | None
    approvers: int
    by_rule: int
    unused: tuple[str, ...] | None


def compared(archive: Archive, workspace: str, span: Span, tz: str) -> tuple[Compared, ...]:
    """The four numbers."""
    edges = [_compared_from(span, tz), *span.moments(tz)]
    known = archive_search.begun(archive, workspace, edges[0])
    parts = _WEEK if span.edition is Edition.DAILY else 1
    found = []
    for name, kinds in _COUNTED.items():
        counts = [archive_search.counted(archive, workspace, kind, edges) for kind in kinds]
        usual, count = (sum(column) for column in zip(*counts, strict=True))
        found.append(Compared(name, count, usual / parts if known else None))
    return tuple(found)


def _compared_from(span: Span, tz: str) -> float:
    """Where what it is compared with begins: a week before a day, else the span before."""
    if span.edition is Edition.DAILY:
        return start_times.span(span.first - timedelta(days=_WEEK), tz)[0]
    return span.before().moments(tz)[0]


def adoption(
    archive: Archive, workspace: str, span: Span, tz: str, tally: DayCounts, policies: Policies
) -> Adoption | None:
    """Of a weekly or monthly edition."""
    if span.edition is Edition.DAILY:
        return None
    since, until = span.before().moments(tz)
    known = archive_search.begun(archive, workspace, since)
    return Adoption(
        people=len(tally.requesters),
        before=len(set(_requesters(archive, workspace, since, until))) if known else None,
        approvers=len(tally.approvers),
        by_rule=tally.kinds["approved_by_rule"] + tally.accepted_by_rule,
        unused=_unused(archive, workspace, tally, policies),
    )


def rubber_stamps(archive: Archive, workspace: str, span: Span, tz: str, policies: Policies) -> tuple[Insight, ...]:
    """Who approved too fast to have read the requests, by the policy's thresholds, unless snoozed; not of a day."""
    text = archive.last_policy(workspace)
    catalog = policies(text) if text else None
    if span.edition is Edition.DAILY or catalog is None or catalog.workspace.insights.rubber_stamp.off:
        return ()
    since, until = span.moments(tz)
    rule = Stamps(catalog.workspace.insights.rubber_stamp, since)
    feed(archive_search.between(archive, workspace, since, until, KINDS), [rule])
    snoozed = snoozes(archive, workspace, until)
    found = [one for one in rule.found(durations.words(span.days * 86_400)) if one.key not in snoozed]
    return tuple(sorted(found, key=lambda one: (-one.count, one.key)))


def _unused(archive: Archive, workspace: str, tally: DayCounts, policies: Policies) -> tuple[str, ...] | None:
    """Roles of every policy of the span that nobody requested; a role that came or went in it is not judged."""
    catalogs = [policies(text) for text in archive_search.policies(archive, workspace, tally.since, tally.until)]
    if not catalogs or None in catalogs:
        return None
    always = set.intersection(*({*_roles(catalog)} for catalog in catalogs if catalog))
    return tuple(sorted(always - tally.roles))


def _roles(catalog: Catalog) -> Iterator[str]:
    for name, system in catalog.systems.items():
        yield from (f"{name}/{role}" for role in system.roles)


def _requesters(archive: Archive, workspace: str, since: float, until: float) -> Iterator[str]:
    for entry in archive_search.between(archive, workspace, since, until, tuple(BEGINNINGS)):
        try:
            yield str(json.loads(entry.event)["requester"]["identity"])
        except (ValueError, KeyError, TypeError, RecursionError):  # not as this version writes it
            continue
