"""The model: people, role snapshots, requests and their legs; values only, without decisions."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from bot.core.break_glass import BreakGlass
from bot.core.escalation import Escalation
from bot.core.frozen import Frozen, ProviderData
from bot.core.person import Person
from bot.core.proof import Proof
from bot.core.questions import ApproverQuestion
from bot.core.reviews import ByRule, Review, Verb
from bot.core.role_snapshot import RoleSnapshot
from bot.core.rule_effects import CheckedTicket, RequiredStep, Shortened

__all__ = ["ApproverQuestion", "ByRule", "Person", "RequiredStep", "Review", "Verb"]
"""What is imported above and asked for here too."""

ID_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0, O, 1 and I, which are confused when an id is read aloud."""
ID_PATTERN = rf"^J-[{ID_ALPHABET}]{{4,8}}$"
REASON_LIMIT = 500
"""The most characters of a reason; a longer one is refused, never cut."""

QUESTION_LIMIT = 300
"""Characters of a question to the requester, and of its answer."""
MOST_QUESTIONS = 5
"""How many questions there can be about one request."""


class State(StrEnum):
    """The state of a request. The transitions are in lifecycle.py."""

    DRAFT = "draft"
    """Waits for what has to come before approvers see it: that the person whom it is for accepts it."""
    PENDING = "pending"
    """Waits for its approvers."""
    SCHEDULED = "scheduled"
    """Approved; its start is still to come."""
    GRANTING = "granting"
    """Approved; the worker grants its legs."""
    ACTIVE = "active"
    """All legs are granted in the real systems."""
    REVOKING = "revoking"
    """Being revoked; it stays here until each leg is verified as revoked."""
    AWAITING_REVIEW = "awaiting_review"
    """Break-glass access that has ended, verified as revoked; only its review is outstanding."""
    DENIED = "denied"
    """An approver denied it."""
    CANCELLED = "cancelled"
    """Cancelled by the requester or by who requested it for them, before anything was granted; or by the policy."""
    EXPIRED = "expired"
    """Nobody decided in time."""
    FAILED = "failed"
    """A provider refused, and no access was given."""
    ENDED = "ended"
    """Was granted, or may have been; verified as revoked."""


class DraftWait(StrEnum):
    """What a draft waits for."""

    CONSENT = "consent"
    """Somebody else requested it: the person whom it is for has to accept it."""


class LegState(StrEnum):
    """The state of one leg; the request's state follows from its legs."""

    WAITING = "waiting"
    """Its request is not decided."""
    GRANTING = "granting"
    """To be granted, or being granted."""
    ACTIVE = "active"
    """Granted."""
    REVOKING = "revoking"
    """To be revoked, or being revoked."""
    CLOSED = "closed"
    """Verified as revoked."""
    UNOPENED = "unopened"
    """Never granted: refused, or not begun when another leg failed."""


class Ending(StrEnum):
    """Why granted access ends."""

    EXPIRED = "expired"
    """Its time is up."""
    RELEASED = "released"
    """The requester ended it early."""
    REVOKED = "revoked"
    """Somebody entitled ended it early."""
    REFUSED = "refused"
    """A provider refused one of its legs."""
    UNCERTAIN = "grant_uncertain"
    """A provider gave no definite answer within the grant budget."""


class Reveal(Frozen):
    """The requester's demand to see a secret, in a modal that they have open.

    ``leg``: of which role; None for the first that has one.
    """

    view: str
    at: float
    leg: int | None = None
    proof: Proof | None = None


class ExtensionState(StrEnum):
    """The state of an extension."""

    PENDING = "pending"
    """Waits for its approvers; if nobody decides, access ends as planned."""
    EXTENDING = "extending"
    """Approved; the worker extends it in the systems."""
    DONE = "done"
    """The systems have the new end."""
    DENIED = "denied"
    """An approver denied it."""
    FAILED = "failed"
    """A system refused, or cannot do it: access ends as planned."""


