"""What does not fit within a rule, and between it and the rest of the policy; each flaw with its path below the rule.

Which names there are, the caller says: a name in a part of the file that is broken is no mistake of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from bot.policy.catalog import EVERYONE
from bot.policy.field_types import Sensitivity
from bot.policy.problems import did_you_mean, like
from bot.policy.rule import rule_of
from bot.policy.rule_shapes import NEEDED, SENTENCES, RuleShape, TicketShape, WhenShape
from bot.policy.schema import PolicyShape
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]


def of_rule(
    shape: PolicyShape, index: int, calendars: Sequence[str], asked: Callable[[str], bool], *, whole: bool
) -> Iterator[Flaw]:
    """What is wrong with it, its groups and what it names to request aside.

    ``calendars``: the names of those that the policy has; ``asked``: whether some role asks for an input of that name;
    ``whole``: whether its `then` is as it is written.
    """
    rule = shape.rules[index]
    if whole:
        yield from _of_outcome(rule)
    for part, when in (("when", rule.when), ("unless", rule.unless)):
        yield from (
            ((part, *path), sentence, hint) for path, sentence, hint in _of_names(shape, when, calendars, asked)
        )
    for name in rule.when.conditions:
        if getattr(rule.when, name) == getattr(rule.unless, name):
            yield ("unless", name), "`when` has the same condition, so this rule never applies", "leave one out"
    keys = [rule_of(0, each).key for each in shape.rules]
    if (first := keys.index(keys[index])) < index:
        hint = "one budget is enough for them" if rule.then.approve else "leave this one out"
        yield (), f"rule {first + 1} has the same conditions", hint


def _of_outcome(rule: RuleShape) -> Iterator[Flaw]:
    """Which keys it needs, and which mean nothing, by what comes of it."""
    when, outcome = rule.when, rule.then.outcome
    if outcome != "approve":
        if rule.budget is not None:
            yield ("budget",), "only a rule that approves has a budget", "leave it out"
        if not when.conditions and not rule.unless.conditions:
            yield (), "this rule is for everything: it has no condition", "write one in `when` or in `unless`"
        return
    for name in NEEDED:
        if getattr(when, name) is None:
            yield ("when",), f"`{name}` is missing here", f"a rule that approves says it: {SENTENCES[name]}"
    if rule.budget is None:
        yield (), "`budget` is missing here", f"a rule that approves says it: {SENTENCES['budget']}"
    if when.sensitivity in {Sensitivity.HIGH, Sensitivity.CRITICAL}:
        sentence = f"what is {when.sensitivity} is approved by people, and never by a rule"
        yield ("when", "sensitivity"), sentence, "low, or medium"


def _of_names(
    shape: PolicyShape, when: WhenShape, calendars: Sequence[str], asked: Callable[[str], bool]
) -> Iterator[Flaw]:
    """Groups of on-call, calendars and ticket systems that it names."""
    if when.on_call and not any(system.on_call for system in shape.systems.values()):
        yield ("on_call",), "no system says who is on call for it", "name a group as the `on_call` of a system"
    for index, name in enumerate(when.frozen or ()):
        if name not in calendars:
            hint = did_you_mean(like(name, calendars)) or "define it in `calendars`"
            yield ("frozen", index), f"there is no calendar `{name[:60]}`", hint
    if when.ticket:
        yield from _of_ticket(shape, when.ticket, asked)


def _of_ticket(shape: PolicyShape, ticket: TicketShape, asked: Callable[[str], bool]) -> Iterator[Flaw]:
    if ticket.check not in shape.tickets:
        hint = did_you_mean(like(ticket.check, [*shape.tickets])) or "define it in `tickets`"
        yield ("ticket", "check"), f"there is no ticket system `{ticket.check[:60]}`", hint
    if ticket.input is not None and not asked(ticket.input):
        hint = "define it in the `asks` of a role, or write a `pattern` that fits the ticket in the reason"
        yield ("ticket", "input"), f"no role asks for an input `{ticket.input[:60]}`", hint


def names_in(rule: RuleShape) -> Iterator[tuple[Literal["group", "everyone", "what"], Path, str]]:
    """What has to be a group, or something to request: which of both, the path below the rule, and the name."""
    for part, when in (("when", rule.when), ("unless", rule.unless)):
        for index, name in enumerate(when.requester_in or ()):
            yield ("everyone" if name == EVERYONE else "group"), (part, "requester_in", index), name
        for index, name in enumerate(when.what or ()):
            yield "what", (part, "what", index), name
    for n, step in enumerate(rule.then.require.steps if rule.then.require else ()):
        for index, name in enumerate(step.any_of):
            yield "group", ("then", "require", "steps", n, "any_of", index), name
