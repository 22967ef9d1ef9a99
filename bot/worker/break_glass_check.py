"""Counts a person's break-glass again from the audit log, before anything is granted by it.

The counters that judged it are in Redis, where somebody who can write to it can delete them.
"""

from __future__ import annotations

from typing import Final

from bot.audit.trail import Trail
from bot.core.request import Request
from bot.policy.break_glass import MOST_A_DAY, was_overdue
from bot.policy.rules import WINDOW
from bot.worker.recovery import RuleBudgetExceeded

EXCEEDED_REASON: Final = (
    "break-glass was used too often, or while an earlier review was overdue; please request again; an approver decides"
)
_LOOKED_BACK: Final = 90 * 86_400
"""Seconds over which earlier uses are checked for an overdue review."""


async def check(trail: Trail, request: Request) -> None:
    """Raises `RuleBudgetExceeded` over the daily limit or with an earlier review overdue, and `TrailUnknown`."""
    glass = request.break_glass
    if glass is None:
        return
    if len(await trail.break_glass_uses(request, WINDOW)) > MOST_A_DAY:
        raise RuleBudgetExceeded(request.id)
    for id_ in await trail.break_glass_uses(request, _LOOKED_BACK):
        earlier = None if id_ == request.id else (await trail.truth(id_)).request
        if earlier and earlier.requester.id == request.requester.id and was_overdue(earlier, glass.at):
            raise RuleBudgetExceeded(request.id)
