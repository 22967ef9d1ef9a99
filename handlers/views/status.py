"""What each state of a request is called and offers, one row a state; pure, and it decides nothing.

A view asks the row of a request's state and never switches over states itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.core.given_inputs import spelled
from bot.core.request import Request, State
from handlers.views import break_glass, buttons, cancelled, ended, parts
from handlers.views.extension import extension_status
from handlers.views.message import Needed
from handlers.views.text import (
    approvers,
    by_rule,
    clock,
    fitting,
    length,
    name,
    reviewer,
    safe,
    sensitivity,
    title,
    until,
    user,
    when,
)

Wording = Callable[[Request], str]
_ERRORS = 1_600
"""Characters of all errors of a request."""


def _approved(request: Request) -> str:
    """The decision, for whatever was approved."""
    duration = length(request.duration)
    if request.break_glass:
        then = ", and an owner reviews it" if request.lacks_review else ""
        return f"You used break-glass ({duration}); nobody approved it{then}."
    return (
        f"Approved ({duration}) by {by_rule(request.rule)}."
        if request.rule
        else f"{approvers(request)} approved ({duration})."
    )


def _whose(request: Request) -> str:
    return f"{name(request.requester)}, {title(request)}"


def _already(request: Request) -> str:
    return (
        "is already taken by break-glass" if request.break_glass else f"is already approved (by {approvers(request)})"
    )


def _verdict(request: Request) -> str:
    return "was taken by break-glass" if request.break_glass else f"was approved by {approvers(request)}"


def _no_buttons(_: Request) -> Sequence[Sequence[Any]]:
    return ()


def _no_own_buttons(_: Request, secret: bool) -> Sequence[Any]:  # noqa: ARG001  # a row's signature
    return ()


def _each(request: Request) -> int:
    """Characters for what is said of each role, so that there is room for all of them."""
    return min(ended.LONGEST_ERROR, _ERRORS // len(request.legs))


def _end_now(request: Request) -> Sequence[Sequence[Any]]:
    return [[*buttons.review(request), buttons.end_now(request)]]


def _review(request: Request) -> Sequence[Sequence[Any]]:
    return [row] if (row := buttons.review(request)) else ()


def _granting(request: Request) -> str:
    return f"{'break-glass' if request.break_glass else 'approved'}, granting access"


@dataclass(frozen=True)
class Status:
    """One state, as people meet it."""

    badge: Wording
    """Beneath the heading of the card."""
    details: Callable[[Request, Needed], list[str]]
    """The last lines of the card: who may approve, or what came of it."""
    label: Wording
    """In a line of a list."""
    clause: Wording
    """The end of a sentence that begins with the request's id."""
    decision: Wording = _approved
    """The decision, for the requester."""
    news: Wording = lambda _: ""
    """What follows from the decision, for the requester."""
    verdict: Wording = _verdict
    """The end of a sentence that tells approvers why there is nothing left to decide."""
    lock_screen: Wording = lambda request: f"{_whose(request)}: {label(request)}. {request.id}"
    """The text of the card's notification."""
    card_buttons: Callable[[Request], Sequence[Sequence[Any]]] = _no_buttons
    """On the card, for approvers and operators, row by row."""
    own_buttons: Callable[[Request, bool], Sequence[Any]] = _no_own_buttons
    """In lists, for the requester; the flag says whether there is a password to show."""
    dm_buttons: Callable[[Request, bool], Sequence[Any]] = _no_own_buttons
    """Beneath the direct message with the decision."""


def of(request: Request) -> Status:
    """The row of the request's state."""
    return STATUSES[request.state]


def label(request: Request) -> str:
    """The state in a few words of a list."""
    return of(request).label(request)


def clause(request: Request) -> str:
    """The state and who brought it about, as the end of a sentence that begins with the request's id."""
    return of(request).clause(request)


def _waits(request: Request, needed: Needed) -> list[str]:
    said = [*parts.waits(request, needed), *([needed.note] if needed.note else [])]
    return [*said, _once_approved(request)]


def _once_approved(request: Request) -> str:
    """What approving does. A card does not change as time passes, so it says the latest end, not this minute's."""
    lasts = min([request.duration, *(review.duration for review in request.reviews)])
    if request.starts_at:
        end = until(request.starts_at + lasts, request.starts_at + lasts - request.created_at)
        return f"If approved: access for {length(lasts)} from {when(request.starts_at)}, until about {end}."
    end = until(request.decide_by + lasts, request.decide_by + lasts - request.created_at)
    return f"If approved: access for {length(lasts)} right away, until about {end} at the latest."


