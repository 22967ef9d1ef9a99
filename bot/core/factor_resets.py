"""One operator's proposal to reset a person's second factors, which another one has to carry out; it has no clock."""

from __future__ import annotations

from typing import Final

from bot.core.frozen import Frozen
from bot.core.lockdown import Operator

PROPOSED_FOR: Final = 3_600
"""Seconds within which another operator has to carry it out."""


class ResetProposal(Frozen):
    """Whose factors, for what reason, and which ones the person had then. ``at`` in Unix seconds."""

    identity: str
    operator: Operator
    reason: str
    at: float
    factors: tuple[str, ...] = ()
