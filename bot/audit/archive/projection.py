"""What an audit event is about, and what it changes about who holds what; pure, and it doubts what it reads.

An event that does not fit its request is kept and found like any other: it only moves nobody's holdings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from bot.core import lifecycle
from bot.core.audit_chain import AuditEntry
from bot.core.break_glass import BreakGlassReview
from bot.core.events import EVENT, Event, QuestionAsked
from bot.core.happening import Requested
from bot.core.illegal_event import IllegalEvent
from bot.core.lifecycle import ANYWHERE, BEGINNINGS, TRANSITIONS
from bot.core.proof import Proof
from bot.core.request import ID_PATTERN, LegState, Person, Request, Review
from bot.core.transitions import LEG_MAY_HAVE_ACCESS

_NOBODY = frozenset({"clock", "worker", "policy"})
_LONGEST = 200
NOTES = (
    "refused",
    "alarm",
    "loss",
    "found",
    "reconciled",
    "policy",
    "read",
    "digest",
    "remind_asked",
    "offboarding_confirmed",
    "unbound",
    "person_bound",
    "address_changed",
    "terminal_bound",
    "terminal_unbound",
    "locked_down",
    "lift_voted",
    "lifted",
    "lockdown_doubted",
    "archive_adopted",
    "sink_back",
    "snoozed",
    "insight",
    "set_aside",
    "policy_file_good",
    "delegated",
    "delegation_ended",
    "group_members",
    "factor_offered",
    "factor_offer_used",
    "factor_offer_failed",
    "factor_enrolled",
    "factor_failed",
    "factor_locked",
    "factor_reset_proposed",
    "factor_reset",
)
"""The kinds of events that change no request."""
KINDS = frozenset({*BEGINNINGS, *ANYWHERE, *(kind for kinds in TRANSITIONS.values() for kind in kinds), *NOTES})
"""Every kind of event."""


@dataclass(frozen=True)
class Holding:
    """One role that one person had, or may have had. Unix seconds; None for what did not happen (yet).

    ``tried_at``: the call that opens it was about to be made. ``opened_at``: it was proved open. ``closed_at``: it
    was verified as revoked, or ``how`` says what else ended it.
    """

    id: str
    born: int
    leg: int
    user: str
    identity: str
    system: str
    role: str
    tried_at: float
    opened_at: float | None = None
    closed_at: float | None = None
    how: str = ""


@dataclass(frozen=True)
class Life:
    """A request as its events so far tell of it. ``born``: the number of the event that began it (ids may recur)."""

    born: int
    request: Request
    holdings: tuple[Holding, ...] = ()
    """What its legs held, or may have held, so far."""


@dataclass
class Projected:
    """What one event says: the words by which it is found, the people it names, and its request afterwards."""

    words: set[str]
    people: set[tuple[str, str]] = field(default_factory=set)
    life: Life | None = None


def project(entry: AuditEntry, life: Life | None) -> Projected:
    """Read an event; ``life`` is its request as it was before."""
    told = Projected({word("kind", entry.kind)}, life=life)
    if not entry.version:
        _note(entry, told)
        return told
    try:
        event = EVENT.validate_json(entry.event)
    except ValidationError:
        return _about(told)
    told.life = _advanced(entry, event, life)
    for person in _people(event):
        told.people.add((person.identity[:_LONGEST], person.id[:_LONGEST]))
        told.words.add(word("person", person.id))
    if event.by not in _NOBODY:
        told.words.add(word("person", event.by))
    return _about(told)


def about(entry: AuditEntry) -> str:
    """Whose life an event belongs to, or only mentions: a request's id, or ''."""
    return entry.id or _plain(str(fields(entry).get("about", "")))


def by(entry: AuditEntry) -> str:
    """Who did it, as the event says; '' where it does not."""
    return str(fields(entry).get("by", ""))


