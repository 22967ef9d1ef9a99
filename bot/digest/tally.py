"""A day's events, told one after the other → counts, decisions, grants, trouble; pure, and it doubts what it reads.

An event that does not fit its request counts as one that could not be read, and moves nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bot.core import lifecycle
from bot.core.events import EVENT, Asked, ClosedByHand, Event, Granted, Revoked
from bot.core.model import Ending, Leg, LegState, Request, State
from bot.core.steps import MAY_STAND, IllegalEvent
from bot.record.seals import Entry

LATE = 60.0
"""Seconds after which a close is late: a minute for the call, the read-back, and a busy moment."""
RANKS = ("critical", "high", "medium", "low")
"""Sensitivities, the most harmful first."""
_DECIDED = frozenset({"approved", "denied"})
_LONGEST = 200


@dataclass(frozen=True)
class Decision:
    """How long one answer took. ``seconds`` from the asking."""

    id: str
    who: str
    what: str
    by: str
    seconds: float


@dataclass(frozen=True)
class Grant:
    """Access of one person by one request. ``ends_at``: when it was closed, or is to be; Unix seconds.

    ``sensitivity``: of its most sensitive role.
    """

    id: str
    who: str
    roles: tuple[str, ...]
    sensitivity: str
    opened_at: float
    ends_at: float
    closed: bool


@dataclass(frozen=True)
class Trouble:
    """A close that was ``late``, is ``stuck``, or is ``unverified``; ``seconds`` after it should have been."""

    kind: str
    id: str
    who: str
    roles: tuple[str, ...]
    seconds: float
    said: str


@dataclass
class Busy:
    """What went on on one system: requests asked for, roles opened and closed."""

    asked: int = 0
    opened: int = 0
    closed: int = 0


@dataclass
class Tally:
    """Gathers over [``since``, ``until``), Unix seconds. ``kinds`` counts events, ``notes`` those of no request."""

    since: float
    until: float
    kinds: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    policies: list[tuple[str, str]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    opened: list[Grant] = field(default_factory=list)
    standing: list[Grant] = field(default_factory=list)
    trouble: list[Trouble] = field(default_factory=list)
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    systems: dict[str, Busy] = field(default_factory=dict)
    unread: int = 0
    _due: float = field(default=0.0, init=False)

    def count(self, entry: Entry) -> None:
        """One event of the day, whatever it is about."""
        (self.kinds if entry.version else self.notes)[entry.kind] += 1
        if entry.version:
            return
        facts = _facts(entry)
        match entry.kind:
            case "refused":
                self.refused[_text(facts, "by"), _text(facts, "verb"), _text(facts, "about")] += 1
            case "found":
                self.found[_text(facts, "found")] += 1
            case "policy":
                self.policies.append((_text(facts, "was"), _text(facts, "now")))

    def tell(self, entries: Iterable[Entry]) -> None:
        """All events of one request until the end of the day, in order."""
        request: Request | None = None
        for entry in entries:
            if not entry.version:
                continue
            try:
                event = EVENT.validate_json(entry.event)
                after = lifecycle.begin(event) if isinstance(event, Asked) else _advanced(request, event)
            except (ValidationError, IllegalEvent):
                self.unread += self.since <= entry.at < self.until
                continue
            before = None if isinstance(event, Asked) else request
            self._due = _should_close(before, after, event, self._due)
            if self.since <= entry.at < self.until:
                self._saw(before, after, event)
            request = after
        if request:
            self._ended(request)

    def _saw(self, before: Request | None, after: Request, event: Event) -> None:
        if isinstance(event, Asked):
            for system in {leg.role.system for leg in after.legs}:
                self._busy(system).asked += 1
        if isinstance(event, Granted):
            self._busy(after.legs[event.leg].role.system).opened += 1
        if isinstance(event, Revoked):
            self._busy(after.legs[event.leg].role.system).closed += 1
        if event.kind in _DECIDED:
            self.decisions.append(_decision(after, event))
        if event.by == "policy" and event.kind in {"withdrawn", "cancelled"}:
            self.taken.append((after.id, after.asker.email, after.closed_reason))
        if after.state is State.ENDED and before and before.state is not State.ENDED:
            self._closed(before, after, event)

    def _closed(self, before: Request, after: Request, event: Event) -> None:
        late = event.at - self._due
        if isinstance(event, ClosedByHand):
            stood = [leg for leg in before.legs if leg.state in MAY_STAND]
            self.trouble.append(_trouble("unverified", after, stood, late, f"by {event.by}: {event.reason}"))
        elif late > LATE:
            self.trouble.append(_trouble("late", after, after.legs, late, _errors(before)))

    def _ended(self, request: Request) -> None:
        """How a request stands at the end of the day."""
        standing = [leg for leg in request.legs if leg.state in MAY_STAND and leg.attempts]
        if request.granted_at and self.since <= request.granted_at < self.until:
            self.opened.append(_grant(request, request.legs))
        if standing:
            self.standing.append(_grant(request, standing))
            due = self._due if request.state is State.REVOKING else request.ends_at
            if due and self.until - due > LATE:
                self.trouble.append(_trouble("stuck", request, standing, self.until - due, _errors(request)))

    def _busy(self, system: str) -> Busy:
        return self.systems.setdefault(system, Busy())


def _advanced(request: Request | None, event: Event) -> Request:
    if request is None:
        raise IllegalEvent(f"{event.kind} of a request that was never asked for")
    return lifecycle.advance(request, event)


def _should_close(before: Request | None, after: Request, event: Event, due: float) -> float:
    """From when on it should be closed: its end, or the moment at which it was taken away."""
    if before is None:
        return 0.0
    if after.state is not State.REVOKING or before.state is State.REVOKING:
        return due
    return after.ends_at if after.ending is Ending.EXPIRED else event.at


def _decision(after: Request, event: Event) -> Decision:
    by = after.reviews[-1].by.email if after.reviews else event.by
    return Decision(after.id, after.asker.email, after.title, by, max(0.0, event.at - after.created_at))


def _grant(request: Request, legs: Sequence[Leg]) -> Grant:
    closed = request.closed_at > 0
    return Grant(
        id=request.id,
        who=request.asker.email,
        roles=tuple(leg.role.name for leg in legs),
        sensitivity=min((leg.role.sensitivity for leg in legs), key=_rank),
        opened_at=request.granted_at or request.begun_at,
        ends_at=request.closed_at if closed else request.ends_at or request.not_after,
        closed=closed,
    )


def _trouble(kind: str, request: Request, legs: Sequence[Leg], seconds: float, said: str) -> Trouble:
    roles = tuple(leg.role.name for leg in legs)
    return Trouble(kind, request.id, request.asker.email, roles, max(0.0, seconds), said[:_LONGEST])


def _errors(request: Request) -> str:
    return "; ".join(leg.error for leg in request.legs if leg.error and leg.state is not LegState.CLOSED)


def _rank(sensitivity: str) -> int:
    return RANKS.index(sensitivity) if sensitivity in RANKS else 0


def rank(grant: Grant) -> int:
    """0 for the most sensitive."""
    return _rank(grant.sensitivity)


def _facts(entry: Entry) -> dict[str, Any]:
    try:
        found = json.loads(entry.event)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(facts: dict[str, Any], name: str) -> str:
    return str(facts.get(name, ""))[:_LONGEST]
