"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from bot.core.human_times import BadTime, When, day, parse, spelled

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC).timestamp()
"""A Wednesday."""


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("today", When(at(2026, 3, 18), at(2026, 3, 19))),
        ("Yesterday", When(at(2026, 3, 17), at(2026, 3, 18))),
        ("this week", When(at(2026, 3, 16), at(2026, 3, 23))),
        ("last  week", When(at(2026, 3, 9), at(2026, 3, 16))),
        ("this month", When(at(2026, 3, 1), at(2026, 4, 1))),
        ("last month", When(at(2026, 2, 1), at(2026, 3, 1))),
        ("last 7 days", When(NOW - 7 * 86_400)),
        ("past 1 hour", When(NOW - 3_600)),
        ("30m", When(NOW - 1_800)),
        ("last 2w", When(NOW - 14 * 86_400)),
        ("2026-02", When(at(2026, 2, 1), at(2026, 3, 1))),
        ("2025-12", When(at(2025, 12, 1), at(2026, 1, 1))),
        ("2026-03-14", When(at(2026, 3, 14), at(2026, 3, 15))),
        ("2026-03-14 UTC", When(at(2026, 3, 14), at(2026, 3, 15))),
        ("2026-03-14 Europe/Berlin", When(at(2026, 3, 13, 23), at(2026, 3, 14, 23))),
        ("2026-03-14..2026-03-20 Europe/Berlin", When(at(2026, 3, 13, 23), at(2026, 3, 20, 23))),
        ("2026-03-29 Europe/Berlin", When(at(2026, 3, 28, 23), at(2026, 3, 29, 22))),
        ("2026-10-25 Europe/Berlin", When(at(2026, 10, 24, 22), at(2026, 10, 25, 23))),
        ("2026-03-14T02:10", When(at(2026, 3, 14, 2, 10), at(2026, 3, 14, 2, 11))),
        ("2026-03-14T02:10:05Z", When(at(2026, 3, 14, 2, 10, 5), at(2026, 3, 14, 2, 10, 6))),
        ("2026-03-01..2026-03-14", When(at(2026, 3, 1), at(2026, 3, 15))),
        ("2026-03-01..", When(at(2026, 3, 1))),
        ("..2026-03-14", When(None, at(2026, 3, 15))),
        ("since 2026-03-14", When(at(2026, 3, 14))),
        ("until 2026-03-14", When(None, at(2026, 3, 14))),
        ("at 2026-03-14T02:10Z", When(at=at(2026, 3, 14, 2, 10))),
        ("at 2026-03-14T02:10+02:00", When(at=at(2026, 3, 14, 0, 10))),
    ],
)
def test_what_is_typed_is_understood(words: str, meant: When) -> None:
    assert parse(words, NOW) == meant


@pytest.mark.parametrize(
    "words",
    [
        "soon",
        "2026-03-14 Mars/Olympus",
        "2026-02-30 Europe/Berlin",
        "at noon",
        "2026-13",
        "2026-02-30",
        "last 99999 days",
        "..",
        "since",
        "1e9",
    ],
)
def test_what_is_no_time_is_refused_with_examples(words: str) -> None:
    with pytest.raises(BadTime, match="last week"):
        parse(words, NOW)


def test_a_moment_is_spelled_in_utc_whatever_it_is() -> None:
    assert spelled(at(2026, 3, 14, 2, 10)) == "2026-03-14T02:10:00.000Z"
    assert spelled(1e300) == "1e+300"


@pytest.mark.parametrize(
    ("words", "zone", "meant"),
    [
        ("", "UTC", date(2026, 3, 17)),
        ("yesterday", "UTC", date(2026, 3, 17)),
        ("Today", "UTC", date(2026, 3, 18)),
        ("today", "Asia/Tokyo", date(2026, 3, 19)),
        ("monday", "UTC", date(2026, 3, 16)),
        ("wednesday", "UTC", date(2026, 3, 11)),
        ("thursday", "UTC", date(2026, 3, 12)),
        (" 2026-03-14 ", "UTC", date(2026, 3, 14)),
    ],
)
def test_a_day_is_one_of_its_zone_and_a_weekday_the_last_one_that_is_over(words: str, zone: str, meant: date) -> None:
    assert day(words, NOW, zone) == meant


@pytest.mark.parametrize("words", ["2026-03-19", "1999-12-31", "2026-02-30", "someday", "2026-03", "20260314"])
def test_a_day_that_is_none_or_has_not_begun_is_refused(words: str) -> None:
    with pytest.raises(BadTime):
        day(words, NOW, "UTC")
