"""What a request form had fields for when it was submitted; what was typed into them, payloads.py reads."""

from __future__ import annotations

from handlers.slack.payloads import Payload
from handlers.views import action_ids


def shown_inputs(payload: Payload, what: str) -> dict[str, bool] | None:
    """The inputs that the form has a field for, and whether it is a select; None for a form not drawn for ``what``."""
    blocks = {str(block["block_id"]): block for block in payload["view"]["blocks"]}
    if f"{action_ids.DURATION}:{what}" not in blocks:
        return None
    fields = ((id_.split(":", 2), block) for id_, block in blocks.items())
    return {
        name[1]: (block.get("element") or {}).get("type") == "static_select"
        for name, block in fields
        if name[0] == action_ids.INPUT and name[1:] and name[1]
    }
