"""What stands out in the record: each finding with its evidence and what could be done about it; it changes nothing.

Everything is read out of the archive, and of today's policy; what is not sealed yet is not in it. Where the record does
not reach back far enough, or a group is not known, nothing is said.

Not found, since nothing in this version tells it: grants that are not used, and dormant accounts in a system (no
provider reports when access was last used), break-glass, failed proofs of presence (neither is part of this version).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.core import durations
from bot.core.catalog import EVERYONE, Catalog
from bot.core.thresholds import Rules
from bot.insights.cases import KINDS, Finding, Rule, Severity, tell
from bot.insights.rules import RULES
from bot.record import folding
from bot.record import search as archive_search
from bot.record.archive import Archive
from bot.record.search import Query

MOST = 100
"""Findings of one look, the most severe first; who has more has other worries."""
TOLD = 5
"""New ones that a digest has."""
SNOOZE = 30 * 86_400
"""Seconds for which a finding is not shown once somebody said so."""
INSIGHT, SNOOZED = "insight", "snoozed"
"""The audit events that a finding was new, and that somebody does not want to see it for a while."""
_PROOFS = 20
_NAMED = 5
_SEVERITIES = list(Severity)
_FINDING = TypeAdapter(Finding)

Policies = Callable[[str], Catalog | None]
"""An archived policy text → its catalog; None where it cannot be read here."""
Members = Mapping[str, Mapping[str, float]]
"""Who is in a Slack user group, by the group's name in the policy, and since when that is known; Unix seconds."""


class Inactive:
    """The rule about who is not in the record; it has no cases to count."""

    name = "inactive"
    says = "Somebody may ask because of a group, and was not seen in the record for a long time."
    severity = Severity.MEDIUM
    act = "Take them out of the group if they do not need it any more."


@dataclass(frozen=True)
class Snooze:
    """Somebody does not want to see a finding ``until`` then, Unix seconds."""

    key: str
    by: str
    until: float


def explained() -> dict[str, str]:
    """Each rule by its name, and what it finds."""
    return {**{rule.name: rule.says for rule in RULES}, Inactive.name: Inactive.says}


def look(
    archive: Archive,
    workspace: str,
    catalog: Catalog,
    until: float,
    read: Policies,
    members: Members | None = None,
    longest: int | None = None,
) -> list[Finding]:
    """All that stands out at a moment, the most severe first. ``longest``: look back no further, in seconds.

    ``members``: who is in which Slack user group, where that is known. Raises `NoArchive`.
    """
    limits = catalog.workspace.insights
    found = [*_counted(archive, workspace, limits, until, longest)]
    if not limits.inactive.off:
        within = _within(limits, Inactive.name, longest)
        found += _inactive(archive, workspace, catalog, until, within, read, members or {})
    found.sort(key=lambda one: (_SEVERITIES.index(one.severity), -one.count, one.key))
    return found[:MOST]


def new_findings(archive: Archive, workspace: str, since: float, until: float, most: int = TOLD) -> tuple[Finding, ...]:
    """The findings that were new in [``since``, ``until``) and nobody snoozed by then, the most severe first.

    What is known for new is in the record itself, so a day's are the same whenever it is told. Raises `NoArchive`.
    """
    quiet = snoozes(archive, workspace, until)
    found = {finding.key: finding for _, finding in told(archive, workspace, since, until)}
    shown = [finding for key, finding in found.items() if key not in quiet]
    shown.sort(key=lambda one: (_SEVERITIES.index(one.severity), -one.count, one.key))
    return tuple(shown[:most])


def told(archive: Archive, workspace: str, since: float, until: float) -> list[tuple[float, Finding]]:
    """What the record says was new in a time, and when, the latest first."""
    found = []
    for at, facts in _noted(archive, workspace, INSIGHT, since, until):
        try:
            found.append((at, _FINDING.validate_python(facts.get("finding"))))
        except ValidationError:  # as another version of this product wrote it
            continue
    return found


def snoozes(archive: Archive, workspace: str, at: float) -> dict[str, Snooze]:
    """What is snoozed at a moment by the record, by the finding's key."""
    found: dict[str, Snooze] = {}
    for _, facts in _noted(archive, workspace, SNOOZED, at - SNOOZE, at):
        key, by, until = facts.get("key"), facts.get("by"), facts.get("until")
        if isinstance(key, str) and isinstance(until, int | float) and until > at:
            found.setdefault(key, Snooze(key, str(by), float(until)))
    return found


def brief(finding: Finding) -> Finding:
    """With the latest of its evidence alone, for where little is kept; the count stays that of all."""
    return replace(finding, requests=finding.requests[-_PROOFS:], events=finding.events[-_PROOFS:])


def document(finding: Finding) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(finding)


def _noted(
    archive: Archive, workspace: str, kind: str, since: float, until: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    words = ((folding.word("kind", kind),),)
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


def _counted(archive: Archive, workspace: str, limits: Rules, until: float, longest: int | None) -> Iterator[Finding]:
    """What the rules find that count cases, in one pass over the events."""
    rules: list[tuple[Rule[Any], int]] = []
    for made in RULES:
        within = _within(limits, made.name, longest)
        if not limits.of(made.name).off:
            rules.append((made(limits.of(made.name), until - within), within))
    if not rules:
        return
    since = min(rule.since for rule, _ in rules)
    tell(archive_search.between(archive, workspace, since, until, KINDS), [rule for rule, _ in rules])
    for rule, within in rules:
        yield from rule.found(durations.words(within))


def _inactive(
    archive: Archive, workspace: str, catalog: Catalog, until: float, within: int, read: Policies, members: Members
) -> Iterator[Finding]:
    """Who could have asked all the while, and neither asked nor answered nor was anything else in the record."""
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


def _not_seen(group: str, gone: Sequence[str], of: int, since: float, within: int) -> Finding:
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    who = f"{', '.join(gone[:_NAMED])}{more}"
    said = f"{len(gone)} of {of} people of the group {group} were not seen in the record for {durations.words(within)}"
    return Finding(
        rule=Inactive.name,
        key=f"{Inactive.name} {group}",
        severity=Inactive.severity,
        sentence=f"{said}: {who}.",
        act=Inactive.act,
        count=len(gone),
        since=since,
        people=tuple(gone),
        about=(group,),
    )


def _all_the_while(catalog: Catalog, texts: Sequence[str], read: Policies) -> dict[str, frozenset[str]]:
    """Who may ask because of a group today, and could by every policy that there was; nobody where one is not known."""
    now = _may_ask(catalog)
    before = [read(text) for text in texts]
    if not before:
        return {}
    for each in before:
        if each is None:
            return {}
        was = _may_ask(each)
        now = {group: people & was.get(group, frozenset()) for group, people in now.items()}
    return {group: people for group, people in now.items() if people}


def _may_ask(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The groups that may ask for something, with the people of each, or with its Slack user group's id."""
    groups = {
        name
        for system in catalog.systems.values()
        for role in system.roles.values()
        if EVERYONE not in role.may_ask
        for name in role.may_ask
    }
    return {
        name: frozenset([shape.slack_usergroup] if shape.slack_usergroup else map(str.casefold, shape.people))
        for name, shape in catalog.groups.items()
        if name in groups
    }
