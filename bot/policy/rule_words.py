"""The conditions and outcomes of a rule in words, each short enough to be one of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bot.core import durations
from bot.policy.field_types import WEEKDAYS
from bot.policy.rule import Rule
from bot.policy.rule_shapes import HoursShape, WhenShape

UNLESS = "unless "
"""How the name of a condition of `unless` begins in a finding."""
BUDGET = "budget"
"""That the budget of a rule is not used up."""
COVERS = "covers"
"""That each role is of today's policy, and neither high nor critical: what approves needs it, whatever is written."""
_OTHERS = {BUDGET: "uses left today", COVERS: "low or medium risk"}
PLAIN = ("sensitivity", "requester_in", "at_most", "what")
"""The conditions that a record of an approval has by themselves."""


def terms(rule: Rule) -> Iterable[str]:
    """Its conditions, without the `PLAIN` ones of `when`."""
    return (*(condition(rule.when, name) for name in rule.when.conditions if name not in PLAIN), *_unless(rule))


def conditions(rule: Rule) -> list[str]:
    """All of its conditions."""
    return [*(condition(rule.when, name) for name in rule.when.conditions), *_unless(rule)]


def outcome(rule: Rule) -> str:
    """What comes of it."""
    then = rule.then
    if then.deny is not None:
        return f'deny: "{then.deny}"'
    if then.require:
        also = ["a second factor"] if then.require.mfa else []
        return f"require {', and '.join([*filter(None, [requirement(rule)]), *also])}"
    return f"shorten to {durations.short(then.shorten)}" if then.shorten else f"approve, {rule.budget}/day"


def requirement(rule: Rule) -> str:
    """The steps that it requires."""
    steps = rule.then.require.steps if rule.then.require else ()
    said = (f"{'one' if step.count == 1 else step.count} of {' or '.join(step.any_of)}" for step in steps)
    return ", and ".join(said)


def _unless(rule: Rule) -> tuple[str, ...]:
    return tuple(f"unless {condition(rule.unless, name)}" for name in rule.unless.conditions)


def condition(shape: WhenShape, name: str) -> str:
    """One condition that is written."""
    return _WORDS[name](shape)


def worded(rule: Rule, name: str) -> str:
    """A condition by its name in a finding."""
    unless = name.startswith(UNLESS)
    shape, plain = (rule.unless, name.removeprefix(UNLESS)) if unless else (rule.when, name)
    return f"{UNLESS if unless else ''}{_OTHERS.get(plain) or condition(shape, plain)}"


def _hours(hours: HoursShape) -> str:
    days = "" if set(hours.days) == set(WEEKDAYS) else _days(hours.days)
    times = f"{hours.from_}-{hours.to}" if hours.from_ else ""
    return f"starting {' '.join(part for part in (days, times) if part)} ({hours.timezone})"


def _days(days: Iterable[str]) -> str:
    """Three or more days in a row as a span."""
    places = sorted({WEEKDAYS.index(day) for day in days})
    short = [WEEKDAYS[place][:3].capitalize() for place in places]
    in_a_row = places[-1] - places[0] == len(places) - 1
    return f"{short[0]}-{short[-1]}" if in_a_row and len(places) > 2 else ", ".join(short)


def _ticket(shape: WhenShape) -> str:
    if shape.ticket is None:
        return ""
    where = f"in `{shape.ticket.input}`" if shape.ticket.input else "in the reason"
    return f"a ticket {where} exists in {shape.ticket.check}"


def _denied(shape: WhenShape) -> str:
    lately = shape.denied_lately
    if lately is None:
        return ""
    times = "once" if lately.count == 1 else f"{lately.count} times"
    return f"denied at least {times} within {durations.short(lately.within)}"


_WORDS: Mapping[str, Callable[[WhenShape], str]] = {
    "sensitivity": lambda shape: f"{shape.sensitivity} risk at most",
    "requester_in": lambda shape: f"requester in {' or '.join(shape.requester_in or ())}",
    "at_most": lambda shape: f"up to {durations.short(shape.at_most or 0)}",
    "what": lambda shape: f"only {' or '.join(shape.what or ())}",
    "on_call": lambda _: "requester on call",
    "hours": lambda shape: _hours(shape.hours) if shape.hours else "",
    "frozen": lambda shape: f"during {' or '.join(shape.frozen or ())}",
    "denied_lately": _denied,
    "live": lambda shape: f"{shape.live} or more live grants",
    "ticket": _ticket,
}
