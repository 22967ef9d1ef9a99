"""A digest as lines of text and as JSON, for the terminal; each figure with its command beside it, and nothing rounded.

Also the sentences that the terminal and Slack share; those hold nothing that a person typed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from bot.core import durations, moments
from bot.digest.facts import Digest, Figure
from bot.digest.tally import Decision, Grant, Trouble
from bot.insights.cases import Finding

_NAMES = {
    "asked": ("asked for", ""),
    "by rule": ("asked for and approved by a rule", ""),
    "approved": ("approved", ""),
    "denied": ("denied", ""),
    "lapsed": ("lapsed undecided", ""),
    "taken back": ("taken back or void", ""),
    "opened": ("role opened", "roles opened"),
    "not opened": ("refused by its system", ""),
    "closed": ("role closed and read back", "roles closed and read back"),
    "live": ("role held at its end, or may have been", "roles held at its end, or may have been"),
    "late": ("closed late", ""),
    "stuck": ("not closed though it should be", "not closed though they should be"),
    "unverified": ("closed by hand, never read back", ""),
    "refused": ("attempt refused", "attempts refused"),
    "found": ("finding in the systems", "findings in the systems"),
    "alarms": ("alarm", "alarms"),
    "policy changes": ("change of the policy", "changes of the policy"),
}
"""What each figure counts, behind its number: of one, and of several where that differs."""
_EVIDENCE = 5
NEW = "Newly stands out (jit insights has all of it, and its evidence)"
_FEW = 5
FINDS = {
    "closed": "closed, since no request accounted for it",
    "orphan": "open with no request that accounts for it",
    "gone": "open by the books and gone there",
    "foreign": "made or changed by another hand",
    "beside": "held by an account that no request tells of",
    "unseen": "could not be looked at",
}


def as_json(digest: Digest) -> str:
    """One document. Keys stay; more may come."""
    return json.dumps(digest.document(), indent=2, ensure_ascii=False) + "\n"


def text(digest: Digest) -> str:
    """For a terminal."""
    return "\n".join(plain(line) for line in _lines(digest)) + "\n"


def plain(line: str) -> str:
    """Without signs that a terminal would obey."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def counted(figure: Figure) -> str:
    """What the figure counts, for its number."""
    one, several = _NAMES[figure.name]
    return one if figure.count == 1 or not several else several


def titled(digest: Digest) -> str:
    """Its day."""
    return long_day(digest.day)


def long_day(day: str) -> str:
    """``Tuesday 24 November 2026``."""
    found = date.fromisoformat(day)
    return f"{found:%A} {found.day} {found:%B %Y}"


def quiet(digest: Digest) -> str:
    """A day on which nothing happened, in one sentence."""
    live = digest.count("live")
    held = "Nobody held anything at its end" if not live else f"{some(live, 'role')} {_were(live)} held at its end"
    return f"{titled(digest)} was quiet: nothing was asked for, opened or closed. {held}."


def range_of(digest: Digest) -> str:
    """Which events it tells of, and what is not in it."""
    if digest.events:
        said = f"{some(digest.events, 'event')}, numbers {digest.first:,} to {digest.last:,}"
    else:
        said = "no events"
    hours = (digest.until - digest.since) / 3_600
    return " · ".join([f"{digest.timezone}, {hours:g} h", said, *doubts(digest)])


def doubts(digest: Digest) -> Iterator[str]:
    """What cannot be told."""
    if not digest.whole:
        yield "NOT WHOLE: of this day not everything is known to be over and sealed; what came after is not in it"
    for first, last in digest.lost[:_FEW]:
        yield f"the events {first:,} to {last:,} were lost before they were sealed"
    if len(digest.lost) > _FEW:
        yield f"and {len(digest.lost) - _FEW:,} such ranges more"
    if digest.unread:
        yield f"{some(digest.unread, 'event')} could not be read by this version"
    if digest.beyond:
        yield f"{digest.beyond:,} open requests more were not looked at one by one"


def took(digest: Digest) -> str:
    """How long decisions took; empty where there was none."""
    if digest.median is None or digest.slowest is None:
        return ""
    return f"Decisions took {length(digest.median)} (median)"


