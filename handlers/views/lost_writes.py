"""Decisions that Redis lost after confirming them, as a message; which ones was found out before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.message import SlackMessage, warning
from handlers.views.text import safe

_NEXT = (
    "These decisions are lost: approvers have to decide again, and requesters to request again. The next reconcile "
    "revokes access that was granted on them. Decisions older than {minutes} minutes, or made in a process that has "
    "ended, are not listed here."
)


def lost(fields: Mapping[str, Any]) -> SlackMessage:
    """What is not in the record any more, and what goes on."""
    said = [f"• {safe(str(line))}" for line in fields["said"]]
    count, more = int(fields["count"]), int(fields["count"]) - len(said)
    said += [f"… and {more} more, each in the audit log"] if more > 0 else []
    counted = "a confirmed decision is" if count == 1 else f"{count} confirmed decisions are"
    message = warning(f"A different Redis server is answering, and {counted} missing there.")
    below = [_NEXT.format(minutes=int(fields["minutes"])), "\n".join(said)[:2900]]
    sections = [SectionBlock(text=MarkdownTextObject(text=text, verbatim=True)).to_dict() for text in below]
    return SlackMessage(message.text, [*message.blocks, *sections])
