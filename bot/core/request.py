"""The nouns: people, roles as they were asked for, requests, legs; values only, they decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ID_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0 O 1 I: an id is read aloud at night."""
ID_PATTERN = rf"^J-[{ID_ALPHABET}]{{4,8}}$"
REASON_LIMIT = 500
"""Characters of a reason that are kept; a longer one is refused, never cut."""

QUESTION_LIMIT = 300
"""Characters of a question to the requester, and of its answer."""
MOST_QUESTIONS = 5
"""How many questions there can be about one request."""

Facts = Mapping[str, Any]
"""A provider's own words (prior, receipt, outcome), opaque here."""


class Frozen(BaseModel):
    """An immutable value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class State(StrEnum):
    """Where a request stands. What leads from one to the next is in lifecycle.py."""

    PENDING = "pending"
    """Waits for its approvers."""
    SCHEDULED = "scheduled"
    """Approved, for a start that is still to come."""
    GRANTING = "granting"
    """Approved; the worker opens its legs."""
    ACTIVE = "active"
    """Open in the real systems, all legs."""
    REVOKING = "revoking"
    """Being closed; stays here until each leg was read back as closed."""
    DENIED = "denied"
    """Someone entitled said no."""
    CANCELLED = "cancelled"
    """Taken back by the requester before anything was opened, or void since the role changed."""
    EXPIRED = "expired"
    """Nobody decided in time."""
    FAILED = "failed"
    """A provider refused and nothing stands."""
    ENDED = "ended"
    """Was open, or may have been; is read back as closed."""


class LegState(StrEnum):
    """Where one leg stands; the request's state follows from its legs."""

    WAITING = "waiting"
    """Its request is not decided."""
    GRANTING = "granting"
    """To be opened, or being opened."""
    ACTIVE = "active"
    """Open."""
    REVOKING = "revoking"
    """To be closed, or being closed."""
    CLOSED = "closed"
    """Read back as closed."""
    UNOPENED = "unopened"
    """Never opened: refused, or not begun when another leg failed."""


class Ending(StrEnum):
    """Why an opened request closes."""

    EXPIRED = "expired"
    """Its time was up."""
    RELEASED = "released"
    """The requester gave it back."""
    REVOKED = "revoked"
    """Someone entitled took it away."""
    REFUSED = "refused"
    """A provider refused one of its legs."""
    DOUBTED = "grant_uncertain"
    """A provider gave no certain answer within the grant budget."""


class Person(Frozen):
    """Who acts. ``identity`` is what tells people apart: the bound e-mail address (see identity.py)."""

    workspace: str
    id: str
    identity: str
    email: str
    name: str = ""
    tz: str = "UTC"


class RoleSnapshot(Frozen):
    """A role as it was asked for; ``digest`` tells whether the policy changed it since. ``cap`` in seconds."""

    system: str
    role: str
    title: str
    channel: str
    provider: str
    params: Facts
    sensitivity: str
    cap: int
    consequence: str
    digest: str
    can_extend: bool = False
    """Whether its provider can have a later end."""

    @property
    def name(self) -> str:
        """``system/role``, as people type it."""
        return f"{self.system}/{self.role}"


class Verb(StrEnum):
    """What a reviewer can answer."""

    APPROVE = "approve"
    """Yes, perhaps for less time."""
    DENY = "deny"
    """No, with a reason."""


class ByRule(Frozen):
    """The rule of the policy that approved a request at once, as it stood then. ``at_most`` in seconds.

    ``n``: its place in the policy, from 1; ``key`` names its conditions, whatever its place. ``used``: which of the
    ``budget`` approvals of the last 24 hours this one is.
    """

    n: int
    key: str
    sensitivity: str
    requester_in: tuple[str, ...] = ()
    at_most: int
    what: tuple[str, ...] = ()
    used: int
    budget: int


class Review(Frozen):
    """One answer. ``duration`` (seconds) is at most what was asked for."""

    verb: Verb
    by: Person
    at: float
    duration: int
    reason: str = ""


class ApproverQuestion(Frozen):
    """What an approver asks the requester before a decision; ``n`` counts from 1. The answer is empty until given."""

    n: int
    by: Person
    text: str
    at: float
    answer: str = ""
    answered_at: float = 0


class Reveal(Frozen):
    """The requester's wish to see the secret in a modal that is open before them."""

    view: str
    at: float


