"""The conditions of rules: whether each holds for one role of a request, or does not, or cannot be told (None).

Pure: what is known besides the policy and the groups comes as `Circumstances`. What comes of them is in rules.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from pydantic import Field

from bot.core import start_times
from bot.core.frozen import Frozen
from bot.core.request import Person
from bot.core.verdict import Roster
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.field_types import WEEKDAYS, Sensitivity
from bot.policy.rule_shapes import HoursShape, TicketShape, WhenShape

LONGEST_TICKET: Final = 100
"""Characters of a ticket; what is longer is none."""
_RANKS = tuple(Sensitivity)

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

    ``broad``: whether a template that is named stands for each of its roles; else it stands for itself alone.
    """

    catalog: Catalog
    roster: Roster
    wanted: RequestedAccess
    ref: RoleRef
    circumstances: Circumstances
    broad: bool


def judge(shape: WhenShape, case: Case) -> dict[str, Known]:
    """Each condition that is written, and whether it holds."""
    return {name: _CONDITIONS[name](shape, case) for name in shape.conditions}


def fails(shape: WhenShape, case: Case) -> bool:
    """Whether one of them surely does not hold."""
    return any(_CONDITIONS[name](shape, case) is False for name in shape.conditions)


def holds_any(shape: WhenShape, case: Case) -> bool:
    """Whether one of them surely holds."""
    return any(_CONDITIONS[name](shape, case) is True for name in shape.conditions)


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


def _sensitivity(shape: WhenShape, case: Case) -> Known:
    role = case.catalog.role(case.ref.system, case.ref.role)
    if role is None or shape.sensitivity is None:
        return None
    return _RANKS.index(role.sensitivity) <= _RANKS.index(shape.sensitivity)


def _requester_in(shape: WhenShape, case: Case) -> Known:
    return member(case.roster, shape.requester_in or (), case.wanted.requester)


def _at_most(shape: WhenShape, case: Case) -> Known:
    return None if shape.at_most is None else case.wanted.duration <= shape.at_most


def _what(shape: WhenShape, case: Case) -> Known:
    names, ref = shape.what or (), case.ref
    if case.wanted.what in names or {ref.system, f"{ref.system}/{ref.role}"} & set(names):
        return True
    templates = (case.catalog.templates.get(name) for name in names) if case.broad else ()
    return any(ref in template.roles for template in templates if template)


def _on_call(_: WhenShape, case: Case) -> Known:
    system = case.catalog.systems.get(case.ref.system)
    if system is None:
        return None
    return member(case.roster, [system.on_call], case.wanted.requester) if system.on_call else False


def _hours(shape: WhenShape, case: Case) -> Known:
    return None if shape.hours is None else within(shape.hours, case.circumstances.begins)


def within(hours: HoursShape, at: float) -> bool:
    """Whether a moment is in these hours, by the clocks of their zone: also on the days on which those change."""
    day, clock = _there(hours.timezone, at)
    if hours.from_ is None or hours.to is None:
        return _named(day.weekday(), hours)
    if hours.from_ < hours.to:
        return _named(day.weekday(), hours) and hours.from_ <= clock < hours.to
    if clock < hours.to:  # they began on the day before
        return _named((day - timedelta(days=1)).weekday(), hours)
    return _named(day.weekday(), hours) and clock >= hours.from_


@lru_cache(maxsize=64)
def _there(timezone: str, at: float) -> tuple[date, str]:
    """The day and the time of day in a zone; the rules of a policy ask for few zones, all at one moment."""
    there = datetime.fromtimestamp(at, UTC).astimezone(start_times.zone(timezone))
    return there.date(), f"{there:%H:%M}"


def _named(weekday: int, hours: HoursShape) -> bool:
    return WEEKDAYS[weekday] in hours.days


def _frozen(shape: WhenShape, case: Case) -> Known:
    return some(case.circumstances.frozen.get(name) for name in shape.frozen or ())


def _denied_lately(shape: WhenShape, case: Case) -> Known:
    lately, times = shape.denied_lately, case.circumstances.denials.get(_name(case.ref))
    if lately is None or times is None:
        return None
    return sum(at > case.circumstances.now - lately.within for at in times) >= lately.count


def _live(shape: WhenShape, case: Case) -> Known:
    count = case.circumstances.live.get(_name(case.ref))
    return None if shape.live is None or count is None else count >= shape.live


def _ticket(shape: WhenShape, case: Case) -> Known:
    if shape.ticket is None:
        return None
    found = ticket(case.catalog, shape.ticket, case.wanted, case.ref)
    return case.circumstances.tickets.get((shape.ticket.check, found)) if found else False


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


def _name(ref: RoleRef) -> str:
    return f"{ref.system}/{ref.role}"


_CONDITIONS: Mapping[str, Callable[[WhenShape, Case], Known]] = {
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
