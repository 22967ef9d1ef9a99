"""The roles of a request that has several: whose part is whose, and how far each is; pure."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.request import Ending, Leg, LegState, Request, State
from handlers.views.message import Needed, approvals
from handlers.views.text import clock, fitting, safe

_OTHERS = 1_200
"""Characters for the parts of the other cards."""
_REVOKED: Mapping[LegState, str] = {
    LegState.REVOKING: "being revoked",
    LegState.CLOSED: "removed",
    LegState.UNOPENED: "not granted",
}


def waits(request: Request, needed: Needed) -> list[str]:
    """Whose approval is needed for this card's part, and how far the other parts are."""
    by = clock(request.decide_by)
    if not needed.others:
        return [f"Needs {needed} by {by}"]
    own = f"needs {needed} by {by}" if needed.steps else f"approved. The other parts need an answer by {by}."
    return [f"*Your part*: {own}", *others(request, needed)]


def others(request: Request, needed: Needed) -> list[str]:
    """How far the other parts are."""
    most = _OTHERS // max(1, len(needed.others))
    return [_other(request.legs[n], steps, most) for n, steps in needed.others.items()]


def _other(leg: Leg, steps: tuple[tuple[str, int], ...], most: int) -> str:
    """One of the other parts; by whom it is to be approved is left out where there is no room for it."""
    far, count = f"needs {approvals(steps)}" if steps else "approved", sum(n for _, n in steps)
    far = far if len(far) <= most // 2 else f"needs {count} approval{'' if count == 1 else 's'}"
    return f"*{fitting(leg.role.title, min(120, most // 2))}* (<#{leg.role.channel}>): {far}"


def progress(request: Request) -> list[str]:
    """How far each role is, while they are not all alike, and which was refused; nothing for a single role."""
    if len(request.legs) == 1:
        return []
    in_part = request.ending in {Ending.REFUSED, Ending.UNCERTAIN}
    if request.state is State.GRANTING:
        far = [_granted(request, leg) for leg in request.legs]
    elif request.state is State.REVOKING or (in_part and request.is_over):
        far = [_revoked(leg) for leg in request.legs]
    else:
        return []
    most = min(120, _OTHERS // (2 * len(far)))
    return [
        " · ".join(f"*{fitting(leg.role.title, most)}* {said}" for leg, said in zip(request.legs, far, strict=True))
    ]


def refused(request: Request) -> str:
    """The role that its provider refused, to be put before the reason; empty for a single role."""
    found = [leg for leg in request.legs if leg.refused]
    return f"{safe(found[0].role.title, 120)}: " if found and len(request.legs) > 1 else ""


def _granted(request: Request, leg: Leg) -> str:
    if leg.state is LegState.ACTIVE:
        return "granted"
    before = request.legs[: leg.n]
    return "being granted" if all(each.state is LegState.ACTIVE for each in before) else "comes next"


def _revoked(leg: Leg) -> str:
    if leg.refused and leg.state is not LegState.REVOKING:
        return "refused"
    never = leg.state is LegState.CLOSED and leg.subject is None
    return "not granted" if never else _REVOKED.get(leg.state, "granted")
