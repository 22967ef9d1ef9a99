"""The shapes of the policy file, as they are written; one field at a time, what hangs together is in catalog.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from bot.core import durations, start_times
from bot.core.identity import identity_of
from bot.policy.conflicts import ConflictShape
from bot.policy.inputs import InputName, InputShape, one_line, quick
from bot.policy.insight_thresholds import Rules
from bot.policy.limits import UsageLimitsShape

NOT_YET = {
    "escalate": "escalation",
    "factors": "a second factor",
}
"""Keys that are not part of this version: refused with a sentence, never ignored."""


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
    """Reading what few do, or changing what is easily mended."""
    HIGH = "high"
    """The default: whoever wrote no sensitivity did not think it low."""
    CRITICAL = "critical"
    """Everything, or what cannot be mended."""


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


def _written(pattern: str, *examples: str) -> WithJsonSchema:
    """How editors are told of a text: its form, and what it looks like (see json_schema.py)."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[int, BeforeValidator(_duration), _written(durations.PATTERN, "30m", "1h30m", "2d")]
"""``30m``, ``1h30m``, ``2d`` → whole seconds."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""A name that is typed: small letters, digits, dashes."""
Title = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(one_line)]
Channel = Annotated[str, AfterValidator(_channel), _written("^[CG][A-Z0-9]{5,20}$", "C0123ABCD")]
Usergroup = Annotated[str, AfterValidator(_usergroup), _written("^S[A-Z0-9]{5,20}$", "S0123ABCD")]
Team = Annotated[str, AfterValidator(_team), _written("^T[A-Z0-9]{5,20}$", "T0123ABCD")]
Address = Annotated[str, AfterValidator(_address), _written("^[^@\\s<>|]{1,64}@[^@\\s<>|]{1,190}$", "pat@example.com")]
"""Of a person's Slack profile."""
Names = Annotated[tuple[str, ...], Field(strict=False)]
"""One or more names of groups."""
TimeOfDay = Annotated[str, BeforeValidator(_time_of_day), _written(f"^{_CLOCK}$", "09:00")]
_WEEK_TIME = rf"^(?:{'|'.join(map(_any_case, WEEKDAYS))})\s+{_CLOCK}$"
WeekTime = Annotated[str, BeforeValidator(_week_time), _written(_WEEK_TIME, "monday 09:00")]
"""``monday 09:00``."""
_MONTH_TIME = rf"^(?:0?[1-9]|1\d|2[0-8])\s+{_CLOCK}$"
MonthTime = Annotated[str, BeforeValidator(_month_time), _written(_MONTH_TIME, "1 09:00")]
"""``1 09:00``: a day that every month has, and a time."""
Zone = Annotated[str, AfterValidator(_zone)]
Mfa = Literal["off", "required"]


