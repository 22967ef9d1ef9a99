"""Access that was taken at once, without approval, and its review afterwards; values only."""

from __future__ import annotations

from bot.core.frozen import Frozen
from bot.core.person import Person


class BreakGlassReview(Frozen):
    """The review of a break-glass access by another person. ``follow_up``: what has to be done next, if anything."""

    justified: bool
    by: Person
    at: float
    reason: str = ""
    follow_up: str = ""


class BreakGlass(Frozen):
    """Access at once and without approval, reviewed afterwards. Unix seconds.

    ``review_by``: when the review is due. ``by_list``: whether Slack user groups could not be read, so that the
    policy's lists of people decided alone. ``overdue``: for how many days the review is overdue, by the last reminder.
    """

    at: float
    review_by: float
    by_list: bool = False
    review: BreakGlassReview | None = None
    overdue: int = 0
