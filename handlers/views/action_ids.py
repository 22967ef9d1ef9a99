"""The ids that buttons, inputs and views carry, shared by those who draw them and those who listen."""

from __future__ import annotations

APPROVE = "approve"
APPROVE_LESS = "approve_less"
DENY = "deny"
QUESTION = "question"
ANSWER = "answer"
REVOKE = "revoke"
CANCEL = "cancel"
ACCEPT = "accept"
DECLINE = "decline"
RELEASE = "release"
REVEAL = "reveal"
EXTEND = "extend"
EXTEND_APPROVE = "extend_approve"
EXTEND_DENY = "extend_deny"
BREAK_GLASS = "break_glass"
BREAK_GLASS_REVIEW = "break_glass_review"
REQUEST = "request"
TEMPLATE = "template"
AGAIN = "again"
OLDER = "audit_older"
NEWER = "audit_newer"
WAITING = "waiting"
WAITING_BEFORE = "waiting_before"
WAITING_AFTER = "waiting_after"
SNOOZE = "snooze"
OPEN_FORM = "open_form"
SHOW_REQUEST = "show_request"
SHOW_EVENTS = "show_events"
SHOW_FINDINGS = "show_findings"
AUDIT_TABLE = "audit_table"
INSIGHTS_TABLE = "insights_table"
CHOICE = "choice"
ADD_ROLE = "add_role"
DURATION = "duration"
REASON = "reason"
NEW_REASON = "new_reason"
"""The block of another reason, given with an answer: what is typed as the answer is in that of a reason."""
START = "start"
FOR = "for"
INPUT = "input"
"""Begins the id of the block of a typed input; its name and what it is for follow."""
SCOPE = "scope"
ENROLMENT_CODE = "enrolment_code"
FIRST_CODE = "first_code"
OUTCOME = "outcome"
FOLLOW_UP = "follow_up"
CODE = "code"
"""The block of a second-factor code."""

ASK_VIEW = "ask"
APPROVE_LESS_VIEW = "approve_less"
DENY_VIEW = "deny"
DECLINE_VIEW = "decline"
QUESTION_VIEW = "question"
ANSWER_VIEW = "answer"
REVOKE_VIEW = "revoke"
REVOKE_ALL_VIEW = "revoke_all"
LOCKDOWN_VIEW = "lockdown"
NOTE_VIEW = "note"
EXTEND_VIEW = "extend"
EXTEND_DENY_VIEW = "extend_deny"
BREAK_GLASS_VIEW = "break_glass"
BREAK_GLASS_NEW_VIEW = "break_glass_new"
BREAK_GLASS_REVIEW_VIEW = "break_glass_review"
OVERVIEW_VIEW = "overview"
HOME_VIEW = "home"
RECORD_VIEW = "record"
WAITING_VIEW = "waiting"
INSIGHTS_VIEW = "insights"
REQUEST_VIEW = "request_shown"
SECRETS_VIEW = "secrets"
APPROVE_CODE_VIEW = "approve_code"
EXTEND_APPROVE_CODE_VIEW = "extend_approve_code"
ACCEPT_CODE_VIEW = "accept_code"
REVEAL_CODE_VIEW = "reveal_code"
MFA_VIEW = "mfa"
MFA_KEY_VIEW = "mfa_key"
MFA_DONE_VIEW = "mfa_done"

GLOBAL_SHORTCUT = "request_access"
MESSAGE_SHORTCUT = "request_access_here"

BUTTONS = (
    APPROVE,
    APPROVE_LESS,
    DENY,
    QUESTION,
    ANSWER,
    REVOKE,
    CANCEL,
    ACCEPT,
    DECLINE,
    RELEASE,
    REVEAL,
    EXTEND,
    EXTEND_APPROVE,
    EXTEND_DENY,
    BREAK_GLASS,
    BREAK_GLASS_REVIEW,
    REQUEST,
    TEMPLATE,
    AGAIN,
    OLDER,
    NEWER,
    WAITING,
    WAITING_BEFORE,
    WAITING_AFTER,
    SNOOZE,
    OPEN_FORM,
    SHOW_REQUEST,
    SHOW_EVENTS,
    SHOW_FINDINGS,
    AUDIT_TABLE,
    INSIGHTS_TABLE,
)
VIEWS = (
    ASK_VIEW,
    APPROVE_LESS_VIEW,
    DENY_VIEW,
    DECLINE_VIEW,
    QUESTION_VIEW,
    ANSWER_VIEW,
    REVOKE_VIEW,
    EXTEND_VIEW,
    EXTEND_DENY_VIEW,
    BREAK_GLASS_VIEW,
    BREAK_GLASS_NEW_VIEW,
    BREAK_GLASS_REVIEW_VIEW,
    REVOKE_ALL_VIEW,
    LOCKDOWN_VIEW,
    APPROVE_CODE_VIEW,
    EXTEND_APPROVE_CODE_VIEW,
    ACCEPT_CODE_VIEW,
    REVEAL_CODE_VIEW,
    MFA_VIEW,
    MFA_KEY_VIEW,
)
