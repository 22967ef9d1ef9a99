"""What does not fit between the approval steps of a role; each flaw has the path below `approval`, and a hint."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core import durations
from bot.policy.input_flaws import Flaw
from bot.policy.schema import RoleShape, SystemShape


def of_role(system: SystemShape, role: RoleShape, pending: int | None) -> Iterator[Flaw]:
    """What is wrong with them. ``pending``: seconds after which a request expires; None where that is not known."""
    steps = role.approval.steps or ()
    for index, step in enumerate(steps):
        if step.escalate is None:
            continue
        where = ("steps", index, "escalate")
        if pending is not None and step.escalate.after >= pending:
            sentence = f"a request expires after {durations.short(pending)}, so it would never escalate"
            yield (*where, "after"), sentence, "make it shorter, or `workspace.pending` longer"
        if set(step.escalate.to) <= set(step.any_of or system.approvers):
            yield (*where, "to"), "all of them can fill the step anyway", "name a group that is not in the step"
    if steps and all(step.skip_if_requester_in for step in steps):
        sentence = "each step can be skipped, so that nobody would approve"
        yield ("steps",), sentence, "leave `skip_if_requester_in` out of one of them"
