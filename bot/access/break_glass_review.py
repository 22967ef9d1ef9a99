"""Somebody else reviews break-glass access afterwards: justified, or not; judged when the button is pressed."""

from __future__ import annotations

from bot.access.context import AccessContext
from bot.core.break_glass import BreakGlassReview
from bot.core.break_glass_events import BreakGlassReviewed
from bot.core.errors import Overtaken, RolledBack
from bot.core.frozen import Frozen
from bot.core.ids import bounded
from bot.core.request import Request
from bot.core.verdict import Actor
from bot.policy import break_glass as policy
from bot.store.types import Loaded


class ReviewOutcome(Frozen):
    """What a reviewer says of a break-glass access; a reason is needed where it was not justified."""

    justified: bool
    reason: str = ""
    follow_up: str = ""


async def review(context: AccessContext, actor: Actor, id_: str, outcome: ReviewOutcome) -> Request:
    """Record the review of a break-glass access. Raises what `reviewable` does, and `BadReason`, `PolicyMoved`."""
    reason = _optional(outcome.reason) if outcome.justified else bounded(outcome.reason, 1, "why it was not justified")
    follow_up = _optional(outcome.follow_up)
    while True:
        loaded, catalog = await _reviewable(context, actor, id_), context.catalog()
        delegations = context.delegation_guards(catalog, actor, loaded.now)
        given = BreakGlassReview(
            justified=outcome.justified, by=actor.person, at=loaded.now, reason=reason, follow_up=follow_up
        )
        event = BreakGlassReviewed(at=loaded.now, by=actor.person.id, review=given)
        if after := await context.commit(catalog, loaded.request, event, delegations=delegations):
            return after


async def reviewable(context: AccessContext, actor: Actor, id_: str) -> Request:
    """The request, if this person could review its break-glass access now: the check that `review` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `RolledBack`.
    """
    return (await _reviewable(context, actor, id_)).request


async def _reviewable(context: AccessContext, actor: Actor, id_: str) -> Loaded:
    loaded = await context.find_untampered(id_)
    request, catalog = loaded.request, context.catalog()
    if loaded.rolled_back:
        raise RolledBack(request.id)
    verdict = policy.may_review(catalog, actor.roster, request, actor.person, loaded.now)
    await context.require_allowed("review break-glass", actor, request.id, verdict)
    if not request.lacks_review:
        raise Overtaken(request)
    return loaded


async def may_review(context: AccessContext, actor: Actor, request: Request) -> bool:
    """Whether this person could review it now; checked again when they do."""
    now = await context.store.now()
    verdict = policy.may_review(context.catalog(), actor.roster, request, actor.person, now)
    return request.lacks_review and verdict.allowed


def _optional(text: str) -> str:
    return bounded(text, 1, "") if text.strip() else ""
