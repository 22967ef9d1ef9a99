"""Which audiences an event notifies; where that is and what they read is in handlers/notify/routing.py."""

from __future__ import annotations

import re

from bot.core.break_glass_events import ReviewOverdue
from bot.core.events import Endorsed, Event, ExtensionEndorsed, QuestionAnswered, QuestionAsked, Retried, Revoked
from bot.core.request import Ending, LegState, Request, State

CARD = "card"
"""The message in the channel of the first role's system, rendered whole.

Each other channel of the request has a card of its own, ``card:C0VAULT01``.
"""
THREAD = "thread:#"
"""A line in the first card's thread; ``#`` becomes the number of its audit event.

What calls on approvers is said beneath each card: ``thread@C0VAULT01:#`` for the others.
"""
DECIDED = "decided"
"""The requester's DM: a decision before anything was granted, and that an approved request starts later."""
GRANTED = "granted"
"""The requester's DM: access is granted, and how to connect."""
EXTENSION = "extension:#"
"""The requester's DM: what became of an extension."""
ENDING = "ending"
"""The requester's DM: access is about to end.

Each end has one of its own (``ending@2`` after the second extension), so that each end has its own warning.
"""
ENDED = "ended"
"""The requester's DM: what was approved could not be granted, or has ended."""
RECEIVED = "received"
"""The requester's DM of earlier versions: who can approve. It is posted no more; the answer in place says it."""
REVIEWED = "reviewed"
"""The requester's DM: what the review of their break-glass access found."""
BREAK_GLASS = "break_glass:#"
"""An alarm in the audit channel, which mentions the owners: break-glass was used, or its review is overdue."""
OWNERS = "owners"
"""The owners of a break-glass access, who each get a DM; it becomes a row of ``owner:U…`` for each of them."""
QUESTION = "question"
"""The requester's DM with a question of an approver's: one message a question (``question@2``), with its answer."""
CONSENT = "consent"
"""The DM to the person whom somebody else requests it for: whether they accept it."""
REQUESTED_BY = "filed"
"""The DM to who requested it for somebody else: whether that person accepted it."""
REQUESTED_BY_OUTCOME = "filed_outcome"
"""The DM to who requested it for somebody else: what became of it."""
ALARM = "alarm:#"
"""An alarm in the channel, a message of its own."""

CALLING = frozenset({"reminded", "escalated", "extension_requested"})
"""The events of which a line calls on approvers, beneath each card: on its own."""

CROWD = "crowd"
"""The summary card of a channel where more requests wait than have a card; it belongs to no request."""
AUDIT = "audit:#"
"""A line in the audit channel, about what was done at a terminal."""

_QUIET = frozenset({"grant_attempted", "reveal_requested", "revealed"})
_DECIDES = frozenset({"approved", "denied", "cancelled", "request_expired", "switched_to_break_glass"})
_FIRST_ALARM = 3
_UNGRANTED = frozenset({State.DENIED, State.CANCELLED, State.EXPIRED})
_OUTCOME_KINDS = frozenset({
    *("approved", "denied", "cancelled", "request_expired", "started", "granted", "refused", "grant_uncertain"),
    *("extended", "ended_early", "access_expired", "revoked", "closed_manually"),
})  # fmt: skip
"""The events after which what the person reads who requested it for somebody else is another."""
_CARD = re.compile(rf"{CARD}(?::[CG][A-Z0-9]{{1,30}})?", re.ASCII)


def cards(request: Request) -> tuple[str, ...]:
    """The audiences of its cards, one for each channel; the thread is beneath the first."""
    return (CARD, *(f"{CARD}:{channel}" for channel in request.channels[1:]))


def card_channel(request: Request, audience: str) -> str:
    """The channel of one of its cards; empty for what is none of them."""
    return dict(zip(cards(request), request.channels, strict=True)).get(audience, "")


def card_above(audience: str) -> str:
    """The card that a line of a thread is beneath; empty for what is no such line."""
    thread, at, channel = audience.partition(":")[0].partition("@")
    if thread != THREAD.partition(":")[0]:
        return ""
    return f"{CARD}:{channel}" if at else CARD


