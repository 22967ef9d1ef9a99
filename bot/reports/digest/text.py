"""A digest as text and as JSON for the terminal, each figure with its command; and sentences that Slack shares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from bot.core import start_times
from bot.reports.digest.editions import Edition, Span
from bot.reports.digest.facts import Digest, Figure
from bot.reports.digest.needs import FINDS, Need, headline, length, needs, some, wrong
from bot.reports.digest.tally import DecisionTime, Grant, Trouble
from bot.reports.digest.trend import Compared
from bot.reports.insights.cases import Insight

_NAMES = {
    "asked": ("requested", ""),
    "by rule": ("requested and approved by a rule", ""),
    "break-glass": ("requested and taken by break-glass", ""),
    "switched": ("taken by break-glass while waiting", ""),
    "approved": ("approved", ""),
    "denied": ("denied", ""),
    "request_expired": ("expired undecided", ""),
    "cancelled": ("cancelled", ""),
    "opened": ("role granted", "roles granted"),
    "not opened": ("refused by its system", ""),
    "closed": ("role revoked and verified", "roles revoked and verified"),
    "live": ("grant open at midnight", "grants open at midnight"),
    "late": ("revoked late", ""),
    "stuck": ("overdue revocation", "overdue revocations"),
    "unverified": ("closed manually, not verified", ""),
    "reviewed": ("break-glass access reviewed", ""),
    "refused": ("attempt refused", "attempts refused"),
    "found": ("drift finding", "drift findings"),
    "alarms": ("alarm", "alarms"),
    "policy changes": ("policy change", "policy changes"),
    "wrong codes": ("wrong second-factor code", "wrong second-factor codes"),
}
"""What each figure counts, to follow its number: of one, and of several where that differs."""
_EVIDENCE = 5
NEW = "New findings (jit insights shows all of them, with their evidence)"
_FEW = 5
_NAMES_OF = {
    Edition.DAILY: "Digest for",
    Edition.WEEKLY: "Weekly digest for",
    Edition.MONTHLY: "Monthly digest for",
}
_MOST_UNUSED = 10


def as_json(digest: Digest) -> str:
    """One document. Keys stay; more may come."""
    return json.dumps(digest.document(), indent=2, ensure_ascii=False) + "\n"


def text(digest: Digest) -> str:
    """For a terminal."""
    return "\n".join(plain(line) for line in _lines(digest)) + "\n"


def plain(line: str) -> str:
    """Without control characters."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def counted(figure: Figure) -> str:
    """What the figure counts, to follow its number."""
    one, several = _NAMES[figure.name]
    return one if figure.count == 1 or not several else several


def titled(digest: Digest) -> str:
    """``Digest for Tuesday 24 November 2026``."""
    return title_of(digest.span)


def title_of(span: Span) -> str:
    """``Weekly digest for Monday 16 to Sunday 22 November 2026``."""
    return f"{_NAMES_OF[span.edition]} {days_of(span)}"


def days_of(span: Span) -> str:
    """``Tuesday 24 November 2026``, or the first and the last day."""
    first, last = span.first, span.last
    if first == last:
        return long_day(last.isoformat())
    month = "" if (first.year, first.month) == (last.year, last.month) else f" {first:%B}"
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first:%A} {first.day}{month}{year} to {long_day(last.isoformat())}"


def long_day(day: str) -> str:
    """``Tuesday 24 November 2026``."""
    found = date.fromisoformat(day)
    return f"{found:%A} {found.day} {found:%B %Y}"


def open_at_end(digest: Digest) -> str:
    """``3 grants open at midnight (1 unconfirmed)``."""
    live = digest.count("live")
    doubt = f" ({digest.unconfirmed:,} unconfirmed)" if digest.unconfirmed else ""
    return f"{some(live, 'grant') if live else 'No grant'} open at midnight{doubt}"


def usual(number: Compared, edition: Edition) -> str:
    """What a number is compared with; empty where nothing is known."""
    if number.usual is None:
        return ""
    if edition is Edition.DAILY:
        return f"{number.usual:.1f} a day in the week before"
    return f"{number.usual:,.0f} the {'week' if edition is Edition.WEEKLY else 'month'} before"


def adoption(digest: Digest) -> list[str]:
    """Who used the bot, and which roles nobody requested, in sentences; none in a daily digest."""
    found = digest.adoption
    if found is None:
        return []
    span = "week" if digest.edition is Edition.WEEKLY else "month"
    people = "1 person" if found.people == 1 else f"{found.people:,} people"
    before = "" if found.before is None else f" ({found.before:,} the {span} before)"
    approvers = "1 approver" if found.approvers == 1 else f"{found.approvers:,} approvers"
    by_rule = f"a rule approved {found.by_rule:,} of {some(digest.requests, 'request')}"
    said = [f"{people} requested access{before}, {approvers} decided, {by_rule}."]
    if found.unused:
        more = len(found.unused) - _MOST_UNUSED
        names = ", ".join(found.unused[:_MOST_UNUSED]) + (f" and {more:,} more" if more > 0 else "")
        said.append(f"{some(len(found.unused), 'role')} that nobody requested this {span}: {names}.")
    elif found.unused is not None:
        said.append(f"Every role was requested this {span}.")
    return said


def listed_open(digest: Digest) -> list[Grant]:
    """The grants that were open at the end and are not listed as trouble."""
    trouble = {each.id for each in digest.trouble}
    return [grant for grant in digest.live if grant.id not in trouble]


def others(digest: Digest) -> list[Grant]:
    """The longest and the most sensitive grants that are not listed already: each grant is listed once."""
    listed = {grant.id for grant in digest.live} | {trouble.id for trouble in digest.trouble}
    found = {grant.id: grant for grant in (*digest.sensitive, *digest.longest)}
    return [grant for id_, grant in found.items() if id_ not in listed]


