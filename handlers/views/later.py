"""The modals of a later end: wish for it, or say no to it; pure, and nothing is offered beyond the cap."""

from __future__ import annotations

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, StaticSelectElement
from slack_sdk.models.views import View

from bot.core import durations
from bot.core.deadlines import last_end
from bot.core.model import REASON_LIMIT, Request, State
from handlers.views import actions, modals
from handlers.views.words import clock, length, plain

_LABEL = "Why is it still needed? Those who decide read this."


def possible(request: Request) -> bool:
    """Whether a later end could be asked for now; it is judged again when it is pressed."""
    undone = request.extension is not None and request.extension.undone
    prolongs = all(leg.role.prolongs for leg in request.legs)
    return request.state is State.ACTIVE and not undone and prolongs and last_end(request) > request.ends_at


def extend(request: Request, more: int | None = None, reason: str = "") -> View:
    """How much longer, and why."""
    left = int(last_end(request) - request.ends_at)
    fitting = [seconds for seconds in modals.PRESETS if seconds <= left] or [max(left, durations.SHORTEST)]
    wanted = sorted({*fitting, *([more] if more and more <= left else [])})
    options = [Option(value=str(seconds), text=length(seconds)) for seconds in wanted]
    initial = next((option for option in options if option.value == str(more)), options[0])
    longer = StaticSelectElement(action_id=actions.DURATION, options=options, initial_option=initial)
    why = PlainTextInputElement(
        action_id=actions.REASON,
        multiline=True,
        max_length=REASON_LIMIT,
        initial_value=plain(reason, REASON_LIMIT) or None,
    )
    ends = f"It closes by itself at {clock(request.ends_at)}; until the later end is approved, that stays so."
    return View(
        type="modal",
        callback_id=actions.EXTEND_VIEW,
        private_metadata=request.id,
        title="Later end",
        submit="Ask",
        close="Not now",
        blocks=[
            modals.about(request),
            modals.text(ends),
            InputBlock(block_id=actions.DURATION, label="How much longer?", element=longer),
            InputBlock(block_id=actions.REASON, label=_LABEL, element=why),
        ],
    )


def deny(request: Request, n: int) -> View:
    """Keep the end as it is, and say why."""
    element = PlainTextInputElement(action_id=actions.REASON, multiline=True, max_length=REASON_LIMIT)
    return View(
        type="modal",
        callback_id=actions.EXTEND_DENY_VIEW,
        private_metadata=f"{request.id} {n}",
        title="Keep the end",
        submit="Keep it",
        close="Not now",
        blocks=[
            modals.about(request),
            InputBlock(block_id=actions.REASON, label="Why not longer? The asker reads this.", element=element),
        ],
    )
