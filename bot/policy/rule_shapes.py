"""The shapes of rules and of the ticket systems that they ask, as they are written; what each key means is here, too.

What hangs together, and which keys an outcome needs, is checked in rule_flaws.py.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bot.policy.field_types import (
    Duration,
    Name,
    Names,
    Sensitivity,
    Shape,
    TimeOfDay,
    Zone,
    written,
)
from bot.policy.inputs import InputName, one_line, quick

SENTENCES: Mapping[str, str] = {
    "when": "the conditions that must all hold",
    "unless": "the conditions of which none may hold",
    "then": "what comes of it: `approve`, `deny`, `require` more approvals or a code, or `shorten` the duration",
    "budget": "so many are approved for a person within 24 hours, and the next one waits for people",
    "sensitivity": "the role is at most that sensitive",
    "requester_in": "the requester is surely in one of these groups",
    "at_most": "it is requested for no longer than that",
    "what": "it is one of these templates, roles, or on one of these systems",
    "on_call": "the requester is surely on call for the system",
    "hours": "access starts on these days, between these times of day",
    "frozen": "access starts while one of these calendars has an event",
    "denied_lately": "the requester was denied the role at least so often, within that time",
    "live": "at least so many grants of the role are live or scheduled",
    "ticket": "the ticket that the request names exists",
}
"""What each key of a rule means; a condition is judged for each role of a request."""
NEEDED: Final = ("sensitivity", "at_most")
"""The conditions that a rule which approves is never without."""
MOST_A_DAY: Final = 20
"""What is approved more often than this a person and day is a standing right, and no request."""
PLACE: Final = "{ticket}"
"""Where the address of a ticket system has the ticket."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _a_day(value: Any) -> int:
    found = re.fullmatch(r"([0-9]{1,3})/day", value) if isinstance(value, str) else None
    if not found or not 1 <= int(found[1]) <= MOST_A_DAY:
        raise ValueError(f"write it like 3/day, at most {MOST_A_DAY}/day")
    return int(found[1])


def _weekday(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Weekday = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], BeforeValidator(_weekday)
]


