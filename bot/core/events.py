"""What can happen to a request, in the past tense; an event carries all a replay needs and decides nothing.

``at`` is Unix seconds of the store's clock; ``by`` a Slack user id, ``cli:<user>@<host>``, or one of ``clock``,
``worker``, ``policy``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bot.core.break_glass_events import (
    BreakGlassReviewed,
    BreakGlassUsed,
    ReviewOverdue,
    SwitchedToBreakGlass,
)
from bot.core.escalation import Escalation
from bot.core.extension_events import (
    Extended,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionEndorsed,
    ExtensionFailed,
    ExtensionRequested,
    ExtensionRetried,
)
from bot.core.frozen import ProviderData
from bot.core.happening import Happening, Requested
from bot.core.proof import Proof
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import (
    ApproverQuestion,
    ByRule,
    DraftWait,
    Ending,
    RequiredStep,
    Reveal,
    Review,
)
from bot.core.rule_effects import CheckedTicket, Shortened

__all__ = [
    "Extended",
    "ExtensionApproved",
    "ExtensionDenied",
    "ExtensionEndorsed",
    "ExtensionFailed",
    "ExtensionRequested",
    "ExtensionRetried",
]
"""What is imported above and asked for here too."""


class Submitted(Requested):
    """Asked for; people decide."""

    kind: Literal["submitted"] = "submitted"


class ApprovedByRule(Requested):
    """Asked for, and approved in the same moment by a rule of the policy that ``generation`` names."""

    kind: Literal["approved_by_rule"] = "approved_by_rule"
    by: str = "policy"
    rule: ByRule


class Drafted(Requested):
    """Asked for; something has to come before approvers see it."""

    kind: Literal["drafted"] = "drafted"
    waits_for: DraftWait
    waits_until: float


class Consented(Happening):
    """The person whom somebody else requested it for accepts; approvers decide now, or ``rule`` has."""

    kind: Literal["consented"] = "consented"
    decide_by: float
    remind_at: float = 0
    rule: ByRule | None = None
    required_steps: tuple[RequiredStep, ...] = ()
    shortened: Shortened | None = None
    tickets: tuple[CheckedTicket, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    proof: Proof | None = None


class Reminded(Happening):
    """Approvers are reminded, by default after half of the time to decide."""

    kind: Literal["reminded"] = "reminded"
    by: str = "clock"


class Escalated(Happening):
    """Nobody filled a step in time, and the people that it escalates to may approve it, too. ``step`` counts from 1."""

    kind: Literal["escalated"] = "escalated"
    by: str = "clock"
    role: str
    step: int


class QuestionAsked(Happening):
    """An approver asks the requester something before a decision."""

    kind: Literal["question_asked"] = "question_asked"
    question: ApproverQuestion


class QuestionAnswered(Happening):
    """The requester answers question ``n``, and may change the reason and shorten the time with it.

    ``answer`` is empty where a change alone is the answer. A change alters no deadline, no reminder and no required
    step: who has to approve stays as it was judged when it was requested.
    """

    kind: Literal["question_answered"] = "question_answered"
    n: int
    answer: str
    reason_change: ReasonChange | None = None
    duration_change: DurationChange | None = None


class Endorsed(Happening):
    """One answer more, and more are needed.

    ``opened``: the roles whose next step can be answered from here on; ``escalations``: all of the request's, from here
    on.
    """

    kind: Literal["endorsed"] = "endorsed"
    review: Review
    opened: tuple[str, ...] = ()
    escalations: tuple[Escalation, ...] = ()


class Approved(Happening):
    """The last answer that was needed. ``duration`` is the least of those counted."""

    kind: Literal["approved"] = "approved"
    review: Review
    duration: int


class Denied(Happening):
    """One entitled person said no."""

    kind: Literal["denied"] = "denied"
    review: Review


class Cancelled(Happening):
    """Cancelled before it was granted, declined by the person it is for, or no longer allowed (``by`` ``policy``)."""

    kind: Literal["cancelled"] = "cancelled"
    reason: str = ""


class Started(Happening):
    """The start has come, and it was judged again: it may be opened."""

    kind: Literal["started"] = "started"
    by: str = "clock"


class RequestExpired(Happening):
    """Nobody decided in time, or the start was missed."""

    kind: Literal["request_expired"] = "request_expired"
    by: str = "clock"


class GrantAttempted(Happening):
    """A grant call is about to be made; what stood before it is known from here on."""

    kind: Literal["grant_attempted"] = "grant_attempted"
    leg: int
    subject: ProviderData
    target: str
    prior: ProviderData
    entitlements: tuple[str, ...] = ()
    in_flight_until: float


class Retried(Happening):
    """A call did not do; another follows. ``failed`` is False while a slow call is only waited for."""

    kind: Literal["retried"] = "retried"
    leg: int
    error: str
    retry_at: float
    failed: bool = True


class Granted(Happening):
    """The provider opened a leg and proved it."""

    kind: Literal["granted"] = "granted"
    leg: int
    receipt: ProviderData
    connect: str = ""


class GrantRefused(Happening):
    """A definite no of the provider."""

    kind: Literal["refused"] = "refused"
    leg: int
    error: str


class GrantUncertain(Happening):
    """The grant budget ran out without a certain answer."""

    kind: Literal["grant_uncertain"] = "grant_uncertain"
    error: str


class EndedEarly(Happening):
    """Given back by the requester, or taken away by someone entitled."""

    kind: Literal["ended_early"] = "ended_early"
    ending: Literal[Ending.RELEASED, Ending.REVOKED]
    reason: str = ""


class Warned(Happening):
    """The end is near, and the requester is told."""

    kind: Literal["warned"] = "warned"
    by: str = "clock"


class AccessExpired(Happening):
    """Its time was up."""

    kind: Literal["access_expired"] = "access_expired"
    by: str = "clock"


class RevealRequested(Happening):
    """The requester has a modal open in which the secret is to be shown."""

    kind: Literal["reveal_requested"] = "reveal_requested"
    reveal: Reveal


class Revealed(Happening):
    """A new secret was made and handed over, or could not be (``error``)."""

    kind: Literal["revealed"] = "revealed"
    error: str = ""


class Revoked(Happening):
    """A leg was verified as revoked; ``outcome`` is the proof."""

    kind: Literal["revoked"] = "revoked"
    leg: int
    outcome: ProviderData


class ClosedManually(Happening):
    """An operator takes the rest on themself: nothing was read back. ``by`` is ``cli:<user>@<host>``."""

    kind: Literal["closed_manually"] = "closed_manually"
    reason: str


class RecordRestored(Happening):
    """Its record was missing, forged or older than what is known, and is written again as it is known to be.

    It changes nothing of the request but ``version``, which is past that of whatever stood in its place.
    """

    kind: Literal["record_restored"] = "record_restored"
    version: int


Event = Annotated[
    Submitted
    | ApprovedByRule
    | Drafted
    | Consented
    | BreakGlassUsed
    | SwitchedToBreakGlass
    | BreakGlassReviewed
    | ReviewOverdue
    | Reminded
    | Escalated
    | QuestionAsked
    | QuestionAnswered
    | Endorsed
    | Approved
    | Denied
    | Cancelled
    | Started
    | RequestExpired
    | GrantAttempted
    | Retried
    | Granted
    | GrantRefused
    | GrantUncertain
    | EndedEarly
    | Warned
    | ExtensionRequested
    | ExtensionEndorsed
    | ExtensionApproved
    | ExtensionDenied
    | ExtensionRetried
    | ExtensionFailed
    | Extended
    | AccessExpired
    | RevealRequested
    | Revealed
    | Revoked
    | ClosedManually
    | RecordRestored,
    Field(discriminator="kind"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads any event from its JSON."""
