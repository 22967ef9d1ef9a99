"""What rules ask that neither the policy, the groups nor the store tells: calendars and tickets. It judges nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.policy.catalog import Catalog


async def _no_calendars(_: Catalog, __: Sequence[str], ___: float) -> Mapping[str, bool | None]:
    return {}


async def _no_tickets(_: str, __: str) -> None:
    """Of what nothing is asked nothing is known."""


@dataclass(frozen=True)
class RuleLookups:
    """How they are asked; a process that has no way to ask leaves them unknown.

    ``frozen``: whether these calendars of a policy have an event at a moment; one that is unknown is None or left out.
    ``ticket_exists``: whether the ticket system of that name has a ticket; None where it does not tell. It raises
    nothing, and answers within a second.
    """

    frozen: Callable[[Catalog, Sequence[str], float], Awaitable[Mapping[str, bool | None]]] = _no_calendars
    ticket_exists: Callable[[str, str], Awaitable[bool | None]] = _no_tickets


NO_LOOKUPS = RuleLookups()
"""Of a process that has no way to ask."""
