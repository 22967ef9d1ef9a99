"""How the requester connects, to be copied; pure, and it knows no secret, only which button creates one."""

from __future__ import annotations

from bot.core.request import Leg, Request
from handlers.views.text import copyable, safe

_BUTTON = "*Show password* creates a new password that only you see. The old one stops working."


def ways(request: Request, *, secret: bool) -> list[str]:
    """A paragraph for each role that has a way in, and where the password comes from; none while nothing is open."""
    if not request.is_active:
        return []
    alone = len(request.legs) == 1
    said = [_way(leg, alone=alone) for leg in request.legs if leg.connect]
    return [*said, _BUTTON] if secret else said


def _way(leg: Leg, *, alone: bool) -> str:
    heading = "Connect:" if alone else f"*{safe(leg.role.title, 120)}*"
    return f"{heading}\n{copyable(leg.connect)}"
