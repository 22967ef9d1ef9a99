"""What the store forgot after it was acknowledged, as a message; what is missing was found out before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.card import Message, warning
from handlers.views.words import safe

_NEXT = (
    "Whoever decided it has to decide it again, and who asked to ask again: the record does not know of it. Access "
    "that was opened on it is closed when its system is compared with the books. What was decided more than "
    "{minutes} minutes before, or in a process that is gone, is not listed here."
)


def lost(noted: Mapping[str, Any]) -> Message:
    """What is not in the record any more, and what goes on."""
    said = [f"• {safe(str(line))}" for line in noted["said"]]
    count, more = int(noted["count"]), int(noted["count"]) - len(said)
    said += [f"… and {more} more, each in the audit trail"] if more > 0 else []
    counted = "a decision that was acknowledged" if count == 1 else f"{count} decisions that were acknowledged"
    message = warning(f"Another Redis server answers, and lacks {counted}.")
    below = [_NEXT.format(minutes=int(noted["minutes"])), "\n".join(said)[:2900]]
    sections = [SectionBlock(text=MarkdownTextObject(text=text, verbatim=True)).to_dict() for text in below]
    return Message(message.text, [*message.blocks, *sections])