class Extension(Frozen):
    """The latest extension, with reviews of its own. ``until``: the end that is requested, Unix seconds."""

    n: int
    until: float
    reason: str
    at: float
    state: ExtensionState = ExtensionState.PENDING
    reviews: tuple[Review, ...] = ()
    tries: int = 0
    retry_at: float = 0
    error: str = ""
    required_steps: tuple[RequiredStep, ...] = ()
    """What it needs beside the steps of its roles; those of the request itself do not count here."""
    proof: Proof | None = None
    """How the requester proved that it is them; None where the policy asked for no proof."""

    @property
    def undone(self) -> bool:
        """Whether it is still to be decided, or to be applied to the systems."""
        return self.state in {ExtensionState.PENDING, ExtensionState.EXTENDING}


class Leg(Frozen):
    """One role within a request. Times are Unix seconds of the store's clock.

    ``in_flight_until``: a grant call whose answer is unknown may still land until then.
    ``tries`` counts failures of the present phase, ``error`` is the last one's sentence.
    """

    n: int
    role: RoleSnapshot
    state: LegState = LegState.WAITING
    subject: ProviderData | None = None
    target: str = ""
    prior: ProviderData | None = None
    receipt: ProviderData | None = None
    connect: str = ""
    """How to connect, as the provider says after the grant; empty where it says nothing."""
    entitlements: tuple[str, ...] = ()
    attempts: int = 0
    in_flight_until: float = 0
    tries: int = 0
    retry_at: float = 0
    error: str = ""
    outcome: ProviderData | None = None
    refused: str = ""
    """Why its provider definitely refused to grant it; the other legs were ended for that."""


