"""A change of the policy, as the audit channel reads it: who gained and lost rights; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.policy.permission_diff import Right, Shift
from handlers.views import modals
from handlers.views.message import SlackMessage
from handlers.views.text import code, safe

_MOST = 20
_BLOCK = 2_800


def announcement(fields: Mapping[str, Any], shift: Shift | None) -> SlackMessage:
    """``shift`` is None where it is unknown who gained and lost rights."""
    where = f"{code(str(fields['via']), 90)} loaded a new policy" if fields.get("via") else "A new policy was loaded"
    was, now = (f"`{safe(str(fields.get(name) or 'unknown'), 20)}`" for name in ("was", "now"))
    said = f"{where}: {now} in place of {was}."
    if shift is None:
        lost = "Who gained and lost rights is unknown: the archive does not have both texts."
        return SlackMessage(f"{said} {lost}", [modals.text(f"{said} {lost}").to_dict()])
    if not shift.gained and not shift.lost:
        said = f"{said} Nobody gained or lost rights."
        return SlackMessage(said, [modals.text(said).to_dict()])
    parts = [said, _list("Gained rights", shift.gained), _list("Lost rights", shift.lost)]
    count = f" {len(shift.gained)} gained, {len(shift.lost)} lost."
    return SlackMessage(f"{said}{count}", [modals.text(part).to_dict() for part in parts if part])


def of_file(fields: Mapping[str, Any]) -> SlackMessage:
    """That the policy file cannot be used, with its first mistakes; or that it can be used again."""
    if fields.get("well"):
        return SlackMessage("The policy file can be used again.", [])
    stays = f"policy `{safe(str(fields.get('stays') or 'unknown'), 20)}` stays in force"
    title = f":rotating_light: *The policy file cannot be used, so {stays}.*"
    mistakes = [f"• {safe(str(each), 300)}" for each in fields.get("mistakes") or ()]
    more = [f"… and {count} more"] if (count := int(fields.get("more") or 0)) else []
    lines = "\n".join([*mistakes, *more])
    fix = "Correct the file: it is loaded as soon as it can be used. `jit policy check` shows every mistake."
    return SlackMessage(title, [modals.text(part).to_dict() for part in (title, lines, fix) if part])


def _list(heading: str, rights: Sequence[Right]) -> str:
    """As many as fit, by whom they concern."""
    lines = [f"*{heading}*"]
    for count, right in enumerate(rights):
        line = f"• {safe(right.who, 80)}: {right.verb} {code(right.role, 90)}"
        if count == _MOST or sum(map(len, lines)) + len(line) > _BLOCK:
            lines.append(f"… and {len(rights) - count} more: see `jit digest` and the policy")
            break
        lines.append(line)
    return "\n".join(lines) if rights else ""
