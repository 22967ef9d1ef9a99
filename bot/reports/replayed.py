"""What a replay says of each request: how it went, and how it would have gone by another policy; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.access.policy_case import CaseOutcome
from bot.core.break_glass import BreakGlass
from bot.core.break_glass_events import BreakGlassUsed, SwitchedToBreakGlass
from bot.core.errors import CouldNotCheck, JitError, NotAllowed
from bot.core.events import Approved, ApprovedByRule, Cancelled, Consented, Denied, Drafted, Endorsed, Event
from bot.core.happening import Requested
from bot.core.request import Person, Request, Review, State


class Fate(StrEnum):
    """What became of a request, or would have."""

    BY_RULE = "approved-by-rule"
    """A rule approved it."""
    APPROVED = "approved"
    """People approved it."""
    BREAK_GLASS = "break-glass"
    """The requester took it at once."""
    DENIED = "denied"
    """An approver denied it."""
    WAITS = "asks"
    """Approvals are missing: nobody decided, or too few."""
    CONSENT = "awaits-consent"
    """The person whom somebody else requested it for did not accept it."""
    CANCELLED = "cancelled"
    """It was cancelled or declined before a decision."""
    REFUSED = "refused"
    """The policy has no place for it."""
    UNKNOWN = "unknown"
    """It depends on who is in a user group, which is not given, or on what rules ask, which is not known any more."""


class ReviewFate(StrEnum):
    """What became of the review of a break-glass access, or would have."""

    GIVEN = "given"
    """It was given in time."""
    LATE = "late"
    """It was given, and overdue by then."""
    NOT_THEIRS = "not-theirs"
    """Whoever gave it may not."""
    UNKNOWN = "unknown"
    """Whether whoever gave it may depends on who is in a user group, which is not given."""
    OVERDUE = "overdue"
    """It was never given, and is overdue."""
    OUTSTANDING = "outstanding"
    """It is not given yet, and has time."""


@dataclass
class PastRequest:
    """A request as the archive tells it.

    ``asked_at``: since when people could decide: since it was accepted, where somebody else requested it. ``took``:
    seconds from then until it was decided, None where it was not.
    """

    first: Requested
    reviews: list[Review] = field(default_factory=list)
    fate: Fate = Fate.WAITS
    took: float | None = None
    asked_at: float = 0.0

    def __post_init__(self) -> None:
        """How it begins."""
        self.asked_at = self.first.at
        if isinstance(self.first, ApprovedByRule | BreakGlassUsed):
            self.fate = Fate.BY_RULE if isinstance(self.first, ApprovedByRule) else Fate.BREAK_GLASS
            self.took = 0.0
        elif isinstance(self.first, Drafted):
            self.fate = Fate.CONSENT

    @property
    def parties(self) -> tuple[Person, ...]:
        """Who gets the access, and who requested it for them, where that is somebody else."""
        first = self.first
        return (first.requester, first.requested_by) if first.requested_by else (first.requester,)

    def apply(self, event: Event) -> None:
        """What happened next."""
        if isinstance(event, Consented):
            self.asked_at = event.at
            self.fate, self.took = (Fate.BY_RULE, 0.0) if event.rule else (Fate.WAITS, None)
        elif isinstance(event, Endorsed | Approved | Denied):
            self.reviews.append(event.review)
        if isinstance(event, Approved | Denied | SwitchedToBreakGlass):
            fates = {Approved: Fate.APPROVED, Denied: Fate.DENIED, SwitchedToBreakGlass: Fate.BREAK_GLASS}
            self.fate, self.took = fates[type(event)], event.at - self.asked_at
        elif isinstance(event, Cancelled) and self.took is None:
            self.fate = Fate.CANCELLED


@dataclass(frozen=True)
class Replayed:
    """A request, and what the other policy would have made of it.

    ``took``: seconds until the decision there would have been, by the decisions that were given; None without one.
    ``longer``: by how many seconds that is later than it was (negative: sooner). Where approvals are missing, it is
    estimated by how long the people of those groups took (``estimated``); None where nothing tells. ``held``: the limit
    or conflict by which approvals, or a use of break-glass, would not have counted. ``reached``: the groups that it
    escalated to, ``review``: what became of the review, each as it would have been; ``was_…``: as it was.
    """

    past: PastRequest
    fate: Fate
    outcome: CaseOutcome
    took: float | None = None
    longer: float | None = None
    estimated: bool = False
    held: JitError | None = None
    reached: tuple[str, ...] = ()
    was_reached: tuple[str, ...] = ()
    review: ReviewFate | None = None
    was_reviewed: ReviewFate | None = None

    @property
    def same(self) -> bool:
        """Whether it would have gone as it did."""
        if self.fate is not self.past.fate or self.longer or (self.fate is Fate.WAITS and self.past.took):
            return False
        return self.held is None and (self.reached, self.review) == (self.was_reached, self.was_reviewed)

    @property
    def too_late(self) -> bool:
        """Whether it would have expired before the decision that was given."""
        request = self.outcome.request
        return request is not None and request.state is State.EXPIRED and self.past.took is not None


@dataclass(frozen=True)
class Replay:
    """All of them, the first one first. ``unreadable``: requests that another version wrote, and this cannot read."""

    requests: tuple[Replayed, ...]
    unreadable: int


def fate(past: PastRequest, request: Request | None, refused: JitError | None) -> Fate:
    """What would have become of it. ``request``: as the decisions that were given would have left it."""
    if refused or request is None:
        unknown = isinstance(refused, CouldNotCheck) or (isinstance(refused, NotAllowed) and refused.verdict.unknown)
        return Fate.UNKNOWN if unknown else Fate.REFUSED
    if request.break_glass:
        return Fate.BREAK_GLASS
    if request.approved_at:
        return Fate.BY_RULE if request.rule else Fate.APPROVED
    if request.state is State.DENIED:
        return Fate.DENIED
    if past.fate is Fate.CANCELLED:
        return Fate.CANCELLED
    return Fate.CONSENT if request.unseen else Fate.WAITS


def decided_at(request: Request) -> float:
    """When it was decided, Unix seconds; 0 where it was not."""
    return request.closed_at if request.state is State.DENIED else request.approved_at


def reached(request: Request | None) -> tuple[str, ...]:
    """The groups that it escalated to."""
    escalations = request.escalations if request else ()
    return tuple(sorted({group for each in escalations if each.escalated_at for group in each.to}))


def review_of(record: Request, glass: BreakGlass | None, until: float) -> ReviewFate | None:
    """What became of the review, by when it is due; None where there is none to give."""
    if glass is None or record.break_glass is None:
        return None
    if given := record.break_glass.review:
        return ReviewFate.LATE if given.at > glass.review_by else ReviewFate.GIVEN
    if not record.lacks_review:
        return None
    return ReviewFate.OVERDUE if until >= glass.review_by else ReviewFate.OUTSTANDING