def _pending_text(request: Request) -> str:
    """What a lock screen has room for: 150 characters, as they are read."""
    given = f" ({fitting(words, 20)})" if (words := spelled(request)) else ""
    what = f"{fitting(request.title, 25 if given else 40)}{given}"
    asked = f"{fitting(_person(request), 30)} requests {what} for {length(request.duration)}"
    if requested_by := request.requested_by:
        whom = f"for {fitting(_person(request), 20)}, {length(request.duration)}"
        asked = f"{fitting(requested_by.name or requested_by.email, 20)} requests {what} {whom}"
    level = sensitivity(request)
    loud = f"{level.capitalize()} risk: " if level in {"high", "critical"} else ""
    reason = fitting(request.reason, 30)
    said = reason if reason.endswith((".", "…", "?", "!")) else f"{reason}."
    return f"{loud}{asked}: {said} Decide by {clock(request.decide_by)}." if reason else f"{loud}{asked}."


def _person(request: Request) -> str:
    return request.requester.name or request.requester.email


_DRAFT = Status(
    badge=lambda request: f":hourglass_flowing_sand: waiting for {name(request.requester)} to accept",
    details=lambda request, _: [
        f"Approvers see it once {name(request.requester)} accepts. It expires {clock(request.waits_until)}."
    ],
    label=lambda request: f"waiting for {name(request.requester)} to accept, expires {clock(request.waits_until)}",
    clause=lambda request: f"is still waiting for {name(request.requester)} to accept it",
    own_buttons=lambda request, _: buttons.consent(request),
)

_PENDING = Status(
    badge=lambda _: ":hourglass_flowing_sand: waiting for approval",
    details=_waits,
    label=lambda request: f"waiting for approval, expires {clock(request.decide_by)}",
    clause=lambda _: "is still waiting for approval",
    lock_screen=_pending_text,
    card_buttons=buttons.decide,
    own_buttons=lambda request, _: [
        *buttons.answers(request),
        buttons.cancel(request),
        *buttons.break_glass(request),
    ],
)

_SCHEDULED = Status(
    badge=lambda request: f":alarm_clock: approved, starts {when(request.starts_at)}",
    details=lambda request, _: [f"Access starts {when(request.starts_at)}, after a final check."],
    label=lambda request: f"approved, starts {when(request.starts_at)}",
    clause=_already,
    news=lambda request: f"Access starts {when(request.starts_at)}, after a final check.",
    card_buttons=_end_now,
    own_buttons=lambda request, _: [buttons.cancel(request)],
    dm_buttons=lambda request, _: [buttons.cancel(request)],
)

_GRANTING = Status(
    badge=lambda request: f":gear: {_granting(request)}",
    details=lambda request, _: [
        *ended.errors(request, min(200, _each(request))),
        "Granting access.",
        *parts.progress(request),
    ],
    label=lambda request: break_glass.and_review(request, _granting(request)),
    clause=_already,
    news=lambda _: "Granting access.",
    card_buttons=_end_now,
    own_buttons=lambda request, _: [buttons.release(request, "primary")],
)


def _open(request: Request, needed: Needed) -> list[str]:
    said = f"Granted {clock(request.granted_at)}. Access ends {when(request.ends_at)}."
    return [said, extension_status(request, needed)] if request.extension else [said]


_ACTIVE = Status(
    badge=lambda request: f":unlock: active until {clock(request.ends_at)}",
    details=_open,
    label=lambda request: break_glass.and_review(request, f"active until {clock(request.ends_at)}"),
    clause=_already,
    news=lambda request: f"You have access until {when(request.ends_at)}.",
    lock_screen=lambda request: f"{name(request.requester)} has {title(request)} until {clock(request.ends_at)}.",
    card_buttons=lambda request: [row for row in (buttons.decide_extension(request), *_end_now(request)) if row],
    own_buttons=lambda request, secret: [
        *buttons.reveal(request, secret=secret),
        *buttons.extend(request),
        buttons.release(request, "primary"),
    ],
    dm_buttons=lambda request, secret: [*buttons.reveal(request, secret=secret), buttons.release(request)],
)

