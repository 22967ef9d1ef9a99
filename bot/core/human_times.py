"""Times as people type them (`last week`, `2026-03-14T02:10Z`) → moments and spans; it is told what time it is now.

A day or a time without a zone is UTC; a day may name one (`2026-03-14 Europe/Berlin`). Weeks begin on Monday.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bot.core import start_times

_UNITS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_LAST = re.compile(r"^(?:last|past)\s+(\d{1,4})\s+(minute|hour|day|week)s?$")
_SHORT = re.compile(r"^(?:last\s+)?(\d{1,4})\s*([mhdw])$")
_LETTERS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_MONTH = re.compile(r"^\d{4}-\d{2}$")
_DAYS_THERE = re.compile(r"^(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))? ([A-Za-z][\w+-]*(?:/[\w+-]+)*)$", re.ASCII)
_FIRST_DAY = date(2000, 1, 1)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EXAMPLES = (
    "today, yesterday, last week, last 7 days, 2026-03, 2026-03-14, 2026-03-14 Europe/Berlin, "
    "2026-03-01..2026-03-14, at 2026-03-14T02:10Z"
)


class BadTime(ValueError):
    """Words that are no time; the sentence shows some that are."""

    def __init__(self, words: str) -> None:
        """Keep what was typed."""
        super().__init__(f"{words[:60]!r} is no time; there are {EXAMPLES}")


@dataclass(frozen=True)
class When:
    """A span [``since``, ``until``) in Unix seconds, each None for without end; or one moment, ``at``."""

    since: float | None = None
    until: float | None = None
    at: float | None = None


def parse(words: str, now: float) -> When:
    """What was meant. Raises `BadTime`."""
    try:
        return _parsed(words, now)
    except OverflowError:  # no calendar goes as far
        raise BadTime(words) from None


def _parsed(words: str, now: float) -> When:
    text = " ".join(words.split())
    low = text.lower()
    if low.startswith("at "):
        return When(at=_moment(text[3:], words))
    for prefix, bound in (("since ", "since"), ("until ", "until"), ("before ", "until")):
        if low.startswith(prefix):
            return When(**{bound: _moment(text[len(prefix) :], words)})
    if days := _there(text, words):
        return days
    first, dots, last = text.partition("..")
    if dots and (first.strip() or last.strip()):
        return When(_moment(first, words) if first.strip() else None, _end(last, words) if last.strip() else None)
    return _relative(low, now) or _calendar(text, words)


def day(words: str, now: float, tz: str) -> date:
    """The day that is meant, in a zone: `yesterday` (also when nothing is said), `monday`, a date. Raises `BadTime`."""
    low, today = words.strip().lower(), start_times.today(tz, now)
    if low in {"", "yesterday"}:
        return today - timedelta(days=1)
    if low == "today":
        return today
    if low in _WEEKDAYS:
        return today - timedelta(days=(today.weekday() - _WEEKDAYS.index(low) - 1) % 7 + 1)
    try:
        found = date.fromisoformat(low) if _DAY.match(low) else None
    except ValueError:
        found = None
    if found is None or not _FIRST_DAY <= found <= today:
        raise BadTime(words)
    return found


def spelled(at: float) -> str:
    """A moment in UTC, as ISO 8601; a number that is none is shown as it is."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at!r}"


def _relative(low: str, now: float) -> When | None:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    spans = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this week": (monday, monday + timedelta(days=7)),
        "last week": (monday - timedelta(days=7), monday),
        "this month": (first, _next_month(first)),
        "last month": ((first - timedelta(days=1)).replace(day=1), first),
    }
    if low in spans:
        since, until = spans[low]
        return When(since.timestamp(), until.timestamp())
    if found := _LAST.match(low):
        return When(now - int(found[1]) * _UNITS[found[2]])
    if found := _SHORT.match(low):
        return When(now - int(found[1]) * _LETTERS[found[2]])
    return None


def _there(text: str, words: str) -> When | None:
    """A day of a zone, or several."""
    found = _DAYS_THERE.match(text)
    if not found or not start_times.known(found[3]):
        return None
    try:
        first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2] or found[1])
        return When(start_times.span(first, found[3])[0], start_times.span(last, found[3])[1])
    except (ValueError, OverflowError):
        raise BadTime(words) from None


def _calendar(text: str, words: str) -> When:
    """A month, a day, or a time that stands for its minute or second."""
    since = _moment(text, words)
    return When(since, _end(text, words))


def _end(text: str, words: str) -> float:
    """Where what is named is over: a day or a month is meant whole."""
    text = text.strip()
    if _MONTH.match(text):
        return _next_month(datetime.fromtimestamp(_moment(text, words), UTC)).timestamp()
    if _DAY.match(text):
        return _moment(text, words) + 86_400
    return _moment(text, words) + (60 if re.match(r"^[^:]*:\d\d(?!:)", text) else 1)


def _moment(text: str, words: str) -> float:
    text = text.strip()
    if _MONTH.match(text):
        text += "-01"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadTime(words) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _next_month(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)