_EVERY_DAY: Final[tuple[Weekday, ...]] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class HoursShape(Shape):
    """Days of the week and times of day. Without times, whole days; without days, each day.

    Where ``to`` is earlier than ``from``, the hours end on the next day: ``days`` are those on which they begin.
    """

    days: Annotated[tuple[Weekday, ...], Field(strict=False)] = _EVERY_DAY
    from_: TimeOfDay | None = Field(default=None, alias="from")
    to: TimeOfDay | None = None
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _both(self) -> HoursShape:
        if not self.days:
            raise ValueError("these hours are never: name at least one day, or leave `days` out")
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` belong together: write both, or neither for whole days")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("these hours begin and end at the same time: leave both out for whole days")
        if self.from_ is None and len(set(self.days)) == len(_EVERY_DAY):
            raise ValueError("these hours are all the time: name `days`, or `from` and `to`")
        return self


class DeniedLatelyShape(Shape):
    """How often a person was denied a role, and within which time."""

    count: int = Field(default=1, ge=1, le=20)
    within: Duration


class TicketShape(Shape):
    """Where the request names a ticket, in an input or in its reason, and which system knows whether it exists."""

    check: Name
    """One of `tickets`."""
    input: InputName | None = None
    """The input of the role that is the ticket."""
    pattern: Annotated[str, AfterValidator(quick)] | None = None
    """What a ticket looks like in the reason; the first one counts."""

    @model_validator(mode="after")
    def _one(self) -> TicketShape:
        if (self.input is None) == (self.pattern is None):
            raise ValueError("a ticket is an `input` of the role, or what fits a `pattern` in the reason: write one")
        return self


class WhenShape(Shape):
    """Conditions of a rule. How each is judged is in conditions.py."""

    sensitivity: Annotated[Sensitivity, Field(strict=False)] | None = None
    requester_in: Annotated[Names, Field(min_length=1, max_length=50)] | None = None
    at_most: Duration | None = None
    what: Annotated[Names, Field(min_length=1, max_length=50)] | None = None
    on_call: Literal[True] | None = None
    hours: HoursShape | None = None
    frozen: Annotated[Names, Field(min_length=1, max_length=10)] | None = None
    denied_lately: DeniedLatelyShape | None = None
    live: int | None = Field(default=None, ge=1, le=1000)
    ticket: TicketShape | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of those that are written."""
        # Not kept: a copy with other conditions would keep them, too.
        return tuple([name for name, written in self.values if written is not None])

    @property
    def values(self) -> ItemsView[str, Any]:
        """Each condition by its name, as it is written; None where it is not."""
        return self.__dict__.items()


class RequiredStepShape(Shape):
    """So many different people out of any of the groups."""

    any_of: Annotated[Names, Field(min_length=1, max_length=20)]
    count: int = Field(default=1, ge=1, le=10)


class RequireShape(Shape):
    """More steps of approval, or a second factor of whoever requests it; or both."""

    steps: Annotated[tuple[RequiredStepShape, ...], Field(strict=False, min_length=1, max_length=5)] = ()
    """All of them, besides those of the roles."""
    mfa: Literal[True] | None = None
    """`true`: whoever requests it proves who they are, also where neither the role nor `workspace` asks for it."""

    @model_validator(mode="after")
    def _something(self) -> RequireShape:
        if not self.steps and self.mfa is None:
            raise ValueError("write `steps: [{any_of: [GROUP]}]`, `mfa: true`, or both")
        return self


class ThenShape(Shape):
    """What comes of a rule: the word `approve`, or one of these."""

    approve: Literal[True] | None = None
    deny: Annotated[str, Field(min_length=3, max_length=200), AfterValidator(one_line)] | None = None
    """Nothing is requested; the requester reads this sentence."""
    require: RequireShape | None = None
    """More people have to approve, or the requester has to prove who they are."""
    shorten: Duration | None = None
    """The duration is at most that."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if value == "approve":
            return {"approve": True}
        if not isinstance(value, dict) or "approve" in value or len(value) != 1:
            raise ValueError('write `approve`, `{deny: "why not"}`, `{require: {steps: [...]}}` or `{shorten: 1h}`')
        return value

    @property
    def outcome(self) -> Literal["approve", "deny", "require", "shorten"]:
        """Which one it is."""
        if self.approve:
            return "approve"
        return "deny" if self.deny is not None else "require" if self.require else "shorten"


class RuleShape(Shape):
    """What comes of a request without a person."""

    when: WhenShape = WhenShape()
    unless: WhenShape = WhenShape()
    then: ThenShape
    budget: Annotated[int, BeforeValidator(_a_day), written("^0*(?:[1-9]|1[0-9]|20)/day$", "3/day")] | None = None
    """So many a person within 24 hours."""


def _address(value: str) -> str:
    """The address of a ticket system. Its host is fixed here, and no ticket can be part of anything but the path."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError("this is no address: write it like https://tickets.example.com/api/{ticket}") from error
    around = parts.path.replace(PLACE, "", 1)
    if value.count(PLACE) != 1 or PLACE not in parts.path or set("{}%?#\\") & set(around) or not value.isprintable():
        raise ValueError("this has `{ticket}` once, in its path: https://tickets.example.com/api/{ticket}")
    if not any(segment == PLACE for segment in parts.path.split("/")):
        raise ValueError("`{ticket}` is a whole part of the path, between two slashes or at its end")
    if not host or parts.username is not None or parts.query or parts.fragment or " " in value or port == 0:
        raise ValueError("this has a host and a path, and no user, `?` or `#`")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError("this begins with https://, so that nobody on the way answers for the ticket system")
    return value


class TicketSystemShape(Shape):
    """A system that is asked by HTTP whether a ticket exists."""

    url: Annotated[str, Field(max_length=500), AfterValidator(_address)]
    """Its address, with `{ticket}` in the path: 200 says that the ticket exists, 404 that it does not."""
    secret: Annotated[str, Field(max_length=200, pattern=r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
    """What each question is signed with, as `env:NAME` or `file:PATH`."""
