"""Alarms about records and the audit log, as messages; pure. Whoever wrote a bad record may have chosen its id too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.store.indexes.identity_bindings import CHANGED_IN_DIRECTORY
from handlers.views.message import SlackMessage, warning
from handlers.views.text import safe


def tampered(id_: str) -> SlackMessage:
    """A record whose MAC is missing or wrong."""
    return warning(f"The record of {safe(id_, 40)} is missing or failed its integrity check, so it is ignored.")


def rolled_back(id_: str) -> SlackMessage:
    """A record that is older than what is known of its request."""
    return warning(
        f"The record of {safe(id_, 40)} went back to an earlier state: somebody with access to Redis put it there, or "
        "Redis lost its last writes. Nothing is granted, extended or shown from it. A worker restores it from the "
        "audit log, or ends the request."
    )


def beyond_budget(id_: str) -> SlackMessage:
    """An automatic approval that its rule had no budget for, or break-glass beyond what one person may use."""
    return warning(
        f"A rule or break-glass let {safe(id_, 40)} through beyond its budget: its counters in Redis were deleted or "
        "put back. The worker did not grant it."
    )


def delegation_over(id_: str) -> SlackMessage:
    """An approval by a stand-in whose delegation had been ended."""
    return warning(
        f"A stand-in approved {safe(id_, 40)} after the delegation had ended: the record of delegations in Redis was "
        "put back. The worker did not grant it."
    )


def of_record(fields: Mapping[str, Any]) -> SlackMessage:
    """What concerns the audit log itself: an alarm, or that all is well again; and what is bound to people."""
    said = safe(str(fields.get("said")), 500)
    if fields.get("alarm") == CHANGED_IN_DIRECTORY:
        # Two addresses and two ids, each of up to 255 characters, and at the end what to do.
        said = safe(str(fields.get("said")), 2_000)
        return warning(said[:1].upper() + said[1:])
    return SlackMessage(said, []) if fields.get("well") else warning(f"The audit log needs attention: {said}")
