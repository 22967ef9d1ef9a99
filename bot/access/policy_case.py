"""What a policy makes of a request that nobody made, judged by the functions that judge real ones; nothing is recorded.

A roster is the members of groups as they are given. A person's open requests and how often they submit are not known
here, so those limits refuse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bot.access import break_glass_verdict, circumstances, consent, review, submit
from bot.access.break_glass_verdict import EarlierUses
from bot.access.context import CanExtend, Consequence
from bot.access.review import ReviewDecision, UnderReview
from bot.access.role_usage import RoleUsage, scopes
from bot.access.submit import RequestForm
from bot.access.usage import refs_of
from bot.core import deadlines, lifecycle
from bot.core.errors import AlreadyAnswered, JitError, NotAllowed, NotFound, Overtaken, RoleChanged
from bot.core.events import Approved, Cancelled, RequestExpired
from bot.core.happening import Requested
from bot.core.request import ByRule, Person, Request, State, Verb
from bot.core.usage import Usage
from bot.core.verdict import Actor, Members, Verdict
from bot.policy import authorization, rules
from bot.policy import break_glass as glass
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Circumstances, Wanted
from bot.policy.rules import Ruling
from bot.store.indexes.usage import StoredUsage

Count = Callable[[Iterable[str], float], Mapping[str, Usage]]
"""What is counted of these roles and systems at a time, Unix seconds; without one, limits and conflicts refuse nothing.

