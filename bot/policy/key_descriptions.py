"""What each key of the policy file means, for editors, where the shape that has it says nothing beneath it."""

from __future__ import annotations

from collections.abc import Mapping

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "PolicyShape": {
        "version": "Of the format.",
        "workspace": "What holds for the whole workspace.",
        "directories": "What says who is in groups, such as an on-call schedule, by a name of yours.",
        "calendars": "Calendars of freezes, by a name of yours.",
        "groups": "People, by a name of yours.",
        "systems": "What is protected, by a name of yours.",
        "templates": "What people request by name.",
        "rules": "What is approved at once, denied, shortened, or needs more approvals, by conditions.",
        "tickets": "Ticket systems that rules ask, by a name of yours.",
    },
    "WorkspaceShape": {
        "audit_channel": "The id of the channel that alarms, digests and policy changes are posted in.",
        "mfa": "When a second factor is required.",
        "operators": "Groups whose people may end any access, and stop everything.",
        "pending": "How long a request waits for a decision before it expires.",
        "grant_budget": "How long the worker may take to grant access.",
        "retention": "How long ended requests are kept in Redis.",
        "limits": "How much one person may request.",
        "delegation": "How long approvers may name a stand-in for; a group's `may_stand_in` says whom.",
        "fresh_member": "How long somebody new in a group approves no critical role; `0` for no wait.",
        "sinks": "Where the audit log is shipped to, by a name of yours.",
    },
    "MfaShape": {
        "request": "Whoever requests access, or more time, proves who they are; `required` where it is left out.",
        "approve": "Whoever approves does; `off` where it is left out.",
        "break_glass": "Whoever takes access at once does; `required` where it is left out.",
    },
    "RoleMfaShape": {
        "request": "Whoever requests the role proves who they are, whatever `workspace` says.",
        "approve": "Whoever approves it does, whatever `workspace` says.",
        "break_glass": "Whoever takes it at once does, whatever `workspace` says.",
    },
    "LimitsShape": {
        "open": "Requests that are open at a time.",
        "submits": "Requests in ten minutes.",
    },
    "DigestShape": {
        "timezone": "Where days begin and clocks are read, like Europe/Berlin.",
    },
    "SinkShape": {
        "kind": "The sink: file, syslog, webhook, otel, splunk, or one that is installed.",
        "config": "The sink's own keys; a secret is `env:NAME` or `file:PATH`.",
        "format": "Our own JSON lines, or OCSF.",
    },
    "GroupShape": {
        "people": "By the e-mail address of their Slack profile.",
        "slack_usergroup": "The id of a Slack user group.",
        "may_stand_in": "Groups whose people an approver of this group may name as their stand-in.",
    },
    "DirectoryShape": {
        "kind": "The directory: ldap, okta, scim, entra, google, pagerduty, ical, or one that is installed.",
        "config": "The directory's own keys; a secret is `env:NAME` or `file:PATH`.",
    },
    "SystemShape": {
        "title": "How people read it.",
        "provider": "What serves it: sandbox, postgresql, mysql, redis, or one that is installed.",
        "config": "The provider's own keys; a secret is `env:NAME` or `file:PATH`.",
        "channel": "The id of the channel in which its requests are approved or denied.",
        "approvers": "Groups; one of their people approves, unless a role has steps of its own.",
        "roles": "The levels of access, by name.",
    },
    "RoleShape": {
        "title": "How people read it; its name where it is left out.",
        "grants": "What is granted: the provider's own keys.",
        "sensitivity": "How much harm it can do; `high` where it is left out.",
        "max": "Nobody has it longer, extensions included.",
        "may_ask": "Groups whose people may request it; `everyone` for each full member.",
        "approval": "Who has to approve; one of the system's approvers where it is left out.",
        "notify": "How approvers are notified.",
        "break_glass": "Who may take access at once, without approval; somebody else reviews it afterwards.",
    },
    "BreakGlassShape": {
        "who": "Groups; at least one lists people by address, so that it works while Slack does not tell its groups.",
        "at_most": "How long such access lasts at most; longer only with approval.",
        "review_within": "When its review is due; after that, the person's next one needs the approval of an owner.",
    },
    "ApprovalShape": {
        "steps": "All of them; without any, one approver of the system is enough.",
    },
    "StepShape": {
        "any_of": "Groups; somebody in any of them can fill the step.",
        "count": "How many different people it needs.",
    },
    "HoursShape": {
        "days": "Days of the week; each day where it is left out.",
        "from": "A time of day; whole days without it.",
        "to": "A time of day; earlier than `from`, it is on the next day.",
        "timezone": "By whose clocks, like Europe/Berlin.",
    },
    "DeniedLatelyShape": {
        "count": "At least so many times.",
        "within": "Within that time before the request.",
    },
    "RequiredStepShape": {
        "any_of": "Groups; somebody in any of them can fill the step.",
        "count": "How many different people it needs.",
    },
    "NotifyShape": {
        "mention": "Who is mentioned on the card.",
    },
    "InputShape": {
        "title": "What the form calls it.",
        "choice": "The values to choose from, 2 to 50.",
        "pattern": "A regular expression that the whole value fits; it needs an `example`.",
        "example": "A value that fits the pattern.",
        "ssh_public_key": "`true` where it is an SSH public key.",
        "default": "The value where none is given.",
    },
    "TemplateShape": {
        "title": "How people read it.",
        "roles": "One or more, as `system/role`; they are granted and revoked together.",
        "durations": "What can be chosen, the default first.",
        "reason": "What its reason has to look like.",
    },
    "ReasonShape": {
        "hint": "What is expected, as people read it.",
        "pattern": "A regular expression that fits the reason somewhere.",
        "example": "A reason that fits.",
        "required": "Whether there has to be one.",
        "min_length": "Characters that it has at least.",
    },
}
"""By the shape and the key."""
