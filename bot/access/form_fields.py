"""Checks how long, why and from when access is requested, against what the choice allows; it looks nothing up."""

from __future__ import annotations

import re

from bot.core import durations
from bot.core.errors import BadDuration, BadReason, BadStart
from bot.core.ids import bounded
from bot.policy.catalog import Choice

SOONEST, LATEST = 60, 30 * 86_400
"""Seconds from now within which a start may lie."""


def check_duration(choice: Choice, duration: int | None) -> int:
    """A duration, in seconds, that the choice allows. Raises `BadDuration`."""
    presets = tuple(choice.durations)
    if duration is None:
        return presets[0] if presets else min(choice.cap, 3600)
    longest = max(presets, default=choice.cap)
    if not durations.SHORTEST <= duration <= min(choice.cap, longest):
        raise BadDuration(durations.short(max(duration, 0)), presets, longest)
    return duration


def check_reason(choice: Choice, reason: str) -> str:
    """A reason in the form that the choice requires. Raises `BadReason`."""
    rule = choice.reason
    if not rule.required and not reason.strip():
        return ""
    text = bounded(reason, rule.min_length, rule.expected)
    if rule.pattern and not re.search(rule.pattern, text):
        raise BadReason("form", rule.expected)
    return text


def check_start(starts_at: float, now: float) -> float:
    """A start that is neither too soon nor too far away. Raises `BadStart`."""
    if starts_at and not now + SOONEST <= starts_at <= now + LATEST:
        raise BadStart(starts_at, now + LATEST)
    return starts_at
