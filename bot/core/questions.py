"""What an approver asks before a decision, the requester's answer, and what they changed with it; values only."""

from __future__ import annotations

from bot.core.frozen import Frozen
from bot.core.person import Person


class ReasonChange(Frozen):
    """The requester gave another reason with an answer."""

    before: str
    after: str


class DurationChange(Frozen):
    """The requester asked for a shorter time with an answer; in seconds."""

    before: int
    after: int


class ApproverQuestion(Frozen):
    """What an approver asks the requester before a decision; ``n`` counts from 1. The answer is empty until given.

    It stays empty where the requester answered by a change alone: `answered` says whether they did.
    """

    n: int
    by: Person
    text: str
    at: float
    answer: str = ""
    answered_at: float = 0
    reason_change: ReasonChange | None = None
    duration_change: DurationChange | None = None

    @property
    def answered(self) -> bool:
        """Whether the requester answered it, in words or by a change."""
        return self.answered_at > 0
