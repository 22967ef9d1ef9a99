"""The summary of a channel's waiting requests that have no card of their own, and their list; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, Block, MarkdownTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.core.request import Request
from handlers.views import action_ids, status
from handlers.views.buttons import button
from handlers.views.card import consequence
from handlers.views.message import SlackMessage
from handlers.views.request import decide_blocks
from handlers.views.text import clock, fitting, length, risk, sensitivity, title, when, who

_MOST = 20


def summary(channel: str, waiting: int, first: Sequence[Request]) -> SlackMessage:
    """How many wait, since when and until when, with the way to them. ``first``: the oldest."""
    if not waiting:
        text = "Every request that was waiting here now has its own card or a decision."
        return SlackMessage(text, [_section(text).to_dict()])
    count = "1 more request is" if waiting == 1 else f"{waiting} more requests are"
    text = f"{count} waiting for approval here."
    said = [f":busts_in_silhouette: *{text}*", "Each gets its own card as the ones above are decided."]
    if first:
        since, until = min(r.created_at for r in first), min(r.decide_by for r in first)
        said.append(f"Oldest request: {when(since)}. The first one expires {clock(until)} if nobody answers.")
    show = button("Show waiting requests", action_ids.WAITING, channel, "Show the requests waiting here")
    blocks: list[Block] = [_section("\n".join(said)), ActionsBlock(block_id="crowd", elements=[show])]
    return SlackMessage(text, [block.to_dict() for block in blocks])


def waiting(channel: str, requests: Sequence[Request], start: int = 0, said: str = "") -> View:
    """Those that this person may approve, the oldest first: a page of them, from ``start`` on.

    The view carries where it is, so that it stays there when one of them is decided; ``said``: what came of that.
    """
    start = min(start, max(0, len(requests) - 1)) // _MOST * _MOST
    blocks: list[Block | dict[str, Any]] = [_section(said)] if said else []
    for request in requests[start : start + _MOST]:
        blocks += [_section(_one(request)), *decide_blocks(request)]
    if len(requests) > _MOST:
        blocks += _turns(channel, start, len(requests))
    nothing = "None of the requests waiting here is yours to approve. `/jit list` shows those that are."
    return View(
        type="modal",
        callback_id=action_ids.WAITING_VIEW,
        private_metadata=f"{channel} {start}",
        title="Waiting here",
        close="Close",
        blocks=blocks if requests else [*blocks, _section(nothing)],
    )


def _turns(channel: str, start: int, there: int) -> list[Block]:
    """Which of them these are, and the ways to the others."""
    last = min(start + _MOST, there)
    before, after = f"{channel} {start - _MOST}", f"{channel} {start + _MOST}"
    buttons = [button("Previous", action_ids.WAITING_BEFORE, before, "Previous waiting requests")] if start else []
    if last < there:
        buttons.append(button("Next", action_ids.WAITING_AFTER, after, "Next waiting requests"))
    which = f"{start + 1} to {last} of {there}, oldest first."
    return [_section(which), ActionsBlock(block_id="turns", elements=list(buttons))]


def _one(request: Request) -> str:
    asks = f"{who(request.requester)} requests *{title(request)}* for {length(request.duration)} ({request.id})"
    reason = fitting(request.reason, 500)
    lines = (asks, risk(sensitivity(request)), f"> {reason}" if reason else "", consequence(request, 1_200))
    return "\n".join([*(line for line in lines if line), f"_{status.label(request)}_"])


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))