class Request(Frozen):
    """A request of access for one person, the ``requester``, and what followed. ``version`` counts its events."""

    id: str = Field(pattern=ID_PATTERN)
    version: int
    workspace: str
    requester: Person
    requested_by: Person | None = None
    """Who requested it for the requester; None where they did themself."""
    waits_for: DraftWait | None = None
    """What it waits for as a draft; it stays where the draft ended without it: approvers never saw that request."""
    waits_until: float = 0
    """When a draft expires."""
    consented_at: float = 0
    """When the person whom somebody else requested it for accepted it."""
    consent_proof: Proof | None = None
    """How they proved then that it is them."""
    proof: Proof | None = None
    """How whoever requested it, or took it by break-glass later, proved that it is them; None where none was asked."""
    what: str
    title: str
    reason: str
    asked: int
    """Seconds that were requested; a shorter time that the requester asked for with an answer takes their place."""
    duration: int
    """Seconds that will be granted: the shortest of the counted approvals."""
    state: State
    legs: tuple[Leg, ...]
    reviews: tuple[Review, ...] = ()
    questions: tuple[ApproverQuestion, ...] = ()
    """What approvers asked the requester, in order."""
    rule: ByRule | None = None
    """What approved it where no person did."""
    required_steps: tuple[RequiredStep, ...] = ()
    """What it needs beside the steps of its roles."""
    only_required: bool = False
    """Whether it needs these in place of the steps of its roles."""
    shortened: Shortened | None = None
    """The rule that made it shorter than it was requested."""
    tickets: tuple[CheckedTicket, ...] = ()
    """What ticket systems said of the tickets that it names."""
    escalations: tuple[Escalation, ...] = ()
    """Which of its steps escalate, or did; an extension has none."""
    may_break_glass: bool = False
    """Whether the requester could use break-glass for it when they requested it."""
    break_glass: BreakGlass | None = None
    """Set where the requester took access at once, without approval; with its review once there is one."""
    generation: str
    grant_budget: int
    created_at: float
    decide_by: float
    remind_at: float = 0
    """When approvers are reminded, once; 0 for never, or already done."""
    starts_at: float = 0
    """When access is to start; 0 for right away."""
    start_grace: int = 0
    """Seconds by which a start may be missed; after that the request expires."""
    approved_at: float = 0
    begun_at: float = 0
    """When granting began: the grant budget counts from here."""
    opened_at: float = 0
    """When the first leg was granted: a cap counts from here."""
    granted_at: float = 0
    """When the last leg was granted: the duration counts from here."""
    not_after: float = 0
    ends_at: float = 0
    warn_before: int = 0
    """Seconds before the end at which the requester is warned, at most a quarter of the time; 0 for never."""
    warn_at: float = 0
    """When the requester is warned of the end, once; 0 for never, or already done."""
    extension: Extension | None = None
    extended: int = 0
    """How often it was extended; each end has a warning of its own."""
    ending: Ending | None = None
    closed_by: str = ""
    """Who ended, denied or cancelled it: a Slack user id, or ``clock``, ``worker``, ``policy``."""
    closed_reason: str = ""
    closed_at: float = 0
    reveal: Reveal | None = None
    lineage: str = ""
    """A hash of all events so far: two records whose events differ have different ones (see lifecycle.py)."""
    recovered: int = 0
    """How often its record was restored from its events."""

    def order_id(self, n: int) -> str:
        """The order id of leg ``n``, by which a provider knows it."""
        return f"{self.id}.{n}"

    @property
    def is_draft(self) -> bool:
        """Whether something has to come before approvers see it."""
        return self.state is State.DRAFT

    @property
    def unseen(self) -> bool:
        """Whether approvers never saw it: a draft, or one that ended as a draft."""
        return self.waits_for is not None

    @property
    def parties(self) -> tuple[Person, ...]:
        """Whose request it is: who gets the access, and who requested it for them. Neither counts as an approver."""
        return (self.requester, self.requested_by) if self.requested_by else (self.requester,)

    @property
    def awaits_decision(self) -> bool:
        """Whether approvers have yet to decide about the request itself."""
        return self.state is State.PENDING

    def question(self, n: int) -> ApproverQuestion | None:
        """A question by its number."""
        return self.questions[n - 1] if 0 < n <= len(self.questions) else None

    @property
    def reason_changes(self) -> int:
        """How often the requester changed the reason with an answer: an approval says which reason it is for by it."""
        return sum(question.reason_change is not None for question in self.questions)

    @property
    def awaits_extension(self) -> bool:
        """Whether approvers have yet to decide about its extension."""
        extension = self.extension
        return self.is_active and extension is not None and extension.state is ExtensionState.PENDING

    @property
    def is_active(self) -> bool:
        """Whether all of its access is granted, and none of it is being revoked."""
        return self.state is State.ACTIVE

    @property
    def is_live(self) -> bool:
        """Whether access is granted, or is being granted."""
        return self.state in {State.GRANTING, State.ACTIVE}

    @property
    def is_closing(self) -> bool:
        """Whether its access is being revoked."""
        return self.state is State.REVOKING

    @property
    def is_over(self) -> bool:
        """Whether its access is over for good, or was never given; of break-glass, the review may be outstanding."""
        return self.state in _OVER

    @property
    def lacks_review(self) -> bool:
        """Whether it was break-glass, access was or may have been given, and nobody has reviewed it."""
        glass = self.break_glass
        return glass is not None and glass.review is None and self.state in _REVIEWABLE

    @property
    def channel(self) -> str:
        """The channel of its first card and its thread: that of its first role's system."""
        return self.legs[0].role.channel

    @property
    def channels(self) -> tuple[str, ...]:
        """Where it has a card, the first one first: the channel of each role's system."""
        return tuple(dict.fromkeys(leg.role.channel for leg in self.legs))


_OVER = frozenset({State.DENIED, State.CANCELLED, State.EXPIRED, State.FAILED, State.ENDED, State.AWAITING_REVIEW})
_REVIEWABLE = frozenset({State.GRANTING, State.ACTIVE, State.REVOKING, State.AWAITING_REVIEW})
