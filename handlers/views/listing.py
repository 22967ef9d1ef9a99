"""Lists of requests as a few lines of text; what a person may see was decided before."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model import Request, State
from handlers.views.words import clock, length, name, title

_MOST = 20


def listing(mine: Sequence[Request], others: Sequence[Request]) -> str:
    """The person's own open requests, and those that wait for them or run on their systems."""
    parts = []
    if mine:
        parts.append("*Yours*\n" + _lines(mine, own=True))
    if others:
        parts.append("*On your systems*\n" + _lines(others, own=False))
    return "\n\n".join(parts) or "Nothing is open. `/jit request` asks for access."


def _lines(requests: Sequence[Request], *, own: bool) -> str:
    shown = [f"• {request.id} · {_what(request, own=own)} · {_stands(request)}" for request in requests[:_MOST]]
    if len(requests) > _MOST:
        shown.append(f"… and {len(requests) - _MOST} more")
    return "\n".join(shown)


def _what(request: Request, *, own: bool) -> str:
    about = f"{title(request)} for {length(request.duration)}"
    return about if own else f"{name(request.asker)}: {about}"


def _stands(request: Request) -> str:
    match request.state:
        case State.PENDING:
            return f"waits for a decision, lapses {clock(request.decide_by)}"
        case State.ACTIVE:
            return f"open until {clock(request.ends_at)}"
        case State.GRANTING:
            return "approved, being opened"
        case _:
            return "being closed"