def is_card(audience: str) -> bool:
    """Whether a card may have this audience."""
    return _CARD.fullmatch(audience) is not None


def ending(extended: int) -> str:
    """The DM about the end that an access has after so many extensions."""
    return f"{ENDING}@{extended}" if extended else ENDING


def question(n: int) -> str:
    """The DM with question ``n``."""
    return f"{QUESTION}@{n}"


def which_question(audience: str) -> int | None:
    """The number of the question that a DM is about; None for what is no such DM."""
    kind, at, n = audience.partition("@")
    return int(n) if kind == QUESTION and at and n.isascii() and n.isdigit() and len(n) < 10 else None


def which_end(audience: str) -> int | None:
    """After how many extensions the end that a DM is about holds; None for what is no such DM."""
    kind, _, n = audience.partition("@")
    if kind != ENDING:
        return None
    return int(n) if n.isascii() and n.isdigit() and len(n) < 10 else 0


def notices(after: Request, event: Event) -> tuple[str, ...]:
    """The audiences of an event: of a DM to the requester, `is_news` says whether it is posted or only edited."""
    if event.kind in _QUIET:
        return ()
    if after.unseen:
        return _of_draft(event)
    if event.kind == "warned":
        return (ending(after.extended),)
    if isinstance(event, Retried):
        return (*cards(after), ALARM) if _alarming(after, event) else cards(after)
    if event.kind in {"extension_retried", "record_restored"}:
        return cards(after)
    if isinstance(event, ReviewOverdue) and event.days > 1:
        return cards(after)  # the digest says so once a day
    # An alarm is written before whatever tells the requester how to go on.
    alarms = _break_glass(after, event)
    dms = (*_dms(after, event), *_for_requested_by(after, event), *_questions(after, event))
    return (*alarms, *cards(after), *_thread(after, event), *dms, *_audit(event))


def is_news(request: Request, audience: str) -> bool:
    """Whether a DM that the requester does not have yet is worth a push now; one that they have is edited quietly.

    Nothing is that they did themself, nor what a later message says better: that access was granted, once it is over.
    """
    if audience in {CONSENT, REQUESTED_BY, REQUESTED_BY_OUTCOME}:
        return _is_news_for_two(request, audience)
    if request.unseen:
        return False
    if (end := which_end(audience)) is not None:
        return request.is_active and end == request.extended and _was_warned(request)
    if (n := which_question(audience)) is not None:
        asked = request.question(n)
        return request.awaits_decision and asked is not None and not asked.answered
    match audience.partition(":")[0]:
        case "decided":
            return _starts_later(request) or (_closed_by_another(request) and not request.approved_at)
        case "granted" | "extension":
            return request.is_active
        case "ended":
            return _closed_by_another(request) and bool(request.approved_at)
        case "reviewed":
            return request.break_glass is not None and request.break_glass.review is not None
        case "received":
            return False
        case _:
            return True


def _of_draft(event: Event) -> tuple[str, ...]:
    """Only the two whose request it is learn of a draft."""
    if event.kind == "drafted":
        return (CONSENT,)
    return (CONSENT, REQUESTED_BY) if event.kind in {"cancelled", "request_expired"} else ()


def _for_requested_by(after: Request, event: Event) -> tuple[str, ...]:
    """What the person who requested it for somebody else is told, and what is edited of it later."""
    if after.requested_by is None:
        return ()
    if event.kind == "consented":
        return (CONSENT, REQUESTED_BY)
    told = event.kind in _OUTCOME_KINDS and (
        event.kind not in {"granted", "revoked"} or after.is_active or after.is_over
    )
    return (REQUESTED_BY, REQUESTED_BY_OUTCOME) if told else ()


def _is_news_for_two(request: Request, audience: str) -> bool:
    """Whether a DM about a request for somebody else is worth a push now."""
    if audience == CONSENT:
        return request.is_draft
    if request.requested_by is None or (request.is_over and request.closed_by == request.requested_by.id):
        return False
    if audience == REQUESTED_BY:
        return (request.unseen and request.is_over) or request.state in {State.PENDING, State.SCHEDULED}
    failed = request.ending in {Ending.REFUSED, Ending.UNCERTAIN}
    return not request.unseen and (request.is_active or failed or request.state in _UNGRANTED)


