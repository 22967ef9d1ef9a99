"""What rules ask that neither the policy, the groups nor the store tells: calendars and tickets. It judges nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.policy.catalog import Catalog


async def _no_calendars(*_: object) -> Mapping[str, bool | None]:
    return {}


async def _no_tickets(*_: object) -> None:
    """Of what nothing is asked nothing is known."""


@dataclass(frozen=True)
class RuleLookups:
    """How they are asked; a process that has no way to ask leaves them unknown.

    ``frozen``: whether each calendar of these names has an event at a moment, all of them in one round trip to the
    store. ``ticket_exists``: whether the ticket system of that name has a ticket; it raises nothing.
    """

    frozen: Callable[[Catalog, Sequence[str], float], Awaitable[Mapping[str, bool | None]]] = _no_calendars
    ticket_exists: Callable[[str, str], Awaitable[bool | None]] = _no_tickets


NO_LOOKUPS = RuleLookups()
"""Of a process that has no way to ask."""
