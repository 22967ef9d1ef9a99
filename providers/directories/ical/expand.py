"""A program of its own: an iCalendar file on stdin → its events within some days, as JSON on stdout.

A calendar is written by strangers, and a single line of it can mean a billion events: so it is read in a process that
has no secret, and may use only so much time and memory. It is run by its path, and imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MOST_EVENTS = 10_000
_MOST_PEOPLE = 1_000
_CPU_SECONDS = 4
_MEMORY = 1 << 30
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID")
_VITAL = frozenset({*_TIMES, "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE", "STATUS", "SEQUENCE", "UID"})
"""What an event cannot be without: an error in one of these makes the calendar unusable, one elsewhere does not."""
_ADDRESS = re.compile(r"[^@\s<>|,;:()\[\]\"']{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_BEGINS, _ENDS = (
    re.compile(rb"^BEGIN:", re.MULTILINE | re.IGNORECASE),
    re.compile(rb"^END:", re.MULTILINE | re.IGNORECASE),
)
_NOT_PEOPLE = frozenset({"ROOM", "RESOURCE", "GROUP"})
_DAY = timedelta(days=1)


class Unusable(Exception):
    """Why a calendar cannot be relied on."""


def limit() -> None:
    """Bound what this process may use; what a system cannot bound, the wall clock of the caller does."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415  # not everywhere

        for what, most in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))


def expanded(content: bytes, begin: float, end: float, zone: str) -> list[dict[str, Any]]:
    """Each event between two times, Unix seconds. ``zone``: of events that have none; '' for the calendar's own."""
    import icalendar  # noqa: PLC0415  # after the limits are set
    import recurring_ical_events  # noqa: PLC0415

    if len(_BEGINS.findall(content)) > _MOST_EVENTS:
        raise Unusable(f"it has more than {_MOST_EVENTS:,} events")
    try:
        calendars = icalendar.Calendar.from_ical(content, multiple=True)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise Unusable("it is no calendar, or not all of one") from None
    # A file that breaks off has fewer ends than beginnings, and what is left out is silently left out.
    if not calendars or len(_BEGINS.findall(content)) != len(_ENDS.findall(content)):
        raise Unusable("it is no calendar, or not all of one")
    first, last = datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)
    found: list[dict[str, Any]] = []
    for calendar in calendars:
        if calendar.name != "VCALENDAR":
            raise Unusable("it is no calendar, or not all of one")
        if str(calendar.get("METHOD", "")).upper() == "CANCEL":
            continue
        _require_sound(calendar)
        own = _zone(zone or str(calendar.get("X-WR-TIMEZONE", "")) or "UTC")
        try:
            # By a day more on both sides: an event without a zone is of another day elsewhere.
            events = recurring_ical_events.of(calendar).between(first - _DAY, last + _DAY)
        except (ValueError, TypeError, KeyError, ArithmeticError, recurring_ical_events.InvalidCalendar):
            raise Unusable("an event of it recurs in a way that cannot be read") from None
        for event in events:
            start, until = _span(event, own)
            if until > begin and start < end and str(event.get("STATUS", "")).upper() != "CANCELLED":
                found.append({"start": start, "end": until, "categories": _categories(event), **_people(event)})
                if len(found) > _MOST_EVENTS:
                    raise Unusable(f"it has more than {_MOST_EVENTS:,} events within some days")
    return found


def _require_sound(calendar: Any) -> None:
    for event in calendar.walk("VEVENT"):
        if wrong := sorted({str(name).upper() for name, _ in event.errors} & _VITAL):
            raise Unusable(f"the {wrong[0]} of an event in it cannot be read")
        if "DTSTART" not in event:
            raise Unusable("an event in it has no beginning")
        for name in _TIMES:
            value = event.get(name)
            at = getattr(value, "dt", None)
            if value is not None and isinstance(at, datetime) and at.tzinfo is None and "TZID" in value.params:
                raise Unusable("an event in it is in a time zone that is not known")


def _span(event: Any, zone: ZoneInfo) -> tuple[float, float]:
    start = event["DTSTART"].dt
    end = event["DTEND"].dt if "DTEND" in event else start
    if not isinstance(start, datetime) and end <= start:
        end = start + _DAY
    return _at(start, zone), _at(end, zone)


def _at(when: date, zone: ZoneInfo) -> float:
    """Unix seconds; a day begins, and a time without a zone is, where the calendar is."""
    moment = when if isinstance(when, datetime) else datetime(when.year, when.month, when.day, tzinfo=zone)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unusable("its time zone is not known: say `timezone:` in the policy") from None


def _categories(event: Any) -> list[str]:
    found = event.get("CATEGORIES")
    listed = found if isinstance(found, list) else [found] if found is not None else []
    return sorted({str(each).strip() for some in listed for each in getattr(some, "cats", [some])})


def _people(event: Any) -> dict[str, Any]:
    """Who is on call by an event: those who attend it, or whom its summary names, or who holds it.

    ``whole`` is False where it names nobody, or somebody without an address.
    """
    attendees = _values(event.get("ATTENDEE"))
    if attendees:
        coming = [each for each in attendees if _comes(each)]
        addresses = [_address(each) for each in coming]
    else:
        addresses = [*_ADDRESS.findall(str(event.get("SUMMARY", "")))] or [
            _address(each) for each in _values(event.get("ORGANIZER"))
        ]
    people = sorted({address.lower() for address in addresses if address})
    return {"people": people[:_MOST_PEOPLE], "whole": bool(people) and all(addresses) and len(people) <= _MOST_PEOPLE}


def _values(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [] if found is None else [found]


def _comes(attendee: Any) -> bool:
    params: Mapping[str, Any] = getattr(attendee, "params", {})
    kind, answer = str(params.get("CUTYPE", "")).upper(), str(params.get("PARTSTAT", "")).upper()
    return kind not in _NOT_PEOPLE and answer != "DECLINED"


def _address(value: Any) -> str:
    scheme, _, address = str(value).strip().partition(":")
    return address if scheme.lower() == "mailto" and _ADDRESS.fullmatch(address) else ""


def _lines() -> Iterator[str]:
    """What is said on stdout."""
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        events = expanded(sys.stdin.buffer.read(), asked["begin"], asked["end"], asked["zone"])
    except Unusable as error:
        yield json.dumps({"unusable": str(error)})
    else:
        yield json.dumps({"events": events})


def main() -> None:
    """Read, expand, answer."""
    limit()
    sys.stdout.writelines(_lines())


if __name__ == "__main__":
    main()
