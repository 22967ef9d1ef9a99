"""Drift between a system and our records, as messages; which findings are posted was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.message import SlackMessage, warning
from handlers.views.text import safe

_KINDS = {
    "closed": "orphaned and revoked: no request accounts for it",
    "orphan": "orphaned and not revoked: no request accounts for it",
    "gone": "active in our records but gone from the system",
    "foreign": "changed by somebody else, and left alone",
    "unmanaged": "unmanaged (no request covers the account), and left alone",
}
_MASS = "So much drift at once may mean that our records are an older copy, or another bot's. Check what else is off."


def summary(fields: Mapping[str, Any]) -> SlackMessage:
    """One message for all that was new in one look at a system."""
    found = {kind: int(count) for kind, count in fields["found"].items() if kind in _KINDS}
    counted = "; ".join(f"{count} {_KINDS[kind]}" for kind, count in found.items())
    said = [f"• {safe(str(line))}" for line in fields["said"]]
    more = sum(found.values()) - len(said)
    said += [f"… and {more} more, each in the audit log"] if more > 0 else []
    said += [_MASS] if fields["mass"] else []
    message = warning(f"{safe(str(fields['system']), 40)} does not match our records: {counted}.")
    below = SectionBlock(text=MarkdownTextObject(text="\n".join(said)[:3000], verbatim=True))
    return SlackMessage(message.text, [*message.blocks, below.to_dict()])


def line(fields: Mapping[str, Any]) -> str:
    """A line in the thread of the request that it concerns."""
    return f":warning: {safe(str(fields['said']))}"
