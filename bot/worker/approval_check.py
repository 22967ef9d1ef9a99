"""Checks the approval of a request against the audit log before a grant; it changes no record.

The counters and delegations that the approval relied on are in Redis: whoever can write there can delete them or
restore old ones.
"""

from __future__ import annotations

from typing import Final, Literal

from bot.audit.trail import Trail
from bot.core.request import Request
from bot.policy.break_glass import MAX_PER_DAY, was_overdue
from bot.policy.rules import WINDOW

_OVER_BUDGET: Final = (
    "the rule had already approved its maximum for a day; please request again, and an approver decides"
)
_DELEGATION_OVER: Final = "a stand-in approved it after their delegation had ended; please request again"
_BREAK_GLASS: Final = (
    "break-glass was used too often, or while an earlier review was overdue; please request again; an approver decides"
)
_UNCHECKED: Final = (
    "it could not be checked against the audit log within the time it was approved for; please request again"
)
_OVERDUE_WINDOW: Final = 90 * 86_400
"""Seconds over which earlier uses are checked for an overdue review."""


class ApprovalInvalid(Exception):
    """An approval is invalid by the audit log. ``alarm``: its kind, or none; ``reason``: the sentence for people."""

    def __init__(self, alarm: Literal["budget", "delegation_over", ""], reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.alarm, self.reason = alarm, reason


async def check(trail: Trail, request: Request) -> None:
    """Raises `ApprovalInvalid`; and `TrailUnknown` while the events cannot be read."""
    if request.rule and await trail.rule_uses(request) > request.rule.budget:
        raise ApprovalInvalid("budget", _OVER_BUDGET)
    if not await trail.delegations_held(request):
        raise ApprovalInvalid("delegation_over", _DELEGATION_OVER)
    if not await _may_break_glass(trail, request):
        raise ApprovalInvalid("budget", _BREAK_GLASS)


def give_up(request: Request, now: float) -> None:
    """Raises `ApprovalInvalid` if a grant that cannot be checked has waited longer than the access was approved for.

    The record may have been rolled back to a version before its grant. Then the access may have been granted already,
    and the record does not show it.
    """
    if request.begun_at and not request.granted_at and now >= request.begun_at + request.duration:
        raise ApprovalInvalid("", _UNCHECKED)


async def _may_break_glass(trail: Trail, request: Request) -> bool:
    """Whether break-glass, if it was used, was within the daily limit and with no earlier review overdue."""
    glass = request.break_glass
    if glass is None:
        return True
    if len(await trail.break_glass_uses(request, WINDOW)) > MAX_PER_DAY:
        return False
    for id_ in await trail.break_glass_uses(request, _OVERDUE_WINDOW):
        earlier = None if id_ == request.id else (await trail.replay(id_)).request
        if earlier and earlier.requester.id == request.requester.id and was_overdue(earlier, glass.at):
            return False
    return True
