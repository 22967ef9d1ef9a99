"""The shapes of the policy file, as they are written; one field at a time, what hangs together is in catalog.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from bot.policy.conflicts import ConflictShape
from bot.policy.delegation_shapes import DelegationShape, FreshFor
from bot.policy.field_types import (
    Channel,
    Duration,
    MonthTime,
    Name,
    Names,
    Sensitivity,
    Shape,
    TimeOfDay,
    Title,
    WeekTime,
    Zone,
)
from bot.policy.groups import MOST_DIRECTORIES, CalendarShape, DirectoryShape, GroupShape
from bot.policy.inputs import InputName, InputShape, one_line, quick
from bot.policy.insight_thresholds import Rules
from bot.policy.limits import UsageLimitsShape
from bot.policy.mfa_shapes import MfaShape, RoleMfaShape
from bot.policy.rule_shapes import RuleShape, TicketSystemShape


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
    consent: Duration = 1800
    """How long a request for somebody else waits for that person to accept it, at most as long as `pending`."""
    remind: Duration | None = None
    """When approvers are reminded, counted from the request; by default after half of the time to decide."""
    warn: Duration = 600
    """How long before its end the requester is warned; at most a quarter of the time."""
    start_grace: Duration = 900
    """By how much a start may be missed."""
    grant_budget: Duration = 600
    retention: Duration = 30 * 86_400
    limits: LimitsShape = LimitsShape()
    delegation: DelegationShape = DelegationShape()
    fresh_member: FreshFor = 3600
    sinks: Annotated[dict[Name, SinkShape], Field(max_length=20)] = Field(default_factory=dict)


class EscalateShape(Shape):
    """Who may approve as well once nobody has for a while."""

    after: Duration
    """Counted from the request; where the steps are in order, from when this one opened."""
    to: Annotated[Names, Field(min_length=1)]
    """Groups; their people count for the step as well from then on. It needs no fewer people."""


class StepShape(Shape):
    """So many different people out of any of the groups, or of the system's owners."""

    any_of: Annotated[Names, Field(min_length=1)] | None = None
    owner: bool = False
    """`true` in place of `any_of`: the system's `approvers`."""
    count: int = Field(default=1, ge=1, le=10)
    skip_if_requester_in: Annotated[Names, Field(min_length=1)] | None = None
    """Groups; the step is not needed where the requester is surely in one of them."""
    escalate: EscalateShape | None = None
    """Who may fill the step as well, and after how long."""

    @model_validator(mode="after")
    def _by_somebody(self) -> StepShape:
        if self.owner and self.any_of is not None:
            raise ValueError("`owner: true` stands for the system's `approvers`: leave `any_of` out, or `owner`")
        if not self.owner and self.any_of is None:
            raise ValueError("a step needs `any_of: [GROUP]`, or `owner: true` for the system's `approvers`")
        return self


MOST_STEPS = 10


class ApprovalShape(Shape):
    """The steps that must all be filled."""

    steps: Annotated[tuple[StepShape, ...], Field(strict=False, min_length=1, max_length=MOST_STEPS)] | None = None
    ordered: bool = False
    """`true` where a step can be answered only once the one before it is filled."""


class NotifyShape(Shape):
    """How approvers are reached: who is mentioned on the card, who gets a direct message."""

    mention: Literal["on-call", "group", "none"] = "group"
    dm: Literal["on-call", "all", "none"] | None = None
    """Not given: who is on call, where the system says who that is, and else nobody."""


MOST_INPUTS = 10


class BreakGlassShape(Shape):
    """Access at once, without approval and loudly; somebody else reviews it afterwards."""

    who: Annotated[Names, Field(min_length=1)]
    at_most: Duration
    review_within: Duration = 86_400


class RoleShape(Shape):
    """A level of access. ``grants`` are the provider's own."""

    title: Title | None = None
    grants: Mapping[str, Any] = Field(default_factory=dict)
    asks: Annotated[dict[InputName, InputShape], Field(max_length=MOST_INPUTS)] = Field(default_factory=dict)
    """What the requester gives; `grants` name each input as ``{ask: NAME}``."""
    sensitivity: Annotated[Sensitivity, Field(strict=False)] = Sensitivity.HIGH
    max: Duration
    may_ask: Annotated[Names, Field(min_length=1)]
    may_ask_for: Names = ()
    """Groups whose people may request it for others, who have to be in `may_ask` and to accept it."""
    approval: ApprovalShape = ApprovalShape()
    notify: NotifyShape = NotifyShape()
    limits: UsageLimitsShape | None = None
    """How much there is of it."""
    break_glass: BreakGlassShape | None = None
    mfa: RoleMfaShape = RoleMfaShape()
    """What a second factor is required for, beyond what `workspace` says: only stricter."""


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


class PolicyShape(Shape):
    """The whole file."""

    version: Literal[1]
    workspace: WorkspaceShape
    directories: Annotated[dict[Name, DirectoryShape], Field(max_length=MOST_DIRECTORIES)] = Field(default_factory=dict)
    calendars: Annotated[dict[Name, CalendarShape], Field(max_length=MOST_DIRECTORIES)] = Field(default_factory=dict)
    groups: dict[Name, GroupShape]
    systems: Annotated[dict[Name, SystemShape], Field(min_length=1)]
    templates: dict[Name, TemplateShape] = Field(default_factory=dict)
    rules: Annotated[tuple[RuleShape, ...], Field(strict=False, max_length=50)] = ()
    conflicts: Annotated[tuple[ConflictShape, ...], Field(strict=False, max_length=200)] = ()
    """Pairs of roles or systems that nobody holds at the same time."""
    tickets: Annotated[dict[Name, TicketSystemShape], Field(max_length=10)] = Field(default_factory=dict)