def _starts_later(request: Request) -> bool:
    """Whether people approved it for a later start: who asks learns of a rule's approval in the same moment."""
    return request.state is State.SCHEDULED and request.rule is None


def _closed_by_another(request: Request) -> bool:
    return (request.is_closing or request.is_over) and request.closed_by != request.requester.id


def _was_warned(request: Request) -> bool:
    return request.warn_before > 0 and not request.warn_at


def _thread(after: Request, event: Event) -> tuple[str, ...]:
    if event.kind == "submitted" or (event.kind == "consented" and not after.rule):
        return ()
    if event.kind == "granted" and after.state is not State.ACTIVE:
        return ()
    if isinstance(event, Revoked) and after.is_closing:
        return ()
    return (THREAD, *(f"thread@{channel}:#" for channel in after.channels[1:] if _calls_on(after, event, channel)))


def _calls_on(after: Request, event: Event, channel: str) -> bool:
    """Whether a line calls on the approvers of the card in that channel: on all of them, or on those of a new step."""
    if isinstance(event, Endorsed | ExtensionEndorsed):
        return any(leg.role.name in event.opened and leg.role.channel == channel for leg in after.legs)
    return event.kind in CALLING


def _break_glass(after: Request, event: Event) -> tuple[str, ...]:
    """Whom break-glass alarms; the owners' messages are edited once it is reviewed, or its access ends."""
    if event.kind in {"break_glass_used", "switched_to_break_glass", "review_overdue"}:
        return (BREAK_GLASS, OWNERS)
    edits = event.kind in {"break_glass_reviewed", "ended_early", "access_expired", "refused", "grant_uncertain"}
    return (OWNERS,) if edits and after.break_glass else ()


def _audit(event: Event) -> tuple[str, ...]:
    by_hand = event.by.startswith("cli:") and event.kind in {"ended_early", "closed_manually"}
    return (AUDIT,) if by_hand else ()


def _questions(after: Request, event: Event) -> tuple[str, ...]:
    """A question rings; its answer, and the decision that leaves it unanswered, edit that message."""
    if isinstance(event, QuestionAsked):
        return (question(event.question.n),)
    if isinstance(event, QuestionAnswered):
        return (question(event.n),)
    decided = event.kind in _DECIDES
    return tuple(question(each.n) for each in after.questions if decided and not each.answered)


def _dms(after: Request, event: Event) -> tuple[str, ...]:
    """The requester's DMs that an event posts or edits, in the order in which they read them."""
    warning = ending(after.extended)
    match event.kind:
        case "approved" | "approved_by_rule" | "consented":
            return (DECIDED,) if after.state is State.SCHEDULED else ()
        case "denied" | "request_expired" | "cancelled":
            return (DECIDED, ENDED) if after.approved_at else (DECIDED,)
        case "started":
            return (DECIDED,)
        case "break_glass_reviewed":
            return (REVIEWED,)
        case "granted":
            return (GRANTED,) if after.is_active else ()
        case "extension_requested" | "extension_approved":
            return (warning,)
        case "extension_denied" | "extension_failed":
            return (EXTENSION, warning)
        case "extended":
            return (GRANTED, EXTENSION, ending(after.extended - 1))
        case "refused" | "grant_uncertain":
            return (ENDED,)
        case "ended_early" if after.is_over:
            return (DECIDED, ENDED)
        case "ended_early" | "access_expired":
            return (GRANTED, ENDED)
        case "revoked" if not after.is_over:
            return ()
        case "revoked" | "closed_manually":
            return (GRANTED, warning, ENDED)
        case _:
            return ()


def _alarming(after: Request, event: Retried) -> bool:
    """A failing revoke raises an alarm at its third failure, then each time that the count has doubled."""
    leg = after.legs[event.leg]
    if leg.state is not LegState.REVOKING or not event.failed or leg.tries < _FIRST_ALARM:
        return False
    return (leg.tries // _FIRST_ALARM) & (leg.tries // _FIRST_ALARM - 1) == 0 and leg.tries % _FIRST_ALARM == 0
