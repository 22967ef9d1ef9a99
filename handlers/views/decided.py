"""What came of a decision, for the approver who pressed; pure, and rendered from the record that the press left."""

from __future__ import annotations

from bot.core.request import Request, Review, Verb
from handlers.views.card import for_how_long
from handlers.views.message import Needed
from handlers.views.text import clock, length, name, title, until, when


def of_request(request: Request, by: str, needed: Needed) -> str:
    """After approving or denying a request. ``by``: the account of whoever pressed."""
    review = _last(request.reviews, by)
    who, what = name(request.requester), f"*{title(request)}* ({request.id})"
    if review is None:
        return f"Your decision about {what} is recorded."
    if review.verb is Verb.DENY:
        return f"You denied {what}. {who} gets no access, and reads your reason."
    approved = f"You approved {what}, {for_how_long(request, review)}."
    if request.awaits_decision:
        return f"{approved} It still needs {needed} by {clock(request.decide_by)}."
    lasts = length(request.duration)
    if request.starts_at > request.approved_at:
        return f"{approved} {who} gets access for {lasts} from {when(request.starts_at)}."
    ends = until(request.approved_at + request.duration, request.duration)
    return f"{approved} {who} gets access for {lasts}, until about {ends}."


def of_extension(request: Request, by: str, needed: Needed) -> str:
    """After approving or denying an extension."""
    extension, planned = request.extension, clock(request.ends_at)
    review = _last(extension.reviews, by) if extension else None
    if extension is None or review is None:
        return f"Your decision about the extension of {request.id} is recorded."
    what = f"the extension of *{title(request)}* ({request.id})"
    if review.verb is Verb.DENY:
        return f"You denied {what}. Access ends at {planned} as planned; {name(request.requester)} reads your reason."
    if request.awaits_extension:
        return f"You approved {what}. It still needs {needed}. If nobody answers, access ends at {planned} as planned."
    return f"You approved {what}. Access ends at {clock(extension.until)} once the system has the new end."


def of_end(request: Request) -> str:
    """After ending somebody's access, or cancelling what had not started."""
    what = f"*{title(request)}* ({request.id}) of {name(request.requester)}"
    if request.is_over:
        return f"You cancelled {what}. No access was given."
    return f"You ended {what}. The worker is removing the access; the card says when that is verified."


def of_question(request: Request) -> str:
    """After asking the requester something."""
    return (
        f"{name(request.requester)} gets your question about *{title(request)}* ({request.id}) as a direct message. "
        f"The answer comes in the thread of the card. It still waits for a decision by {clock(request.decide_by)}."
    )


def _last(reviews: tuple[Review, ...], by: str) -> Review | None:
    return next((review for review in reversed(reviews) if review.by.id == by), None)
