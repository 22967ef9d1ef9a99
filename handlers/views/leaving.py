"""What is told when so many seem to have left that a person has to confirm it; what is held back was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.card import Message, warning
from handlers.views.words import safe

_NEXT = (
    "If they have left: `jit leavers --confirm` at the terminal, within the hour. If it is a mistake of the directory, "
    "nothing is to be done: it goes on by itself once Slack says otherwise. One by one: `/jit revoke ID REASON`."
)


def held(noted: Mapping[str, Any]) -> Message:
    """Who would lose what, and what goes on."""
    said = [f"• {safe(str(line))}" for line in noted["said"]]
    said += [f"… and {int(noted['more'])} more: `jit leavers` shows all"] if noted["more"] else []
    counted = f"{int(noted['people'])} of {int(noted['of'])} people with open requests would lose access at once"
    message = warning(f"{counted}. Nothing is taken away before somebody confirms it.")
    # The last line is the one that must not be cut off.
    below = [_NEXT, "\n".join(said)[:2900]]
    sections = [SectionBlock(text=MarkdownTextObject(text=text, verbatim=True)).to_dict() for text in below]
    return Message(message.text, [*message.blocks, *sections])
