"""What a request for somebody else says: to that person, to who requested it, and to approvers; pure."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import ButtonElement

from bot.core.request import Request, State
from handlers.views import buttons, status
from handlers.views.card import consequence
from handlers.views.message import SlackMessage, lock_screen, paragraphs
from handlers.views.text import clock, fitting, headed, inputs, length, name, safe, title, user, when, who


def consent(request: Request) -> SlackMessage:
    """To the person whom it is for: what, how long, why and who requested it; later, what came of it."""
    requested_by = request.requested_by or request.requester
    what = f"*{title(request)}* ({request.id})"
    if not request.is_draft:
        return paragraphs(f"{what}, which {name(requested_by)} requested for you: {_answered(request)}")
    starts = f" from {when(request.starts_at)}" if request.starts_at else ""
    access = f"*{headed(request)}* for you, for {length(request.duration)}{starts} ({request.id})"
    asks = f"{who(requested_by)} requests {access}."
    until = (
        f"If you accept, it goes to the approvers. If you do not answer by {clock(request.waits_until)}, it expires."
    )
    reason = f"> {fitting(request.reason, 600)}" if request.reason else "> _no reason given_"
    more = [reason, consequence(request), *([given] if (given := inputs(request)) else []), until]
    short = f"{fitting(requested_by.name or requested_by.email, 30)} requests {fitting(request.title, 40)} for you"
    by = f"Accept or decline by {clock(request.waits_until)}."
    whole = paragraphs(asks, buttons.consent(request), more)
    return SlackMessage(lock_screen(f"{short} for {length(request.duration)}. {by}"), whole.blocks)


def _answered(request: Request) -> str:
    """What the person reads who answered, or did not."""
    if not request.unseen:
        return "you accepted it."
    if request.state is State.EXPIRED:
        return f"you did not answer by {clock(request.waits_until)}, so it expired."
    said = status.of(request).decision(request)
    return f"{said[:1].lower()}{said[1:]}" if said.startswith("You ") else said


def accepted(request: Request) -> str:
    """What the person reads who pressed Accept."""
    what = f"You accepted *{title(request)}* ({request.id})."
    if request.rule:
        return f"{what} {status.of(request).decision(request)} {status.of(request).news(request)}"
    return f"{what} It now waits for approval. If nobody answers by {clock(request.decide_by)}, it expires."


def declined(request: Request) -> str:
    """What the person reads who declined."""
    requested_by = request.requested_by or request.requester
    return f"You declined *{title(request)}* ({request.id}). {name(requested_by)} reads your reason."


def answer(request: Request) -> SlackMessage:
    """To who requested it: whether the person accepted it, and how it goes on."""
    return paragraphs(f"{_about(request)}: {_first(request)}", () if request.is_live else requested_by_buttons(request))


def outcome(request: Request) -> SlackMessage:
    """To who requested it: what became of it."""
    return paragraphs(f"{_about(request)}: {_last(request)}", requested_by_buttons(request))


def requested_by_buttons(request: Request) -> Sequence[ButtonElement]:
    """What the person may do who requested it for somebody else."""
    if request.state in {State.DRAFT, State.PENDING, State.SCHEDULED}:
        return [buttons.cancel(request)]
    return [buttons.release(request)] if request.is_live else []


def requested(made: Request) -> str:
    """The answer to who requested it."""
    them = name(made.requester)
    asked = f"You requested *{title(made)}* for {them}, for {length(made.duration)} ({made.id})."
    starts = f" Access starts {when(made.starts_at)}, once approved." if made.starts_at else ""
    return f"{asked}{starts} {them} has to accept it by {clock(made.waits_until)}; then it goes to the approvers."


def summary(request: Request) -> str:
    """A line of what the person requested for others."""
    what = f"*{title(request)}* for {who(request.requester)}, for {length(request.duration)} ({request.id})"
    return f"{what}\n{status.label(request)}"


def _about(request: Request) -> str:
    return f"*{title(request)}* for {name(request.requester)} ({request.id})"


def _first(request: Request) -> str:
    them = name(request.requester)
    if not request.unseen:
        return f"{them} accepted; {status.label(request)}."
    if request.state is State.EXPIRED:
        return f"{them} did not accept it by {clock(request.waits_until)}, so it expired."
    if request.closed_by == request.requester.id:
        why = f": {safe(request.closed_reason, 500)}" if request.closed_reason else "."
        return f"{them} declined{why}"
    return _cancelled(request)


def _last(request: Request) -> str:
    """The end of it, as far as it has one; access that was granted is told by its state."""
    match request.state:
        case State.CANCELLED:
            return _cancelled(request)
        case State.ACTIVE:
            return f"{name(request.requester)} has access until {clock(request.ends_at)}."
        case State.DENIED | State.EXPIRED | State.FAILED:
            return status.of(request).decision(request)
        case _:
            return f"{status.label(request)}."


def _cancelled(request: Request) -> str:
    if request.closed_by == "policy":
        return f"the policy cancelled it: {safe(request.closed_reason)}."
    if request.requested_by and request.closed_by == request.requested_by.id:
        return "you cancelled it."
    return f"{user(request.closed_by)} cancelled it."
