"""The events of break-glass access: taken without approval, reviewed afterwards, its review overdue."""

from __future__ import annotations

from typing import Literal

from bot.core.break_glass import BreakGlass, BreakGlassReview
from bot.core.happening import Happening, Requested
from bot.core.proof import Proof


class BreakGlassUsed(Requested):
    """Asked for, and taken in the same moment without approval; it is reviewed afterwards."""

    kind: Literal["break_glass_used"] = "break_glass_used"
    break_glass: BreakGlass


class SwitchedToBreakGlass(Happening):
    """The requester takes the access of a pending request at once, without waiting for approval."""

    kind: Literal["switched_to_break_glass"] = "switched_to_break_glass"
    break_glass: BreakGlass
    reason: str
    duration: int
    proof: Proof | None = None


class BreakGlassReviewed(Happening):
    """Another person reviewed a break-glass access: justified, or not."""

    kind: Literal["break_glass_reviewed"] = "break_glass_reviewed"
    review: BreakGlassReview


class ReviewOverdue(Happening):
    """The review of a break-glass access is ``days`` days overdue, counted from 1; once a day until it is given."""

    kind: Literal["review_overdue"] = "review_overdue"
    by: str = "clock"
    days: int
