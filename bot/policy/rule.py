"""A rule of the policy: its conditions, what comes of it, and what has to be counted for it; it judges nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bot.core.frozen import Frozen
from bot.policy.field_types import Sensitivity
from bot.policy.rule_shapes import RuleShape, ThenShape, WhenShape


class Rule(Frozen):
    """What comes of a request without a person. ``budget``: so many a person within 24 hours, if it approves.

    ``n``: its place in the policy, from 1. ``key`` changes with its conditions: what was used up is counted under it.
    """

    n: int
    key: str
    when: WhenShape = WhenShape()
    unless: WhenShape = WhenShape()
    then: ThenShape
    budget: int = 0

    @property
    def approves(self) -> bool:
        """Whether it approves; the others make it harder to get what is requested."""
        return bool(self.then.approve)

    @property
    def covers(self) -> frozenset[Sensitivity]:
        """How sensitive a role may be for it to be approved; high and critical never are, whatever is written."""
        ranks, most = tuple(Sensitivity), self.when.sensitivity or Sensitivity.LOW
        return frozenset(ranks[: ranks.index(most) + 1]) - {Sensitivity.HIGH, Sensitivity.CRITICAL}

    @property
    def counts_live(self) -> bool:
        """Whether it asks how many grants are live."""
        return any(shape.live is not None for shape in (self.when, self.unless))

    @property
    def counts_denials(self) -> int:
        """Over how many seconds it asks for denials; 0 for none."""
        shapes = (shape.denied_lately for shape in (self.when, self.unless))
        return max((shape.within for shape in shapes if shape), default=0)


def rule_of(n: int, rule: RuleShape) -> Rule:
    """The rule at that place."""
    when, then = rule.when, rule.then
    conditions: list[Any] = [when.sensitivity, sorted(when.requester_in or ()), when.at_most, sorted(when.what or ())]
    # A rule of these conditions alone has the key that it always had: what it approved today is counted under it.
    more = when.model_dump(mode="json", exclude_none=True, exclude={"sensitivity", "requester_in", "at_most", "what"})
    unless = rule.unless.model_dump(mode="json", exclude_none=True)
    if more or unless or not then.approve:
        conditions += [more, unless, then.model_dump(mode="json", exclude_none=True)]
    return Rule(
        n=n,
        key=hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:16],
        when=when,
        unless=rule.unless,
        then=then,
        budget=rule.budget or 0,
    )
