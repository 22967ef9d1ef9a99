"""Which reason of a request a form shows, and what an answer puts in its place: Slack's JSON, none of it believed."""

from __future__ import annotations

from bot.access.answer import AnswerForm
from bot.core import typed
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids

_DIGITS = 10


def shown(payload: Payload) -> int:
    """Which of the request's reasons a form shows: 0 for the first; ``J-7K3Q#1`` carries 1."""
    return _number(payloads.about(payload).partition(" ")[0].partition("#")[2]) or 0


def answer(payload: Payload) -> AnswerForm:
    """An answer. A field that was left as it was changes nothing, whatever became of the request meanwhile."""
    return AnswerForm(
        text=payloads.reason(payload),
        reason=_changed(payload, action_ids.NEW_REASON),
        duration=_number(_changed(payload, action_ids.DURATION)),
    )


def _changed(payload: Payload, block: str) -> str:
    """What a field has in place of what it was filled in with; empty where that was left as it was."""
    value = payloads.field(payload, block)
    blocks = (each for each in payload["view"]["blocks"] if str(each.get("block_id")) == block)
    element = next((each.get("element") or {} for each in blocks), {})
    filled = element.get("initial_value") or (element.get("initial_option") or {}).get("value") or ""
    return "" if typed.line(value) == typed.line(str(filled)) else value


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < _DIGITS else None
