"""What a policy makes of a request that nobody made, judged by the functions that judge real ones; nothing is recorded.

A roster is the members of groups as they are given. A person's open requests and how often they submit are not known
here, so those limits refuse nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.access import circumstances, review, submit
from bot.access.context import CanExtend, Consequence
from bot.access.review import ReviewDecision, UnderReview
from bot.access.submit import RequestForm
from bot.core import lifecycle
from bot.core.errors import AlreadyAnswered, JitError, NotAllowed, Overtaken
from bot.core.events import ApprovedByRule
from bot.core.request import ByRule, Person, Request, Verb
from bot.core.verdict import Actor, Members
from bot.policy import authorization, rules
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances
from bot.policy.rules import Ruling
from bot.policy.tally import Tally


@dataclass(frozen=True)
class Attempt:
    """A request that is tried out. ``used``: how many each rule has approved for this person lately, see `Counters`.

    ``approvers``: who approves it, in that order. ``facts``: what rules are judged on; without them, what is not known
    from the policy and the groups is unknown. ``tickets``: all that exist, where that is known.
    """

    requester: Person
    roster: Mapping[str, Members]
    form: RequestForm
    used: Mapping[str, int]
    approvers: tuple[Person, ...] = ()
    facts: Circumstances | None = None
    tickets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CaseOutcome:
    """What becomes of it: refused by an error, approved by a rule, or with the approvals that are still missing."""

    refused: JitError | None = None
    rule: ByRule | None = None
    missing: tuple[tuple[tuple[str, ...], int], ...] = ()
    """How many more people each set of groups has to give; empty where it is approved."""
    duration: int = 0
    """Seconds of access, as far as they are known."""
    ruling: Ruling | None = None
    """What each rule made of it; None where it did not come to that."""


def judge(
    catalog: Catalog, attempt: Attempt, now: float, consequence: Consequence, can_extend: CanExtend
) -> CaseOutcome:
    """Request it, and have each approver approve it."""
    facts = attempt.facts or Circumstances(now=now, begins=attempt.form.starts_at or now)
    ruling, duration = None, 0
    try:
        submission = submit.completed(
            submit.allowed(catalog, _actor(attempt, attempt.requester), attempt.form, now), now
        )
        if attempt.tickets is not None:
            asked = circumstances.tickets_named(catalog, submission.wanted)
            facts = facts.model_copy(update={"tickets": {each: each[1] in attempt.tickets for each in asked}})
        ruling = rules.judge(catalog, attempt.roster, submission.wanted, facts, attempt.used, why=True)
        event = submit.first_event(submission, facts, attempt.used, consequence, can_extend)
        request, duration = lifecycle.begin(event), event.duration
        for person in attempt.approvers:
            request = _approved(catalog, _actor(attempt, person), request, now)
    except JitError as error:
        return CaseOutcome(refused=error, duration=duration, ruling=ruling)
    if isinstance(event, ApprovedByRule):
        return CaseOutcome(rule=event.rule, duration=duration, ruling=ruling)
    if not request.awaits_decision:
        return CaseOutcome(duration=duration, ruling=ruling)
    tally: Tally = authorization.tally(catalog, attempt.roster, request, now)
    return CaseOutcome(missing=tuple(tally.missing.items()), duration=duration, ruling=ruling)


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
