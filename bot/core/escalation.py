"""When approval steps of a request escalate, as its record has it; which groups then count, the policy says."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.frozen import Frozen


class Escalation(Frozen):
    """Step ``step`` (from 1) of ``role`` (``system/role``) escalates at ``escalate_at``, unless it is filled before.

    ``any_of``: the step's own groups, ``to``: those that it escalates to, both as the policy had them when the step
    opened; ``escalated_at``: when it did, 0 before that.
    """

    role: str
    step: int
    any_of: tuple[str, ...]
    to: tuple[str, ...]
    escalate_at: float
    escalated_at: float = 0


def upcoming(escalations: Sequence[Escalation]) -> Escalation | None:
    """The next one that is to come; None where there is none."""
    waiting = (each for each in escalations if not each.escalated_at)
    return min(waiting, key=lambda each: each.escalate_at, default=None)
