"""What rules of the policy did to a request, and what they were told of its ticket: values in its record."""

from __future__ import annotations

from bot.core.frozen import Frozen


class Shortened(Frozen):
    """That a rule shortened the duration. ``rule``: its place in the policy, from 1; durations in seconds."""

    rule: int
    asked: int
    duration: int


class CheckedTicket(Frozen):
    """What a ticket system answered when access was requested. ``check``: its name in the policy."""

    check: str
    ticket: str
    exists: bool
