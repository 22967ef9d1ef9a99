"""How long an approver may name a stand-in for, and how long somebody new does not count, as the policy writes it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from bot.core import durations

MOST = 30 * 86_400
"""Seconds for which a stand-in can be named, whatever the policy says."""


def _seconds(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("write it like 8h, 3d or 14d")
    return durations.parse(value)


def _at_most(value: int) -> int:
    if value > MOST:
        raise ValueError("a stand-in is named for 30 days at most: write `30d` or less")
    return value


def _seconds_or_none(value: Any) -> int:
    return 0 if value == 0 and value is not False else _seconds(value)


_EXAMPLES = ["8h", "3d", "14d"]
FreshFor = Annotated[
    int,
    BeforeValidator(_seconds_or_none),
    WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": durations.PATTERN, "examples": ["1h"]}]}),
]
"""A duration, or ``0`` for none."""
Delegated = Annotated[
    int,
    BeforeValidator(_seconds),
    AfterValidator(_at_most),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": _EXAMPLES}),
]
"""A duration of 30 days at most."""


class DelegationShape(BaseModel):
    """How long an approver may name a stand-in for."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    at_most: Delegated = MOST
    """The longest time; 30 days where it is left out."""
