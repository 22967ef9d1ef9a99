"""The approval steps of a request as a short ladder: what each step has, and what it still needs; pure.

Groups are named and not mentioned: a step that is not open yet calls on nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.core.escalation import Escalation
from bot.core.request import Request, Review
from bot.policy.approval_progress import ApprovalProgress, StepProgress
from handlers.views.text import clock, code, fitting

_MOST = 2_000
"""Characters of all ladders of a card; a section has 3,000."""
_GROUPS = 3
_PEOPLE = 2


def ladder(request: Request, progress: ApprovalProgress, roles: Collection[str]) -> tuple[str, ...]:
    """A line for each of the roles (``system/role``) that has more to show than one step; the others have none."""
    found = {name_: [step for step in progress.steps if step.name == name_] for name_ in dict.fromkeys(roles)}
    shown = {name_: steps for name_, steps in found.items() if _is_shown(steps)}
    for brief in (False, True):
        lines = [_line(request, name_, steps, brief=brief) for name_, steps in shown.items()]
        if sum(map(len, lines)) <= _MOST:
            return tuple(lines)
    fit = [line for n, line in enumerate(lines) if sum(map(len, lines[: n + 1])) <= _MOST]
    return (*fit, f"… and the steps of {len(lines) - len(fit)} more roles")


def _is_shown(steps: Sequence[StepProgress]) -> bool:
    """Whether the sentence that says who is to approve leaves something out."""
    return len(steps) > 1 or any(step.step.escalate or step.step.required for step in steps)


def _line(request: Request, name_: str, steps: Sequence[StepProgress], *, brief: bool) -> str:
    title = next((leg.role.title for leg in request.legs if leg.role.name == name_), name_)
    of = f" for {fitting(title, 80)}" if len(request.legs) > 1 else ""
    order = ", one after the other" if any(step.step.ordered for step in steps) else ""
    rungs = [f"{step.step.n}. {_rung(request, steps, step, brief=brief)}" for step in steps]
    apart = "\n" if len(rungs) > _GROUPS or any(step.step.escalate for step in steps) else " · "
    heading = f"*Approval steps{of}{order}*"
    return f"{heading}{apart if apart != ' · ' else ': '}{apart.join(rungs)}"


def _rung(request: Request, steps: Sequence[StepProgress], step: StepProgress, *, brief: bool) -> str:
    own, done = step.step, _people(step)
    who = f"owners ({_groups(own.own, brief=brief)})" if own.owner else _groups(own.own, brief=brief)
    escalates = "" if brief else _escalation(request, step)
    because = f" ({_rule(step)})" if own.required and not brief else ""
    if own.skipped_by:
        return f"{who}: not needed, the requester is in {_groups(own.skipped_by, brief=brief)}"
    if not step.missing:
        return f"{who}{because}: {done} approved"
    if step.waits:
        first = next((each.step.n for each in steps if each.missing), 1)
        return f"{who}{because}: {f'{done} approved, ' if done else ''}opens after step {first}"
    waits = f"{done} approved, waits for {step.missing} more" if done else f"waits for {step.missing}"
    return f"{who}{because}: {waits}{escalates}"


def _rule(step: StepProgress) -> str:
    """What required the step beyond the policy's own."""
    required = step.step.required
    if required is None:
        return ""
    why = f": {fitting(required.because, 80)}" if required.because else ""
    return f"rule {required.rule}{why}" if required.rule else f"required{why}"


def _escalation(request: Request, step: StepProgress) -> str:
    """Who else can approve, or from when."""
    if step.step.escalated:
        return f"; {_groups(step.step.escalated)} can approve, too"
    coming = next((e for e in request.escalations if _is_of(e, step) and not e.escalated_at), None)
    if step.step.escalate is None or coming is None:
        return ""
    return f"; from {clock(coming.escalate_at)} also {_groups(step.step.escalate.to)}"


def _is_of(escalation: Escalation, step: StepProgress) -> bool:
    return (escalation.role, escalation.step, escalation.any_of) == (step.name, step.step.n, step.step.own)


def _people(step: StepProgress) -> str:
    names = [_reviewer(review) for review in step.by]
    more = [f"{len(names) - _PEOPLE} more"] if len(names) > _PEOPLE else []
    return " and ".join([*names[:_PEOPLE], *more])


def _groups(groups: Sequence[str], *, brief: bool = False) -> str:
    most = 1 if brief else _GROUPS
    said = " or ".join(code(group, 40) for group in groups[:most])
    return f"{said or 'nobody who is here'}{' or others' if len(groups) > most else ''}"


def _reviewer(review: Review) -> str:
    """Who approved, and in whose place."""
    instead = review.stands_in_for
    shown = fitting(review.by.name or review.by.email, 40)
    return f"{shown} for {fitting(instead.name or instead.email, 40)}" if instead else shown
