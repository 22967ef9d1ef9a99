"""So many people seem to have left that an operator has to confirm; what is held back was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from handlers.views.message import SlackMessage, warning
from handlers.views.text import safe

_NEXT = (
    "If they have left: type `jit offboarding --confirm` at the terminal within the hour. If the directory is wrong, "
    "do nothing: this resolves itself once Slack reports them as active. To end one by one: `/jit revoke ID REASON`."
)


def held(fields: Mapping[str, Any]) -> SlackMessage:
    """Who would lose what, and what goes on."""
    said = [f"• {safe(str(line))}" for line in fields["said"]]
    said += [f"… and {int(fields['more'])} more: `jit offboarding` shows all of them"] if fields["more"] else []
    counted = f"{int(fields['people'])} of {int(fields['of'])} people with open requests seem to have left"
    message = warning(f"{counted}. No access ends before an operator confirms it.")
    # The last line is the one that must not be cut off.
    below = [_NEXT, "\n".join(said)[:2900]]
    sections = [SectionBlock(text=MarkdownTextObject(text=text, verbatim=True)).to_dict() for text in below]
    return SlackMessage(message.text, [*message.blocks, *sections])
