"""The types of the policy's fields: durations, names, channels, times of day; each tells what it takes."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from bot.core import durations, start_times
from bot.core.identity import identity_of
from bot.policy.inputs import one_line


class Shape(BaseModel):
    """A mapping that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Sensitivity(StrEnum):
    """How much harm a role can do."""

    LOW = "low"
    """Reading what many read anyway."""
    MEDIUM = "medium"
    """Reading what few do, or changing what is easily undone."""
    HIGH = "high"
    """The default: whoever wrote no sensitivity did not think it low."""
    CRITICAL = "critical"
    """Everything, or what cannot be undone."""


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("write it like 30m, 1h30m or 2d")
    return durations.parse(value)


def _channel(value: str) -> str:
    if not re.fullmatch(r"[CG][A-Z0-9]{5,20}", value):
        raise ValueError("a channel is written by its id (C…), which its details show; not by its name")
    return value


def _usergroup(value: str) -> str:
    if not re.fullmatch(r"S[A-Z0-9]{5,20}", value):
        raise ValueError("a user group is written by its id (S…), not by its handle")
    return value


def _team(value: str) -> str:
    if not re.fullmatch(r"T[A-Z0-9]{5,20}", value):
        raise ValueError("a team is written by its id (T…), which the address of its workspace in a browser shows")
    return value


def _address(value: str) -> str:
    identity_of(value)
    return value


_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _time_of_day(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_CLOCK, value):
        raise ValueError('a time of day is written in quotes, like "09:00"')
    return value


def _week_time(value: Any) -> str:
    found = re.fullmatch(rf"({'|'.join(WEEKDAYS)})\s+({_CLOCK})", value.lower()) if isinstance(value, str) else None
    if not found:
        raise ValueError("write a weekday and a time, like `monday 09:00`")
    return f"{found[1]} {found[2]}"


def _month_time(value: Any) -> str:
    found = re.fullmatch(rf"(0?[1-9]|1\d|2[0-8])\s+({_CLOCK})", value) if isinstance(value, str) else None
    if not found:
        raise ValueError("write a day of the month (1 to 28, which every month has) and a time, like `1 09:00`")
    return f"{int(found[1])} {found[2]}"


def _zone(value: str) -> str:
    if not start_times.known(value):
        raise ValueError("there is no such time zone; write it like Europe/Berlin, or UTC")
    return value


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


def written(pattern: str, *examples: str) -> WithJsonSchema:
    """How editors are told of a text: its form, and what it looks like (see json_schema.py)."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[int, BeforeValidator(_duration), written(durations.PATTERN, "30m", "1h30m", "2d")]
"""``30m``, ``1h30m``, ``2d`` → whole seconds."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""A name that is typed: small letters, digits, dashes."""
Title = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(one_line)]
Channel = Annotated[str, AfterValidator(_channel), written("^[CG][A-Z0-9]{5,20}$", "C0123ABCD")]
Usergroup = Annotated[str, AfterValidator(_usergroup), written("^S[A-Z0-9]{5,20}$", "S0123ABCD")]
Team = Annotated[str, AfterValidator(_team), written("^T[A-Z0-9]{5,20}$", "T0123ABCD")]
Address = Annotated[str, AfterValidator(_address), written("^[^@\\s<>|]{1,64}@[^@\\s<>|]{1,190}$", "pat@example.com")]
"""Of a person's Slack profile."""
Names = Annotated[tuple[str, ...], Field(strict=False)]
"""One or more names of groups."""
TimeOfDay = Annotated[str, BeforeValidator(_time_of_day), written(f"^{_CLOCK}$", "09:00")]
_WEEK_TIME = rf"^(?:{'|'.join(map(_any_case, WEEKDAYS))})\s+{_CLOCK}$"
WeekTime = Annotated[str, BeforeValidator(_week_time), written(_WEEK_TIME, "monday 09:00")]
"""``monday 09:00``."""
_MONTH_TIME = rf"^(?:0?[1-9]|1\d|2[0-8])\s+{_CLOCK}$"
MonthTime = Annotated[str, BeforeValidator(_month_time), written(_MONTH_TIME, "1 09:00")]
"""``1 09:00``: a day that every month has, and a time."""
Zone = Annotated[str, AfterValidator(_zone)]
Mfa = Literal["off", "required"]


def _mfa_word(value: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


MfaWord = Annotated[Mfa, BeforeValidator(_mfa_word), WithJsonSchema({"enum": ["off", "required", False]})]