class ExtensionState(StrEnum):
    """Where the wish for a later end stands."""

    PENDING = "pending"
    """Waits for its approvers; if nobody decides, access closes at the end that it has."""
    EXTENDING = "extending"
    """Approved; the worker has the systems told."""
    DONE = "done"
    """The systems know the new end."""
    DENIED = "denied"
    """Someone entitled said no."""
    FAILED = "failed"
    """A system refused, or cannot do it: the end stays as it was."""


class Extension(Frozen):
    """The last wish for a later end, with answers of its own. ``until``: the end that is wished for, Unix seconds."""

    n: int
    until: float
    reason: str
    at: float
    state: ExtensionState = ExtensionState.PENDING
    reviews: tuple[Review, ...] = ()
    tries: int = 0
    retry_at: float = 0
    error: str = ""

    @property
    def undone(self) -> bool:
        """Whether it is still to be decided, or to be told to the systems."""
        return self.state in {ExtensionState.PENDING, ExtensionState.EXTENDING}


class Leg(Frozen):
    """One role within a request. Times are Unix seconds of the store's clock.

    ``in_flight_until``: a grant call whose answer is unknown may still land until then.
    ``tries`` counts failures of the present phase, ``error`` is the last one's sentence.
    """

    n: int
    role: RoleSnapshot
    state: LegState = LegState.WAITING
    subject: Facts | None = None
    target: str = ""
    prior: Facts | None = None
    receipt: Facts | None = None
    connect: str = ""
    """How the requester gets in, as the provider told when it was opened; empty where it told nothing."""
    entitlements: tuple[str, ...] = ()
    attempts: int = 0
    in_flight_until: float = 0
    tries: int = 0
    retry_at: float = 0
    error: str = ""
    outcome: Facts | None = None


class Request(Frozen):
    """One person asking for themself, and all that became of it. ``version`` counts its events."""

    id: str = Field(pattern=ID_PATTERN)
    version: int
    workspace: str
    requester: Person
    what: str
    title: str
    reason: str
    asked: int
    """Seconds asked for."""
    duration: int
    """Seconds that will be granted: the least of the counted answers."""
    state: State
    legs: tuple[Leg, ...]
    reviews: tuple[Review, ...] = ()
    questions: tuple[ApproverQuestion, ...] = ()
    """What approvers asked the requester, in order."""
    rule: ByRule | None = None
    """What approved it where no person did."""
    generation: str
    grant_budget: int
    created_at: float
    decide_by: float
    remind_at: float = 0
    """When those who decide are reminded, once; 0 when they are not, or were."""
    starts_at: float = 0
    """When access is to start; 0 for at once."""
    start_grace: int = 0
    """Seconds by which a start may be missed; after that the request lapses."""
    approved_at: float = 0
    begun_at: float = 0
    """When opening began: the grant budget counts from here."""
    opened_at: float = 0
    """When the first leg was opened: a cap counts from here."""
    granted_at: float = 0
    """When the last leg was opened: the clock that people see starts here."""
    not_after: float = 0
    ends_at: float = 0
    warn_before: int = 0
    """Seconds before the end at which the requester is warned, at most a quarter of the time; 0 for never."""
    warn_at: float = 0
    """When the requester is warned of the end, once; 0 when they are not, or were."""
    extension: Extension | None = None
    extended: int = 0
    """How many times its end was moved; each end has a warning of its own."""
    ending: Ending | None = None
    closed_by: str = ""
    """Who ended, denied or cancelled it: a Slack user id, or ``clock``, ``worker``, ``policy``."""
    closed_reason: str = ""
    closed_at: float = 0
    reveal: Reveal | None = None
    lineage: str = ""
    """Stands for all events so far: two records that differ in one of them differ in this (see lifecycle.py)."""
    recovered: int = 0
    """How often its record was written again after it had been lost, forged or put back."""

    def order_id(self, n: int) -> str:
        """The name under which a provider knows leg ``n``."""
        return f"{self.id}.{n}"

    @property
    def awaits_decision(self) -> bool:
        """Whether approvers have yet to decide about the request itself."""
        return self.state is State.PENDING

    def question(self, n: int) -> ApproverQuestion | None:
        """A question by its number."""
        return self.questions[n - 1] if 0 < n <= len(self.questions) else None

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
        """Whether nothing can happen to it any more."""
        return self.state in {State.DENIED, State.CANCELLED, State.EXPIRED, State.FAILED, State.ENDED}

    @property
    def channel(self) -> str:
        """Where its card stands: the channel of its first role's system."""
        return self.legs[0].role.channel
