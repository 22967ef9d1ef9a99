"""What the asker reads in their direct messages: received, decided, ended; each rendered whole from the record."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, MarkdownTextObject, SectionBlock

from bot.core.model import Ending, Request, State
from handlers.views import actions, connecting, later
from handlers.views.card import Message, Needed, later_end
from handlers.views.words import approvers, by_rule, clock, length, name, plain, safe, title, user, when, who


def received(request: Request, needed: Needed) -> Message:
    """Asked: who was told, and until when they can decide."""
    asked = f"You asked for *{title(request)}* for {length(request.asked)} ({request.id})."
    if request.state is not State.PENDING:
        return _message(f"{asked} {_decision(request)}")
    waits = f"{needed.mentions or 'Nobody'} can decide. It lapses {clock(request.decide_by)}."
    return _message(f"{asked} {waits}", [_button("Take it back", actions.CANCEL, request)])


def to_decide(request: Request, needed: Needed, link: str) -> Message:
    """To somebody who can decide: what waits for them and where; then that nothing does any more, and why."""
    asks = f"{who(request.asker)} asks for *{title(request)}* for {length(request.asked)} ({request.id})"
    card = f" <{link}|Open the card>" if link.startswith("https://") and not set(link) & set("<>|") else ""
    if request.state is not State.PENDING:
        return _message(f"{asks}. Nothing is left to decide: it {_became(request)}.{card}")
    reason = f": {safe(request.reason, 300)}" if request.reason else ""
    so_far = f"{', '.join(name(review.by) for review in request.reviews)} approved; {needed.missing} more needed."
    waits = so_far if request.reviews else "You can decide."
    return _message(f"{asks}{reason}\n{waits} It lapses {clock(request.decide_by)}.{card}")


def _became(request: Request) -> str:
    """What was decided, as the end of a sentence for those who could have decided."""
    match request.state:
        case State.DENIED:
            return f"was denied by {name(request.reviews[-1].by)}"
        case State.LAPSED:
            return "lapsed"
        case State.CANCELLED:
            return "is void" if request.closed_by == "policy" else "was taken back"
        case _:
            return f"was approved by {approvers(request)}"


def decided(request: Request, *, secret: bool) -> Message:
    """The decision; once it is open, until when, how to connect, and the way to the secret."""
    what = f"*{title(request)}* ({request.id})"
    match request.state:
        case State.ACTIVE:
            buttons = [_button("I'm done", actions.RELEASE, request)]
            if secret:
                buttons.insert(0, _button("Show the password", actions.REVEAL, request))
            opened = f"{what} is open until {when(request.ends_at)}. {_decision(request)}"
            return _message(opened, buttons, connecting.ways(request, secret=secret))
        case State.SCHEDULED:
            opens = f"It is opened {when(request.starts_at)}, after it was looked at again."
            return _message(f"{what}: {_decision(request)} {opens}", [_button("Take it back", actions.CANCEL, request)])
        case State.GRANTING:
            return _message(f"{what}: {_decision(request)} It is being opened.")
        case State.REVOKING | State.ENDED:
            return _message(f"{what}: {_decision(request)} {ended_because(request)}")
        case _:
            return _message(f"{what}: {_decision(request)}")


def ending(request: Request, needed: Needed, of: int = 0) -> Message:
    """It is about to end, with the ways to a later or an earlier one; or it is closed, and why.

    ``of``: after how many extensions that end holds. One that was moved is told of in a letter of its own.
    """
    if of < request.extended:
        by = ", ".join(name(review.by) for review in request.extension.reviews) if request.extension else ""
        moved = f"The end of *{title(request)}* ({request.id}) was moved to {when(request.ends_at)}."
        return _message(f"{moved} {by} approved." if by else moved)
    if request.state is State.ACTIVE:
        return _near_end(request, needed)
    return _message(f"*{title(request)}* ({request.id}) is closed. {ended_because(request)}")


def _near_end(request: Request, needed: Needed) -> Message:
    said = f"*{title(request)}* ({request.id}) closes by itself {when(request.ends_at)}."
    buttons = [_button("I'm done", actions.RELEASE, request)]
    extension = request.extension
    if extension:
        said = f"{said}\n{later_end(extension, needed.mentions)}".strip()
    if later.possible(request):
        buttons.insert(0, _button("Extend…", actions.EXTEND, request))
    return _message(said, buttons)


def ended_because(request: Request) -> str:
    """Why it ended, said to the asker."""
    match request.ending:
        case Ending.EXPIRED:
            return "Its time was up."
        case Ending.RELEASED:
            return "You gave it back."
        case Ending.REVOKED:
            return f"{user(request.closed_by)} took it away: {safe(request.closed_reason, 500)}."
        case Ending.REFUSED | Ending.DOUBTED:
            return f"It could not be opened: {safe(request.closed_reason)}."
        case None:
            return ""


def _decision(request: Request) -> str:
    match request.state:
        case State.DENIED:
            denial = request.reviews[-1]
            return f"{name(denial.by)} said no: {safe(denial.reason, 500)}"
        case State.LAPSED if request.approved_at:
            return "It could not be started in time, so it lapsed. Nothing was opened."
        case State.LAPSED:
            return "Nobody decided in time, so it lapsed. Ask again when somebody is there."
        case State.CANCELLED if request.closed_by == "policy":
            return f"It is void: {safe(request.closed_reason)}. Please ask again."
        case State.CANCELLED if request.closed_by != request.asker.id:
            return f"{user(request.closed_by)} took it away: {safe(request.closed_reason, 500)}."
        case State.CANCELLED:
            return "You took it back."
        case State.FAILED:
            return f"It could not be opened, and nothing stands: {safe(request.closed_reason)}."
        case _:
            said = f"Approved by {approvers(request)} for {length(request.duration)}."
            return f"Approved for {length(request.duration)} by {by_rule(request.rule)}." if request.rule else said


def _button(text: str, action: str, request: Request) -> ButtonElement:
    return ButtonElement(text=text, action_id=action, value=request.id)


def _message(text: str, buttons: Sequence[ButtonElement] = (), more: Sequence[str] = ()) -> Message:
    """The text, which a lock screen shows, then what is only read in Slack, then the buttons."""
    blocks: list[Block] = [
        SectionBlock(text=MarkdownTextObject(text=words[:3000], verbatim=True)) for words in (text, *more)
    ]
    if buttons:
        blocks.append(ActionsBlock(block_id="mine", elements=list(buttons)))
    # A lock screen shows the stars of bold text as stars.
    return Message(plain(text.replace("*", ""), 500), [block.to_dict() for block in blocks])
