"""A change of the policy, as the audit channel reads it: from where, and who may do what by it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.rights import Right, Shift
from handlers.views import modals
from handlers.views.card import Message
from handlers.views.words import safe

_MOST = 20
_BLOCK = 2_800


def told(noted: Mapping[str, Any], shift: Shift | None) -> Message:
    """``shift`` is None where who gained and who lost cannot be told."""
    where = f" by `{safe(str(noted['via']), 90)}`" if noted.get("via") else ""
    was, now = (f"`{safe(str(noted.get(name) or 'unknown'), 20)}`" for name in ("was", "now"))
    said = f"The policy was changed from {was} to {now}{where}, which was started with it."
    if shift is None:
        lost = "Who gained and who lost by it cannot be told: the archive has not both texts."
        return Message(f"{said} {lost}", [modals.text(f"{said} {lost}").to_dict()])
    if not shift.gained and not shift.lost:
        said = f"{said} Nobody may ask for or decide about more or less by it."
        return Message(said, [modals.text(said).to_dict()])
    parts = [said, _list("May by it", shift.gained), _list("May not any more", shift.lost)]
    count = f" {len(shift.gained)} gained, {len(shift.lost)} lost."
    return Message(f"{said}{count}", [modals.text(part).to_dict() for part in parts if part])


def _list(heading: str, rights: Sequence[Right]) -> str:
    """As many as fit, by whom they concern."""
    lines = [f"*{heading}*"]
    for count, right in enumerate(rights):
        line = f"• {safe(right.who, 80)}: {right.verb} `{safe(right.role, 90)}`"
        if count == _MOST or sum(map(len, lines)) + len(line) > _BLOCK:
            lines.append(f"… and {len(rights) - count} more: `jit digest` and the policy's texts have them")
            break
        lines.append(line)
    return "\n".join(lines) if rights else ""
