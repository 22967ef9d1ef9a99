"""The fields that several modals have: a reason in writing, and for how long; pure."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, StaticSelectElement

from bot.core.request import REASON_LIMIT
from handlers.views import action_ids
from handlers.views.text import length, plain

MOST_OPTIONS = 100
"""Of a select, in Slack."""


def reason(
    label: str,
    initial: str = "",
    *,
    longest: int = REASON_LIMIT,
    shortest: int | None = None,
    placeholder: str | None = None,
    hint: str | None = None,
    optional: bool | None = None,
    block_id: str = action_ids.REASON,
) -> InputBlock:
    """Text of several lines. ``longest``, ``shortest``: characters."""
    element = PlainTextInputElement(
        action_id=block_id,
        multiline=True,
        min_length=shortest,
        max_length=longest,
        initial_value=plain(initial, longest) or None,
        placeholder=placeholder,
    )
    return InputBlock(block_id=block_id, label=label, hint=hint, element=element, optional=optional)


def duration(
    seconds: Sequence[int],
    initial: int | None,
    *,
    label: str = "For how long?",
    block_id: str = action_ids.DURATION,
    placeholder: str | None = None,
    optional: bool | None = None,
) -> InputBlock:
    """One of several durations, in seconds; ``initial`` is selected if it is one of them."""
    options = [Option(value=str(each), text=length(each)) for each in seconds[:MOST_OPTIONS]]
    selected = next((option for option in options if option.value == str(initial)), None)
    element = StaticSelectElement(
        action_id=action_ids.DURATION, options=options, initial_option=selected, placeholder=placeholder
    )
    return InputBlock(block_id=block_id, label=label, element=element, optional=optional)
