"""Tries out a request against a policy, with the functions that check real requests; nothing is recorded.

A roster is the members of groups, as a test gives them. A person's open requests and how often they submit are unknown
here, so those limits refuse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bot.access import break_glass_verdict, consent, review, submit
from bot.access.break_glass_verdict import EarlierUses
from bot.access.circumstances import tickets_named, with_usage_counts
from bot.access.context import CanExtend, Consequence
from bot.access.review import ReviewDecision, UnderReview
from bot.access.role_usage import RoleUsage, scopes
from bot.access.submit import RequestForm
from bot.access.usage import refs_of
from bot.core import deadlines, lifecycle
from bot.core.errors import AlreadyAnswered, JitError, NotAllowed, NotFound, Overtaken, RoleChanged
from bot.core.events import Approved, Cancelled, RequestExpired
from bot.core.factor_errors import ProofRequired
from bot.core.happening import Requested
from bot.core.proof import ProofUse
from bot.core.request import ByRule, Person, Request, State, Verb
from bot.core.usage import Usage
from bot.core.verdict import Actor, Members, Verdict
from bot.policy import authorization, mfa, rules
from bot.policy import break_glass as glass
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.rules import Ruling
from bot.store.indexes.usage import StoredUsage

Count = Callable[[Iterable[str], float], Mapping[str, Usage]]
"""Returns the usage of roles and systems at a time, Unix seconds. Without it, limits and conflicts refuse nothing.

