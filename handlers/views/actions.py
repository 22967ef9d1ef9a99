"""The ids that buttons, inputs and views carry, shared by those who draw them and those who listen."""

from __future__ import annotations

APPROVE = "approve"
APPROVE_LESS = "approve_less"
DENY = "deny"
REVOKE = "revoke"
CANCEL = "cancel"
RELEASE = "release"
REVEAL = "reveal"
CHOICE = "choice"
DURATION = "duration"
REASON = "reason"

ASK_VIEW = "ask"
APPROVE_LESS_VIEW = "approve_less"
DENY_VIEW = "deny"
REVOKE_VIEW = "revoke"
NOTE_VIEW = "note"

BUTTONS = (APPROVE, APPROVE_LESS, DENY, REVOKE, CANCEL, RELEASE, REVEAL)
VIEWS = (ASK_VIEW, APPROVE_LESS_VIEW, DENY_VIEW, REVOKE_VIEW)
