"""A policy with every flow: requests for others, escalation, break-glass, limits and conflicts."""

from __future__ import annotations

from tests.house import POLICY

_READ = "sensitivity: low\n        max: 8h\n        may_ask: [everyone]"
_TERMS = """
        may_ask_for: [platform]
        approval: {steps: [{owner: true, escalate: {after: 30m, to: [security]}}]}
        limits: {live: 3, per_day: 5, per_week: 9, per_person: {live: 1, per_day: 2}, cooldown: 1h}
        break_glass: {who: [security], at_most: 1h, review_within: 1d}"""
FLOWS = (
    POLICY[: POLICY.index("  both:")].replace(_READ, _READ + _TERMS, 1)
    + "conflicts: [[vault/read-only, vault/shared]]\n"
)
"""Who may take `debug`: everyone asks, platform asks for others, dba own it, security comes later or breaks glass."""
