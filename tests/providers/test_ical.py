"""Schedules and freezes in calendars: times as RFC 5545 has them, who is named, and what a hostile one comes to."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories.base import NoAnswer, Refused
from providers.directories.ical.calendar import Calendar, CalendarConfig, busy, read
from providers.directories.ical.provider import ICal
from tests.providers.calendars import CalendarServer, calendar, event, shift

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400.0
NOW = datetime(2026, 10, 24, 12, tzinfo=BERLIN).timestamp()
"""The day before the clocks go back in Berlin."""


@pytest.fixture
async def server() -> AsyncIterator[CalendarServer]:
    server = CalendarServer()
    await server.start()
    yield server
    await server.stop()


async def spans(*events: str, lines: tuple[str, ...] = (), zone: str = "") -> list[tuple[str, str]]:
    """The times of a calendar within four days, as a clock in Berlin shows them."""
    found = busy(await read(calendar(events, *lines), NOW, NOW + 4 * DAY, zone))
    return [(_clock(start), _clock(end)) for start, end in found]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, BERLIN).strftime("%d %H:%M")


async def test_a_daily_event_keeps_its_time_of_day_when_the_clocks_change() -> None:
    daily = event("1", "DTSTART;TZID=Europe/Berlin:20261001T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    assert await spans(daily) == [(f"{day} 09:00", f"{day} 10:00") for day in (25, 26, 27, 28)]


async def test_what_is_left_out_moved_or_cancelled_is_not_on() -> None:
    daily = event(
        "1",
        "DTSTART;TZID=Europe/Berlin:20261001T090000",
        "DTEND;TZID=Europe/Berlin:20261001T100000",
        "RRULE:FREQ=DAILY",
        "EXDATE;TZID=Europe/Berlin:20261025T090000",
    )
    moved = event(
        "1",
        "RECURRENCE-ID;TZID=Europe/Berlin:20261026T090000",
        "DTSTART;TZID=Europe/Berlin:20261026T150000",
        "DTEND;TZID=Europe/Berlin:20261026T160000",
    )
    dropped = event(
        "1",
        "RECURRENCE-ID;TZID=Europe/Berlin:20261027T090000",
        "DTSTART;TZID=Europe/Berlin:20261027T090000",
        "DTEND;TZID=Europe/Berlin:20261027T100000",
        "STATUS:CANCELLED",
    )
    off = event("2", "DTSTART:20261025T000000Z", "DTEND:20261026T000000Z", "STATUS:CANCELLED")
    assert await spans(daily, moved, dropped, off) == [("26 15:00", "26 16:00"), ("28 09:00", "28 10:00")]
    assert not await spans(daily, lines=("METHOD:CANCEL",))


async def test_a_day_and_a_time_without_a_zone_are_where_the_calendar_is() -> None:
    whole = event("1", "DTSTART;VALUE=DATE:20261025", "DTEND;VALUE=DATE:20261026")
    one = event("2", "DTSTART;VALUE=DATE:20261027")
    floating = event("3", "DTSTART:20261026T090000", "DTEND:20261026T100000")
    there = [("25 00:00", "26 00:00"), ("26 09:00", "26 10:00"), ("27 00:00", "28 00:00")]
    assert await spans(whole, one, floating, lines=("X-WR-TIMEZONE:Europe/Berlin",)) == there
    assert await spans(whole, one, floating, zone="Europe/Berlin") == there
    assert (await spans(floating))[0] == ("26 10:00", "26 11:00"), "UTC where nobody says another"


async def test_a_zone_that_the_calendar_describes_itself_is_used() -> None:
    offset = "BEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0500\r\nTZOFFSETTO:+0500\r\nEND:STANDARD"
    zone = f"BEGIN:VTIMEZONE\r\nTZID:Ours\r\n{offset}\r\nEND:VTIMEZONE"
    own = event("1", "DTSTART;TZID=Ours:20261026T130000", "DTEND;TZID=Ours:20261026T140000")
    assert await spans(zone, own) == [("26 09:00", "26 10:00")]


async def test_what_cannot_be_read_for_sure_is_no_calendar() -> None:
    fine = shift(NOW, NOW + DAY, ["mia@example.com"])
    for content, why in (
        (b"", "no calendar"),
        (calendar([fine])[:-20], "no calendar"),
        (calendar([]) + calendar([fine])[:-20], "not all of one"),
        (b"<html>sign in</html>", "no calendar"),
        (calendar([fine, event("2", "DTSTART:nonsense")]), "DTSTART of an event"),
        (calendar([fine, event("2", "DTSTART:20261025T000000Z", "RRULE:FREQ=OFTEN")]), "RRULE of an event"),
        (calendar([fine, event("2", "SUMMARY:when?")]), "no beginning"),
        (calendar([fine, event("2", "DTSTART;TZID=Middle/Earth:20261025T000000")]), "time zone that is not known"),
        (calendar([fine], "X-WR-TIMEZONE:Middle/Earth"), "timezone"),
    ):
        with pytest.raises(NoAnswer, match=why):
            await read(content, NOW, NOW + DAY, "")


@pytest.mark.parametrize(
    "lines",
    [
        ("DTSTART:19700101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;COUNT=1000000000"),
        ("DTSTART:19700101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY"),
        ("DTSTART:19700101T000000Z", "DURATION:PT1S", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
    ],
)
async def test_an_event_that_recurs_without_measure_takes_no_more_than_its_share(lines: tuple[str, ...]) -> None:
    began = time.monotonic()
    try:
        found = await read(calendar([event("1", *lines)]), NOW, NOW + 8 * DAY, "")
    except NoAnswer:
        found = ()
    assert len(found) <= 10_000
    assert time.monotonic() - began < 20


async def test_a_calendar_of_very_many_events_is_not_read() -> None:
    many = calendar(event(str(n), "DTSTART:20261025T000000Z") for n in range(10_001))
    with pytest.raises(NoAnswer, match="more than 10,000 events"):
        await read(many, NOW, NOW + DAY, "")


async def test_the_process_that_reads_has_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from providers.directories.ical import calendar as module

    program = tmp_path / "program.py"
    program.write_text("import json, os; print(json.dumps({'unusable': 'it has ' + repr(sorted(os.environ))}))")
    monkeypatch.setenv("PAGERDUTY_TOKEN", "secret")
    monkeypatch.setattr(module, "_PROGRAM", program)
    with pytest.raises(NoAnswer) as said:
        await read(b"", 0.0, 1.0, "")
    assert "it has" in str(said.value)
    assert "PAGERDUTY" not in str(said.value)


async def on_call(tmp_path: Path, *lines: str, group: str = "") -> tuple[set[str], bool]:
    path = tmp_path / "oncall.ics"
    now = time.time()
    path.write_bytes(calendar([shift(now - 60, now + 60, [], *lines)]))
    directory = ICal(CalendarConfig(file=path))
    told = await directory.members(group, now)
    return set(told.people), told.whole


async def test_an_event_names_those_who_attend_it(tmp_path: Path) -> None:
    assert await on_call(
        tmp_path,
        "ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:Mia@example.com",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:dan@example.com",
        "ATTENDEE;CUTYPE=ROOM:mailto:room@example.com",
        "ORGANIZER:mailto:boss@example.com",
        "SUMMARY:kim@example.com",
    ) == ({"mia@example.com"}, True)


async def test_else_those_whom_its_summary_names_or_who_holds_it(tmp_path: Path) -> None:
    named = await on_call(tmp_path, "SUMMARY:On call: Mia (mia@example.com)", "ORGANIZER:mailto:boss@example.com")
    assert named == ({"mia@example.com"}, True)
    assert await on_call(tmp_path, "SUMMARY:On call", "ORGANIZER:mailto:boss@example.com") == (
        {"boss@example.com"},
        True,
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("SUMMARY:Mia",),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:mia@example.com",),
        ("ATTENDEE:mailto:mia@example.com", "ATTENDEE:urn:uuid:1234"),
        ("ATTENDEE:https://example.com/mia@example.com",),
    ],
)
async def test_an_event_that_names_nobody_for_sure_leaves_it_open(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert not (await on_call(tmp_path, *lines))[1]


async def test_a_group_can_be_a_category(tmp_path: Path) -> None:
    lines = ("ATTENDEE:mailto:mia@example.com", "CATEGORIES:Primary,Weekend")
    assert await on_call(tmp_path, *lines, group="primary") == ({"mia@example.com"}, True)
    assert await on_call(tmp_path, *lines, group="secondary") == (set(), True)
    assert await on_call(tmp_path, *lines, group="week") == (set(), True), "the whole of its name"


async def events(server: CalendarServer, now: float, **more: Any) -> int:
    """How many it has."""
    known = Calendar(CalendarConfig.model_validate({"url": server.url, "timeout": 2, **more}))
    try:
        return len(await known.events(now))
    finally:
        await known.close()


async def test_a_redirect_is_followed_on_the_same_host_alone(server: CalendarServer) -> None:
    now = time.time()
    server.content = calendar([shift(now - 60, now + 60, [])])
    server.answer = web.Response(status=302, headers={"Location": "/moved"})
    assert await events(server, now) == 1
    for elsewhere in ("http://localhost:1/", "https://example.com/", f"https://127.0.0.1:{server.port}/moved"):
        server.answer = web.Response(status=302, headers={"Location": elsewhere})
        with pytest.raises(NoAnswer, match="another host"):
            await events(server, now)
    server.answer = web.Response(status=302, headers={"Location": server.PATH})
    before = server.calls
    with pytest.raises(NoAnswer, match="302"):
        await events(server, now)
    assert server.calls - before == 3


async def test_what_an_address_answers(server: CalendarServer) -> None:
    for status, kind in ((404, Refused), (410, Refused), (403, Refused), (503, NoAnswer), (429, NoAnswer)):
        server.answer = web.Response(status=status, headers={"Retry-After": "7"})
        with pytest.raises(kind, match=str(status)) as said:
            await events(server, time.time())
        assert getattr(said.value, "after", 7) == 7
        assert "0123456789abcdef" not in str(said.value)
    server.answer = web.Response(body=b"x" * 5_000_001)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await events(server, time.time(), timeout=5)


async def test_a_calendar_that_did_not_change_is_read_once_an_hour(
    server: CalendarServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from providers.directories.ical import calendar as module

    reads: list[float] = []

    async def counted(content: bytes, begin: float, end: float, zone: str) -> Any:
        reads.append(begin)
        return await read(content, begin, end, zone)

    monkeypatch.setattr(module, "read", counted)
    known = Calendar(CalendarConfig.model_validate({"url": server.url}))
    server.content = calendar([event("1", "DTSTART;TZID=Europe/Berlin:20261001T090000", "RRULE:FREQ=DAILY")])
    for later in (0, 60, 3599):
        await known.events(NOW + later)
    assert len(reads) == 1
    await known.events(NOW + 3600)
    assert len(reads) == 2
    server.content = calendar([])
    assert not await known.events(NOW + 3601), "a change counts at once"
    await known.close()


async def test_a_file_is_a_plain_file_of_some_size(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no file"):
        await Calendar(CalendarConfig(file=tmp_path / "none.ics")).events(NOW)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="no file"):
        await Calendar(CalendarConfig(file=tmp_path / "pipe")).events(NOW)
    (tmp_path / "large").write_bytes(b"x" * 5_000_001)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await Calendar(CalendarConfig(file=tmp_path / "large")).events(NOW)


def test_a_config_says_one_place_and_a_zone_that_exists() -> None:
    for wrong in ({}, {"url": "https://x.io/a.ics", "file": "a.ics"}, {"file": "a.ics", "timezone": "Middle/Earth"}):
        with pytest.raises(ValidationError):
            CalendarConfig.model_validate(wrong)
    with pytest.raises(ValidationError, match="https://") as said:
        CalendarConfig.model_validate({"url": "http://example.com/secret.ics"})
    assert "secret.ics" not in str(said.value)
    assert "secret.ics" not in repr(CalendarConfig.model_validate({"url": "https://example.com/secret.ics"}))


def test_times_that_touch_are_one() -> None:
    from providers.directories.ical.calendar import CalendarEvent

    events = [CalendarEvent(start=a, end=b) for a, b in ((5, 6), (1, 3), (2, 4), (4, 5), (9, 9))]
    assert busy(events) == ((1, 6),)
