"""What people really did, noted when they click: from this alone it is judged what may be open, and for how long.

It knows nothing of the bot's record.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.adversary.site import APPROVERS, RULE_BUDGET, SECURITY, STAFF

DOORS = {
    "vault/read-only": ("vault",),
    "vault/shared": ("hall",),
    "vault/admin": ("safe",),
    "vault/lamp": ("lamp",),
    "cache/reader": ("cache",),
    "db/reader": ("db",),
    "both": ("vault", "hall"),
}
RULED, SHARED, CRITICAL = "lamp", "hall", "safe"


@dataclass
class Entry:
    """One request, as its people know it. Times are Unix seconds; 0 for never."""

    id: str
    requester: str
    what: str
    seconds: int
    asked_at: float
    approvals: dict[str, float] = field(default_factory=dict)
    """Who may approve and pressed, and when; whatever came of it."""
    extended: int = 0
    """Seconds more that somebody entitled approved."""
    closed_at: float = 0
    """When the bot accepted that it is denied, cancelled, given back or taken away."""
    closed_by: str = ""

    @property
    def doors(self) -> tuple[str, ...]:
        """What it may open."""
        return DOORS[self.what]


@dataclass
class Book:
    """All of them, and the lockdowns that people declared and lifted."""

    entries: dict[str, Entry] = field(default_factory=dict)
    locked: list[tuple[float, float]] = field(default_factory=list)
    """From when to when everything was locked down; the last may have no end yet (0)."""
    unknown: Counter[str] = field(default_factory=Counter)
    """What was asked for without an id in the answer, or no answer yet: it may stand, and nobody here has its name."""
    clicks: int = 0
    refused: int = 0

    def asked(self, id_: str, requester: str, what: str, seconds: int) -> Entry:
        """Somebody asked, and was told the id."""
        return self.entries.setdefault(id_, Entry(id_, requester, what, seconds, time.time()))

    def approving(self, id_: str, who: str) -> None:
        """About to press approve; noted beforehand, since the door may open before the answer is read."""
        entry = self.entries.get(id_)
        if entry and who != entry.requester and who in (*APPROVERS, *SECURITY):
            entry.approvals.setdefault(who, time.time())

    def closed(self, id_: str, how: str) -> None:
        """The bot accepted it."""
        entry = self.entries.get(id_)
        if entry and not entry.closed_at:
            entry.closed_at, entry.closed_by = time.time(), how

    def unapproved(self, entry: Entry, door: str, at: float) -> str:
        """What is missing for this door to be open; empty where nothing is."""
        by = {who for who, when in entry.approvals.items() if when <= at}
        if door not in entry.doors:
            return f"{entry.what} was asked for, which has no door {door}"
        if door == CRITICAL:
            enough = bool(by & set(APPROVERS)) and bool(by & set(SECURITY))
            return "" if enough else f"approved by {sorted(by)} only, and it needs one of dba and one of security"
        if by & set(APPROVERS):
            return ""
        if door == RULED and entry.requester in STAFF:
            return ""  # how often, is counted over all of them
        return f"approved by {sorted(by)} only, and it needs one of dba"

    def over_budget(self, opened: dict[str, float]) -> list[str]:
        """Who was given more by the rule than its budget. ``opened``: when each request's door was first seen open."""
        by_rule: dict[str, list[str]] = {}
        for id_ in opened:
            entry = self.entries.get(id_)
            if entry and entry.what == "vault/lamp" and not entry.approvals:
                by_rule.setdefault(entry.requester, []).append(id_)
        return [
            f"{who} was given {len(ids)} by a rule whose budget is {RULE_BUDGET}: {', '.join(sorted(ids))}"
            for who, ids in by_rule.items()
            if len(ids) > RULE_BUDGET
        ]

    def locked_at(self, at: float) -> bool:
        """Whether everything was locked down then, as people declared it."""
        return any(begin <= at and (not end or at < end) for begin, end in self.locked)
