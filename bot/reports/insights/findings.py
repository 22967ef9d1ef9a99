"""Finds what stands out in the sealed audit log, by today's policy: each finding with its evidence. Changes nothing.

Where the audit log does not reach back far enough, or a group is not known, it says nothing. It cannot find unused
grants and dormant accounts, since no provider reports when access was last used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.audit.archive import projection
from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.audit.archive.queries import Query
from bot.core import durations
from bot.core.identity import identity_of
from bot.policy.catalog import EVERYONE, Catalog
from bot.policy.insight_thresholds import Rules
from bot.reports.insights.cases import KINDS, Insight, InsightRule, InsightSeverity, feed
from bot.reports.insights.rules import RULES

MOST = 100
"""Findings of one scan, the most severe first."""
TOLD = 5
"""New findings in a digest."""
SNOOZE = 30 * 86_400
"""Seconds for which a finding stays snoozed."""
INSIGHT, SNOOZED = "insight", "snoozed"
"""The audit events of a new finding, and of a snooze."""
_PROOFS = 20
_NAMED = 5
_SEVERITIES = list(InsightSeverity)
_FINDING = TypeAdapter(Insight)

Policies = Callable[[str], Catalog | None]
"""An archived policy text → its catalog; None where it cannot be read here."""
Members = Mapping[str, Mapping[str, float]]
"""The members of each Slack user group, by its name in the policy, each with when they were first seen there."""


class InactiveRule:
    """The rule about people who are not in the audit log; it counts no cases."""

    name = "inactive"
    says = "Somebody may request because of a group, and the audit log has not seen them for a long time."
    severity = InsightSeverity.MEDIUM
    act = "Remove them from the group if they no longer need it."


@dataclass(frozen=True)
class Snooze:
    """A finding is hidden ``until`` then, Unix seconds."""

    key: str
    by: str
    until: float


def explained() -> dict[str, str]:
    """What each rule finds, by its name."""
    return {**{rule.name: rule.says for rule in RULES}, InactiveRule.name: InactiveRule.says}


def look(
    archive: Archive,
    workspace: str,
    catalog: Catalog,
    until: float,
    read: Policies,
    members: Members | None = None,
    longest: int | None = None,
) -> list[Insight]:
    """All findings at a moment, the most severe first. ``longest``: look back no further, in seconds.

    ``members``: the members of the Slack user groups, as far as they are known. Raises `NoArchive`.
    """
    limits = catalog.workspace.insights
    found = [*_counted(archive, workspace, limits, until, longest)]
    if not limits.inactive.off:
        within = _within(limits, InactiveRule.name, longest)
        found += _inactive(archive, workspace, catalog, until, within, read, members or {})
    found.sort(key=lambda one: (_SEVERITIES.index(one.severity), -one.count, one.key))
    return found[:MOST]


def new_findings(archive: Archive, workspace: str, since: float, until: float, most: int = TOLD) -> tuple[Insight, ...]:
    """The findings that were new in [``since``, ``until``) and not snoozed then, the most severe first.

    The audit log itself says what was new, so a later digest of the same day has the same. Raises `NoArchive`.
    """
    quiet = snoozes(archive, workspace, until)
    found = {finding.key: finding for _, finding in reported(archive, workspace, since, until)}
    shown = [finding for key, finding in found.items() if key not in quiet]
    shown.sort(key=lambda one: (_SEVERITIES.index(one.severity), -one.count, one.key))
    return tuple(shown[:most])


def reported(archive: Archive, workspace: str, since: float, until: float) -> list[tuple[float, Insight]]:
    """The findings that the audit log calls new in a span, and when, the latest first."""
    found = []
    for at, facts in _noted(archive, workspace, INSIGHT, since, until):
        try:
            found.append((at, _FINDING.validate_python(facts.get("finding"))))
        except ValidationError:  # as another version of this product wrote it
            continue
    return found


def snoozes(archive: Archive, workspace: str, at: float) -> dict[str, Snooze]:
    """What was snoozed at a moment, by the finding's key."""
    found: dict[str, Snooze] = {}
    for _, facts in _noted(archive, workspace, SNOOZED, at - SNOOZE, at):
        key, by, until = facts.get("key"), facts.get("by"), facts.get("until")
        if isinstance(key, str) and isinstance(until, int | float) and until > at:
            found.setdefault(key, Snooze(key, str(by), float(until)))
    return found