_REVOKING = Status(
    badge=lambda _: ":lock_with_ink_pen: ending",
    details=lambda request, _: [
        f"{ended.why(request)} Revoking access.",
        *parts.progress(request),
        *ended.errors(request, _each(request)),
    ],
    label=lambda _: "ending",
    clause=lambda _: "is already ending",
    news=ended.why_yours,
    card_buttons=_review,
)


def _denied_decision(request: Request) -> str:
    """The reason is what helps most; what to do next comes last."""
    by, why = reviewer(request.reviews[-1]), safe(request.reviews[-1].reason, 500)
    stop = "" if why.endswith((".", "!", "?")) else "."
    return f"{by} denied: {why}{stop} Answer that in a new request, or ask {name(request.reviews[-1].by)}."


_DENIED = Status(
    badge=lambda _: ":no_entry: denied",
    details=lambda *_: [],
    label=lambda request: f"denied by {user(request.closed_by)}: {fitting(request.reviews[-1].reason, 60)}",
    clause=lambda request: f"was denied by {user(request.closed_by)}",
    decision=_denied_decision,
    verdict=lambda request: f"was denied by {reviewer(request.reviews[-1])}",
)


_CANCELLED = Status(
    badge=lambda request: f":leftwards_arrow_with_hook: {cancelled.label(request)}",
    details=lambda request, _: cancelled.details(request),
    label=cancelled.label,
    clause=cancelled.clause,
    decision=cancelled.decision,
    verdict=lambda request: "was cancelled by the policy" if cancelled.is_by_policy(request) else "was cancelled",
)


def _lapsed_details(request: Request, _: Needed) -> list[str]:
    if request.unseen:
        return [f"{name(request.requester)} did not accept it by {clock(request.waits_until)}."]
    missed = f"Access could not start by {when(request.starts_at + request.start_grace)}."
    return [missed if request.approved_at else f"Nobody answered by {clock(request.decide_by)}."]


def _lapsed_decision(request: Request) -> str:
    if request.unseen:
        return "It was not accepted in time, so the request expired."
    if request.approved_at:
        return "Access could not start in time, so the request expired. No access was given."
    return "Nobody answered in time, so the request expired. Request again when an approver is around."


_LAPSED = Status(
    badge=lambda _: ":zzz: expired; no access was given",
    details=_lapsed_details,
    label=lambda _: "expired",
    clause=lambda request: f"expired at {clock(request.waits_until if request.unseen else request.decide_by)}",
    decision=_lapsed_decision,
    verdict=lambda _: "expired",
)

_FAILED = Status(
    badge=lambda _: ":warning: could not be granted; no access was given",
    details=lambda request, _: [
        f"Could not be granted: {parts.refused(request)}{safe(request.closed_reason)}",
        *parts.progress(request),
    ],
    label=lambda _: "could not be granted",
    clause=lambda _: "could not be granted",
    decision=lambda request: f"It could not be granted; no access was given: {safe(request.closed_reason)}.",
)


_ENDED = Status(
    badge=lambda _: ":lock: ended",
    details=lambda request, _: ended.details(request),
    label=lambda request: f"ended {when(request.closed_at)}",
    clause=lambda request: f"ended {when(request.closed_at)}",
    news=ended.why_yours,
)

_AWAITING_REVIEW = Status(
    badge=lambda _: ":rotating_light: ended, waiting for its review",
    details=lambda request, _: ended.details(request),
    label=lambda request: f"ended {when(request.closed_at)}, {break_glass.waits(request)}",
    clause=lambda request: f"ended {when(request.closed_at)}, and waits for its review",
    news=ended.why_yours,
    card_buttons=_review,
)

STATUSES: Mapping[State, Status] = MappingProxyType(
    {
        State.DRAFT: _DRAFT,
        State.PENDING: _PENDING,
        State.SCHEDULED: _SCHEDULED,
        State.GRANTING: _GRANTING,
        State.ACTIVE: _ACTIVE,
        State.REVOKING: _REVOKING,
        State.AWAITING_REVIEW: _AWAITING_REVIEW,
        State.DENIED: _DENIED,
        State.CANCELLED: _CANCELLED,
        State.EXPIRED: _LAPSED,
        State.FAILED: _FAILED,
        State.ENDED: _ENDED,
    }
)
"""Every state has a row: a new one is added here, in lifecycle.py and in request.py."""
