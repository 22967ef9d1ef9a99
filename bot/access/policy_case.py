"""What a policy makes of a request that nobody made, judged by the functions that judge real ones; nothing is recorded.

A roster is the members of groups as they are given. A person's open requests and how often they submit are not known
here, so those limits refuse nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.access import review, submit
from bot.access.context import CanExtend, Consequence
from bot.access.review import ReviewDecision, UnderReview
from bot.access.submit import RequestForm
from bot.core import lifecycle
from bot.core.errors import AlreadyAnswered, JitError, NotAllowed, Overtaken
from bot.core.events import ApprovedByRule
from bot.core.request import ByRule, Person, Request, Verb
from bot.core.verdict import Actor, Members
from bot.policy import authorization
from bot.policy.authorization import Tally
from bot.policy.catalog import Catalog


@dataclass(frozen=True)
class Attempt:
    """A request that is tried out. ``ruled``: how many each rule has approved for this person lately, see `Counters`.

    ``approvers``: who approves it, in that order.
    """

    requester: Person
    roster: Mapping[str, Members]
    form: RequestForm
    ruled: Mapping[str, int]
    approvers: tuple[Person, ...] = ()


@dataclass(frozen=True)
class CaseOutcome:
    """What becomes of it: refused by an error, approved by a rule, or with the approvals that are still missing."""

    refused: JitError | None = None
    rule: ByRule | None = None
    missing: tuple[tuple[tuple[str, ...], int], ...] = ()
    """How many more people each set of groups has to give; empty where it is approved."""


def judge(
    catalog: Catalog, attempt: Attempt, now: float, consequence: Consequence, can_extend: CanExtend
) -> CaseOutcome:
    """Request it, and have each approver approve it."""
    try:
        submission = submit.allowed(catalog, _actor(attempt, attempt.requester), attempt.form, now)
        event = submit.first_event(submit.completed(submission, now), now, attempt.ruled, consequence, can_extend)
        request = lifecycle.begin(event)
        for person in attempt.approvers:
            request = _approved(catalog, _actor(attempt, person), request, now)
    except JitError as error:
        return CaseOutcome(refused=error)
    if isinstance(event, ApprovedByRule):
        return CaseOutcome(rule=event.rule)
    if not request.awaits_decision:
        return CaseOutcome()
    tally: Tally = authorization.tally(catalog, attempt.roster, request, now)
    return CaseOutcome(missing=tuple(tally.missing.items()))


def _actor(attempt: Attempt, person: Person) -> Actor:
    return Actor(person=person, roster=dict(attempt.roster), looked_up_now=True)


def _approved(catalog: Catalog, actor: Actor, request: Request, now: float) -> Request:
    """The request after an approval. Raises what an approver would be refused with."""
    if not request.awaits_decision:
        raise Overtaken(request)
    if any(authorization.same(given.by, actor.person) for given in request.reviews):
        raise AlreadyAnswered(request)
    for verdict in (
        authorization.may_review(catalog, actor.roster, request, actor.person, now),
        authorization.may_still_request(catalog, actor.roster, request, now),
    ):
        if not verdict.allowed:
            raise NotAllowed(verdict)
    decision = ReviewDecision(verb=Verb.APPROVE)
    return lifecycle.advance(request, review.judge(catalog, actor, UnderReview(request, now, None), decision))
