"""What a form had fields for when it was submitted; what was typed into them, payloads.py reads."""

from __future__ import annotations

from handlers.slack.payloads import Payload
from handlers.views import action_ids


def shown_inputs(payload: Payload, what: str) -> dict[str, bool] | None:
    """The inputs that it has a field for, and whether it is a select; None if it was not drawn for ``what``."""
    blocks = {str(block["block_id"]): block for block in payload["view"]["blocks"]}
    if f"{action_ids.DURATION}:{what}" not in blocks:
        return None
    fields = ((id_.split(":", 2), block) for id_, block in blocks.items())
    return {
        name[1]: (block.get("element") or {}).get("type") == "static_select"
        for name, block in fields
        if name[0] == action_ids.INPUT and name[1:] and name[1]
    }


def first_input(payload: Payload) -> str:
    """The block under which an error of a submission is shown; that of a code only where it is the only one."""
    blocks = [str(block["block_id"]) for block in payload["view"]["blocks"] if block["type"] == "input"]
    others = [block for block in blocks if block != action_ids.CODE]
    return (others or blocks or [""])[-1]


def has_code_field(payload: Payload) -> bool:
    """Whether the form that was submitted has a field for a second-factor code."""
    return any(block["block_id"] == action_ids.CODE for block in payload["view"]["blocks"])
