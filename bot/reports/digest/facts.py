"""A day, a week or a month of the audit log as facts: each figure read from sealed events, with its search command.

Days are local ones, of 23 to 25 hours. What the archive cannot tell (events that are not sealed yet, lost numbers, an
event that another version wrote) is said, never guessed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.core import human_times, start_times
from bot.core.lifecycle import BEGINNINGS
from bot.policy.permission_diff import Right, shift
from bot.reports.digest import trend
from bot.reports.digest.chart import Bar, Dot, Picture
from bot.reports.digest.editions import MARGIN, Edition, Span
from bot.reports.digest.tally import (
    RANKS,
    DayCounts,
    DecisionTime,
    Grant,
    Trouble,
    UnreviewedAccess,
    WaitingRequest,
    rank,
)
from bot.reports.digest.trend import Adoption, Compared, Policies
from bot.reports.insights.cases import Insight
from bot.reports.insights.findings import new_findings

VERSION = 1
"""Of the JSON: keys stay, more may come."""
MOST = 10
"""Of a list; the figure beside it has the whole count."""
TREND = 30
_SOON = 86_400.0
"""Seconds after a span in which new requests count as waiting too: its digest is posted then."""
_FEW = 3
_SENSITIVE = frozenset(RANKS[:2])
_TOLD = frozenset({"refused", "found", "alarm", "policy", "read", "digest", "reconciled", "remind_asked", "insight"})
"""Notes that have a figure of their own, and those that are no news: reads, and sums of what is listed singly."""
_LOOKED_AT = 2_000
"""Open requests without an event in the span that are checked one by one, the oldest first."""


@dataclass(frozen=True)
class Figure:
    """One count. ``look``: the command that shows what was counted; ``narrow``: the option that is its own."""

    name: str
    count: int
    narrow: str
    look: str


@dataclass(frozen=True)
class CountedLine:
    """Several events that are alike, and how many."""

    said: str
    count: int


@dataclass(frozen=True)
class Digest:
    """One edition. ``day``: its last day; ``since``, ``until`` in Unix seconds.

    ``first``, ``last``: the numbers of its events, 0 for none. ``whole``: all of it is sealed. ``unread``: events that
    another version wrote. ``median`` in seconds, None where nothing was decided. ``beyond``: open requests that were
    not checked. A list has at most `MOST` items.
    """

    version: int
    workspace: str
    day: str
    timezone: str
    since: float
    until: float
    whole: bool
    first: int
    last: int
    events: int
    lost: tuple[tuple[int, int], ...]
    unread: int
    figures: tuple[Figure, ...]
    median: float | None
    slowest: DecisionTime | None
    live: tuple[Grant, ...]
    longest: tuple[Grant, ...]
    sensitive: tuple[Grant, ...]
    beyond: int
    trouble: tuple[Trouble, ...]
    found: tuple[CountedLine, ...]
    refused: tuple[CountedLine, ...]
    others: tuple[CountedLine, ...]
    gained: tuple[Right, ...]
    lost_rights: tuple[Right, ...]
    unknown_policies: tuple[str, ...]
    taken: tuple[str, ...]
    systems: tuple[Bar, ...]
    trend: tuple[Dot, ...]
    head: str
    verify: str
    findings: tuple[Insight, ...] = ()
    """New findings, the most severe first; five at most."""
    edition: Edition = Edition.DAILY
    first_day: str = ""
    unconfirmed: int = 0
    """Of the grants that were open at the end, those that the system did not confirm."""
    waiting: tuple[WaitingRequest, ...] = ()
    """What nobody has decided yet, the first to expire on top."""
    unreviewed: tuple[UnreviewedAccess, ...] = ()
    """Break-glass access whose review is outstanding, the longest overdue on top."""
    numbers: tuple[Compared, ...] = ()
    adoption: Adoption | None = None
    stamps: tuple[Insight, ...] = ()
    """Rubber stamps over the whole span."""

    def count(self, name: str) -> int:
        """A figure by its name."""
        return next(figure.count for figure in self.figures if figure.name == name)

    @property
    def quiet(self) -> bool:
        """Whether nothing happened, whatever is open."""
        busy = any(figure.count for figure in self.figures if figure.name != "live")
        return not (busy or self.trouble or self.others or self.unread or self.lost)

    @property
    def span(self) -> Span:
        """The days that it covers."""
        return Span(self.edition, date.fromisoformat(self.day))

    @property
    def requests(self) -> int:
        """How many were submitted, approved by a rule or not, or taken by break-glass."""
        return self.count("asked") + self.count("by rule") + self.count("break-glass")

    @property
    def picture(self) -> Picture:
        """What is drawn of it."""
        return Picture.of(self.day, self.timezone, self.systems, self.trend, self.first_day)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def make(archive: Archive, workspace: str, span: Span, tz: str, now: float, policies: Policies) -> Digest:
    """The digest of some days, as far as they are over by ``now``. Raises `NoArchive`."""
    since, end = span.moments(tz)
    tally = DayCounts(since, min(end, now), now)
    ids: dict[str, None] = {}
    first, last, events, sealed = 0, 0, 0, archive.last(workspace)
    for entry in archive_search.between(archive, workspace, since, tally.until):
        tally.count(entry)
        first, last, events = min(first or entry.seq, entry.seq), max(last, entry.seq), events + 1
        if entry.version:
            ids[entry.id] = None
    open_ = archive_search.standing(archive, workspace, tally.until)
    still = [id_ for id_ in dict.fromkeys(holding.id for holding in open_) if id_ not in ids]
    looked = dict.fromkeys([*ids, *still[:_LOOKED_AT], *_newer(archive, workspace, tally.until, now)])
    for its in archive_search.entries_of(archive, workspace, list(looked), sealed.last if sealed else 0):
        tally.replay(entry for entry in its if entry.at < max(now, tally.until))
    changes = _changes(archive, workspace, tally.policies, policies)
    took = [decision.seconds for decision in tally.decisions]
    head = str(sealed.head) if sealed else ""
    return Digest(
        version=VERSION,
        workspace=workspace,
        day=span.last.isoformat(),
        timezone=tz,
        since=since,
        until=tally.until,
        whole=tally.until == end and archive_search.gone_on(archive, workspace, end + MARGIN),
        first=first,
        last=last,
        events=events,
        lost=tuple(archive_search.lost(archive, workspace, first, last)),
        unread=tally.unread,
        figures=_figures(tally, len(open_), f'jit audit search --when "{when(span, tz)}"'),
        median=statistics.median(took) if took else None,
        slowest=max(tally.decisions, key=lambda decision: decision.seconds, default=None),
        live=tuple(sorted(tally.standing, key=lambda grant: (grant.ends_at, grant.id))[:MOST]),
        longest=_longest([*tally.opened, *tally.standing]),
        sensitive=_sensitive(tally.opened),
        beyond=len(still[_LOOKED_AT:]),
        trouble=tuple(sorted(tally.trouble, key=_urgency)[:MOST]),
        found=_lines(tally.found),
        refused=_refused(archive, workspace, tally),
        others=_lines({kind: count for kind, count in tally.notes.items() if kind not in _TOLD}),
        gained=changes[0][:MOST],
        lost_rights=changes[1][:MOST],
        unknown_policies=changes[2],
        taken=tuple(f"{id_} of {who}: {why}" for id_, who, why in tally.taken)[:MOST],
        systems=_bars(tally),
        trend=_trend(archive, workspace, span.last, tz),
        head=head,
        verify=f"jit audit verify --head {head}" if head else "jit audit verify",
        findings=new_findings(archive, workspace, since, tally.until),
        edition=span.edition,
        first_day=span.first.isoformat(),
        unconfirmed=sum(holding.opened_at is None or holding.opened_at > tally.until for holding in open_),
        waiting=tuple(sorted(tally.waiting, key=lambda each: (each.decide_by, each.id))[:MOST]),
        unreviewed=tuple(sorted(tally.unreviewed, key=lambda each: (each.review_by, each.id))[:MOST]),
        numbers=trend.compared(archive, workspace, span, tz),
        adoption=trend.adoption(archive, workspace, span, tz, tally, policies),
        stamps=trend.rubber_stamps(archive, workspace, span, tz, policies)[:MOST],
    )


def when(span: Span, tz: str) -> str:
    """The span, as a search takes it."""
    return f"{span.first}{'' if span.first == span.last else f'..{span.last}'} {tz}"


def _newer(archive: Archive, workspace: str, since: float, now: float) -> list[str]:
    """Requests after the span, of which some may wait for a decision; none of a span that is long over."""
    later = archive_search.between(archive, workspace, since, min(now, since + _SOON), tuple(BEGINNINGS))
    return [entry.id for entry in later if entry.version == 1]


def _figures(tally: DayCounts, live: int, base: str) -> tuple[Figure, ...]:
    """The counts, in their order."""

    def by_kind(name: str, *kinds: str, notes: bool = False) -> Figure:
        counted = tally.notes if notes else tally.kinds
        narrow = f"--kind {kinds[0]}"
        return Figure(name, sum(counted[kind] for kind in kinds), narrow, f"{base} {narrow}")

    by_rule = by_kind("by rule", "approved_by_rule")
    at = f'--when "at {human_times.spelled(tally.until)}"'
    stuck = sum(trouble.kind == "stuck" for trouble in tally.trouble)
    late = sum(trouble.kind == "late" for trouble in tally.trouble)
    return (
        by_kind("asked", "submitted", "drafted"),
        replace(by_rule, count=by_rule.count + tally.accepted_by_rule),
        by_kind("break-glass", "break_glass_used"),
        by_kind("switched", "switched_to_break_glass"),
        by_kind("approved", "approved"),
        by_kind("denied", "denied"),
        by_kind("request_expired", "request_expired"),
        by_kind("cancelled", "cancelled"),
        by_kind("opened", "granted"),
        by_kind("not opened", "refused"),
        by_kind("closed", "revoked"),
        Figure("live", live, at, f"jit audit search {at}"),
        Figure("late", late, "--kind revoked", f"{base} --kind revoked"),
        Figure("stuck", stuck, at, f"jit audit search {at}"),
        by_kind("unverified", "closed_manually"),
        by_kind("reviewed", "break_glass_reviewed"),
        by_kind("refused", "refused", notes=True),
        by_kind("found", "found", notes=True),
        by_kind("alarms", "alarm", notes=True),
        by_kind("policy changes", "policy", notes=True),
        by_kind("wrong codes", "factor_failed", "factor_locked", notes=True),
    )


def _longest(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    unique = {grant.id: grant for grant in grants}
    return tuple(sorted(unique.values(), key=lambda grant: (grant.opened_at - grant.ends_at, grant.id))[:_FEW])


def _sensitive(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    found = [grant for grant in grants if grant.sensitivity in _SENSITIVE]
    return tuple(sorted(found, key=lambda grant: (rank(grant), grant.opened_at, grant.id))[:MOST])


def _urgency(trouble: Trouble) -> tuple[int, float, str]:
    return ("stuck", "unverified", "late").index(trouble.kind), -trouble.seconds, trouble.id


def _lines(counted: Mapping[str, int]) -> tuple[CountedLine, ...]:
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(CountedLine(said, count) for said, count in ordered[:MOST])


def _refused(archive: Archive, workspace: str, tally: DayCounts) -> tuple[CountedLine, ...]:
    """Who was refused what; a person by address, where one is known."""
    known = archive_search.addresses(archive, workspace, {by for by, _, _ in tally.refused})
    return _lines({f"{known.get(by, by)}: {verb} {what}".strip(): n for (by, verb, what), n in tally.refused.items()})


def _bars(tally: DayCounts) -> tuple[Bar, ...]:
    bars = [Bar(name, busy.asked, busy.opened, busy.closed) for name, busy in tally.systems.items()]
    return tuple(sorted(bars, key=lambda bar: (-(bar.asked + bar.opened + bar.closed), bar.system)))


def _trend(archive: Archive, workspace: str, day: date, tz: str) -> tuple[Dot, ...]:
    """The last thirty days, each a local one."""
    days = [day - timedelta(days=n) for n in range(TREND - 1, -1, -1)]
    edges = [start_times.span(each, tz)[0] for each in days] + [start_times.span(day, tz)[1]]
    each_kind = [archive_search.counted(archive, workspace, kind, edges) for kind in BEGINNINGS]
    asked = [sum(counts) for counts in zip(*each_kind, strict=True)]
    opened = archive_search.counted(archive, workspace, "granted", edges)
    return tuple(Dot(each.isoformat(), a, o) for each, a, o in zip(days, asked, opened, strict=True))


def _changes(
    archive: Archive, workspace: str, policies: Sequence[tuple[str, str]], read: Policies
) -> tuple[tuple[Right, ...], tuple[Right, ...], tuple[str, ...]]:
    """Who gained and who lost rights over the span, and the policies whose text could not be read."""
    if not policies:
        return (), (), ()
    ends = (policies[0][0], policies[-1][1])
    texts = [archive.policy(workspace, generation) for generation in ends]
    before, after = (read(text) if text else None for text in texts)
    if before is None or after is None:
        found = zip(ends, (before, after), strict=True)
        return (), (), tuple(name for name, catalog in found if catalog is None)
    changed = shift(before, after)
    return changed.gained, changed.lost, ()
