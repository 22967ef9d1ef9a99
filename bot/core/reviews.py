"""Who approves a request: people by their reviews, or a rule of the policy; values only."""

from __future__ import annotations

from enum import StrEnum

from bot.core.frozen import Frozen
from bot.core.person import Person
from bot.core.proof import Proof


class Verb(StrEnum):
    """What an approver can answer."""

    APPROVE = "approve"
    """Approved, perhaps for less time."""
    DENY = "deny"
    """Denied, with a reason."""


class ByRule(Frozen):
    """The rule of the policy that approved a request at once, as it stood then. ``at_most`` in seconds.

    ``n``: its place in the policy, from 1; ``key`` names its conditions, whatever its place. ``used``: which of the
    ``budget`` approvals of the last 24 hours this one is. ``also``: its other conditions, in words.
    """

    n: int
    key: str
    sensitivity: str
    requester_in: tuple[str, ...] = ()
    at_most: int
    what: tuple[str, ...] = ()
    used: int
    budget: int
    also: tuple[str, ...] = ()


class Review(Frozen):
    """One answer. ``duration`` (seconds) is at most what was asked for."""

    verb: Verb
    by: Person
    at: float
    duration: int
    reason: str = ""
    stands_in_for: Person | None = None
    """The approver in whose place it was given, where that is somebody else's."""
    delegation: str = ""
    """The id of the delegation that it rests on."""
    proof: Proof | None = None
    """How the approver proved that it is them; None where the policy asked for no proof."""
