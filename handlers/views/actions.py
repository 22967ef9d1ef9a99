"""The ids that buttons, inputs and views carry, shared by those who draw them and those who listen."""

from __future__ import annotations

APPROVE = "approve"
APPROVE_LESS = "approve_less"
DENY = "deny"
REVOKE = "revoke"
CANCEL = "cancel"
RELEASE = "release"
REVEAL = "reveal"
EXTEND = "extend"
EXTEND_APPROVE = "extend_approve"
EXTEND_DENY = "extend_deny"
REQUEST = "request"
TEMPLATE = "template"
AGAIN = "again"
OLDER = "audit_older"
NEWER = "audit_newer"
WAITING = "waiting"
WAITING_BEFORE = "waiting_before"
WAITING_AFTER = "waiting_after"
SNOOZE = "snooze"
CHOICE = "choice"
DURATION = "duration"
REASON = "reason"
START = "start"
SCOPE = "scope"

ASK_VIEW = "ask"
APPROVE_LESS_VIEW = "approve_less"
DENY_VIEW = "deny"
REVOKE_VIEW = "revoke"
REVOKE_ALL_VIEW = "revoke_all"
LOCKDOWN_VIEW = "lockdown"
NOTE_VIEW = "note"
EXTEND_VIEW = "extend"
EXTEND_DENY_VIEW = "extend_deny"
OVERVIEW_VIEW = "overview"
HOME_VIEW = "home"
RECORD_VIEW = "record"
WAITING_VIEW = "waiting"
INSIGHTS_VIEW = "insights"

GLOBAL_SHORTCUT = "request_access"
MESSAGE_SHORTCUT = "request_access_here"

BUTTONS = (
    APPROVE,
    APPROVE_LESS,
    DENY,
    REVOKE,
    CANCEL,
    RELEASE,
    REVEAL,
    EXTEND,
    EXTEND_APPROVE,
    EXTEND_DENY,
    REQUEST,
    TEMPLATE,
    AGAIN,
    OLDER,
    NEWER,
    WAITING,
    WAITING_BEFORE,
    WAITING_AFTER,
    SNOOZE,
)
VIEWS = (
    ASK_VIEW,
    APPROVE_LESS_VIEW,
    DENY_VIEW,
    REVOKE_VIEW,
    EXTEND_VIEW,
    EXTEND_DENY_VIEW,
    REVOKE_ALL_VIEW,
    LOCKDOWN_VIEW,
)
