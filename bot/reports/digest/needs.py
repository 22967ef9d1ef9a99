"""What in a digest needs somebody, most urgent first, and its headline; pure. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bot.core import durations
from bot.reports.digest.editions import Edition
from bot.reports.digest.facts import Digest
from bot.reports.digest.tally import Trouble

FINDS = {
    "closed": "orphaned access, revoked",
    "orphan": "orphaned access, not revoked",
    "gone": "active in our records but gone from the system",
    "foreign": "changed by somebody else",
    "unmanaged": "unmanaged access",
    "unseen": "could not be checked",
}
"""What reconciliation found, in words."""
_UNSOLVED = ("orphan", "foreign", "unseen")
"""Of these, the ones that somebody has to look into."""
_QUIET = {Edition.DAILY: "Quiet", Edition.WEEKLY: "Quiet week", Edition.MONTHLY: "Quiet month"}


class NeedKind(StrEnum):
    """Why something needs somebody, the most urgent first."""

    STUCK = "stuck"
    """A revocation is overdue."""
    REVIEW = "review"
    """A break-glass access waits for its review."""
    WAITING = "waiting"
    """A request waits for approval."""
    UNVERIFIED = "unverified"
    """Access was closed manually, and nobody verified that it is gone."""
    DRIFT = "drift"
    """Reconciliation found what it cannot solve itself."""
    ALARM = "alarm"
    """Alarms were raised."""


@dataclass(frozen=True)
class Need:
    """One thing that needs somebody. ``id``: its request, where it is about one; ``until``: when it expires, or 0.

    ``sentence`` may hold what people typed: whoever shows it escapes it.
    """

    kind: NeedKind
    sentence: str
    id: str = ""
    until: float = 0.0


def needs(digest: Digest) -> list[Need]:
    """All of them. What was solved between the end of the span and now needs nobody."""
    found = [*_trouble(digest), *_reviews(digest), *_waiting(digest), *_drift(digest), *_alarms(digest)]
    return sorted(found, key=lambda need: list(NeedKind).index(need.kind))


def headline(digest: Digest) -> str:
    """The digest in a few words."""
    count = len(needs(digest))
    if count:
        return "1 thing needs you" if count == 1 else f"{count} things need you"
    asked = some(digest.requests, "request")
    if not digest.whole or digest.lost or digest.unread:
        return f"Incomplete: {asked} so far"
    return f"{_QUIET[digest.edition]}: {asked if digest.requests else 'no requests'}{_outcome(digest)}"


def still_open(digest: Digest) -> list[str]:
    """The ids of the grants that are open now and that no need is about."""
    needed = {need.id for need in needs(digest)}
    return [grant.id for grant in digest.live if not grant.over and grant.id not in needed]


def wrong(trouble: Trouble) -> str:
    """What is wrong with how access ended, in a few words."""
    since = "; revoked since" if trouble.over else ""
    return {
        "late": f"revoked {length(trouble.seconds)} late",
        "stuck": f"not revoked at midnight, {length(trouble.seconds)} overdue{since}",
        "unverified": "closed manually, not verified",
    }[trouble.kind]


def length(seconds: float) -> str:
    """How long, in words: to the second below an hour, to the minute above."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return durations.words(round(seconds) if seconds < 3_600 else round(seconds / 60) * 60)


def some(count: int, noun: str) -> str:
    """``1 role``, ``2 roles``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _outcome(digest: Digest) -> str:
    late = digest.count("late")
    if late:
        return f", {late:,} revoked late"
    if open_ := len(still_open(digest)):
        return f", {some(open_, 'grant')} still open"
    if not digest.requests:
        return ""
    return ", all ended on time" if digest.count("opened") else ", none granted"


def _trouble(digest: Digest) -> Iterator[Need]:
    for trouble in digest.trouble:
        roles = ", ".join(trouble.roles)[:120]
        why = f" ({trouble.said[:120]})" if trouble.said else ""
        if trouble.kind == "stuck" and not trouble.over:
            said = f"{trouble.who} may still have {roles}: revocation is {length(trouble.seconds)} overdue{why}."
            yield Need(NeedKind.STUCK, said, trouble.id)
        elif trouble.kind == "unverified":
            said = f"{roles} of {trouble.who} was closed manually, and nobody verified that it is gone{why}."
            yield Need(NeedKind.UNVERIFIED, said, trouble.id)


def _drift(digest: Digest) -> Iterator[Need]:
    found = [f"{line.count:,} × {FINDS[line.said]}" for line in digest.found if line.said in _UNSOLVED]
    if found:
        yield Need(NeedKind.DRIFT, f"Reconciliation found: {', '.join(found)}.")


def _alarms(digest: Digest) -> Iterator[Need]:
    if count := digest.count("alarms"):
        yield Need(NeedKind.ALARM, "1 alarm was raised." if count == 1 else f"{count:,} alarms were raised.")


def _reviews(digest: Digest) -> Iterator[Need]:
    for each in digest.unreviewed:
        used = f"{each.who[:80]} used break-glass for {each.what[:80]}"
        state = "its review is overdue" if each.overdue else "it waits for its review"
        yield Need(NeedKind.REVIEW, f"{used}, and {state}.", each.id)


def _waiting(digest: Digest) -> Iterator[Need]:
    for each in digest.waiting:
        said = f"{each.who[:80]} requests {each.what[:80]} ({each.sensitivity} risk)."
        yield Need(NeedKind.WAITING, said, each.id, each.decide_by)
