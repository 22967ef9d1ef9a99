"""Lists of requests as a few lines of text; what a person may see was decided before."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.request import Request
from bot.core.role_snapshot import RoleSnapshot
from handlers.views import status
from handlers.views.text import code, in_brackets, lasts, name, safe, title, who

_MOST = 20
_LATEST = 5


def listing(
    mine: Sequence[Request],
    others: Sequence[Request],
    over: Sequence[Request] = (),
    requested_for_others: Sequence[Request] = (),
) -> str:
    """The person's own open requests, those that they made for others, those on the systems that they approve for.

    ``over``: the person's own of the last week that are over; the latest are shown too.
    """
    parts = []
    if mine:
        parts.append("*Yours*\n" + _lines(mine, own=True))
    if requested_for_others:
        parts.append("*Requested for others*\n" + _lines(requested_for_others, own=False))
    if others:
        parts.append("*On your systems*\n" + _lines(others, own=False))
    opened = "\n\n".join(parts) or "Nothing is open. Type `/jit request` to request access."
    return f"{opened}\n\n*Yours of the last week*\n{_lines(over[:_LATEST], own=True)}" if over else opened


def holders(system: str, heading: str, held: Sequence[Request], *, everything: bool = False) -> str:
    """Who holds what on a system now, as far as the reader may know: ``everything``, or what concerns them."""
    about = f"*{safe(heading, 80)}* ({code(system, 40)})"
    shown = [
        f"• {request.id} · {who(request.requester)} · {_roles_on(request, system)} · {status.label(request)}"
        for request in held
    ]
    if len(held) > _MOST:
        shown = [*shown[:_MOST], f"… and {len(held) - _MOST} more"]
    body = "\n".join(shown) or "Nobody has access there now, as far as you can see."
    seen = "As an auditor you see everyone. The audit log records that you looked."
    return f"{about}\n{body}\n{seen if everything else 'You see your own access, and the access that you approve.'}"


def _roles_on(request: Request, system: str) -> str:
    return ", ".join(_role(leg.role) for leg in request.legs if leg.role.system == system)


def _role(role: RoleSnapshot) -> str:
    """Its name, and what was given for it in brackets."""
    given = in_brackets(role.inputs)
    return f"{safe(role.role, 40)}{f' {given}' if given else ''}"


def _lines(requests: Sequence[Request], *, own: bool) -> str:
    shown = [f"• {request.id} · {_what(request, own=own)} · {status.label(request)}" for request in requests[:_MOST]]
    if len(requests) > _MOST:
        shown.append(f"… and {len(requests) - _MOST} more")
    return "\n".join(shown)


def _what(request: Request, *, own: bool) -> str:
    about = f"{title(request)} for {lasts(request)}"
    by = f" (requested by {name(request.requested_by)})" if request.requested_by else ""
    return f"{about}{by}" if own else f"{name(request.requester)}: {about}{by}"
