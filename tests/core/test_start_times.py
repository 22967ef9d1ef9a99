"""When somebody wants access to start, as they write it, on ordinary days and on those on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.core.start_times import NotAMoment, parse

BERLIN = "Europe/Berlin"


def utc(text: str) -> float:
    """``2026-11-25 20:00`` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = utc("2026-11-25 20:00")


@pytest.mark.parametrize(
    ("text", "tz", "meant"),
    [
        ("22:00", BERLIN, "2026-11-25 21:00"),
        ("21:00", BERLIN, "2026-11-26 20:00"),
        ("20:59", BERLIN, "2026-11-26 19:59"),
        ("9:30", BERLIN, "2026-11-26 08:30"),
        ("today 23:59", BERLIN, "2026-11-25 22:59"),
        ("tomorrow 09:30", "America/New_York", "2026-11-26 14:30"),
        ("2026-12-01 08:00", BERLIN, "2026-12-01 07:00"),
        ("2026-12-01T08:00", "UTC", "2026-12-01 08:00"),
        ("22:00", "Nowhere/Atall", "2026-11-25 22:00"),
        ("22:00", "", "2026-11-25 22:00"),
    ],
)
def test_a_time_is_the_next_one_in_the_persons_zone(text: str, tz: str, meant: str) -> None:
    assert parse(text, tz, NOW) == utc(meant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "10:60",
        "2026-13-01 10:00",
        "2026-02-30 10:00",
        "10",
        "1:2",
        "٢٢:٠٠",
        "22:00; rm",
        "yesterday 10:00",
    ],
)
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(NotAMoment):
        parse(text, BERLIN, NOW)


def test_a_time_that_the_clocks_skip_comes_an_hour_later_and_once() -> None:
    before = utc("2026-03-28 12:00")
    assert parse("tomorrow 02:30", BERLIN, before) == utc("2026-03-29 01:30")
    assert parse("2026-03-29 03:30", BERLIN, before) == utc("2026-03-29 01:30")


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    before = utc("2026-10-24 12:00")
    assert parse("tomorrow 02:30", BERLIN, before) == utc("2026-10-25 00:30")


@pytest.mark.parametrize(
    ("now", "meant"),
    [
        ("2026-03-29 00:59", "2026-03-29 01:30"),  # 01:59, and the clocks are about to skip it
        ("2026-03-29 01:00", "2026-03-29 01:30"),  # 03:00, which was just put forward
        ("2026-03-29 01:30", "2026-03-30 00:30"),  # 03:30: it was now, and the next one is tomorrow's
        ("2026-10-25 00:29", "2026-10-25 00:30"),  # the first 02:29
        ("2026-10-25 00:30", "2026-10-26 01:30"),  # the first 02:30: the next one is tomorrow's
        ("2026-10-25 01:29", "2026-10-26 01:30"),  # the second 02:29: today's was an hour ago, and comes once
    ],
)
def test_on_a_change_day_a_time_alone_is_one_moment_whenever_it_is_asked_for(now: str, meant: str) -> None:
    assert parse("02:30", BERLIN, utc(now)) == utc(meant)
