"""What was found when a system was compared with the books, as messages; what is to be told was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.card import Message, warning
from handlers.views.words import safe

_KINDS = {
    "closed": "closed, since no request accounts for it",
    "orphan": "open with no request that accounts for it, and not closed",
    "gone": "open by the books and gone there",
    "foreign": "made or changed by another hand, and left alone",
    "beside": "held by an account that no request tells of, and left alone",
}
_MASS = "So much at once means that the books may be an older copy, or another bot's: see that nothing else is amiss."


def summary(noted: Mapping[str, Any]) -> Message:
    """One message for all that was new in one look at a system."""
    found = {kind: int(count) for kind, count in noted["found"].items() if kind in _KINDS}
    counted = "; ".join(f"{count} {_KINDS[kind]}" for kind, count in found.items())
    said = [f"• {safe(str(line))}" for line in noted["said"]]
    more = sum(found.values()) - len(said)
    said += [f"… and {more} more, each in the audit trail"] if more > 0 else []
    said += [_MASS] if noted["mass"] else []
    message = warning(f"{safe(str(noted['system']), 40)} and the books differ: {counted}.")
    below = SectionBlock(text=MarkdownTextObject(text="\n".join(said)[:3000], verbatim=True))
    return Message(message.text, [*message.blocks, below.to_dict()])


def line(noted: Mapping[str, Any]) -> str:
    """A line in the thread of the request that it concerns."""
    return f":warning: {safe(str(noted['said']))}"
