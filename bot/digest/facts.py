"""A day of the record as facts: each figure out of sealed events, with the command that looks further; it writes none.

A day is a local one, of 23 to 25 hours. What cannot be told from the archive (events that are not sealed yet, numbers
that were lost, an event that another version wrote) is said, and never guessed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from bot import times
from bot.core import moments
from bot.core.catalog import Catalog
from bot.core.lifecycle import BEGINNINGS
from bot.core.rights import Right, shift
from bot.digest.picture import Bar, Dot, Picture
from bot.digest.tally import RANKS, Decision, Grant, Tally, Trouble, rank
from bot.insights.cases import Finding
from bot.insights.findings import new_findings
from bot.record import search as archive_search
from bot.record.archive import Archive

VERSION = 1
"""Of the JSON: keys stay, more may come."""
MARGIN = 10.0
"""Seconds after which nothing of a day is still on its way into the record."""
MOST = 10
"""Of a list; the figure beside it has the whole count."""
TREND = 30
_FEW = 3
_SENSITIVE = frozenset(RANKS[:2])
_TOLD = frozenset({"refused", "found", "alarm", "policy", "read", "digest", "reconciled", "remind_asked", "insight"})
"""The notes that have a figure, and those that are no news: that somebody looked, the sum of what is told singly."""
_LOOKED_AT = 2_000
"""Requests that are open though nothing happened to them that day, which are looked at one by one, the oldest first."""

Policies = Callable[[str], Catalog | None]
"""An archived policy text → its catalog; None where it cannot be read here."""


@dataclass(frozen=True)
class Figure:
    """One count. ``look``: the command that shows what was counted; ``narrow``: its part that tells it from others."""

    name: str
    count: int
    narrow: str
    look: str


@dataclass(frozen=True)
class Line:
    """One thing of several alike, and how often it was."""

    said: str
    count: int


@dataclass(frozen=True)
class Digest:
    """One day. ``since``, ``until`` in Unix seconds; ``first``, ``last``: the numbers of its events, 0 for none.

    ``whole``: all of its day is sealed. ``unread``: events that another version wrote. ``median`` in seconds, None
    where nothing was decided. ``beyond``: open requests that nobody looked at. Of each list the first `MOST` at most.
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
    slowest: Decision | None
    live: tuple[Grant, ...]
    longest: tuple[Grant, ...]
    sensitive: tuple[Grant, ...]
    beyond: int
    trouble: tuple[Trouble, ...]
    found: tuple[Line, ...]
    refused: tuple[Line, ...]
    others: tuple[Line, ...]
    gained: tuple[Right, ...]
    lost_rights: tuple[Right, ...]
    unknown_policies: tuple[str, ...]
    taken: tuple[str, ...]
    systems: tuple[Bar, ...]
    trend: tuple[Dot, ...]
    head: str
    verify: str
    findings: tuple[Finding, ...] = ()
    """What newly stands out, the most severe first; five at most."""

    def count(self, name: str) -> int:
        """A figure by its name."""
        return next(figure.count for figure in self.figures if figure.name == name)

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell but what is open."""
        busy = any(figure.count for figure in self.figures if figure.name != "live")
        return not (busy or self.trouble or self.others or self.unread or self.lost)

    @property
    def picture(self) -> Picture:
        """What is drawn of it."""
        return Picture.of(self.day, self.timezone, self.systems, self.trend)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def make(archive: Archive, workspace: str, day: date, tz: str, now: float, policies: Policies) -> Digest:
    """The digest of a day, as far as it is over by ``now``. Raises `NoArchive`."""
    since, end = moments.span(day, tz)
    tally = Tally(since, min(end, now))
    ids: dict[str, None] = {}
    first, last, events, sealed = 0, 0, 0, archive.last(workspace)
    for entry in archive_search.between(archive, workspace, since, tally.until):
        tally.count(entry)
        first, last, events = min(first or entry.seq, entry.seq), max(last, entry.seq), events + 1
        if entry.version:
            ids[entry.id] = None
    standing = archive_search.standing(archive, workspace, tally.until)
    still = [id_ for id_ in dict.fromkeys(holding.id for holding in standing) if id_ not in ids]
    for its in archive_search.told(archive, workspace, [*ids, *still[:_LOOKED_AT]], sealed.last if sealed else 0):
        tally.tell(entry for entry in its if entry.at < tally.until)
    changes = _changes(archive, workspace, tally.policies, policies)
    took = [decision.seconds for decision in tally.decisions]
    head = str(sealed.head) if sealed else ""
    return Digest(
        version=VERSION,
        workspace=workspace,
        day=day.isoformat(),
        timezone=tz,
        since=since,
        until=tally.until,
        whole=tally.until == end and archive_search.gone_on(archive, workspace, end + MARGIN),
        first=first,
        last=last,
        events=events,
        lost=tuple(archive_search.lost(archive, workspace, first, last)),
        unread=tally.unread,
        figures=_figures(tally, len(standing), f'jit audit search --when "{day.isoformat()} {tz}"'),
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
        trend=_trend(archive, workspace, day, tz),
        head=head,
        verify=f"jit audit verify --head {head}" if head else "jit audit verify",
        findings=new_findings(archive, workspace, since, tally.until),
    )


def _figures(tally: Tally, live: int, base: str) -> tuple[Figure, ...]:
    """The counts, in the order in which they are told."""

    def by_kind(name: str, *kinds: str, notes: bool = False) -> Figure:
        counted = tally.notes if notes else tally.kinds
        narrow = f"--kind {kinds[0]}"
        return Figure(name, sum(counted[kind] for kind in kinds), narrow, f"{base} {narrow}")

    at = f'--when "at {times.spelled(tally.until)}"'
    stuck = sum(trouble.kind == "stuck" for trouble in tally.trouble)
    late = sum(trouble.kind == "late" for trouble in tally.trouble)
    return (
        by_kind("asked", "submitted"),
        by_kind("by rule", "approved_by_rule"),
        by_kind("approved", "approved"),
        by_kind("denied", "denied"),
        by_kind("lapsed", "lapsed"),
        by_kind("taken back", "cancelled"),
        by_kind("opened", "granted"),
        by_kind("not opened", "refused"),
        by_kind("closed", "revoked"),
        Figure("live", live, at, f"jit audit search {at}"),
        Figure("late", late, "--kind revoked", f"{base} --kind revoked"),
        Figure("stuck", stuck, at, f"jit audit search {at}"),
        by_kind("unverified", "closed_by_hand"),
        by_kind("refused", "refused", notes=True),
        by_kind("found", "found", notes=True),
        by_kind("alarms", "alarm", notes=True),
        by_kind("policy changes", "policy", notes=True),
    )


def _longest(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    unique = {grant.id: grant for grant in grants}
    return tuple(sorted(unique.values(), key=lambda grant: (grant.opened_at - grant.ends_at, grant.id))[:_FEW])


def _sensitive(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    found = [grant for grant in grants if grant.sensitivity in _SENSITIVE]
    return tuple(sorted(found, key=lambda grant: (rank(grant), grant.opened_at, grant.id))[:MOST])


def _urgency(trouble: Trouble) -> tuple[int, float, str]:
    return ("stuck", "unverified", "late").index(trouble.kind), -trouble.seconds, trouble.id


def _lines(counted: Mapping[str, int]) -> tuple[Line, ...]:
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Line(said, count) for said, count in ordered[:MOST])


def _refused(archive: Archive, workspace: str, tally: Tally) -> tuple[Line, ...]:
    """Who was refused what; a person by address, where one is known."""
    known = archive_search.addresses(archive, workspace, {by for by, _, _ in tally.refused})
    return _lines({f"{known.get(by, by)}: {verb} {what}".strip(): n for (by, verb, what), n in tally.refused.items()})


def _bars(tally: Tally) -> tuple[Bar, ...]:
    bars = [Bar(name, busy.asked, busy.opened, busy.closed) for name, busy in tally.systems.items()]
    return tuple(sorted(bars, key=lambda bar: (-(bar.asked + bar.opened + bar.closed), bar.system)))


def _trend(archive: Archive, workspace: str, day: date, tz: str) -> tuple[Dot, ...]:
    """The days up to this one, each a local day."""
    days = [day - timedelta(days=n) for n in range(TREND - 1, -1, -1)]
    edges = [moments.span(each, tz)[0] for each in days] + [moments.span(day, tz)[1]]
    to_people, by_rule = (archive_search.counted(archive, workspace, kind, edges) for kind in BEGINNINGS)
    asked = [n + m for n, m in zip(to_people, by_rule, strict=True)]
    opened = archive_search.counted(archive, workspace, "granted", edges)
    return tuple(Dot(each.isoformat(), a, o) for each, a, o in zip(days, asked, opened, strict=True))


def _changes(
    archive: Archive, workspace: str, policies: Sequence[tuple[str, str]], read: Policies
) -> tuple[tuple[Right, ...], tuple[Right, ...], tuple[str, ...]]:
    """Who gained and who lost over the day, and the policies whose text could not be read."""
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
