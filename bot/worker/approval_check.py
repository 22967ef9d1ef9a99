"""Whether what approved a request still holds by the audit log, before anything is granted by it; it ends nothing.

Counters and delegations, by which it was judged, are in Redis: who can write to it can delete them, or put them back.
"""

from __future__ import annotations

from typing import Final, Literal

from bot.audit.trail import Trail
from bot.core.request import Request
from bot.policy.break_glass import MOST_A_DAY, was_overdue
from bot.policy.rules import WINDOW

_OVER_BUDGET: Final = (
    "the rule had already approved its maximum for a day; please request again, and an approver decides"
)
_DELEGATION_OVER: Final = "a stand-in approved it whose time was over; please request again"
_BREAK_GLASS: Final = (
    "break-glass was used too often, or while an earlier review was overdue; please request again; an approver decides"
)
_UNCHECKED: Final = (
    "it could not be checked against the audit log for as long as it was approved for; please request again"
)
_LOOKED_BACK: Final = 90 * 86_400
"""Seconds over which earlier uses are checked for an overdue review."""


class ApprovalVoid(Exception):
    """What approved a request does not hold. ``alarm``: of which kind, '' for none; ``reason``: as people read it."""

    def __init__(self, alarm: Literal["budget", "delegation_over", ""], reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.alarm, self.reason = alarm, reason


async def check(trail: Trail, request: Request) -> None:
    """Raises `ApprovalVoid`; and `TrailUnknown` while the events cannot be read."""
    if request.rule and await trail.used(request) > request.rule.budget:
        raise ApprovalVoid("budget", _OVER_BUDGET)
    if not await trail.stood_in(request):
        raise ApprovalVoid("delegation_over", _DELEGATION_OVER)
    if not await _may_break_glass(trail, request):
        raise ApprovalVoid("budget", _BREAK_GLASS)


def give_up(request: Request, now: float) -> None:
    """Raises `ApprovalVoid` where a grant that cannot be checked has waited for as long as it was approved for.

    The record may have been put back to before its grant: then access that it does not show is open since.
    """
    if request.begun_at and not request.granted_at and now >= request.begun_at + request.duration:
        raise ApprovalVoid("", _UNCHECKED)


async def _may_break_glass(trail: Trail, request: Request) -> bool:
    """Whether break-glass, if it was used, was within the daily limit and with no earlier review overdue."""
    glass = request.break_glass
    if glass is None:
        return True
    if len(await trail.break_glass_uses(request, WINDOW)) > MOST_A_DAY:
        return False
    for id_ in await trail.break_glass_uses(request, _LOOKED_BACK):
        earlier = None if id_ == request.id else (await trail.truth(id_)).request
        if earlier and earlier.requester.id == request.requester.id and was_overdue(earlier, glass.at):
            return False
    return True