def range_of(digest: Digest) -> str:
    """Which events it covers, and what is missing."""
    if digest.events:
        said = f"{some(digest.events, 'event')}, numbers {digest.first:,} to {digest.last:,}"
    else:
        said = "no events"
    hours = (digest.until - digest.since) / 3_600
    return " · ".join([f"{digest.timezone}, {hours:g} h", said, *doubts(digest)])


def doubts(digest: Digest) -> Iterator[str]:
    """What is unknown or missing."""
    if not digest.whole:
        yield "INCOMPLETE: not every event of this day is known to be sealed; later ones are missing here"
    for first, last in digest.lost[:_FEW]:
        yield f"the events {first:,} to {last:,} were lost before they were sealed"
    if len(digest.lost) > _FEW:
        yield f"and {len(digest.lost) - _FEW:,} such ranges more"
    if digest.unread:
        yield f"{some(digest.unread, 'event')} could not be read by this version"
    if digest.beyond:
        yield f"{some(digest.beyond, 'more open request')} not checked one by one"


def took(digest: Digest) -> str:
    """How long decisions took; empty where there was none."""
    if digest.median is None or digest.slowest is None:
        return ""
    return f"Decisions took {length(digest.median)} (median)"


def _lines(digest: Digest) -> Iterator[str]:
    yield f"{titled(digest)}: {headline(digest)}"
    yield range_of(digest)
    needed = needs(digest)
    yield from _part("Needs you", (_need(need, digest.timezone) for need in needed))
    yield from _figures(digest)
    yield from _part(f"{open_at_end(digest)}, the first to end on top", _grants(digest, listed_open(digest)))
    yield from _part("Adoption", adoption(digest))
    yield from _part(NEW, map(_finding, digest.findings))
    yield from _part("Rubber stamps", map(_finding, digest.stamps))
    named = {need.id for need in needed}
    yield from _part("Other trouble", (_trouble(each) for each in digest.trouble if each.id not in named))
    yield from _part("Other grants, the most sensitive and the longest", _grants(digest, others(digest)))
    yield from _part(
        "Drift found in the systems", (f"{line.count:,} {FINDS.get(line.said, line.said)}" for line in digest.found)
    )
    yield from _part("Refused", (f"{line.count:,} × {line.said}" for line in digest.refused))
    yield from _part("Cancelled by the policy", digest.taken)
    yield from _part("Gained rights", (f"{r.who}: {r.verb} {r.role}" for r in digest.gained))
    yield from _part("Lost rights", (f"{r.who}: {r.verb} {r.role}" for r in digest.lost_rights))
    yield from _part("Policies that cannot be compared", digest.unknown_policies)
    yield from _part("Also", (f"{line.count:,} × {line.said}" for line in digest.others))
    yield from _part(
        "By system",
        (f"{b.system}: {b.asked} requested, {b.opened} granted, {b.closed} revoked" for b in digest.systems),
    )
    yield ""
    yield f"One request: jit audit evidence ID. Checkpoint {digest.head or 'none'}: {digest.verify}"


def _figures(digest: Digest) -> Iterator[str]:
    shown = [(f"{figure.count:,} {counted(figure)}", figure.look) for figure in digest.figures if figure.count]
    if not shown:
        return
    width = max(len(said) for said, _ in shown)
    yield ""
    yield from (f"  {said:<{width}}  {look}" for said, look in shown)
    known = [f"{number.name}: {said}" for number in digest.numbers if (said := usual(number, digest.edition))]
    yield from _part("Compared", known)
    if digest.median is not None and digest.slowest is not None:
        yield f"{took(digest)}; the slowest {_decision(digest.slowest)}"


def _grants(digest: Digest, grants: Iterable[Grant]) -> Iterator[str]:
    return (_grant(grant, digest.timezone) for grant in grants)


def _need(need: Need, tz: str) -> str:
    until = f" Expires {_clock(need.until, tz)}." if need.until else ""
    return f"{f'{need.id}  ' if need.id else ''}{need.sentence}{until}"


def _finding(finding: Insight) -> str:
    ids = finding.requests[-_EVIDENCE:] or finding.people[:_EVIDENCE]
    more = len(finding.requests or finding.people) - len(ids)
    evidence = f"{', '.join(ids)}{f' and {more} more' if more else ''}"
    return f"{finding.severity.value}: {finding.sentence} {finding.act} Evidence: {evidence}."


def _part(name: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"{name}:", *(f"  {line}" for line in found))


def _decision(decision: DecisionTime) -> str:
    return f"{length(decision.seconds)} ({decision.id}, {decision.what} for {decision.who}, by {decision.by})"


def _grant(grant: Grant, tz: str) -> str:
    ends = f"{'ended' if grant.closed else 'ends'} {_clock(grant.ends_at, tz)}{' (ended since)' * grant.over}"
    opened = length(max(0.0, grant.ends_at - grant.opened_at))
    doubt = ", unconfirmed" if grant.unconfirmed else ""
    roles = f"{', '.join(grant.roles)}{f' ({grant.given})' if grant.given else ''}"
    return f"{grant.id}  {grant.who}  {roles}  {grant.sensitivity}  {opened}, {ends}{doubt}"


def _trouble(trouble: Trouble) -> str:
    about = f"{trouble.id}  {trouble.who}  {', '.join(trouble.roles)}"
    return f"{about}  {wrong(trouble)}{f': {trouble.said}' if trouble.said else ''}"


def _clock(at: float, tz: str) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone(start_times.zone(tz)):%Y-%m-%d %H:%M}"
