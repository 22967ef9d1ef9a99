"""What becomes of a request that a policy test tries out, in the requester's words; without ids and clock times."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.proof import ProofUse
from bot.core.request import Request, State
from handlers.views import text
from handlers.views.message import Needed


def sentence(request: Request, missing: Sequence[tuple[tuple[str, ...], int]]) -> str:
    """Of a request that nothing refused. ``missing``: how many more people each set of groups has to give."""
    if request.is_draft:
        within = text.length(round(request.waits_until - request.created_at))
        return f"{text.name(request.requester)} has to accept it within {within}; then it goes to the approvers."
    if request.state is State.EXPIRED:
        return _expired(request)
    if request.break_glass:
        return _taken(request)
    if request.rule:
        return f"Approved by {text.by_rule(request.rule)}."
    if not missing:
        return "Approved: every step has its approvals."
    needed = Needed(tuple((" or ".join(f"@{group}" for group in groups), count) for groups, count in missing))
    if request.only_required:
        why = request.required_steps[0].because
        return f"An owner of the system has to approve this first, since {why}. Needs {needed}."
    return f"Needs {needed}."


def unproved(use: ProofUse) -> str:
    """Of somebody who gives no code where the policy asks for one."""
    does = {ProofUse.REQUEST: "requests", ProofUse.APPROVE: "approves", ProofUse.BREAK_GLASS: "takes"}[use]
    return f"Whoever {does} this has to prove that it is them, with a code."


def _expired(request: Request) -> str:
    if request.unseen:
        within = text.length(round(request.closed_at - request.created_at))
        return f"{text.name(request.requester)} did not accept it within {within}, so it expired."
    within = text.length(round(request.closed_at - (request.consented_at or request.created_at)))
    return f"Too few approved it within {within}, so it expired."


def _taken(request: Request) -> str:
    glass = request.break_glass
    review = f" An owner reviews it within {text.length(round(glass.review_by - glass.at))}." if glass else ""
    return f"Access without approval for {text.length(request.duration)}.{review}"
