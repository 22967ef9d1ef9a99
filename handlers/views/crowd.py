"""The summary of those who wait in a channel without a card of their own, and the list of those; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, MarkdownTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.core.model import Request
from handlers.views import actions
from handlers.views.card import Message, consequence
from handlers.views.showing import decide_block
from handlers.views.words import clock, length, safe, standing, title, when, who

_MOST = 20


def summary(channel: str, waiting: int, first: Sequence[Request]) -> Message:
    """How many wait, since when, until when; with the way to those. ``first``: those who have waited longest."""
    if not waiting:
        text = "All who waited here for a card of their own have one now, or are decided."
        return Message(text, [_section(text).to_dict()])
    count = "1 more request waits" if waiting == 1 else f"{waiting} more requests wait"
    text = f"{count} for a decision here."
    said = [f":busts_in_silhouette: *{text}*", "Each gets a card of its own as those above are decided."]
    if first:
        since, until = min(r.created_at for r in first), min(r.decide_by for r in first)
        said.append(f"The oldest was asked {when(since)}; undecided, the first lapses {clock(until)}.")
    show = ButtonElement(text="Show those waiting", action_id=actions.WAITING, value=channel)
    blocks: list[Block] = [_section("\n".join(said)), ActionsBlock(block_id="crowd", elements=[show])]
    return Message(text, [block.to_dict() for block in blocks])


def waiting(channel: str, requests: Sequence[Request], start: int = 0) -> View:
    """Those of them that this person's answer counts for, the oldest first: a page of them, from ``start`` on.

    The view carries where it is, so that it stays there when one of them is decided.
    """
    start = min(start, max(0, len(requests) - 1)) // _MOST * _MOST
    blocks: list[Block | dict[str, Any]] = []
    for request in requests[start : start + _MOST]:
        blocks += [_section(_wish(request)), *decide_block(request)]
    if len(requests) > _MOST:
        blocks += _turns(channel, start, len(requests))
    nothing = "None of those that wait here without a card is yours to decide. `/jit list` shows what is."
    return View(
        type="modal",
        callback_id=actions.WAITING_VIEW,
        private_metadata=f"{channel} {start}",
        title="Waiting here",
        close="Close",
        blocks=blocks or [_section(nothing)],
    )


def _turns(channel: str, start: int, there: int) -> list[Block]:
    """Which of them these are, and the ways to the others."""
    last = min(start + _MOST, there)
    before, after = f"{channel} {start - _MOST}", f"{channel} {start + _MOST}"
    buttons = [ButtonElement(text="Those before", action_id=actions.WAITING_BEFORE, value=before)] if start else []
    if last < there:
        buttons.append(ButtonElement(text="Those after", action_id=actions.WAITING_AFTER, value=after))
    which = f"{start + 1} to {last} of {there}, who has waited longest first."
    return [_section(which), ActionsBlock(block_id="turns", elements=list(buttons))]


def _wish(request: Request) -> str:
    asks = f"{who(request.asker)} asks for *{title(request)}* for {length(request.duration)} ({request.id})"
    reason = safe(request.reason, 300)
    return "\n".join([asks, *([f"> {reason}"] if reason else []), consequence(request), f"_{standing(request)}_"])


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))
