"""Durations, starts and ends among the other words of a line (``90 minutes``, ``monday 9:00``) → seconds, or nothing.

`read` looks at one place in a list of lower-case words and says how many of them it took. What could mean two things
(``at 10``, ``next friday``, ``tomorrow`` without a time) is not read: the caller asks back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import NamedTuple

from bot.core import start_times
from bot.core.start_times import NotAMoment

_UNITS = {
    86_400: ("d", "day", "days"),
    3600: ("h", "hr", "hrs", "hour", "hours"),
    60: ("m", "min", "mins", "minute", "minutes"),
    1: ("s", "sec", "secs", "second", "seconds"),
}
_SIZES = {word: size for size, words in _UNITS.items() for word in words}
_COUNTS = {
    word: Fraction(n)
    for n, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
} | {"a": Fraction(1), "an": Fraction(1)}
_NUMBER = r"\d{1,5}(?:[.,]\d{1,3})?"
_ONLY_NUMBER = re.compile(_NUMBER, re.ASCII)
_COMPACT = re.compile(rf"(?:{_NUMBER}[a-z]+)+", re.ASCII)
_COMPACT_PART = re.compile(rf"({_NUMBER})([a-z]+)", re.ASCII)
_LONGEST = 10**9
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(am|pm)?", re.ASCII)
_RANGE = re.compile(r"([\d:]{1,5}(?:am|pm)?)[-\u2010-\u2015\u2212]([\d:]{1,5}(?:am|pm)?)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_AND_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})t(\d{1,2}:\d{2})(?::00)?(z?)", re.ASCII)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAYS = {name: n for n, day in enumerate(_DAYS) for name in (day, day[:3])} | {"tues": 1, "thur": 3, "thurs": 3}
_STARTING = frozenset({"at", "from", "on", "starting", "start", "starts", "beginning", "between"})
_UNTIL = frozenset({"until", "till", "til"})
_TO = frozenset({"to", "and", "-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2015", "\u2212"}) | _UNTIL
_UTC = frozenset({"utc", "gmt"})
_NOW = frozenset({"now", "immediately", "asap"})


class Clock(NamedTuple):
    """Whose words they are: their zone, and what time it is (Unix seconds)."""

    tz: str
    now: float


class TimePhrase(NamedTuple):
    """What some words say of time: ``seconds`` of a duration, ``starts_at`` and ``until`` in Unix seconds, or None.

    A start of 0 is now.
    """

    words: int
    seconds: int | None = None
    starts_at: float | None = None
    until: float | None = None


class _Moment(NamedTuple):
    """A moment as ``YYYY-MM-DD HH:MM``, ``tomorrow HH:MM`` or ``HH:MM``, in a zone; ``weekday``: and the day for it."""

    words: int
    text: str
    tz: str
    weekday: int | None = None
    dated: bool = True


def read(words: Sequence[str], at: int, clock: Clock) -> TimePhrase | None:
    """The longest statement about time that begins there."""
    readings = (_duration(words, at), _range(words, at, clock), _until(words, at, clock), _start(words, at, clock))
    return max((said for said in readings if said), key=lambda said: said.words, default=None)


def begins(words: Sequence[str], at: int, clock: Clock) -> float | None:
    """When the day that is named there begins: ``tomorrow``, ``monday`` (the next one) or ``2026-12-24``."""
    day = _day(_word(words, at))
    today = start_times.today(clock.tz, clock.now)
    if day in _WEEKDAYS:
        ahead = (_WEEKDAYS[day] - today.weekday() - 1) % 7 + 1
        return start_times.local(today + timedelta(days=ahead), "00:00", clock.tz)
    try:
        return start_times.parse(f"{day} 0:00", clock.tz, clock.now) if day else None
    except NotAMoment:
        return None


# durations


def _duration(words: Sequence[str], at: int) -> TimePhrase | None:
    """``1h30m``, ``1.5 hours``, ``1h 30m``, ``an hour and a half``: each part of a smaller unit than the one before."""
    total, smallest, end = Fraction(0), 10**9, at
    while True:
        joined = end + (end > at and _word(words, end) == "and")
        part = _part(words, joined)
        if part is None or part[2] >= smallest:
            break
        total, smallest, end = total + part[1], part[3], joined + part[0]
    if end > at and smallest < 10**9 and tuple(words[end : end + 3]) == ("and", "a", "half"):
        total, end = total + Fraction(smallest, 2), end + 3
    whole = end > at and total.denominator == 1 and total < _LONGEST
    return TimePhrase(end - at, seconds=int(total)) if whole else None


def _part(words: Sequence[str], at: int) -> tuple[int, Fraction, int, int] | None:
    """One part: its words, its seconds, its largest and its smallest unit."""
    word = _word(words, at)
    if _COMPACT.fullmatch(word):
        return _compact(word)
    if word == "half":
        article = _word(words, at + 1) in {"a", "an"}
        size = _SIZES.get(_word(words, at + 1 + article))
        return (2 + article, Fraction(size, 2), size, size) if size else None
    count = Fraction(word.replace(",", ".")) if _ONLY_NUMBER.fullmatch(word) else _COUNTS.get(word)
    if count is None:
        return None
    if tuple(words[at + 1 : at + 4]) == ("and", "a", "half"):
        size = _SIZES.get(_word(words, at + 4))
        return (5, (count + Fraction(1, 2)) * size, size, size) if size else None
    size = _SIZES.get(_word(words, at + 1))
    return (2, count * size, size, size) if size else None


def _compact(word: str) -> tuple[int, Fraction, int, int] | None:
    total, sizes = Fraction(0), list[int]()
    for number, unit in _COMPACT_PART.findall(word):
        size = _SIZES.get(unit)
        if size is None or (sizes and size >= sizes[-1]):
            return None
        total += Fraction(number.replace(",", ".")) * size
        sizes.append(size)
    return 1, total, sizes[0], sizes[-1]


# starts and ends


def _start(words: Sequence[str], at: int, clock: Clock) -> TimePhrase | None:
    """``at 22:00``, ``tomorrow 9:30``, ``on monday at 9am``, ``9:00 tomorrow``, ``in 2 hours``, ``now``."""
    begun = _leading(words, at)
    right = _word(words, at + begun) == "right"
    if _word(words, at + begun + right) in _NOW:
        return TimePhrase(begun + right + 1, starts_at=0.0)
    if _word(words, at) == "in" and (wait := _duration(words, at + 1)):
        return TimePhrase(1 + wait.words, starts_at=clock.now + (wait.seconds or 0))
    found = _moment(words, at + begun)
    # A time alone, without "at" or a day, may be anything: the time of an incident, say.
    if found is None or not (begun or found.dated):
        return None
    moment = _meant(found, clock.now, clock.tz)
    return None if moment is None else TimePhrase(begun + found.words, starts_at=moment)


def _until(words: Sequence[str], at: int, clock: Clock) -> TimePhrase | None:
    """``until 18:00``, ``till tomorrow 9:00``."""
    if _word(words, at) not in _UNTIL:
        return None
    found = _moment(words, at + 1)
    moment = _meant(found, clock.now, clock.tz) if found else None
    return TimePhrase(1 + found.words, until=moment) if found and moment is not None else None


def _range(words: Sequence[str], at: int, clock: Clock) -> TimePhrase | None:
    """``from 22:00 to 23:00``, ``tomorrow 9:00-10:00``: it ends at the first such time after its start."""
    begun = _leading(words, at)
    split, taken = _split(words, at + begun)
    first = _moment(split, at + begun)
    if first is None:
        return None
    to = at + begun + first.words
    second = _moment(split, to + 1) if _word(split, to) in _TO else None
    if second is None or not (begun or taken or first.dated):
        return None
    starts_at = _meant(first, clock.now, clock.tz)
    until = _meant(second, starts_at, second.tz or first.tz or clock.tz) if starts_at is not None else None
    if starts_at is None or until is None or until <= starts_at:
        return None
    return TimePhrase(begun + first.words + 1 + second.words - taken, starts_at=starts_at, until=until)


def _split(words: Sequence[str], at: int) -> tuple[Sequence[str], int]:
    """``9:00-10:00`` as three words within the next two, and by how many words that is more."""
    for n in range(at, min(at + 3, len(words))):
        if found := _RANGE.fullmatch(words[n]):
            return [*words[:n], found[1], "to", found[2], *words[n + 1 :]], 2
    return words, 0


def _leading(words: Sequence[str], at: int) -> int:
    """How many words say that a start follows: ``starting on``."""
    return next((n for n in range(3) if _word(words, at + n) not in _STARTING), 3)


def _moment(words: Sequence[str], at: int) -> _Moment | None:
    """``[day] [at] TIME [utc]`` or ``TIME [on] day [utc]``."""
    if found := _DATE_AND_TIME.fullmatch(_word(words, at)):
        return _zoned(words, at, _Moment(1, f"{found[1]} {found[2]}", "UTC" if found[3] else ""))
    if day := _day(_word(words, at)):
        linked = _word(words, at + 1) == "at"
        time = _time(words, at + 1 + linked)
        return _zoned(words, at, _dated(1 + linked + time[0], day, time[1])) if time else None
    time = _time(words, at)
    if time is None:
        return None
    linked = _word(words, at + time[0]) == "on"
    if after := _day(_word(words, at + time[0] + linked)):
        return _zoned(words, at, _dated(time[0] + linked + 1, after, time[1]))
    return _zoned(words, at, _Moment(time[0], time[1], "", dated=False))


def _dated(count: int, day: str, time: str) -> _Moment:
    weekday = _WEEKDAYS.get(day)
    return _Moment(count, time if weekday is not None else f"{day} {time}", "", weekday)


def _zoned(words: Sequence[str], at: int, moment: _Moment) -> _Moment:
    if _word(words, at + moment.words) in _UTC:
        return moment._replace(words=moment.words + 1, tz="UTC")
    return moment


def _day(word: str) -> str:
    if word == "tonight":
        return "today"
    return word if word in {"today", "tomorrow"} or word in _WEEKDAYS or _DATE.fullmatch(word) else ""


def _time(words: Sequence[str], at: int) -> tuple[int, str] | None:
    """A time of day as ``HH:MM``, and its words; a bare hour is none."""
    word, half = _word(words, at), _word(words, at + 1)
    if word == "noon":
        return 1, "12:00"
    found = _CLOCK.fullmatch(word)
    if found is None:
        return None
    apart = found[3] is None and half in {"am", "pm"}
    half = half if apart else found[3] or ""
    hour, minute = int(found[1]), found[2] or "00"
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif found[2] is None:
        return None
    return 1 + apart, f"{hour}:{minute}"


def _meant(moment: _Moment, after: float, tz: str) -> float | None:
    """The moment, the first one after ``after`` where it names no date; None where there is none."""
    here = moment.tz or tz
    try:
        if moment.weekday is None:
            return start_times.parse(moment.text, here, after)
        today = start_times.today(here, after)
        day = today + timedelta(days=(moment.weekday - today.weekday()) % 7)
        found = start_times.parse(f"{day} {moment.text}", here, after)
        return found if found > after else start_times.parse(f"{day + timedelta(days=7)} {moment.text}", here, after)
    except NotAMoment:
        return None


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""
