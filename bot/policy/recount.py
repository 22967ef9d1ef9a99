"""Counts the approvals of a request again: which steps they fill, and whose count, by today's policy and groups.

Who may approve at all is in authorization.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.delegation import same_person
from bot.core.request import Request, Review, Verb
from bot.core.verdict import Code, Reason, Roster
from bot.policy import matching, stand_ins
from bot.policy.approval_progress import ApprovalProgress, StepProgress
from bot.policy.catalog import EVERYONE, Catalog
from bot.policy.field_types import Sensitivity
from bot.policy.stand_ins import Moment
from bot.policy.steps import before, steps_of


def approval_progress(
    catalog: Catalog,
    roster: Roster,
    request: Request,
    now: float,
    also: Review | None = None,
    *,
    fresh: int | None = None,
    decided: bool = False,
) -> ApprovalProgress:
    """Which steps the approvals fill, recounted on today's policy and groups; one person fills one place in all roles.

    So each role's own approvers decide about it, and one approval never counts for two. Where a role has its steps in
    order, an approval counts for a step only if it came after all those that fill the step before.

    ``fresh``: seconds for which somebody who joined does not count; None for what the policy says. ``decided``: for a
    request that was approved before: whether its approvers are still entitled, whatever became of a delegation since.
    """
    lately = stand_ins.fresh_for(catalog, critical=is_critical(catalog, request)) if fresh is None else fresh
    at = Moment(now, 0 if decided else lately, decided)
    steps = steps_of(catalog, roster, request, now)
    needed = [(n, step.any_of) for n, step in enumerate(steps) if not step.skipped_by]
    approvals, fits = _one_of_each_right(
        (review, [n for n, groups in needed if stand_ins.counts(catalog, roster, groups, review, at)])
        for review in _approvals(request, also)
        if decided or stand_ins.apart(roster, request, review, now)
    )
    firsts = before(steps)
    filled = matching.assign(fits, [matching.StepPlaces(step.count, n) for step, n in zip(steps, firsts, strict=True)])
    found: list[StepProgress] = []
    for step, first, who in zip(steps, firsts, filled, strict=True):
        waits = first is not None and bool(found[first].missing)
        found.append(StepProgress(step=step, by=tuple(approvals[n] for n in who), waits=waits))
    counted = {review.by.identity for each in found for review in each.by}
    return ApprovalProgress(steps=tuple(found), counted=tuple(r for r in approvals if r.by.identity in counted))


def _one_of_each_right(found: Iterable[tuple[Review, Sequence[int]]]) -> tuple[list[Review], list[Sequence[int]]]:
    """The approvals that count somewhere, of each right the first: whoever used it, it fills one place."""
    reviews: list[Review] = []
    fits: list[Sequence[int]] = []
    for review, steps in found:
        used = any(same_person(stand_ins.right_of(review), stand_ins.right_of(other)) for other in reviews)
        if steps and not used:
            reviews.append(review)
            fits.append(steps)
    return reviews, fits


def in_doubt(catalog: Catalog, roster: Roster, request: Request, so_far: ApprovalProgress) -> tuple[str, ...]:
    """The groups that nobody tells just now, and by which an open step may be filled, or not be needed."""
    counted = {review.by.identity for review in so_far.counted}
    groups = [group for step in so_far.open for group in step.step.unsure]
    if any(review.by.identity not in counted for review in _approvals(request, None)):
        groups += stand_ins.with_stand_ins(catalog, (group for step in so_far.open for group in step.any_of))
    return tuple(group for reason in unknown_groups(roster, groups) for group in reason.about)


def is_critical(catalog: Catalog, request: Request) -> bool:
    """Whether a role of the request is critical, as it was asked for or as it is today."""
    found = (catalog.role(leg.role.system, leg.role.role) for leg in request.legs)
    today = (role.sensitivity for role in found if role)
    return Sensitivity.CRITICAL in {*today, *(leg.role.sensitivity for leg in request.legs)}


def unknown_groups(roster: Roster, groups: Iterable[str]) -> tuple[Reason, ...]:
    """Those of the groups of which nobody knows who is in them."""
    dark = tuple(dict.fromkeys(g for g in groups if g != EVERYONE and not (g in roster and roster[g].known)))
    return (Reason(code=Code.UNKNOWN_GROUP, about=dark),) if dark else ()


def _approvals(request: Request, also: Review | None) -> list[Review]:
    """Each person's approval, once, and none of those whose request it is."""
    all_reviews = (*request.reviews, also) if also else request.reviews
    found: list[Review] = []
    for review in all_reviews:
        known = (*request.parties, *(counted.by for counted in found))
        if review.verb is Verb.APPROVE and not any(same_person(review.by, person) for person in known):
            found.append(review)
    return found
