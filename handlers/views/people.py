"""What a person reads, in a message of their own, of what is bound to their address and of their factors; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.views.message import SlackMessage
from handlers.views.text import code, safe

_WRONG = "If that is wrong, tell an operator."


def notified(fields: Mapping[str, Any], user: str) -> SlackMessage:
    """To one of the accounts that an event concerns: in the event's own words (``dm``), or by what it changed."""
    if "dm" in fields:
        return SlackMessage(safe(str(fields["dm"]), 1000), [])
    before, now = (code(str(fields.get(name)), 80) for name in ("before", "identity"))
    if "before" not in fields:
        return SlackMessage(f"An operator changed what is bound to an e-mail address: {_said(fields)}. {_WRONG}", [])
    if user == fields.get("user"):
        return SlackMessage(
            f"Your Slack account has the e-mail address {now} now; it had {before} before. From now on you are known "
            f"by the new one. What you requested before stays as it is. {_WRONG}",
            [],
        )
    return SlackMessage(f"The Slack account that had your e-mail address {before} before has another one now.", [])


def _said(fields: Mapping[str, Any]) -> str:
    return safe(str(fields.get("said")), 500)