What conflicts within one request is refused all the same.
"""


@dataclass(frozen=True)
class CaseApproval:
    """Somebody approves it, so many seconds after it was requested, or accepted by whom it is for."""

    person: Person
    after: int = 0


@dataclass(frozen=True)
class Attempt:
    """A request that is tried out. ``used``: how many each rule has approved for this person, see `PersonCounters`.

    ``requester``: who requests it; for whom, says the form. ``facts``: what rules are judged on; without them, what is
    not known from the policy and the groups is unknown. ``tickets``: all that exist, where that is known. ``accepted``:
    whether the person whom it is for accepted it. ``after``: how many seconds later it is looked at. ``break_glass``:
    the earlier uses of somebody who takes it at once; None for a request.
    """

    requester: Person
    roster: Mapping[str, Members]
    form: RequestForm
    used: Mapping[str, int]
    approvals: tuple[CaseApproval, ...] = ()
    facts: Circumstances | None = None
    tickets: tuple[str, ...] | None = None
    count: Count | None = None
    accepted: bool = False
    after: int = 0
    break_glass: EarlierUses | None = None


@dataclass(frozen=True)
class CaseOutcome:
    """What becomes of it: refused by an error, or the request as it then is, with the approvals that it lacks.

    ``missing``: how many more people each set of groups has to give; empty where it waits for none.
    """

    refused: JitError | None = None
    request: Request | None = None
    missing: tuple[tuple[tuple[str, ...], int], ...] = ()
    ruling: Ruling | None = None
    """What each rule made of it; None where it did not come to that."""

    @property
    def rule(self) -> ByRule | None:
        """What approved it where no person did."""
        return self.request.rule if self.request and not self.refused else None

    @property
    def duration(self) -> int:
        """Seconds of access, as far as they are known."""
        return self.request.duration if self.request else 0


@dataclass
class Trial:
    """One request that is tried out, step by step in the order of time; each is judged as the deed is.

    A step that is refused raises what the deed raises, and changes nothing but that something cancelled it.
    """

    catalog: Catalog
    roster: Mapping[str, Members]
    consequence: Consequence
    can_extend: CanExtend
    count: Count | None = None
    tickets: tuple[str, ...] | None = None
    id: str = ""
    """The id that the request gets; a new one where it is empty."""
    request: Request | None = field(default=None, init=False)
    ruling: Ruling | None = field(default=None, init=False)
    _waited: Request | None = field(default=None, init=False)
    """As it last waited for approvals."""

    def submit(self, person: Person, form: RequestForm, facts: Circumstances, used: Mapping[str, int]) -> None:
        """Request it; for somebody else, it waits for them to accept it."""
        now = facts.now
        submission = submit.completed(submit.allowed(self.catalog, self._actor(person), form, now), now)
        requester, use = submission.requester, self._use(submission.choice.roles, now)
        if use:
            use.check(requester, now, filed=submission.filer is not None)
        facts = self._judged_on(facts, submission.wanted, use)
        self._ruled(submission.wanted, facts, used)
        self._begin(submit.first_event(submission, facts, used, self.consequence, self.can_extend))

    def accept(self, facts: Circumstances, used: Mapping[str, int]) -> None:
        """The person whom somebody else requested it for accepts it."""
        request, now = self._made(), facts.now
        if not request.is_draft:
            raise Overtaken(request)
        _require(authorization.may_still_request(self.catalog, self.roster, request, now))
        if why := consent.why_cancelled(self.catalog, self.roster, request):
            self._cancelled(Cancelled(at=now, by="policy", reason=why))
        if use := self._use(refs_of(request), now):
            use.check(request.requester, now)
        wanted = rules.wanted_of(request)
        facts = self._judged_on(facts, wanted, use, request.id)
        self._ruled(wanted, facts, used)
        _, after = consent.consented(self.catalog, self.roster, request, facts, used, request.requester.id)
        self._put(after)

    def break_glass(self, person: Person, form: RequestForm, earlier: EarlierUses, now: float) -> None:
        """Take it at once; where an owner has to approve it first, it waits for one."""
        made, terms = break_glass_verdict.submission(self.catalog, self._actor(person), form, now)
        why = earlier.needs_owner
        if not why:
            earlier.check_times()
        if use := self._use(made.choice.roles, now):
            break_glass_verdict.check_use(use, made.actor, now, needs_owner=bool(why))
        event = break_glass_verdict.first_event(made, terms, why, now, self.consequence, self.can_extend)
        self._begin(event)

    def switch(self, person: Person, reason: str, duration: int | None, earlier: EarlierUses, now: float) -> None:
        """Take what waits for its approvers at once."""
        request, actor = self._made(), self._actor(person)
        if request.state is not State.PENDING or request.only_required:
            raise Overtaken(request)
        _require(glass.may_break_glass(self.catalog, self.roster, person, glass.refs(request)))
        _require(earlier.may_switch)
        earlier.check_times()
        if use := self._use(refs_of(request), now):
            break_glass_verdict.check_use(use, actor, now, needs_owner=False, pending=request.id)
        event = break_glass_verdict.switched(self.catalog, actor, request, reason, duration, now)
        self._put(lifecycle.advance(request, event))

    def approve(self, person: Person, now: float) -> None:
        """Somebody approves it."""
        request = self._reviewable(person, now)
        _require(authorization.may_still_request(self.catalog, self.roster, request, now))
        decision = ReviewDecision(verb=Verb.APPROVE)
        event = review.judge(self.catalog, self._actor(person), UnderReview(request, now, None), decision)
        if isinstance(event, Cancelled):
            self._cancelled(event)
        use = self._use(refs_of(request), now)
        if use and isinstance(event, Approved):
            use.check_approval(request, now)
        self._put(lifecycle.advance(request, event))

    def deny(self, person: Person, reason: str, now: float) -> None:
        """Somebody denies it."""
        request, decision = self._reviewable(person, now), ReviewDecision(verb=Verb.DENY, reason=reason)
        event = review.judge(self.catalog, self._actor(person), UnderReview(request, now, None), decision)
        if isinstance(event, Cancelled):
            self._cancelled(event)
        self._put(lifecycle.advance(request, event))

    def wait(self, until: float) -> None:
        """Let the time pass: steps escalate, and what nobody accepts or decides expires."""
        while self.request and self.request.state in {State.DRAFT, State.PENDING}:
            at = deadlines.due(self.request)
            event = deadlines.due_event(self.request, at) if at is not None and at <= until else None
            if event is None:
                return
            self._put(lifecycle.advance(self.request, event), keep=isinstance(event, RequestExpired))

    def missing(self, now: float) -> tuple[tuple[tuple[str, ...], int], ...]:
        """The approvals that it lacks, or lacked when it expired."""
        waits = self.request is not None and self.request.state in {State.PENDING, State.EXPIRED}
        if not waits or self._waited is None or self._waited.unseen:
            return ()
        return tuple(authorization.tally(self.catalog, self.roster, self._waited, now).missing.items())

    def _use(self, refs: tuple[RoleRef, ...], now: float) -> RoleUsage | None:
        if self.count is None:
            return None
        counted = self.count(scopes(self.catalog, refs), now)
        each = {name: StoredUsage(name, b"", usage, 0) for name, usage in counted.items()}
        return RoleUsage(self.catalog, refs, each)

    def _judged_on(self, facts: Circumstances, wanted: Wanted, use: RoleUsage | None, but: str = "") -> Circumstances:
        if use:
            facts = circumstances.with_counts(facts, use, wanted.requester, but)
        if self.tickets is None:
            return facts
        asked = circumstances.tickets_named(self.catalog, wanted)
        return facts.model_copy(update={"tickets": {each: each[1] in self.tickets for each in asked}})

    def _ruled(self, wanted: Wanted, facts: Circumstances, used: Mapping[str, int]) -> None:
        """Keep what each rule makes of it, those without effect too."""
        self.ruling = rules.judge(self.catalog, self.roster, wanted, facts, used, why=True)

    def _reviewable(self, person: Person, now: float) -> Request:
        request = self._made()
        if request.unseen and not authorization.is_party(request, person):
            raise NotFound(request.id)
        if not request.awaits_decision:
            raise Overtaken(request)
        if any(authorization.same(given.by, person) for given in request.reviews):
            raise AlreadyAnswered(request)
        _require(authorization.may_review(self.catalog, self.roster, request, person, now))
        return request

    def _cancelled(self, event: Cancelled) -> None:
        """Raises what whoever meant to do something reads then."""
        after = lifecycle.advance(self._made(), event)
        self._put(after)
        raise RoleChanged(after) if event.reason == consent.CHANGED else Overtaken(after)

    def _begin(self, event: Requested) -> None:
        self._put(lifecycle.begin(event.model_copy(update={"id": self.id}) if self.id else event))

    def _put(self, request: Request, *, keep: bool = False) -> None:
        self._waited = self._waited if keep else request
        self.request = request

    def _made(self) -> Request:
        if self.request is None:
            raise RuntimeError("nothing was requested yet")
        return self.request

    def _actor(self, person: Person) -> Actor:
        return Actor(person=person, roster=dict(self.roster), looked_up_now=True)


def judge(
    catalog: Catalog, attempt: Attempt, now: float, consequence: Consequence, can_extend: CanExtend
) -> CaseOutcome:
    """Request it or take it, have it accepted, and have each approver approve it."""
    trial = Trial(catalog, attempt.roster, consequence, can_extend, attempt.count, attempt.tickets)
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
    facts = attempt.facts or Circumstances(now=now, begins=attempt.form.starts_at or now)
    trial.submit(attempt.requester, attempt.form, facts, attempt.used)
    if attempt.accepted:
        trial.accept(facts, attempt.used)


def _require(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise NotAllowed(verdict)
