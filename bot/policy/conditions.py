"""The conditions of rules: whether each holds for one role of a request, or does not, or cannot be told (None).

Pure: what is known besides the policy and the groups comes as `Circumstances`. What comes of them is in rules.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, Final

from pydantic import Field

from bot.core import start_times
from bot.core.frozen import Frozen
from bot.core.request import Person
from bot.core.verdict import Roster
from bot.policy.catalog import Catalog, Role, RoleRef
from bot.policy.field_types import WEEKDAYS, Sensitivity
from bot.policy.rule_shapes import DeniedLatelyShape, HoursShape, TicketShape, WhenShape

LONGEST_TICKET: Final = 100
"""Characters of a ticket; what is longer is none."""
_UP_TO = {most: frozenset(tuple(Sensitivity)[: n + 1]) for n, most in enumerate(Sensitivity)}

Known = bool | None
"""None: it cannot be told."""


class Circumstances(Frozen):
    """What rules are judged on besides the policy and the groups. Times in Unix seconds of the store's clock.

    ``begins``: when access would start. What is missing in a mapping is unknown, as is a value of None. ``frozen``:
    whether a calendar has an event then. By ``system/role``: when this person was denied it (``denials``), and how many
    grants of it are live (``live``). ``tickets``: whether a ticket exists, by the name of its system and the ticket.
    """

    now: float
    begins: float
    frozen: Mapping[str, Known] = Field(default_factory=dict)
    denials: Mapping[str, tuple[float, ...] | None] = Field(default_factory=dict)
    live: Mapping[str, int | None] = Field(default_factory=dict)
    tickets: Mapping[tuple[str, str], Known] = Field(default_factory=dict)


class RequestedAccess(Frozen):
    """What is requested, for the rules: by whom, for how many seconds, with which reason and inputs."""

    requester: Person
    what: str
    roles: tuple[RoleRef, ...]
    duration: int
    reason: str = ""
    inputs: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One role of a request, and everything that its conditions are judged by.

    ``broad``: whether a template that is named stands for each of its roles; else it stands for itself alone. All rules
    of one judgement share it, so what many of them ask is looked up once; nothing is kept for another judgement.
    """

    catalog: Catalog
    roster: Roster
    wanted: RequestedAccess
    ref: RoleRef
    circumstances: Circumstances
    broad: bool
    _in_groups: dict[tuple[str, ...], Known] = field(default_factory=dict)
    _templates: dict[str, bool] = field(default_factory=dict)
    _tickets: dict[tuple[str | None, str | None], str] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The role as ``system/role``."""
        return f"{self.ref.system}/{self.ref.role}"

    @cached_property
    def names(self) -> frozenset[str]:
        """By which a rule means this very role: what was requested, the system, or the role itself."""
        return frozenset((self.wanted.what, self.ref.system, self.name))

    @cached_property
    def role(self) -> Role | None:
        """The role by the policy; None where it has none."""
        return self.catalog.role(self.ref.system, self.ref.role)

    @cached_property
    def on_call(self) -> Known:
        """Whether the requester is on call for the system."""
        system = self.catalog.systems.get(self.ref.system)
        if system is None:
            return None
        return self.in_any((system.on_call,)) if system.on_call else False

    def in_any(self, groups: tuple[str, ...]) -> Known:
        """Whether the requester is in any of the groups."""
        if groups not in self._in_groups:
            self._in_groups[groups] = member(self.roster, groups, self.wanted.requester)
        return self._in_groups[groups]

    def in_template(self, name: str) -> bool:
        """Whether that is a template which grants the role."""
        if name not in self._templates:
            template = self.catalog.templates.get(name)
            self._templates[name] = template is not None and self.ref in template.roles
        return self._templates[name]

    def ticket(self, shape: TicketShape) -> str:
        """The ticket that the request names for the role; empty where it names none."""
        key = shape.input, shape.pattern
        if key not in self._tickets:
            self._tickets[key] = ticket(self.catalog, shape, self.wanted, self.ref)
        return self._tickets[key]


def judge(shape: WhenShape, case: Case) -> dict[str, Known]:
    """Each condition that is written, and whether it holds."""
    return {name: _CONDITIONS[name](written, case) for name, written in shape.values if written is not None}


def fails(shape: WhenShape, case: Case) -> bool:
    """Whether one of them surely does not hold."""
    for name, written in shape.values:  # noqa: SIM110  # each rule of each request comes here: a generator costs more
        if written is not None and _CONDITIONS[name](written, case) is False:
            return True
    return False


def holds_any(shape: WhenShape, case: Case) -> bool:
    """Whether one of them surely holds."""
    for name, written in shape.values:  # noqa: SIM110  # as above
        if written is not None and _CONDITIONS[name](written, case) is True:
            return True
    return False


def every(known: Iterable[Known]) -> Known:
    """Whether all hold: one that does not is enough for a no, and else one that is unknown leaves it unknown."""
    found = tuple(known)
    return False if False in found else None if None in found else True


def some(known: Iterable[Known]) -> Known:
    """Whether any holds."""
    found = tuple(known)
    return True if True in found else None if None in found else False


def opposite(known: Known) -> Known:
    """What does not hold; the opposite of unknown is unknown."""
    return None if known is None else not known


def member(roster: Roster, groups: Iterable[str], person: Person) -> Known:
    """Whether the person is in any of the groups."""
    return some(roster[g].holds(person) if g in roster and roster[g].known else None for g in groups)


# Each is given what is written of it, which is never None.


def _sensitivity(most: Sensitivity, case: Case) -> Known:
    return None if case.role is None else case.role.sensitivity in _UP_TO[most]


def _requester_in(groups: tuple[str, ...], case: Case) -> Known:
    return case.in_any(groups)


def _at_most(seconds: int, case: Case) -> Known:
    return case.wanted.duration <= seconds


def _what(names: tuple[str, ...], case: Case) -> Known:
    if not case.names.isdisjoint(names):
        return True
    return case.broad and any(map(case.in_template, names))


def _on_call(_: object, case: Case) -> Known:
    return case.on_call


def _hours(hours: HoursShape, case: Case) -> Known:
    return within(hours, case.circumstances.begins)


def within(hours: HoursShape, at: float) -> bool:
    """Whether a moment is in these hours, by the clocks of their zone: also on the days on which those change."""
    weekday, clock = _there(hours.timezone, at)
    if hours.from_ is None or hours.to is None:
        return WEEKDAYS[weekday] in hours.days
    if hours.from_ < hours.to:
        return WEEKDAYS[weekday] in hours.days and hours.from_ <= clock < hours.to
    if clock < hours.to:  # they began on the day before
        return WEEKDAYS[weekday - 1] in hours.days
    return WEEKDAYS[weekday] in hours.days and clock >= hours.from_


@lru_cache(maxsize=64)
def _there(timezone: str, at: float) -> tuple[int, str]:
    """The day of the week and the time of day in a zone; the rules of a policy ask for few zones, all at one moment."""
    there = datetime.fromtimestamp(at, UTC).astimezone(start_times.zone(timezone))
    return there.weekday(), f"{there:%H:%M}"


def _frozen(names: tuple[str, ...], case: Case) -> Known:
    return some(map(case.circumstances.frozen.get, names))


def _denied_lately(lately: DeniedLatelyShape, case: Case) -> Known:
    times = case.circumstances.denials.get(case.name)
    if times is None:
        return None
    return sum(at > case.circumstances.now - lately.within for at in times) >= lately.count


def _live(least: int, case: Case) -> Known:
    count = case.circumstances.live.get(case.name)
    return None if count is None else count >= least


def _ticket(shape: TicketShape, case: Case) -> Known:
    found = case.ticket(shape)
    return case.circumstances.tickets.get((shape.check, found)) if found else False


def ticket(catalog: Catalog, shape: TicketShape, wanted: RequestedAccess, ref: RoleRef) -> str:
    """The ticket that a request names for a role; empty where it names none."""
    if shape.input is not None:
        role = catalog.role(ref.system, ref.role)
        found = wanted.inputs.get(shape.input, "") if role and shape.input in role.asks else ""
    else:
        match = re.search(shape.pattern or "", wanted.reason)
        found = match[0] if match else ""
    # One of dots alone would be another place in the address than that of a ticket.
    return found if found.strip(".") and len(found) <= LONGEST_TICKET and found.isprintable() else ""


_CONDITIONS: Mapping[str, Callable[[Any, Case], Known]] = {
    "sensitivity": _sensitivity,
    "requester_in": _requester_in,
    "at_most": _at_most,
    "what": _what,
    "on_call": _on_call,
    "hours": _hours,
    "frozen": _frozen,
    "denied_lately": _denied_lately,
    "live": _live,
    "ticket": _ticket,
}
