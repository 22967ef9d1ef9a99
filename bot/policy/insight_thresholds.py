"""From when on something in the record stands out, rule by rule, as the policy writes it; each can be switched off.

A rule is written as its thresholds, ``asked-again: {times: 5, within: 14d}``, or as ``off``. What a rule means is in
bot/reports/insights/rules.py; nothing here looks at anything.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from bot.core import durations

_DAY = 86_400
_LONGEST = 90


def _seconds(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("write it like 10s, 30m or 14d")
    return durations.parse(value)


def _period(value: int) -> int:
    if not _DAY <= value <= _LONGEST * _DAY:
        raise ValueError(f"a period of 1d to {_LONGEST}d can be looked at")
    return value


_WRITTEN = WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["10s", "30m", "14d"]})
Seconds = Annotated[int, BeforeValidator(_seconds), _WRITTEN]
"""``10s``, ``30m`` → whole seconds."""
Period = Annotated[int, BeforeValidator(_seconds), AfterValidator(_period), _WRITTEN]
"""How far is looked back, in seconds."""
Times = Annotated[int, Field(ge=2, le=1000)]
"""How many cases there are at least: one is never enough."""
Percent = Annotated[int, Field(ge=1, le=100)]


class Thresholds(BaseModel):
    """A rule as it is written: a mapping, or ``off``, which YAML reads as false."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    off: bool = False

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if value is False or value == "off":
            return {"off": True}
        if value is True or value == "on":
            return {}
        if not isinstance(value, dict | Thresholds):
            raise ValueError("write `off`, or its thresholds as a mapping")
        return value


class AskedAgain(Thresholds):
    """One person was given the same so often."""

    times: Times = 5
    within: Period = 14 * _DAY


class RubberStamp(Thresholds):
    """So many yeses of one person came that fast, and make up that part of all their answers."""

    times: Times = 10
    faster_than: Seconds = 10
    percent: Percent = 50
    within: Period = 30 * _DAY


class EachOther(Thresholds):
    """Each of two people said yes to the other so often, and of each one's yeses that part came from the other."""

    times: Times = 5
    percent: Percent = 60
    within: Period = 30 * _DAY


class OneApprover(Thresholds):
    """So many answers about a role, that part of them by one person, and half of those after so long a wait."""

    times: Times = 10
    percent: Percent = 80
    waits: Seconds = 1800
    within: Period = 30 * _DAY


class AlwaysApproved(Thresholds):
    """So many decisions about a role, and not one of them a no."""

    times: Times = 50
    within: Period = 30 * _DAY


class NeverDenied(Thresholds):
    """So many answers of one person, and not one of them a no."""

    times: Times = 50
    within: Period = 30 * _DAY


class AfterDenial(Thresholds):
    """So often one person asked again, so soon, for what had been denied."""

    times: Times = 3
    soon: Seconds = _DAY
    within: Period = 30 * _DAY


class UnusualHours(Thresholds):
    """So often one person asked by night, who asked so often by day, so that those are at most that part."""

    times: Times = 3
    by_day: Times = 15
    percent: Percent = 20
    within: Period = 30 * _DAY


class InactiveThresholds(Thresholds):
    """Who may ask was not seen in the record for so long, and could have asked all the while."""

    within: Period = 90 * _DAY


class Rules(BaseModel):
    """Every rule by the name that it has in the policy; ``off`` switches all of them off."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if value is False or value == "off":
            return {field.alias or name: {"off": True} for name, field in cls.model_fields.items()}
        return value

    asked_again: AskedAgain = Field(default=AskedAgain(), alias="asked-again")
    rubber_stamp: RubberStamp = Field(default=RubberStamp(), alias="rubber-stamp")
    each_other: EachOther = Field(default=EachOther(), alias="each-other")
    one_approver: OneApprover = Field(default=OneApprover(), alias="one-approver")
    always_approved: AlwaysApproved = Field(default=AlwaysApproved(), alias="always-approved")
    never_denied: NeverDenied = Field(default=NeverDenied(), alias="never-denied")
    after_denial: AfterDenial = Field(default=AfterDenial(), alias="after-denial")
    unusual_hours: UnusualHours = Field(default=UnusualHours(), alias="unusual-hours")
    inactive: InactiveThresholds = InactiveThresholds()

    def of(self, name: str) -> Thresholds:
        """The thresholds of a rule by its name in the policy."""
        found: Thresholds = getattr(self, name.replace("-", "_"))
        return found

    @classmethod
    def names(cls) -> list[str]:
        """The rules, in the order in which they are told of."""
        return [field.alias or name for name, field in cls.model_fields.items()]