def brief(finding: Insight) -> Insight:
    """With only the latest evidence; the count stays the same."""
    return replace(finding, requests=finding.requests[-_PROOFS:], events=finding.events[-_PROOFS:])


def document(finding: Insight) -> dict[str, Any]:
    """For JSON."""
    return asdict(finding)


def _noted(
    archive: Archive, workspace: str, kind: str, since: float, until: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    words = ((projection.word("kind", kind),),)
    for entry in archive_search.find(archive, workspace, Query(words, since, until, most=10 * MOST)):
        try:
            facts = json.loads(entry.event)
        except ValueError:  # somebody else wrote it
            continue
        if isinstance(facts, dict):
            yield entry.at, facts


def _within(limits: Rules, name: str, longest: int | None) -> int:
    within: int = limits.of(name).within  # type: ignore[attr-defined]  # every rule has one
    return min(within, longest) if longest else within


def _counted(archive: Archive, workspace: str, limits: Rules, until: float, longest: int | None) -> Iterator[Insight]:
    """The findings of the rules that count cases, in one pass over the events."""
    rules: list[tuple[InsightRule[Any], int]] = []
    for made in RULES:
        within = _within(limits, made.name, longest)
        if not limits.of(made.name).off:
            rules.append((made(limits.of(made.name), until - within), within))
    if not rules:
        return
    since = min(rule.since for rule, _ in rules)
    feed(archive_search.between(archive, workspace, since, until, KINDS), [rule for rule, _ in rules])
    for rule, within in rules:
        yield from rule.found(durations.words(within))


def _inactive(
    archive: Archive, workspace: str, catalog: Catalog, until: float, within: int, read: Policies, members: Members
) -> Iterator[Insight]:
    """People who could have requested all the time and are in no event."""
    since = until - within
    if not archive_search.begun(archive, workspace, since):
        return
    entitled = _all_the_while(catalog, archive_search.policies(archive, workspace, since, until), read)
    users: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for identity, user in archive_search.accounts(archive, workspace):
        users.setdefault(identity, []).append(user)
        names[user] = identity
    for group, people in sorted(entitled.items()):
        shape = catalog.groups[group]
        if shape.slack_usergroup:
            here = {user: [user] for user, seen in members.get(group, {}).items() if seen <= since}
        else:
            here = {identity: users.get(identity, []) for identity in people}
        accounts = sorted({user for its in here.values() for user in its})
        seen = archive_search.last_seen(archive, workspace, accounts)
        gone = sorted(names.get(who, who) for who, its in here.items() if not _seen_since(seen, its, since))
        if gone:
            yield _not_seen(group, gone, len(here), since, within)


def _seen_since(seen: Mapping[str, float], users: Iterable[str], since: float) -> bool:
    return any(seen.get(user, 0.0) >= since for user in users)


def _not_seen(group: str, gone: Sequence[str], of: int, since: float, within: int) -> Insight:
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    who = f"{', '.join(gone[:_NAMED])}{more}"
    said = f"{len(gone)} of {of} people of the group {group} were not in the audit log for {durations.words(within)}"
    return Insight(
        rule=InactiveRule.name,
        key=f"{InactiveRule.name} {group}",
        severity=InactiveRule.severity,
        sentence=f"{said}: {who}.",
        act=InactiveRule.act,
        count=len(gone),
        since=since,
        people=tuple(gone),
        about=(group,),
    )


def _all_the_while(catalog: Catalog, texts: Sequence[str], read: Policies) -> dict[str, frozenset[str]]:
    """Who may request because of a group, today and by every earlier policy; nobody where one cannot be read."""
    now = _may_request(catalog)
    before = [read(text) for text in texts]
    if not before:
        return {}
    for each in before:
        if each is None:
            return {}
        was = _may_request(each)
        now = {group: people & was.get(group, frozenset()) for group, people in now.items()}
    return {group: people for group, people in now.items() if people}


def _may_request(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The groups that may request something, each with its people or its Slack user group's id."""
    groups = {
        name
        for system in catalog.systems.values()
        for role in system.roles.values()
        if EVERYONE not in role.may_ask
        for name in role.may_ask
    }
    return {
        name: frozenset([shape.slack_usergroup] if shape.slack_usergroup else map(identity_of, shape.people))
        for name, shape in catalog.groups.items()
        if name in groups
    }
