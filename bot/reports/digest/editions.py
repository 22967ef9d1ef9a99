"""The editions of the digest: which days each one covers, and when it is due; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from bot.core import start_times
from bot.policy.field_types import WEEKDAYS
from bot.policy.schema import DigestShape

MARGIN = 10.0
"""Seconds after midnight by which every event of the day before is in the audit log."""
_LAST_OF_ALL_MONTHS = 28


class Edition(StrEnum):
    """How many days a digest covers."""

    DAILY = "daily"
    """One day."""
    WEEKLY = "weekly"
    """Seven days."""
    MONTHLY = "monthly"
    """From a day of the month to the day before it in the next."""


@dataclass(frozen=True)
class Span:
    """The days that one digest covers, up to and with ``last``."""

    edition: Edition
    last: date

    @classmethod
    def named(cls, name: str) -> Span:
        """Reads `name`. Raises `ValueError`."""
        edition, _, day = name.partition("-") if name[:1].isalpha() else (Edition.DAILY, "", name)
        return cls(Edition(edition), date.fromisoformat(day))

    @property
    def first(self) -> date:
        """The first of its days."""
        match self.edition:
            case Edition.DAILY:
                return self.last
            case Edition.WEEKLY:
                return self.last - timedelta(days=6)
            case Edition.MONTHLY:
                return _month_before(self.last + timedelta(days=1))

    @property
    def name(self) -> str:
        """Under which it is claimed: of the daily edition the day alone."""
        day = self.last.isoformat()
        return day if self.edition is Edition.DAILY else f"{self.edition}-{day}"

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    def before(self) -> Span:
        """The one before it."""
        return Span(self.edition, self.first - timedelta(days=1))

    def moments(self, tz: str) -> tuple[float, float]:
        """From its first moment to the first one after it, Unix seconds."""
        return start_times.span(self.first, tz)[0], start_times.span(self.last, tz)[1]


@dataclass(frozen=True)
class Slot:
    """A time of the policy, and the days that are due then. ``at`` in Unix seconds."""

    span: Span
    at: float

    @property
    def day(self) -> date:
        """The last of them."""
        return self.span.last


def day(on: date) -> Span:
    """The daily edition."""
    return Span(Edition.DAILY, on)


def last_slots(shape: DigestShape, now: float) -> list[Slot]:
    """The last time that has come by ``now``, of each edition that the policy has."""
    return [last_slot(shape, now, edition) for edition in Edition if _written(shape, edition)]


def last_slot(shape: DigestShape, now: float, edition: Edition = Edition.DAILY) -> Slot:
    """The last time of one edition that has come by ``now``."""
    tz, clock = shape.timezone, _written(shape, edition).split()[-1]
    for on in _dates(shape, edition, start_times.today(tz, now)):
        at = start_times.local(on, clock, tz)
        # Of a day that has just ended, an event may still be on its way into the audit log.
        if now >= max(at, start_times.span(on, tz)[0] + MARGIN):
            break
    return Slot(Span(edition, on - timedelta(days=1)), at)


def _written(shape: DigestShape, edition: Edition) -> str:
    """The edition's time, as the policy has it."""
    return {Edition.DAILY: shape.at, Edition.WEEKLY: shape.weekly, Edition.MONTHLY: shape.monthly}[edition] or ""


def _dates(shape: DigestShape, edition: Edition, today: date) -> Iterator[date]:
    """The two last dates on which it may be due, the latest first."""
    first = _written(shape, edition).split()[0]
    match edition:
        case Edition.DAILY:
            latest = today
            yield from (latest, latest - timedelta(days=1))
        case Edition.WEEKLY:
            latest = today - timedelta(days=(today.weekday() - WEEKDAYS.index(first)) % 7)
            yield from (latest, latest - timedelta(days=7))
        case Edition.MONTHLY:
            this = today.replace(day=int(first))
            latest = this if this <= today else _month_before(this)
            yield from (latest, _month_before(latest))


def _month_before(on: date) -> date:
    """The same day of the month before; of a day that not every month has, its 28th."""
    last = on.replace(day=1) - timedelta(days=1)
    return last.replace(day=on.day if on.day <= last.day else _LAST_OF_ALL_MONTHS)