def _mfa_word(value: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


MfaWord = Annotated[Mfa, BeforeValidator(_mfa_word), WithJsonSchema({"enum": ["off", "required", False]})]


class MfaShape(Shape):
    """When a proof of presence is asked for."""

    request: MfaWord = "required"


class LimitsShape(Shape):
    """How much one person may ask: open at a time, and submits in ten minutes."""

    open: int = Field(default=5, ge=1, le=100)
    submits: int = Field(default=10, ge=1, le=1000)


class DigestShape(Shape):
    """When the audit channel gets a digest, and in which zone a day begins; it needs one of the times."""

    at: TimeOfDay | None = None
    """Of the day before."""
    weekly: WeekTime | None = None
    """Of the seven days before."""
    monthly: MonthTime | None = None
    """Of the month before."""
    timezone: Zone = "UTC"


class SinkShape(Shape):
    """A place that the record is shipped to. ``config`` is the sink's own."""

    kind: str
    config: Mapping[str, Any] = Field(default_factory=dict)
    format: Literal["jsonl", "ocsf"] = "jsonl"
    begin: Literal["start", "now"] = Field(default="start", alias="from")
    """Where a sink begins that was never there: with the first event, or with the next one."""
    behind: Duration = 900
    """How long the oldest event may wait before the audit channel is told."""


class WorkspaceShape(Shape):
    """What holds for the whole workspace. Durations in seconds."""

    audit_channel: Channel
    digest: DigestShape | None = None
    """No digest is posted without it."""
    insights: Rules = Rules()
    """What stands out in the record, rule by rule."""
    mfa: MfaShape = MfaShape()
    operators: Names = ()
    auditors: Names = ()
    """Who may read the record from Slack."""
    pending: Duration = 4 * 3600
    remind: Duration | None = None
    """When approvers are reminded, counted from the request; by default after half of the time to decide."""
    warn: Duration = 600
    """How long before its end the requester is warned; at most a quarter of the time."""
    start_grace: Duration = 900
    """By how much a start may be missed."""
    grant_budget: Duration = 600
    retention: Duration = 30 * 86_400
    limits: LimitsShape = LimitsShape()
    sinks: Annotated[dict[Name, SinkShape], Field(max_length=20)] = Field(default_factory=dict)


class GroupShape(Shape):
    """People by address, or a Slack user group."""

    people: Annotated[tuple[Address, ...], Field(strict=False)] = ()
    slack_usergroup: Usergroup | None = None
    slack_team: Team | None = None
    """The team of the user group, where the app is installed for a whole organisation."""


class StepShape(Shape):
    """So many different people out of any of the groups."""

    any_of: Annotated[Names, Field(min_length=1)]
    count: int = Field(default=1, ge=1, le=10)


class ApprovalShape(Shape):
    """The steps that must all be filled."""

    steps: Annotated[tuple[StepShape, ...], Field(strict=False, min_length=1)] | None = None
    mfa: MfaWord = "off"


class NotifyShape(Shape):
    """How approvers are reached: who is mentioned on the card, who gets a direct message."""

    mention: Literal["on-call", "group", "none"] = "group"
    dm: Literal["on-call", "all", "none"] | None = None
    """Not given: who is on call, where the system says who that is, and else nobody."""


MOST_INPUTS = 10


class RoleShape(Shape):
    """A level of access. ``grants`` are the provider's own."""

    title: Title | None = None
    grants: Mapping[str, Any] = Field(default_factory=dict)
    asks: Annotated[dict[InputName, InputShape], Field(max_length=MOST_INPUTS)] = Field(default_factory=dict)
    """What the requester gives; `grants` name each input as ``{ask: NAME}``."""
    sensitivity: Annotated[Sensitivity, Field(strict=False)] = Sensitivity.HIGH
    max: Duration
    may_ask: Annotated[Names, Field(min_length=1)]
    approval: ApprovalShape = ApprovalShape()
    notify: NotifyShape = NotifyShape()
    limits: UsageLimitsShape | None = None
    """How much there is of it."""


class SystemShape(Shape):
    """A thing that is protected."""

    title: Title
    provider: str
    config: Mapping[str, Any] = Field(default_factory=dict)
    channel: Channel
    approvers: Annotated[Names, Field(min_length=1)]
    on_call: Name | None = None
    """A group of those who are on call for it, kept by whoever keeps the schedule."""
    roles: Annotated[dict[Name, RoleShape], Field(min_length=1)]
    limits: UsageLimitsShape | None = None
    """How much there is of all its roles together."""


class ReasonShape(Shape):
    """What is expected as a reason: the pattern fits it somewhere, and the example shows how that looks."""

    hint: Annotated[str, Field(max_length=140), AfterValidator(one_line)] = ""
    pattern: Annotated[str, AfterValidator(quick)] | None = None
    example: Annotated[str, Field(max_length=80), AfterValidator(one_line)] = ""
    required: bool = True
    min_length: int = Field(default=3, ge=1, le=200)

    @model_validator(mode="after")
    def _shown(self) -> ReasonShape:
        if self.pattern and not self.example:
            raise ValueError("a `pattern` needs an `example` beside it that it fits, like INC-42: people read that")
        if self.pattern and not re.search(self.pattern, self.example):
            raise ValueError("the `example` does not fit the `pattern`: write one that does")
        if self.example and len(self.example) < self.min_length:
            raise ValueError("the `example` is shorter than `min_length`: write a longer one")
        return self

    @property
    def expected(self) -> str:
        """The hint and the example, as people read them; empty where anything will do."""
        like = f"like {self.example}" if self.example and self.example not in self.hint else ""
        return ", ".join(part for part in (self.hint, like) if part)


class TemplateShape(Shape):
    """A preset that is asked for by name."""

    title: Title
    roles: Annotated[Names, Field(min_length=1, max_length=10)]
    durations: Annotated[tuple[Duration, ...], Field(strict=False, min_length=1, max_length=20)]
    reason: ReasonShape = ReasonShape()


def _a_day(value: Any) -> int:
    found = re.fullmatch(r"([0-9]{1,3})/day", value) if isinstance(value, str) else None
    if not found or not 1 <= int(found[1]) <= MOST_A_DAY:
        raise ValueError(f"write it like 3/day, at most {MOST_A_DAY}/day")
    return int(found[1])


MOST_A_DAY = 20
"""What is approved more often than this a person and day is a standing right, and no request."""


class WhenShape(Shape):
    """The conditions of a rule, all of which must hold; what each means is in `auto_approval.py`."""

    sensitivity: Annotated[Sensitivity, Field(strict=False)]
    requester_in: Annotated[Names, Field(min_length=1, max_length=50)] | None = None
    at_most: Duration
    what: Annotated[Names, Field(min_length=1, max_length=50)] | None = None


class RuleShape(Shape):
    """What is approved without a person."""

    when: WhenShape
    then: Literal["approve"]
    budget: Annotated[int, BeforeValidator(_a_day), _written("^0*(?:[1-9]|1[0-9]|20)/day$", "3/day")]
    """So many a person within 24 hours."""


class PolicyShape(Shape):
    """The whole file."""

    version: Literal[1]
    workspace: WorkspaceShape
    groups: dict[Name, GroupShape]
    systems: Annotated[dict[Name, SystemShape], Field(min_length=1)]
    templates: dict[Name, TemplateShape] = Field(default_factory=dict)
    rules: Annotated[tuple[RuleShape, ...], Field(strict=False, max_length=50)] = ()
    conflicts: Annotated[tuple[ConflictShape, ...], Field(strict=False, max_length=200)] = ()
    """Pairs of roles or systems that nobody holds at the same time."""
