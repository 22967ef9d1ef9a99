"""An approver approves or denies a request, or its extension; both are checked here, by the same approval steps.

Approvals are recounted at each review, by the current policy and groups, never by what a button or an earlier verdict
says. A step is how many approvals a role needs from which groups; an endorsement, an approval that does not complete
the quorum.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from bot.access import proof, usage
from bot.access.consent import ROLE_CHANGED, why_not_for_others
from bot.access.context import AccessContext
from bot.access.proof import CheckedProof
from bot.core import durations
from bot.core.errors import (
    AlreadyAnswered,
    BadDuration,
    CannotExtend,
    CouldNotCheck,
    NotAllowed,
    NotFound,
    Overtaken,
    RoleChanged,
)
from bot.core.events import (
    Approved,
    Cancelled,
    Denied,
    Endorsed,
    Event,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionEndorsed,
)
from bot.core.frozen import Frozen
from bot.core.ids import bounded
from bot.core.proof import NO_CODE, Proof, ProofUse
from bot.core.question_errors import ReasonChanged
from bot.core.request import Extension, Request, Review, State, Verb
from bot.core.verdict import Actor
from bot.policy import authorization
from bot.policy import steps as approval_steps
from bot.policy.approval_progress import ApprovalProgress
from bot.policy.catalog import Catalog
from bot.store.types import Loaded


class ReviewDecision(Frozen):
    """An approver's decision. ``duration`` in seconds, None for all that was requested.

    ``reason_changes``: how often the requester had changed the reason that the approver read, as `Request` counts it.
    ``code``: the second-factor code that the approver typed, if any.
    """

    verb: Verb
    duration: int | None = None
    reason: str = ""
    reason_changes: int = 0
    code: SecretStr = NO_CODE


@dataclass(frozen=True)
class UnderReview:
    """What is decided: the request, or its ``extension`` if that is set."""

    request: Request
    now: float
    extension: Extension | None

    @property
    def as_reviewed(self) -> Request:
        """The request; if its extension is decided, with the reviews and required steps of the extension."""
        return _with_extension_reviews(self.request, self.extension) if self.extension else self.request

    @property
    def deadline(self) -> float:
        """When it expires undecided; an undecided extension expires with the access."""
        return self.request.ends_at if self.extension else self.request.decide_by

    def denied(self, review: Review) -> Event:
        """The event of a denial: one is enough."""
        if self.extension:
            return ExtensionDenied(at=self.now, by=review.by.id, review=review)
        return Denied(at=self.now, by=review.by.id, review=review)

    def endorsed(self, review: Review, before: ApprovalProgress, progress: ApprovalProgress) -> Event:
        """The event of an approval that does not complete the quorum: it may open the next step of a role."""
        steps_before = [(step.name, step.step.n) for step in before.now]
        opened_steps = [
            step for step in progress.now if step.step.ordered and (step.name, step.step.n) not in steps_before
        ]
        opened = tuple(dict.fromkeys(step.name for step in opened_steps))
        if self.extension:
            return ExtensionEndorsed(at=self.now, by=review.by.id, review=review, opened=opened)
        now_open = [step.step for step in progress.now]
        escalated = self.request.escalations
        escalations = approval_steps.escalations_of(now_open, escalated, self.now, self.request.decide_by)
        return Endorsed(at=self.now, by=review.by.id, review=review, opened=opened, escalations=escalations)

    def approved(self, review: Review, progress: ApprovalProgress) -> Event:
        """The event of the approval that completes the quorum; the shortest counted duration wins."""
        if self.extension:
            return ExtensionApproved(at=self.now, by=review.by.id, review=review, until=self.extension.until)
        # An earlier approval may be for longer than the requester asks for by now.
        least = min(self.request.duration, *(counted.duration for counted in progress.counted))
        return Approved(at=self.now, by=review.by.id, review=review, duration=least)


async def review(
    context: AccessContext, actor: Actor, id_: str, decision: ReviewDecision, *, extension: int | None = None
) -> Request:
    """Record an approval or denial of the request, or of its extension of that number.

    Raises what `reviewable` does, and `BadReason`, `BadDuration`, `ReasonChanged`, `RoleChanged`, `CannotExtend`,
    `CouldNotCheck`, `PolicyMoved`, `NotCounted`, `Conflicting`, `OverLimit`, `Late`.
    """
    while True:
        loaded = await _reviewable(context, actor, id_, extension)
        # The policy is read after the record: the commit fails unless it is still the workspace's policy.
        catalog, request = context.catalog(), loaded.request
        if decision.verb is Verb.APPROVE:
            context.require_fresh_lookup(actor, request)
            entitled = authorization.may_still_request(catalog, actor.roster, request, loaded.now)
            await context.require_allowed("review", actor, request.id, entitled)
        delegations = context.delegation_guards(catalog, actor, loaded.now)
        try:
            event = decision_event(catalog, actor, loaded, decision)
        except NotAllowed as error:
            await context.audit_refusal("review", actor, request.id, error)
            raise
        change = await _usage_change(context, catalog, actor, request, event)
        proved = await _proved(context, catalog, actor, request, event, decision)
        after = await context.commit(
            catalog,
            request,
            with_proof(event, proved.proof),
            deadline=loaded.deadline,
            guards=(*change.guards, *proved.guards),
            delegations=delegations,
            extra_writes=(*change.extra_writes, *proved.extra_writes),
        )
        if after is None:
            continue  # the record, or what was counted, has changed: judge again
        change.role_usage.committed(change.extra_writes)
        proved.committed(context)
        if isinstance(event, Cancelled):
            raise RoleChanged(after) if event.reason == ROLE_CHANGED else Overtaken(after)
        return after


_APPROVALS = (Approved, Endorsed, ExtensionApproved, ExtensionEndorsed)


async def _proved(
    context: AccessContext, catalog: Catalog, actor: Actor, request: Request, event: Event, decision: ReviewDecision
) -> CheckedProof:
    """The proof of an approver, where the policy asks for one; a denial takes none. Raises `NotProved`."""
    if not isinstance(event, _APPROVALS):
        return CheckedProof()
    return await proof.check(context, catalog, actor, usage.refs_of(request), ProofUse.APPROVE, decision.code)


def with_proof(event: Event, given: Proof | None) -> Event:
    """The event; an approval with the proof of its approver."""
    if given is None or not isinstance(event, _APPROVALS):
        return event
    return event.model_copy(update={"review": event.review.model_copy(update={"proof": given})})


async def _usage_change(
    context: AccessContext, catalog: Catalog, actor: Actor, request: Request, event: Event
) -> usage.UsageChange:
    """What an approval or a denial adds to the commit, where limits or conflicts count it.

    Raises `NotCounted`, `Conflicting`, `OverLimit`, audited: the request stays undecided.
    """
    try:
        return await usage.change_of_decision(context.store, catalog, request, event)
    except usage.REFUSALS as error:
        await context.audit_refusal("review", actor, request.id, error)
        raise


async def reviewable(context: AccessContext, actor: Actor, id_: str, *, extension: int | None = None) -> Request:
    """The request, if this person could approve or deny it, or that extension, now: the check that `review` makes.

    Raises `NotFound`, `Overtaken`, `AlreadyAnswered`, `NotAllowed`.
    """
    return (await _reviewable(context, actor, id_, extension)).request


def awaiting_decision(request: Request) -> Request | None:
    """The undecided request, or the request with the reviews and steps of its undecided extension; None if neither."""
    if request.awaits_decision:
        return request
    return (
        _with_extension_reviews(request, request.extension) if request.extension and request.awaits_extension else None
    )


async def _reviewable(context: AccessContext, actor: Actor, id_: str, extension: int | None) -> UnderReview:
    loaded = await context.find_untampered(id_)
    if loaded.request.unseen and not authorization.is_party(loaded.request, actor.person):
        raise NotFound(id_)  # a draft does not exist for approvers
    found = _under_review(loaded, extension)
    if any(authorization.same_person(review.by, actor.person) for review in found.as_reviewed.reviews):
        raise AlreadyAnswered(found.request)
    verdict = authorization.may_review(context.catalog(), actor.roster, found.as_reviewed, actor.person, found.now)
    await context.require_allowed("review", actor, found.request.id, verdict)
    return found


def _under_review(loaded: Loaded, n: int | None) -> UnderReview:
    request = loaded.request
    if n is None:
        if request.state is not State.PENDING:
            raise Overtaken(request)
        return UnderReview(request, loaded.now, None)
    # By number, so that a button of an earlier extension cannot decide a later one.
    if request.extension is None or request.extension.n != n or not request.awaits_extension:
        raise Overtaken(request)
    return UnderReview(request, loaded.now, request.extension)


def decision_event(catalog: Catalog, actor: Actor, subject: UnderReview, decision: ReviewDecision) -> Event:
    """The event of a decision by somebody who may decide.

    Raises `BadReason`, `BadDuration`, `ReasonChanged`, `CannotExtend`, `CouldNotCheck`, and `NotAllowed` for an
    approval that does not count yet.
    """
    who, now, request = actor.person, subject.now, subject.request
    if not authorization.roles_unchanged(catalog, request):
        if subject.extension is None:
            # Even for a denial: a role that has changed since it was requested cannot be approved any more.
            return Cancelled(at=now, by="policy", reason=ROLE_CHANGED)
        if decision.verb is Verb.APPROVE:
            raise CannotExtend(request, "changed")
    if decision.verb is Verb.DENY:
        reason = bounded(decision.reason, 1, "why not")
        denial = Review(verb=Verb.DENY, by=who, at=now, duration=0, reason=reason)
        return subject.denied(authorization.attribute_review(catalog, actor.roster, subject.as_reviewed, denial, now))
    if subject.extension is None and (why := why_not_for_others(catalog, actor.roster, request)):
        return Cancelled(at=now, by="policy", reason=why)
    if subject.extension is None and decision.reason_changes != request.reason_changes:
        raise ReasonChanged(request)
    approval = Review(verb=Verb.APPROVE, by=who, at=now, duration=_duration(subject, decision))
    review = authorization.attribute_review(catalog, actor.roster, subject.as_reviewed, approval, now)
    counts = authorization.counts_yet(catalog, actor.roster, subject.as_reviewed, review, now)
    if not counts.allowed:
        raise NotAllowed(counts)
    progress = authorization.approval_progress(catalog, actor.roster, subject.as_reviewed, now, also=review)
    if progress.complete:
        return subject.approved(review, progress)
    if unknown := authorization.in_doubt(catalog, actor.roster, subject.as_reviewed, progress):
        # Nobody can approve twice: recorded while groups are unknown, this approval could be used up and not suffice.
        raise CouldNotCheck(f"who is in {', '.join(unknown)}")
    before = authorization.approval_progress(catalog, actor.roster, subject.as_reviewed, now)
    return subject.endorsed(review, before, progress)


def _duration(subject: UnderReview, decision: ReviewDecision) -> int:
    """Seconds that the approval is for. Raises `BadDuration`."""
    whole = subject.request.duration
    if subject.extension or decision.duration is None:
        return whole
    if not durations.SHORTEST <= decision.duration <= whole:
        raise BadDuration(durations.short(decision.duration), (), whole)
    return decision.duration


def _with_extension_reviews(request: Request, extension: Extension) -> Request:
    own = {"reviews": extension.reviews, "required_steps": extension.required_steps}
    # Even if an owner approved the request in place of the approvers, the approvers of its roles decide its extension.
    return request.model_copy(update={**own, "escalations": (), "only_required": False})
