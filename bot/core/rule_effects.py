"""What rules of the policy did to a request, and what they were told of its ticket: values in its record."""

from __future__ import annotations

from bot.core.frozen import Frozen


class RequiredStep(Frozen):
    """An approval step of one request beyond those of its roles: a rule required it, or an overdue review.

    ``role``: ``system/role``, or empty for the whole request; ``rule``: the rule's place in the policy, from 1, or 0
    where no rule required it; ``because``: why, in a sentence.
    """

    any_of: tuple[str, ...]
    count: int = 1
    role: str = ""
    rule: int = 0
    because: str = ""


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
