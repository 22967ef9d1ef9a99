"""Why access ended and what the systems' read-backs found, in words; pure."""

from __future__ import annotations

from bot.core.request import Ending, ExtensionState, LegState, Request
from handlers.views.parts import progress, refused
from handlers.views.text import name, safe, user, when

_ALL_ERRORS = 1_600
LONGEST_ERROR = 800
"""As much as is kept of an error (see bot/worker/claim.py): the command that helps is in it."""


def why(request: Request) -> str:
    """Why it ended, for everybody who reads the card."""
    match request.ending:
        case Ending.EXPIRED:
            return "Access expired."
        case Ending.RELEASED:
            return f"{name(request.requester)} ended it early."
        case Ending.REVOKED:
            return f"Ended early by {user(request.closed_by)}: {safe(request.closed_reason, 500)}."
        case Ending.REFUSED | Ending.UNCERTAIN:
            return f"It could not be granted: {refused(request)}{safe(request.closed_reason)}."
        case None:
            return ""


def why_yours(request: Request) -> str:
    """Why it ended, for the requester."""
    match request.ending:
        case Ending.RELEASED:
            return "You ended it early."
        case Ending.REVOKED:
            return f"{user(request.closed_by)} ended it early: {safe(request.closed_reason, 500)}."
        case Ending.EXPIRED if request.extension and request.extension.state is ExtensionState.PENDING:
            return "Access expired. Nobody answered the extension in time."
        case _:
            return why(request)


def proof(request: Request) -> str:
    """What the read-backs found: sessions ended, what was kept, what may remain, which lesser step failed."""
    outcomes = [leg.outcome for leg in request.legs if leg.outcome]
    killed = sum(int(outcome.get("killed") or 0) for outcome in outcomes)
    said = [f"{killed} live session{'s' if killed != 1 else ''} ended."] if killed else []
    said += [f"Kept: {safe(str(o['kept']))}." for o in outcomes if o.get("kept")]
    said += [f"May remain: {safe(str(o['remains']))}." for o in outcomes if o.get("remains")]
    said += [f"Note: {safe(str(o['detail']))}." for o in outcomes if o.get("detail")]
    return " ".join(said)


def details(request: Request) -> list[str]:
    """Why and when it ended, what was verified, and how far each role is."""
    return [f"{why(request)} Ended {when(request.closed_at)}. {proof(request)}".strip(), *progress(request)]


def errors(request: Request, most: int = LONGEST_ERROR) -> list[str]:
    """A line for each role whose last try failed; that one was refused is said elsewhere."""
    failed = [leg for leg in request.legs if leg.error and leg.error != leg.refused]
    return [f"{safe(leg.role.name, 90)}: {safe(leg.error, most)}" for leg in failed]


def stuck(request: Request) -> str:
    """The roles that could not be revoked yet, why, and how often it was tried; short enough for all of them."""
    legs = [leg for leg in request.legs if leg.state is LegState.REVOKING]
    most = min(LONGEST_ERROR, _ALL_ERRORS // max(1, len(legs)))
    return "; ".join(f"{safe(leg.role.name, 90)}: {safe(leg.error, most)} ({leg.tries} tries)" for leg in legs)
