"""Checks a scheduled request again at its start, by the current policy and groups; the worker calls and commits it.

A guard is a condition that the commit script checks; a roster, the members of groups as known now; a tally, the
approvals that count and the steps that still need one.
"""

from __future__ import annotations

from bot.access import usage
from bot.access.context import AccessContext
from bot.core.events import Cancelled, Event, Started
from bot.core.limit_errors import NotCounted
from bot.core.request import Request
from bot.core.verdict import Roster
from bot.policy import authorization, auto_approval
from bot.policy.catalog import Catalog
from bot.store.types import Guard


async def begin(
    context: AccessContext, roster: Roster, request: Request, now: float
) -> tuple[Event, tuple[Guard, ...]] | None:
    """The event that starts it, or cancels it with the reason; None while a directory does not answer.

    The guards go into the worker's commit, which fails when the policy, or what was counted, is another by then.
    """
    catalog = context.catalog()
    use = await usage.of_request(context.store, catalog, request)
    may_have, approved = (
        authorization.may_still_request(catalog, roster, request, now),
        _still_approved(catalog, roster, request, now),
    )
    if not authorization.unchanged(catalog, request):
        why = "its role was changed in the policy"
    elif may_have.unknown or approved is None:
        return None  # unknown is no verdict: it is checked again until the grace period is over
    elif not may_have.allowed:
        why = "the requester may no longer request it"
    elif not approved:
        why = "the rule that approved it no longer applies" if request.rule else "its approval no longer counts"
    else:
        try:
            why = use.exceeds(request)
        except NotCounted:
            return None
    event: Event = Cancelled(at=now, by="policy", reason=why) if why else Started(at=now)
    return event, (context.store.policy.same(catalog.generation), *use.guards)


def _still_approved(catalog: Catalog, roster: Roster, request: Request, now: float) -> bool | None:
    """Whether its approvals, or the rule that approved it, still count; None while a directory does not answer."""
    if request.rule:
        return auto_approval.still(catalog, roster, request, now)
    tally = authorization.tally(catalog, roster, request, now)
    return None if authorization.in_doubt(roster, request, tally) else tally.complete
