"""The state machine of a request, as one transition table. Pure: it reads no clock and calls nothing.

`advance` folds one event into a request and raises `IllegalEvent`, changing nothing, when the table has no
place for it. Folding a request's events from the first rebuilds the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bot.core.break_glass_events import BreakGlassUsed
from bot.core.events import ApprovedByRule, Drafted, Event, RecordRestored
from bot.core.happening import Happening, Requested
from bot.core.illegal_event import IllegalEvent
from bot.core.request import Leg, Request, State
from bot.core.transitions import apply, approve_by_rule, break_glass

TRANSITIONS: Mapping[State, Mapping[str, tuple[State, ...]]] = MappingProxyType(
    {
        State.DRAFT: {
            "consented": (State.PENDING, State.GRANTING, State.SCHEDULED),
            "cancelled": (State.CANCELLED,),
            "request_expired": (State.EXPIRED,),
        },
        State.PENDING: {
            "reminded": (State.PENDING,),
            "escalated": (State.PENDING,),
            "question_asked": (State.PENDING,),
            "question_answered": (State.PENDING,),
            "endorsed": (State.PENDING,),
            "approved": (State.GRANTING, State.SCHEDULED),
            "switched_to_break_glass": (State.GRANTING,),
            "denied": (State.DENIED,),
            "cancelled": (State.CANCELLED,),
            "request_expired": (State.EXPIRED,),
        },
        State.SCHEDULED: {
            "started": (State.GRANTING,),
            "ended_early": (State.CANCELLED,),
            "cancelled": (State.CANCELLED,),
            "request_expired": (State.EXPIRED,),
        },
        State.GRANTING: {
            "grant_attempted": (State.GRANTING,),
            "retried": (State.GRANTING,),
            "granted": (State.GRANTING, State.ACTIVE),
            "refused": (State.FAILED, State.REVOKING),
            "grant_uncertain": (State.REVOKING,),
            "ended_early": (State.REVOKING,),
            "break_glass_reviewed": (State.GRANTING,),
            "review_overdue": (State.GRANTING,),
        },
        State.ACTIVE: {
            "reveal_requested": (State.ACTIVE,),
            "revealed": (State.ACTIVE,),
            "warned": (State.ACTIVE,),
            "extension_requested": (State.ACTIVE,),
            "extension_endorsed": (State.ACTIVE,),
            "extension_approved": (State.ACTIVE,),
            "extension_denied": (State.ACTIVE,),
            "extension_retried": (State.ACTIVE,),
            "extension_failed": (State.ACTIVE,),
            "extended": (State.ACTIVE,),
            "ended_early": (State.REVOKING,),
            "access_expired": (State.REVOKING,),
            "break_glass_reviewed": (State.ACTIVE,),
            "review_overdue": (State.ACTIVE,),
        },
        State.REVOKING: {
            "retried": (State.REVOKING,),
            "revoked": (State.REVOKING, State.AWAITING_REVIEW, State.ENDED),
            "closed_manually": (State.AWAITING_REVIEW, State.ENDED),
            "break_glass_reviewed": (State.REVOKING,),
            "review_overdue": (State.REVOKING,),
        },
        State.AWAITING_REVIEW: {
            "break_glass_reviewed": (State.ENDED,),
            "review_overdue": (State.AWAITING_REVIEW,),
        },
        State.DENIED: {},
        State.CANCELLED: {},
        State.EXPIRED: {},
        State.FAILED: {},
        State.ENDED: {},
    }
)

BEGINNINGS: Mapping[str, tuple[State, ...]] = MappingProxyType(
    {
        "submitted": (State.PENDING,),
        "approved_by_rule": (State.GRANTING, State.SCHEDULED),
        "drafted": (State.DRAFT,),
        "break_glass_used": (State.GRANTING,),
    }
)
"""The events that a request begins with, and where they lead."""

OPEN = frozenset(state for state, events in TRANSITIONS.items() if events)
"""The states that something must still be done in: exactly those that have a due time."""

ANYWHERE = frozenset({"record_restored"})
"""The events that have a place in every state, the last ones too: they lead nowhere."""

EXPOSED = frozenset({State.DRAFT, State.PENDING, State.SCHEDULED, State.GRANTING, State.ACTIVE})
"""The states in which there is something to lose for whoever asked: what is open, or may still be opened."""


def begin(event: Requested) -> Request:
    """The request as it is first recorded."""
    request = Request(
        id=event.id,
        version=1,
        workspace=event.requester.workspace,
        requester=event.requester,
        requested_by=event.requested_by,
        what=event.what,
        title=event.title,
        reason=event.reason,
        asked=event.shortened.asked if event.shortened else event.duration,
        duration=event.duration,
        state=State.PENDING,
        legs=tuple(Leg(n=n, role=role) for n, role in enumerate(event.roles)),
        generation=event.generation,
        grant_budget=event.grant_budget,
        created_at=event.at,
        decide_by=event.decide_by,
        remind_at=event.remind_at,
        starts_at=event.starts_at,
        start_grace=event.start_grace,
        warn_before=event.warn_before,
        required_steps=event.required_steps,
        shortened=event.shortened,
        tickets=event.tickets,
        escalations=event.escalations,
        only_required=event.only_required,
        may_break_glass=event.may_break_glass,
        proof=event.proof,
    )
    if isinstance(event, ApprovedByRule):
        request = approve_by_rule(request, event)
    elif isinstance(event, Drafted):
        draft = {"state": State.DRAFT, "waits_for": event.waits_for, "waits_until": event.waits_until}
        request = request.model_copy(update=draft)
    elif isinstance(event, BreakGlassUsed):
        request = break_glass(request, event.break_glass)
    return request.model_copy(update={"lineage": _lineage("", event)})


def advance(request: Request, event: Event) -> Request:
    """The request after ``event``. Raises `IllegalEvent` when the table or the leg has no place for it."""
    if isinstance(event, RecordRestored):
        return _restored(request, event)
    allowed = TRANSITIONS[request.state].get(event.kind)
    if allowed is None:
        raise IllegalEvent(f"{request.id} is {request.state}: {event.kind} is not allowed in this state")
    after = apply(request, event)
    if after.state not in allowed:
        raise IllegalEvent(f"{request.id}: {event.kind} does not lead from {request.state} to {after.state}")
    return after.model_copy(update={"version": request.version + 1, "lineage": _lineage(request.lineage, event)})


def _restored(request: Request, event: RecordRestored) -> Request:
    if event.version <= request.version:
        raise IllegalEvent(f"{request.id} is at version {request.version}, and not recovered as {event.version}")
    lineage = _lineage(request.lineage, event)
    return request.model_copy(
        update={"version": event.version, "lineage": lineage, "recovered": request.recovered + 1, "reveal": None}
    )


def _lineage(before: str, event: Happening) -> str:
    """The lineage after an event, whoever wrote it; 96 bits, which nobody finds twice.

    Defaults are left out, so that a field that is added later changes no lineage of before.
    """
    said = event.model_dump_json(exclude_defaults=True, exclude={"via", "generation"})
    return hashlib.sha256(f"{before}\n{said}".encode()).hexdigest()[:24]


def fold(events: Iterable[Event]) -> Request:
    """The request that its events lead to, from the first (one of `BEGINNINGS`) to the last."""
    stream = iter(events)
    first = next(stream)
    if not isinstance(first, Requested):
        raise IllegalEvent(f"a request begins with {' or '.join(BEGINNINGS)}, not with {first.kind}")
    request = begin(first)
    for event in stream:
        request = advance(request, event)
    return request


def diagram() -> str:
    """The table as a Mermaid state diagram, for the README."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {target.name}: {kind}" for kind, targets in BEGINNINGS.items() for target in targets]
    for state, events in TRANSITIONS.items():
        for kind, targets in events.items():
            lines += [f"    {state.name} --> {target.name}: {kind}" for target in targets]
        if not events:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join(lines)
