"""The look-ups for rules outside the policy, the groups and the store: calendars and tickets. It judges nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.policy.catalog import Catalog


async def _no_calendars(*_: object) -> Mapping[str, bool | None]:
    return {}


async def _no_tickets(*_: object) -> None:
    """None: unknown, since this process has no ticket system to ask."""


@dataclass(frozen=True)
class RuleLookups:
    """The functions that look up calendars and tickets; by default everything is unknown.

    ``frozen``: whether each calendar of these names has an event at a moment, all of them in one round trip to the
    store. ``ticket_exists``: whether the ticket system of that name has a ticket; it raises nothing.
    """

    frozen: Callable[[Catalog, Sequence[str], float], Awaitable[Mapping[str, bool | None]]] = _no_calendars
    ticket_exists: Callable[[str, str], Awaitable[bool | None]] = _no_tickets


NO_LOOKUPS = RuleLookups()
"""For a process without calendars and ticket systems: everything is unknown."""
