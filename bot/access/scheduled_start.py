"""Checks a scheduled request again at its start, by the current policy and groups; the worker commits the result."""

from __future__ import annotations

from collections import Counter

from bot.access import usage
from bot.access.circumstances import gather_circumstances
from bot.access.consent import MAY_NO_LONGER_REQUEST, ROLE_CHANGED
from bot.access.context import AccessContext
from bot.core.events import Cancelled, Event, Started
from bot.core.limit_errors import NotCounted
from bot.core.request import Request, RequiredStep
from bot.core.verdict import Roster
from bot.policy import authorization, on_behalf, rules
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances, every
from bot.policy.rules import Ruling
from bot.store.types import CommitGuard


async def start_event(
    context: AccessContext, roster: Roster, request: Request, now: float
) -> tuple[Event, tuple[CommitGuard, ...]] | None:
    """The event that starts it, or cancels it with the reason; None while a directory does not answer.

    The guards go into the worker's commit, which fails when the policy, or what was counted, is another by then.
    """
    catalog = context.catalog()
    role_usage = await usage.of_request(context.store, catalog, request)
    may_have = authorization.may_still_request(catalog, roster, request, now)
    circumstances = await gather_circumstances(
        context, catalog, request.requester, role_usage, now, now, request.tickets, request.id
    )
    ruling = rules.judge(catalog, roster, rules.requested_access(request), circumstances, {})
    approved = _still_approved(catalog, roster, request, circumstances, ruling)
    for_others = on_behalf.may_still_request_for(catalog, roster, request)
    if not authorization.roles_unchanged(catalog, request):
        why = ROLE_CHANGED
    elif may_have.unknown or for_others.unknown or ruling.verdict.unknown or approved is None:
        return None  # unknown is no verdict: it is checked again until the grace period is over
    elif not may_have.allowed:
        why = "the requester may no longer request it"
    elif not for_others.allowed:
        why = MAY_NO_LONGER_REQUEST
    elif ruling.denied:
        why = f"rule {ruling.denied[0].rule.n} denies it now: {ruling.denied[0].rule.then.deny}"
    elif not approved:
        why = _not_approved(request, ruling)
    else:
        try:
            why = role_usage.why_exceeded(request)
        except NotCounted:
            return None
    event: Event = Cancelled(at=now, by="policy", reason=why) if why else Started(at=now)
    return event, (context.store.policy.is_current(catalog.policy_hash), *role_usage.guards)


def _still_approved(
    catalog: Catalog, roster: Roster, request: Request, circumstances: Circumstances, ruling: Ruling
) -> bool | None:
    """Whether its approvals, or the rule that approved it, still count; None while that is unknown."""
    if request.rule:
        # A rule's approval is not enough where another rule requires people to approve.
        return every((rules.still_approves(catalog, roster, request, circumstances), _requires_nobody(ruling)))
    # A step required today may be satisfied by an equal one of the record, but each of those only once.
    recorded = Counter((step.any_of, step.count) for step in request.required_steps)
    today = Counter((step.any_of, step.count) for step in ruling.required_steps)
    new = [RequiredStep(any_of=any_of, count=count) for any_of, count in (today - recorded).elements()]
    as_of_today = request.model_copy(update={"required_steps": (*request.required_steps, *new)})
    progress = authorization.approval_progress(catalog, roster, as_of_today, circumstances.now, decided=True)
    if authorization.in_doubt(catalog, roster, as_of_today, progress):
        return None
    if progress.complete:
        return True
    some_steps_unsure = len(ruling.surely_required) < len(ruling.required_steps)
    if some_steps_unsure and _approved_for_sure_steps(catalog, roster, request, circumstances, ruling):
        return None  # only steps are missing of which it is unknown whether they are required
    return False


def _requires_nobody(ruling: Ruling) -> bool | None:
    """Whether no rule requires an approval by people; None while that is unknown."""
    if ruling.surely_required:
        return False
    return None if ruling.required_steps else True


def _approved_for_sure_steps(
    catalog: Catalog, roster: Roster, request: Request, circumstances: Circumstances, ruling: Ruling
) -> bool:
    """Whether its approvals are enough for the steps that are surely required."""
    steps = tuple(dict.fromkeys((*request.required_steps, *ruling.surely_required)))
    sure = request.model_copy(update={"required_steps": steps})
    return authorization.approval_progress(catalog, roster, sure, circumstances.now, decided=True).complete


def _not_approved(request: Request, ruling: Ruling) -> str:
    if ruling.surely_required:
        first = ruling.surely_required[0]
        return f"rule {first.rule} requires more approvals now: {first.because}; please request it again"
    return "the rule that approved it no longer applies" if request.rule else "its approval no longer counts"
