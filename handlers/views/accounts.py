"""Accounts that cannot request or have access, in words: to whose they are, and to who requests for others; pure."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.errors import NotAMember
from handlers.views.text import safe

_MEMBERS: Mapping[str, str] = {
    "guest": "Guests cannot request or approve access. Ask a full member of this workspace.",
    "external": (
        "You belong to another organisation, so you cannot request or approve access here. "
        "Ask a member of this workspace."
    ),
    "bot": "Apps cannot request or approve access. A person has to, from their own account.",
    "deactivated": (
        "This account is deactivated, so it cannot request or approve access. A Slack admin can activate it."
    ),
    "odd_email": (
        "Your Slack profile's e-mail address has a character outside ASCII, which can imitate another address, so "
        "access cannot be bound to it. Ask a Slack admin to change it to an ASCII address."
    ),
    "inactive": (
        "Your account in the directory {directory} is disabled or no longer there, so you cannot request or approve "
        "access. Ask whoever runs that directory; once it can be used again, this follows within a few minutes."
    ),
    "no_email": "Your Slack profile shows no e-mail address, and access is bound to one. Ask a Slack admin to add it.",
}

_OTHERS: Mapping[str, str] = {
    "guest": "is a guest, and guests cannot have access. Choose a full member of this workspace.",
    "external": "is no member of this workspace. Choose somebody who is.",
    "bot": "is an app. Access is for people: choose a person.",
    "deactivated": "is deactivated, so nothing can be requested for that account. A Slack admin can activate it.",
    "inactive": "belongs to somebody whose account in the directory {directory} is disabled or no longer there.",
    "odd_email": "has an e-mail address with a character outside ASCII, so access cannot be bound to it.",
    "no_email": "has no e-mail address in their Slack profile, and access is bound to one.",
    "taken": "has an e-mail address that is bound to another account. An operator can check it.",
}


def not_a_member(error: NotAMember) -> str:
    """Why the account does not count."""
    words = f"That account {_OTHERS[error.kind]}" if error.who else _MEMBERS[error.kind]
    return words.format(directory=safe(error.directory))