def proof(entry: AuditEntry) -> Proof | None:
    """With what whoever did it confirmed that it is them, and when; None where the event says nothing of it."""
    said = fields(entry)
    parts = (said, *(said.get(name) for name in ("review", "extension", "reveal")))
    found = next((part["proof"] for part in parts if isinstance(part, dict) and part.get("proof")), None)
    try:
        return Proof.model_validate(found) if found else None
    except ValidationError:
        return None


def word(what: str, name: str) -> str:
    """The word under which an event is found; ``what`` is person, system, role, kind, or request for a note of one."""
    return f"{what}:{_plain(name)}"


def held(holding: Holding, at: float) -> bool:
    """Whether it was open, or may have been, at a moment."""
    return holding.tried_at <= at and (holding.closed_at is None or holding.closed_at > at)


def _plain(text: str) -> str:
    """At most 200 characters that any database takes."""
    return text[:_LONGEST].encode(errors="replace").decode().replace("\0", "?")


def _about(told: Projected) -> Projected:
    if told.life:
        request = told.life.request
        told.words |= {word("person", person.id) for person in request.parties}
        told.words |= {word("system", leg.role.system) for leg in request.legs}
        told.words |= {word("role", leg.role.name) for leg in request.legs}
    return told


def _note(entry: AuditEntry, told: Projected) -> None:
    """A refusal, a read, an alarm: it changes no request, and may be about one or about a role."""
    said = fields(entry)
    by, what = said.get("by"), said.get("about")
    for who in (by, said.get("person"), said.get("stand_in")):
        if isinstance(who, str) and who and who not in _NOBODY:
            told.words.add(word("person", who))
    if isinstance(what, str) and re.match(ID_PATTERN, what):
        told.words.add(word("request", what))
    if told.life:
        _about(told)
    elif isinstance(what, str) and "/" in what:
        told.words |= {word("role", what), word("system", what.partition("/")[0])}


def fields(entry: AuditEntry) -> dict[str, Any]:
    """What the event says, field by field; nothing of what is no object."""
    try:
        found = json.loads(entry.event)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _people(event: Event) -> Iterator[Person]:
    """Whoever the event names by more than an id: who asks, and who answers."""
    if isinstance(event, Requested):
        yield event.requester
        if event.requested_by:
            yield event.requested_by
    review = getattr(event, "review", None)
    if isinstance(review, Review | BreakGlassReview):
        yield review.by
    if isinstance(review, Review) and review.stands_in_for:
        yield review.stands_in_for
    if isinstance(event, QuestionAsked):
        yield event.question.by


def _advanced(entry: AuditEntry, event: Event, life: Life | None) -> Life | None:
    if isinstance(event, Requested):
        if event.id != entry.id or entry.version != 1:
            return life
        if life and event.at <= life.request.created_at:
            # A new life begins later than the one before it; this one was told already.
            return life
        return Life(entry.seq, lifecycle.begin(event))
    if life is None:
        return None
    try:
        after = lifecycle.advance(life.request, event)
    except IllegalEvent:
        return life
    if after.version != entry.version:
        # Of a record that was put back and went another way: what this one says is not what became of the request.
        return life
    return Life(life.born, after, _changed(life, after, event))


def _changed(life: Life, after: Request, event: Event) -> tuple[Holding, ...]:
    """The holdings, with what this event did to them; those that ended before stay as they are."""
    found = {holding.leg: holding for holding in life.holdings}
    for before, leg in zip(life.request.legs, after.legs, strict=True):
        stands = leg.state in LEG_MAY_HAVE_ACCESS
        holding = found.get(leg.n)
        if holding is None and stands and leg.attempts:
            requester = after.requester
            holding = Holding(
                after.id, life.born, leg.n, requester.id, requester.identity, leg.role.system, leg.role.role, event.at
            )
        if holding is None:
            continue
        if leg.state is LegState.ACTIVE and before.state is not LegState.ACTIVE:
            holding = replace(holding, opened_at=event.at)
        if not stands and holding.closed_at is None:
            holding = replace(holding, closed_at=event.at, how=event.kind)
        found[leg.n] = holding
    return tuple(found.values())
