"""What rules ask that neither the policy, the groups nor the store tells: calendars and tickets. It judges nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _untold(*_: object) -> None:
    """Of what nothing is asked nothing is known."""


@dataclass(frozen=True)
class RuleLookups:
    """How they are asked; None where one does not tell. A process that has no way to ask leaves it unknown.

    ``frozen``: whether the calendar of that name has an event at a moment. ``ticket_exists``: whether the ticket system
    of that name has a ticket. They raise nothing, and answer within a second.
    """

    frozen: Callable[[str, float], Awaitable[bool | None]] = _untold
    ticket_exists: Callable[[str, str], Awaitable[bool | None]] = _untold


NO_LOOKUPS = RuleLookups()
"""Of a process that has no way to ask."""