A conflict between two roles of one request is refused all the same.
"""


@dataclass(frozen=True)
class CaseApproval:
    """An approval, so many seconds after the request, or after the consent of the person whom it is for."""

    person: Person
    after: int = 0


@dataclass(frozen=True)
class Attempt:
    """A request to try out. ``used``: how many requests each rule has approved for this person, see `PersonCounters`.

    ``requester``: who requests it; the form has for whom. ``circumstances``: for the rules; without them, all but the
    policy and the groups is unknown. ``tickets``: all that exist, if that is known. ``accepted``: whether the person
    whom it is for accepted it. ``after``: after how many seconds the outcome is taken. ``break_glass``: the earlier
    uses of somebody who takes the access at once; None for a request. ``proved``: whether each person who requests,
    accepts, takes or approves it gives a second factor where the policy asks for one.
    """

    requester: Person
    roster: Mapping[str, Members]
    form: RequestForm
    used: Mapping[str, int]
    approvals: tuple[CaseApproval, ...] = ()
    circumstances: Circumstances | None = None
    tickets: tuple[str, ...] | None = None
    count: Count | None = None
    accepted: bool = False
    after: int = 0
    break_glass: EarlierUses | None = None
    proved: bool = True


@dataclass(frozen=True)
class CaseOutcome:
    """The outcome of an attempt: the error that refused it, or the request with the approvals that it lacks.

    ``missing``: how many more approvals it needs from each set of groups; empty if it waits for none.
    """

    refused: JitError | None = None
    request: Request | None = None
    missing: tuple[tuple[tuple[str, ...], int], ...] = ()
    ruling: Ruling | None = None
    """The effect of each rule; None if it was refused before the rules."""

    @property
    def rule(self) -> ByRule | None:
        """The rule that approved it, if a rule did."""
        return self.request.rule if self.request and not self.refused else None

    @property
    def duration(self) -> int:
        """Seconds of access; 0 if unknown."""
        return self.request.duration if self.request else 0


@dataclass
class Trial:
    """Tries out one request, step by step in order of time; each step makes the checks of the real action.

    A refused step raises what the real action raises, and changes nothing unless it cancelled the request.
    """

    catalog: Catalog
    roster: Mapping[str, Members]
    consequence: Consequence
    can_extend: CanExtend
    count: Count | None = None
    tickets: tuple[str, ...] | None = None
    id: str = ""
    """The id for the request; a new one if empty."""
    proved: bool = True
    """Whether each person gives a second factor where the policy asks for one; a replay assumes that they did."""
    request: Request | None = field(default=None, init=False)
    ruling: Ruling | None = field(default=None, init=False)
    _last_waiting: Request | None = field(default=None, init=False)
    """The request as it last waited for approvals."""

    def submit(self, person: Person, form: RequestForm, circumstances: Circumstances, used: Mapping[str, int]) -> None:
        """Request it; for somebody else, it waits for them to accept it."""
        now = circumstances.now
        submission = submit.completed(submit.check_allowed(self.catalog, self._actor(person), form, now), now)
        requester, role_usage = submission.requester, self._role_usage(submission.choice.roles, now)
        if role_usage:
            role_usage.check(requester, now, for_other=submission.requested_by is not None)
        circumstances = self._with_usage_and_tickets(circumstances, submission.requested_access, role_usage)
        ruling = self._note_ruling(submission.requested_access, circumstances, used)
        event = submit.first_event(submission, circumstances, used, self.consequence, self.can_extend)
        self._prove(submission.choice.roles, ProofUse.REQUEST, by_rule=ruling.requires_proof)
        self._begin(event)

    def accept(self, circumstances: Circumstances, used: Mapping[str, int]) -> None:
        """Accept it, as the person whom somebody else requested it for."""
        request, now = self._requested(), circumstances.now
        if not request.is_draft:
            raise Overtaken(request)
        _require(authorization.may_still_request(self.catalog, self.roster, request, now))
        if why := consent.why_cancelled(self.catalog, self.roster, request):
            self._cancelled(Cancelled(at=now, by="policy", reason=why))
        if role_usage := self._role_usage(refs_of(request), now):
            role_usage.check(request.requester, now)
        requested = rules.requested_access(request)
        circumstances = self._with_usage_and_tickets(circumstances, requested, role_usage, request.id)
        ruling = self._note_ruling(requested, circumstances, used)
        _, after = consent.consent_event(self.catalog, self.roster, request, circumstances, used, request.requester.id)
        self._prove(requested.roles, ProofUse.REQUEST, by_rule=ruling.requires_proof)
        self._set(after)

    def break_glass(self, person: Person, form: RequestForm, earlier: EarlierUses, now: float) -> None:
        """Take it at once; where an owner has to approve it first, it waits for one."""
        submission, terms = break_glass_verdict.submission(self.catalog, self._actor(person), form, now)
        why = earlier.needs_owner
        if not why:
            earlier.check_daily_limit()
        if role_usage := self._role_usage(submission.choice.roles, now):
            break_glass_verdict.check_use(role_usage, submission.actor, now, needs_owner=bool(why))
        event = break_glass_verdict.first_event(submission, terms, why, now, self.consequence, self.can_extend)
        self._prove(submission.choice.roles, ProofUse.BREAK_GLASS)
        self._begin(event)

    def switch(self, person: Person, reason: str, duration: int | None, earlier: EarlierUses, now: float) -> None:
        """Take the access of a pending request at once."""
        request, actor = self._requested(), self._actor(person)
        if request.state is not State.PENDING or request.only_required:
            raise Overtaken(request)
        _require(glass.may_break_glass(self.catalog, self.roster, person, glass.refs(request)))
        _require(earlier.may_switch)
        earlier.check_daily_limit()
        if role_usage := self._role_usage(refs_of(request), now):
            break_glass_verdict.check_use(role_usage, actor, now, needs_owner=False, pending=request.id)
        event = break_glass_verdict.switched(self.catalog, actor, request, reason, duration, now)
        self._prove(refs_of(request), ProofUse.BREAK_GLASS)
        self._set(lifecycle.advance(request, event))

    def approve(self, person: Person, now: float) -> None:
        """Approve it."""
        request = self._reviewable(person, now)
        _require(authorization.may_still_request(self.catalog, self.roster, request, now))
        decision = ReviewDecision(verb=Verb.APPROVE)
        event = review.decision_event(self.catalog, self._actor(person), UnderReview(request, now, None), decision)
        if isinstance(event, Cancelled):
            self._cancelled(event)
        role_usage = self._role_usage(refs_of(request), now)
        if role_usage and isinstance(event, Approved):
            role_usage.check_approval(request, now)
        self._prove(refs_of(request), ProofUse.APPROVE)
        self._set(lifecycle.advance(request, event))

    def deny(self, person: Person, reason: str, now: float) -> None:
        """Deny it."""
        request, decision = self._reviewable(person, now), ReviewDecision(verb=Verb.DENY, reason=reason)
        event = review.decision_event(self.catalog, self._actor(person), UnderReview(request, now, None), decision)
        if isinstance(event, Cancelled):
            self._cancelled(event)
        self._set(lifecycle.advance(request, event))

    def wait(self, until: float) -> None:
        """Let time pass: steps escalate, and an undecided request expires."""
        while self.request and self.request.state in {State.DRAFT, State.PENDING}:
            at = deadlines.due(self.request)
            event = deadlines.due_event(self.request, at) if at is not None and at <= until else None
            if event is None:
                return
            self._set(lifecycle.advance(self.request, event), expired=isinstance(event, RequestExpired))

    def missing(self, now: float) -> tuple[tuple[tuple[str, ...], int], ...]:
        """The approvals that it lacks, or lacked when it expired."""
        waits = self.request is not None and self.request.state in {State.PENDING, State.EXPIRED}
        if not waits or self._last_waiting is None or self._last_waiting.unseen:
            return ()
        return tuple(
            authorization.approval_progress(self.catalog, self.roster, self._last_waiting, now).missing.items()
        )

    def _role_usage(self, refs: tuple[RoleRef, ...], now: float) -> RoleUsage | None:
        if self.count is None:
            return None
        counted = self.count(scopes(self.catalog, refs), now)
        each = {name: StoredUsage(name, b"", usage, 0) for name, usage in counted.items()}
        return RoleUsage(self.catalog, refs, each)

    def _with_usage_and_tickets(
        self, circumstances: Circumstances, requested: RequestedAccess, role_usage: RoleUsage | None, exclude: str = ""
    ) -> Circumstances:
        if role_usage:
            circumstances = with_usage_counts(circumstances, role_usage, requested.requester, exclude)
        if self.tickets is None:
            return circumstances
        asked = tickets_named(self.catalog, requested)
        return circumstances.model_copy(update={"tickets": {each: each[1] in self.tickets for each in asked}})

    def _note_ruling(self, requested: RequestedAccess, circumstances: Circumstances, used: Mapping[str, int]) -> Ruling:
        """Set the ruling: the effect of each rule, also of those without one."""
        self.ruling = rules.judge(self.catalog, self.roster, requested, circumstances, used, why=True)
        return self.ruling

    def _prove(self, roles: Iterable[RoleRef], use: ProofUse, *, by_rule: bool = False) -> None:
        """Raises `ProofRequired` if the policy asks for a second factor, and the attempt has no proof."""
        terms = None if self.proved else mfa.asks_proof(self.catalog, roles, use, by_rule=by_rule)
        if terms:
            raise ProofRequired(use, terms.factors)

    def _reviewable(self, person: Person, now: float) -> Request:
        request = self._requested()
        if request.unseen and not authorization.is_party(request, person):
            raise NotFound(request.id)
        if not request.awaits_decision:
            raise Overtaken(request)
        if any(authorization.same_person(given.by, person) for given in request.reviews):
            raise AlreadyAnswered(request)
        _require(authorization.may_review(self.catalog, self.roster, request, person, now))
        return request

    def _cancelled(self, event: Cancelled) -> None:
        """Cancel the request, and raise the error for the person who tried to do something."""
        after = lifecycle.advance(self._requested(), event)
        self._set(after)
        raise RoleChanged(after) if event.reason == consent.ROLE_CHANGED else Overtaken(after)

    def _begin(self, event: Requested) -> None:
        self._set(lifecycle.begin(event.model_copy(update={"id": self.id}) if self.id else event))

    def _set(self, request: Request, *, expired: bool = False) -> None:
        self._last_waiting = self._last_waiting if expired else request
        self.request = request

    def _requested(self) -> Request:
        if self.request is None:
            raise RuntimeError("nothing was requested yet")
        return self.request

    def _actor(self, person: Person) -> Actor:
        return Actor(person=person, roster=dict(self.roster), looked_up_now=True)


def judge(
    catalog: Catalog, attempt: Attempt, now: float, consequence: Consequence, can_extend: CanExtend
) -> CaseOutcome:
    """Request it or take it, have it accepted, and have each approver approve it."""
    trial = Trial(
        catalog, attempt.roster, consequence, can_extend, attempt.count, attempt.tickets, proved=attempt.proved
    )
    approvals = sorted(attempt.approvals, key=lambda each: each.after)
    until = now + max((attempt.after, *(each.after for each in approvals)))
    try:
        _begin(trial, attempt, now)
        for approval in approvals:
            trial.wait(now + approval.after)
            trial.approve(approval.person, now + approval.after)
        trial.wait(until)
    except JitError as error:
        return CaseOutcome(error, trial.request, ruling=trial.ruling)
    return CaseOutcome(None, trial.request, trial.missing(until), trial.ruling)


def _begin(trial: Trial, attempt: Attempt, now: float) -> None:
    if attempt.break_glass:
        trial.break_glass(attempt.requester, attempt.form, attempt.break_glass, now)
        return
    circumstances = attempt.circumstances or Circumstances(now=now, begins=attempt.form.starts_at or now)
    trial.submit(attempt.requester, attempt.form, circumstances, attempt.used)
    if attempt.accepted:
        trial.accept(circumstances, attempt.used)


def _require(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise NotAllowed(verdict)
