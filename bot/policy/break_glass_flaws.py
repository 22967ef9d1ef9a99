"""What is wrong with a role's break-glass: what could not work in an outage, or could be reviewed by nobody."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core import durations
from bot.policy.schema import PolicyShape, RoleShape
from bot.policy.yaml_source import Path

_LONGEST_REVIEW = 30 * 86_400

Flaw = tuple[Path, str, str]
"""Where below `break_glass`, what is wrong, and how to fix it."""


def of_role(
    shape: PolicyShape, role: RoleShape, people: frozenset[str] | None, reviewers: frozenset[str] | None
) -> Iterator[Flaw]:
    """Of one role. ``people``: who may use it, ``reviewers``: owners and operators; None where Slack alone knows."""
    glass = role.break_glass
    if glass is None:
        return
    known = [shape.groups[name] for name in glass.who if name in shape.groups]
    if len(known) == len(glass.who) and not any(group.people for group in known):
        hint = "add a group with `people`: user groups cannot be read while Slack does not answer"
        yield ("who",), "no group here lists people by address, so that it would not work in an outage", hint
    if glass.at_most > role.max:
        over = f"{durations.short(glass.at_most)} is longer than the role may be open"
        yield ("at_most",), over, f"its `max` is {durations.short(role.max)}"
    if glass.at_most < durations.SHORTEST:
        yield ("at_most",), "this is too short", f"write at least {durations.short(durations.SHORTEST)}"
    if not glass.at_most <= glass.review_within <= _LONGEST_REVIEW:
        hint = f"write at least `at_most` ({durations.short(glass.at_most)}), and at most 30d"
        yield ("review_within",), f"a review within {durations.short(glass.review_within)} is not possible", hint
    if people and reviewers is not None and any(reviewers <= {who} for who in people):
        hint = "add another person to the `approvers` of its system, or to the `operators`"
        yield (), "somebody may use it whose access nobody else could review", hint
