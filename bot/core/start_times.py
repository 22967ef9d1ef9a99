"""A start as people write it (``22:00``, ``tomorrow 9:30``, ``2026-11-26 22:00``) → Unix seconds in their own zone.

The days of a zone are told here too. A time that the clocks skip is counted as if they had not been put forward yet
(02:30 is 03:30 then); one that they pass twice is its first. Nothing is guessed: a word that is no time is an error.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(
    r"^(?:(?P<day>today|tomorrow|\d{4}-\d{2}-\d{2})[ tT])?(?P<hour>\d{1,2}):(?P<minute>\d{2})$", re.ASCII
)


class NotAMoment(ValueError):
    """Text that is no time; its message says which forms are."""


def zone(name: str) -> ZoneInfo:
    """A person's zone; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def known(name: str) -> bool:
    """Whether there is a zone of that name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def today(tz: str, now: float) -> date:
    """The day that it is there."""
    return datetime.fromtimestamp(now, UTC).astimezone(zone(tz)).date()


def local(day: date, clock: str, tz: str) -> float:
    """The moment at which a clock there shows ``HH:MM`` on that day."""
    return _at(day, time.fromisoformat(clock), zone(tz))


def span(day: date, tz: str) -> tuple[float, float]:
    """A day there, from its first moment to the next day's: 23 to 25 hours."""
    return local(day, "00:00", tz), local(day + timedelta(days=1), "00:00", tz)


def parse(text: str, tz: str, now: float) -> float:
    """The moment that is meant at ``now``; a time alone is the next one that the clock shows. Raises `NotAMoment`."""
    found = _FORM.match(" ".join(text.split()).lower())
    if not found:
        raise NotAMoment(f"{text[:30]!r} is no time; write it like 22:00, tomorrow 9:30 or 2026-11-26 22:00")
    here = zone(tz)
    day_there = today(tz, now)
    try:
        at = time(int(found["hour"]), int(found["minute"]))
        match found["day"]:
            case None:
                moment = _at(day_there, at, here)
                return moment if moment > now else _at(day_there + timedelta(days=1), at, here)
            case "today":
                return _at(day_there, at, here)
            case "tomorrow":
                return _at(day_there + timedelta(days=1), at, here)
            case day:
                return _at(datetime.fromisoformat(day).date(), at, here)
    except (ValueError, OverflowError) as error:
        raise NotAMoment(f"{text[:30]!r} is no time that there is") from error


def _at(day: date, at: time, here: ZoneInfo) -> float:
    return datetime.combine(day, at, tzinfo=here).timestamp()