def length(seconds: float) -> str:
    """How long, in words: of less than an hour to the second, of more to the minute."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return durations.words(round(seconds) if seconds < 3_600 else round(seconds / 60) * 60)


def some(count: int, noun: str) -> str:
    """``1 role``, ``2 roles``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _lines(digest: Digest) -> Iterator[str]:
    if digest.quiet:
        yield quiet(digest)
        yield from (f"  {doubt}" for doubt in doubts(digest))
        yield from _part(NEW, map(_finding, digest.findings))
        yield f"Head {digest.head or 'none'}: {digest.verify}"
        return
    yield f"Digest for {titled(digest)}"
    yield range_of(digest)
    yield ""
    shown = [(f"{figure.count:,} {counted(figure)}", figure.look) for figure in digest.figures if figure.count]
    width = max((len(said) for said, _ in shown), default=0)
    yield from (f"  {said:<{width}}  {look}" for said, look in shown)
    if digest.median is not None and digest.slowest is not None:
        yield f"{took(digest)}; the slowest {_decision(digest.slowest)}"
    zone = digest.timezone
    yield from _part("Not right", (_trouble(trouble) for trouble in digest.trouble))
    yield from _part(NEW, map(_finding, digest.findings))
    yield from _part("Held at its end, what ends first on top", (_grant(grant, zone) for grant in digest.live))
    yield from _part("The longest", (_grant(grant, zone) for grant in digest.longest))
    yield from _part("The most sensitive that were opened", (_grant(grant, zone) for grant in digest.sensitive))
    yield from _part(
        "Found in the systems", (f"{line.count:,} {FINDS.get(line.said, line.said)}" for line in digest.found)
    )
    yield from _part("Refused", (f"{line.count:,} × {line.said}" for line in digest.refused))
    yield from _part("Taken away by the policy", digest.taken)
    yield from _part("May by the new policy", (f"{r.who}: {r.verb} {r.role}" for r in digest.gained))
    yield from _part("May not any more", (f"{r.who}: {r.verb} {r.role}" for r in digest.lost_rights))
    yield from _part("Policies that cannot be compared", digest.unknown_policies)
    yield from _part("Also", (f"{line.count:,} × {line.said}" for line in digest.others))
    yield from _part(
        "By system", (f"{b.system}: {b.asked} asked, {b.opened} opened, {b.closed} closed" for b in digest.systems)
    )
    yield ""
    yield f"One request: jit audit evidence ID. Head {digest.head or 'none'}: {digest.verify}"


def _finding(finding: Finding) -> str:
    ids = finding.requests[-_EVIDENCE:] or finding.people[:_EVIDENCE]
    more = len(finding.requests or finding.people) - len(ids)
    evidence = f"{', '.join(ids)}{f' and {more} more' if more else ''}"
    return f"{finding.severity.value}: {finding.sentence} {finding.act} Evidence: {evidence}."


def _part(name: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"{name}:", *(f"  {line}" for line in found))


def _decision(decision: Decision) -> str:
    return f"{length(decision.seconds)} ({decision.id}, {decision.what} for {decision.who}, by {decision.by})"


def _grant(grant: Grant, tz: str) -> str:
    ends = f"{'closed' if grant.closed else 'ends'} {_clock(grant.ends_at, tz)}"
    opened = length(max(0.0, grant.ends_at - grant.opened_at))
    return f"{grant.id}  {grant.who}  {', '.join(grant.roles)}  {grant.sensitivity}  {opened}, {ends}"


def _trouble(trouble: Trouble) -> str:
    about = f"{trouble.id}  {trouble.who}  {', '.join(trouble.roles)}"
    return f"{about}  {wrong(trouble)}{f': {trouble.said}' if trouble.said else ''}"


def wrong(trouble: Trouble) -> str:
    """What is wrong with how it ended, in a few words."""
    return {
        "late": f"closed {length(trouble.seconds)} late",
        "stuck": f"not closed, {length(trouble.seconds)} after it should have been",
        "unverified": "closed by hand, never read back",
    }[trouble.kind]


def _clock(at: float, tz: str) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone(moments.zone(tz)):%Y-%m-%d %H:%M}"
