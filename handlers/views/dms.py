"""The direct messages about a request: to the requester, and to its approvers; each rendered from the record."""

from __future__ import annotations

from bot.core.events import Event, ExtensionDenied, ExtensionFailed
from bot.core.request import ApproverQuestion, Ending, Request, State
from handlers.views import buttons, connect, ended, status, text
from handlers.views.extension import extension_status
from handlers.views.message import Needed, SlackMessage, context, lock_screen, paragraphs
from handlers.views.parts import refused
from handlers.views.questions import changes
from handlers.views.text import (
    OPEN_CARD,
    approvers,
    clock,
    fitting,
    length,
    linked_as,
    name,
    reviewer,
    safe,
    title,
    when,
)


def to_decide(request: Request, needed: Needed, link: str) -> SlackMessage:
    """To an approver: what waits for them and where; later, why no answer is needed any more."""
    asks = f"{text.asks(request)} *{title(request)}* for {length(request.asked)} ({request.id})"
    if not request.awaits_decision:
        said = f"{asks}. No answer is needed any more: it {status.of(request).verdict(request)}."
        return with_card(paragraphs(said), link)
    reason = f": {safe(request.reason, 300)}" if request.reason else ""
    by = f"by {clock(request.decide_by)}"
    more = f"it needs {needed} {by}." if needed.ladder else f"{needed.missing} more needed {by}."
    so_far = f"{approvers(request)} approved; {more}"
    waits = so_far if request.reviews else f"You can approve or deny it {by}."
    return with_card(paragraphs(f"{asks}{reason}\n{waits}"), link)


def with_card(message: SlackMessage, link: str) -> SlackMessage:
    """The message with the way to the card, which a lock screen need not show; as it is where there is no link."""
    if not link.startswith("https://") or set(link) & set("<>|"):
        return message
    first, *rest = message.blocks
    said = {**first["text"], "text": f"{first['text']['text']} <{link}|Open the card>"}
    return SlackMessage(message.text, [{**first, "text": said}, *rest])


def decided(request: Request) -> SlackMessage:
    """To the requester: the decision, and that access starts later."""
    row = status.of(request)
    said = f"*{title(request)}* ({request.id}): {row.decision(request)}"
    if request.granted_at or request.is_over or request.is_closing:
        return paragraphs(said)
    return paragraphs(f"{said} {row.news(request)}", row.dm_buttons(request, False))


def granted(request: Request, *, secret: bool) -> SlackMessage:
    """To the requester: access is granted, how to connect and the way to the password; later, that it has ended."""
    if not request.is_active:
        return paragraphs(_past(request))
    row = status.of(request)
    said = f"You have access until {when(request.ends_at)}: *{title(request)}* ({request.id}). {row.decision(request)}"
    return paragraphs(said, row.dm_buttons(request, secret), connect.ways(request, secret=secret))


def extension_decided(request: Request, event: Event) -> SlackMessage:
    """To the requester: access ends later, or why it does not."""
    what = f"*{title(request)}* ({request.id})"
    match event:
        case ExtensionDenied(review=review):
            why = f"{reviewer(review)} denied the extension: {safe(review.reason, 500)}"
        case ExtensionFailed(error=error):
            why = f"Extending it failed: {safe(error)}."
        case _:
            return paragraphs(f"{what} is extended until {when(request.ends_at)}.{_extenders(request)}")
    return paragraphs(f"{what} is not extended. It ends at {clock(request.ends_at)} as planned. {why}")


def ending(request: Request, needed: Needed, of: int = 0) -> SlackMessage:
    """To the requester: access is about to end, with the ways to extend it or end it now; later, that it has ended.

    ``of``: which end it is about, counted in extensions. An end that was moved has a message of its own.
    """
    if of < request.extended:
        moved = f"*{title(request)}* ({request.id}) is extended until {when(request.ends_at)}."
        return paragraphs(f"{moved}{_extenders(request)}")
    return _near_end(request, needed) if request.is_active else paragraphs(_past(request))


def ended_access(request: Request) -> SlackMessage:
    """To the requester: what was approved could not be granted, or has ended, and why."""
    if request.ending in {Ending.REFUSED, Ending.UNCERTAIN}:
        left = "No access was given." if request.state is State.FAILED else _left(request)
        why = f"{refused(request)}{safe(request.closed_reason, 500)}"
        return paragraphs(f"*{title(request)}* ({request.id}) could not be granted. {left} The reason: {why}.")
    if request.state in {State.CANCELLED, State.EXPIRED}:
        return paragraphs(f"*{title(request)}* ({request.id}): {status.of(request).decision(request)}")
    return paragraphs(_end(request))


def _left(request: Request) -> str:
    done = "has been" if request.is_over else "is being"
    return f"What was granted of it {done} removed."


def _end(request: Request) -> str:
    what, why = f"*{title(request)}* ({request.id})", ended.why_yours(request)
    if request.is_over:
        return f"{what} has ended. {why}"
    return f"{what}: {why} It is being removed." if request.ending is Ending.EXPIRED else f"{what} is ending. {why}"


def _past(request: Request) -> str:
    """What becomes of an earlier message: why access ended is said once, in a message of its own where it rings."""
    if request.ending is Ending.RELEASED:
        return _end(request)
    return f"*{title(request)}* ({request.id}) {'has ended' if request.is_over else 'is ending'}."


def _extenders(request: Request) -> str:
    by = " and ".join(reviewer(review) for review in request.extension.reviews) if request.extension else ""
    return f" {by} approved." if by else ""


def question(request: Request, asked: ApproverQuestion, link: str) -> SlackMessage:
    """To the requester: what an approver asks, and the way to answer; later, what was answered."""
    about = f"about your request *{title(request)}* ({request.id}): {fitting(asked.text, 1_000)}"
    card = f"\n{linked_as(link, OPEN_CARD)}" if link else ""
    if asked.answered:
        changed = changes(asked.reason_change, asked.duration_change)
        lines = [f"You answered {name(asked.by)}: {fitting(asked.answer, 1_000)}"] if asked.answer else []
        lines += [f"You changed {changed}"] if changed else []
        return paragraphs("\n".join(lines), (), [f"Asked {about}{card}"])
    said = f"{name(asked.by)} asks {about}"
    if not request.awaits_decision:
        verdict = status.of(request).verdict(request)
        return paragraphs(f"{said}\nNo answer is needed any more: it {verdict}.", (), [card.strip()] if card else ())
    waits = f"All approvers will see your answer. If nobody decides by {clock(request.decide_by)}, it expires.{card}"
    whole = paragraphs(said, [buttons.answer(request, asked.n)], [waits])
    return SlackMessage(lock_screen(f"{name(asked.by)} asks: {safe(asked.text)}"), whole.blocks)


def linked_to_card(message: SlackMessage, link: str) -> SlackMessage:
    """A message that also leads to the card; as it is, where nobody knows the way."""
    if not link or link in str(message.blocks):
        return message
    return SlackMessage(message.text, [*message.blocks, context(linked_as(link, OPEN_CARD)).to_dict()])


def _near_end(request: Request, needed: Needed) -> SlackMessage:
    said = f"*{title(request)}* ({request.id}) ends {when(request.ends_at)}."
    if request.extension:
        said = f"{said}\n{extension_status(request, needed, own=True)}".strip()
    return paragraphs(said, [*buttons.extend(request), buttons.release(request)])
