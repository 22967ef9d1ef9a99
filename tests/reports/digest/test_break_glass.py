"""A digest counts break-glass, and lists each access whose review is outstanding until it is given."""

from __future__ import annotations

from pathlib import Path

from bot.audit.archive import break_glass as uses
from bot.audit.archive.archive import Archive
from bot.core.break_glass import BreakGlass, BreakGlassReview
from bot.core.break_glass_events import BreakGlassReviewed, BreakGlassUsed, ReviewOverdue
from bot.core.events import AccessExpired, Event, GrantAttempted, Granted, Submitted
from bot.reports.digest.facts import Digest
from bot.reports.digest.needs import NeedKind, needs
from bot.reports.digest.text import text
from handlers.views import digest as view
from tests.reports.digest.days import HOUR, UNTIL, W, asked, at, closed, entries, kept, made, role, somebody

ID = "J-9999"


def story() -> list[Event]:
    """Mia takes the vault at nine; its review is due at eleven."""
    first = asked(ID, "mia", 9, role("vault"))
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "at"}}
    glass = BreakGlass(at=at(9), review_by=at(11))
    prior = {"present": False, "facts": {}}
    return [
        BreakGlassUsed(at=at(9), break_glass=glass, **facts),
        GrantAttempted(at=at(9) + 1, leg=0, subject={}, target="x", prior=prior, in_flight_until=at(9) + 9),
        Granted(at=at(9) + 1, leg=0, receipt={"ours": True}),
        AccessExpired(at=at(9) + 1 + HOUR),
        *closed(at(9) + 2 + HOUR),
        ReviewOverdue(at=at(11), days=1),
    ]


def of(events: list[Event], home: Path, now: float = UNTIL + 300) -> Digest:
    """The digest of the day with these events."""
    archive = Archive.open("", home, create=True)
    try:
        return made(kept(archive, entries([(ID, events)], [])), now=now)
    finally:
        archive.close()


def test_an_outstanding_review_needs_somebody_and_the_use_is_counted(tmp_path: Path) -> None:
    found = of(story(), tmp_path)
    assert (found.count("break-glass"), found.count("reviewed"), found.requests) == (1, 0, 1)
    assert found.count("late") == 0, "access ended in time, whatever its review does"
    assert found.live == ()
    [need] = [need for need in needs(found) if need.kind is NeedKind.REVIEW]
    assert need.id == ID
    assert need.sentence == "mia@example.com used break-glass for The vault, and its review is overdue."
    assert need.sentence in text(found)
    shown = view.announcement(found)
    assert need.sentence in str(shown.blocks)
    assert "'text': 'Review'" in str(shown.blocks)


def test_once_it_is_reviewed_nobody_is_needed(tmp_path: Path) -> None:
    review = BreakGlassReview(justified=True, by=somebody("dan"), at=at(12))
    found = of([*story(), BreakGlassReviewed(at=at(12), by="UDAN", review=review)], tmp_path)
    assert found.count("reviewed") == 1
    assert found.unreviewed == ()
    assert [need for need in needs(found) if need.kind is NeedKind.REVIEW] == []


def test_the_archive_knows_who_used_it_and_what_waits_for_its_review(tmp_path: Path) -> None:
    archive = kept(Archive.open("", tmp_path, create=True), entries([(ID, story())], []))
    assert [entry.id for entry in uses.uses(archive, W, at(8), at(10))] == [ID]
    assert uses.uses(archive, W, at(10), at(12)) == []
    assert uses.unreviewed(archive, W) == [ID]
    assert archive.unclosed(W) == [], "nobody has access by it"
    archive.close()
