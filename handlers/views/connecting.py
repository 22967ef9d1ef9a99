"""How the asker gets into what is open, to be copied; pure, and it knows no secret, only which button makes one."""

from __future__ import annotations

from bot.core.model import Leg, Request, State
from handlers.views.words import copyable, safe

_BUTTON = "*Show the password* makes one for your eyes only; the one before stops working then."


def ways(request: Request, *, secret: bool) -> list[str]:
    """A paragraph for each role that has a way in, and where the password comes from; none while nothing is open."""
    if request.state is not State.ACTIVE:
        return []
    alone = len(request.legs) == 1
    said = [_way(leg, alone=alone) for leg in request.legs if leg.connect]
    return [*said, _BUTTON] if secret else said


def _way(leg: Leg, *, alone: bool) -> str:
    heading = "Connect:" if alone else f"*{safe(leg.role.title, 120)}*"
    return f"{heading}\n{copyable(leg.connect)}"
