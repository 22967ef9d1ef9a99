"""What a case of a policy test can say, and in which form; whether the policy has what it names is case_flaws.py."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bot.core import durations
from bot.core.identity import identity_of
from bot.policy.field_types import Duration, Name, Names, Shape

Verdict = Literal["refused", "approved-by-rule", "approved", "asks", "awaits-consent", "break-glass", "expired"]
"""What can become of it: nobody is asked, a rule approves, people did, or people are still to; the person whom it is
for has yet to accept it; it is taken at once; or nobody accepted or decided it in time."""
FORMS = (
    "refused, approved-by-rule, approved, asks, awaits-consent, break-glass, expired, "
    "or {asks: [dba, 2 of platform or security]}"
)
_MOST = 1000
_MOMENT = 'write a day, a time and a zone in quotes, like "2026-12-04 17:00+01:00"'
_STEP = re.compile(r"(?:(?P<count>[1-9]|10) of )?(?P<groups>[a-z0-9-]+(?: or [a-z0-9-]+)*)")


def _who(value: Any) -> Any:
    return {"person": value} if isinstance(value, str) else value


def _expected(value: Any) -> Any:
    if isinstance(value, str):
        return {"verdict": value}
    if isinstance(value, dict) and set(value) == {"asks"}:
        return {"verdict": "asks", "asks": value["asks"]}
    raise ValueError(f"write {FORMS}")


def _step(value: str) -> str:
    if not _STEP.fullmatch(value):
        raise ValueError("write a group, `2 of dba`, or `dba or security`")
    return value


def _some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("list at least one")
    return value


def _ago(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return (0,) * value
    if isinstance(value, str):
        return (durations.parse(value),)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(durations.parse(each) for each in value)
    raise ValueError(f"write how often, up to {_MOST}, or how long ago, like 10m or [10m, 2h]")


def _approval(value: Any) -> Any:
    return {"as": value} if isinstance(value, str) else value


def _address(value: str) -> str:
    return identity_of(value)


def moment(value: Any) -> float:
    """A day, a time and a zone in Unix seconds. Raises `ValueError`."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(_MOMENT) from error
    if found.tzinfo is None:
        raise ValueError(_MOMENT)
    return found.timestamp()


Address = Annotated[str, AfterValidator(_address)]
People = Annotated[tuple[Address, ...], Field(strict=False)]


Times = Annotated[int, Field(ge=0, le=_MOST)]


class WhoShape(Shape):
    """A person by address, or somebody who is in these groups."""

    person: Address | None = None
    groups: Names = ()


class ExpectShape(Shape):
    """What should become of it. ``asks``: each step that is still open, as `2 of dba or security`."""

    verdict: Verdict
    asks: (
        Annotated[tuple[Annotated[str, AfterValidator(_step)], ...], Field(strict=False), AfterValidator(_some)] | None
    ) = None

    @property
    def steps(self) -> tuple[tuple[frozenset[str], int], ...] | None:
        """The groups of each step and how many of their people it needs; None where any will do."""
        return None if self.asks is None else tuple(_parsed(each) for each in self.asks)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.verdict} {', '.join(self.asks)}" if self.asks else self.verdict


class CaseApprovalShape(Shape):
    """Who approves it; ``after``: how many seconds after it was requested, or accepted by whom it is for."""

    who: Annotated[Address, Field(alias="as")]
    after: Duration | None = None


class PersonLatelyShape(Shape):
    """How many requests were approved in the last 24 hours, and in the last 7 days."""

    per_day: Times = 0
    per_week: Times = 0


class LatelyShape(PersonLatelyShape):
    """The same for everybody together; ``per_person``: of these, for whoever gets the access."""

    per_person: PersonLatelyShape = PersonLatelyShape()


class CaseShape(Shape):
    """One request that is tried out. Durations in seconds."""

    who: Annotated[WhoShape, BeforeValidator(_who), Field(alias="as")]
    what: str
    requested_for: Annotated[Address | None, Field(alias="for")] = None
    """Whom it is requested for, where that is somebody else."""
    accepted: bool = False
    """Whether that person has accepted it."""
    proved: bool = True
    """Whether those who do something prove that it is them, where the policy asks for a second factor."""
    break_glass: bool = False
    """Whether it is taken at once, without approval."""
    break_glass_used: Times = 0
    """How often this person used break-glass within 24 hours."""
    review_overdue: bool = False
    """Whether the review of an earlier break-glass access of theirs is overdue."""
    duration: Duration | None = None
    start: Duration | None = None
    """How long from now access is to start."""
    reason: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    """What is given for the inputs of its roles, by name."""
    at: Annotated[float, BeforeValidator(moment)] | None = None
    """When it is requested, Unix seconds; now where it is not said."""
    frozen: Names = ()
    """The calendars that have an event when access would start; the others have none."""
    tickets: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The tickets that exist; others do not."""
    denied: Annotated[tuple[int, ...], BeforeValidator(_ago)] = ()
    """How many seconds ago this person was denied each of its roles."""
    live: Times = 0
    """How many grants of each of its roles are live, those of this person included."""
    holds: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The roles, as ``system/role``, that this person has live access to."""
    approved_lately: LatelyShape = LatelyShape()
    """How many requests for each of its roles were approved lately."""
    used: Times = 0
    """How many requests of this person each rule has approved within 24 hours."""
    approved_by: Annotated[
        tuple[Annotated[CaseApprovalShape, BeforeValidator(_approval)], ...], Field(strict=False)
    ] = ()
    """Who approves it; those without a time of their own when it is looked at."""
    after: Duration | None = None
    """How long after it was requested, or accepted by whom it is for, it is looked at."""
    expect: Annotated[ExpectShape, BeforeValidator(_expected)]
    sentence: str = ""
    """A part of what the requester reads."""
    rules: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """The rules that should have an effect, by their places in the policy; None where any may."""
    lasts: Duration | None = None
    """How long access should last."""
    review_within: Duration | None = None
    """Until how long after it was taken it should be reviewed."""


class CasesShape(Shape):
    """The whole file."""

    policy: str | None = None
    """The policy file or folder, from where this file is."""
    groups: dict[Name, People] = Field(default_factory=dict)
    """Who is in each Slack user group, and each group of a directory, of the policy."""
    cases: Annotated[tuple[CaseShape, ...], Field(strict=False), AfterValidator(_some)]


def _parsed(step: str) -> tuple[frozenset[str], int]:
    found = _STEP.fullmatch(step)
    if found is None:
        raise ValueError(f"{step!r} is no step")  # the shape has refused it
    return frozenset(found["groups"].split(" or ")), int(found["count"] or 1)
