"""A schedule in a calendar: whoever an event that is on now names is on call; it writes nothing.

A group is the whole calendar, or the events of one category.
"""

from __future__ import annotations

import time
from typing import ClassVar

from providers.base import Frozen, Health
from providers.directories.base import DirectoryCapabilities, GroupAnswer
from providers.directories.ical.calendar import Calendar, CalendarConfig

_LONGEST = 100


class ICal:
    """One calendar."""

    Config: ClassVar[type[Frozen]] = CalendarConfig

    def __init__(self, config: CalendarConfig) -> None:
        """Open nothing."""
        self._calendar = Calendar(config)

    def __repr__(self) -> str:
        """Without the address, which has a secret in it."""
        return "ICal()"

    @property
    def settles_within(self) -> float:
        """Of the calendar."""
        return self._calendar.settles_within

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Shifts."""
        return DirectoryCapabilities(shifts=True, group="a category of events; none for the whole calendar")

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """A category is a short text."""
        fits = group == group.strip() and len(group) <= _LONGEST and group.isprintable() and "," not in group
        return "" if fits else f"a category is one line of at most {_LONGEST} characters, without a comma"

    async def members(self, group: str, now: float) -> GroupAnswer:
        """Whom the events that are on name. Raises `Refused`, `NoAnswer`."""
        running = [event for event in await self._calendar.events(now) if event.runs(now)]
        counted = [event for event in running if not group or group.lower() in {c.lower() for c in event.categories}]
        people = frozenset(address for event in counted for address in event.people)
        return GroupAnswer(people, whole=all(event.whole for event in counted))

    async def check(self) -> Health:
        """Whether the calendar can be read; its own clock is not asked."""
        events = await self._calendar.events(time.time())
        return Health(target="calendar", detail=f"{len(events)} events within 8 days")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._calendar.close()
