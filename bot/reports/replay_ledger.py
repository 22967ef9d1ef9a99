"""What a replay counts at a time: which access is live, was approved or denied lately, and how break-glass was used.

Of requests that are replayed it counts what the other policy would have made of them; of those before, what happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.access.break_glass_verdict import EarlierUses
from bot.core.request import Person, Request, State
from bot.core.usage import WEEK, PastDenial, Usage, UsageEntry, concerns, is_live, names, usage_entry
from bot.policy import break_glass
from bot.policy.rules import WINDOW

_NEVER = frozenset({State.DENIED, State.CANCELLED, State.EXPIRED})


@dataclass
class ComparedRequest:
    """A request. ``record``: as it really went so far; ``would``: by the other policy, None where it is of before.

    ``lost``: whether what happened to it next cannot be read: nobody knows whether it still has a place.
    """

    record: Request
    would: Request | None = None
    lost: bool = False

    def entry(self, scope: str, now: float) -> UsageEntry | None:
        """What it counts for a role or system; None for a draft, or for what the other policy never gives a place."""
        if self.lost:
            return None
        if self.would is None:
            return None if self.record.is_draft else usage_entry(self.record, scope)
        if self.would.is_draft or self.would.state in _NEVER:
            return None
        approved_at = self.would.approved_at
        used = usage_entry(self.record, scope)
        return used.model_copy(update={"approved_at": approved_at, "live": self._live(scope, approved_at, now)})

    def _live(self, scope: str, approved_at: float, now: float) -> bool:
        """Until it really ended; where it was never really approved, for as long as it was to last."""
        record, would = self.record, self.would
        if approved_at and would and not record.approved_at and record.is_over:
            return now < max(would.starts_at, approved_at) + would.duration
        return is_live(record, scope) if concerns(record, scope) else not record.is_over

    @property
    def break_glass(self) -> Request | None:
        """The request with its use of break-glass and the review of it; None where it has none."""
        if self.would is None or self.would.break_glass is None:
            return self.record if self.would is None and self.record.break_glass else None
        really = self.record.break_glass
        if really is None:  # nobody was asked to review it
            return None
        glass = self.would.break_glass.model_copy(update={"review": really.review})
        return self.record.model_copy(update={"break_glass": glass})


@dataclass
class ReplayLedger:
    """All that was counted so far, asked in the order of time."""

    _open: dict[str, list[ComparedRequest]] = field(default_factory=lambda: defaultdict(list))
    """Those that may still change, by role and system."""
    _over: dict[str, list[UsageEntry]] = field(default_factory=lambda: defaultdict(list))
    """Those that were approved lately and are over."""
    _denials: dict[str, list[PastDenial]] = field(default_factory=lambda: defaultdict(list))
    _glass: dict[str, list[ComparedRequest]] = field(default_factory=lambda: defaultdict(list))
    """What was taken by break-glass, by person."""
    _times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each person did so."""

    def add(self, counted: ComparedRequest) -> None:
        """Count a request from now on."""
        for scope in _scopes(counted.would or counted.record):
            self._open[scope].append(counted)

    def taken(self, counted: ComparedRequest, at: float) -> None:
        """Somebody used break-glass."""
        who = counted.record.requester.identity
        self._glass[who].append(counted)
        self._times[who].append(at)

    def denied(self, request: Request, at: float) -> None:
        """An approver denied it."""
        who = request.requester
        for scope in _scopes(request):
            self._denials[scope].append(PastDenial(id=request.id, by=who.id, identity=who.identity, at=at))

    def count(self, scopes: Iterable[str], now: float) -> Mapping[str, Usage]:
        """The use of each of these roles and systems."""
        return {
            scope: Usage.model_construct(uses=self._uses(scope, now), denials=tuple(self._denials[scope]))
            for scope in scopes
        }

    def earlier_uses(self, person: Person, now: float) -> EarlierUses:
        """How this person used break-glass before."""
        requests = [each for counted in self._glass[person.identity] if (each := counted.break_glass)]
        overdue = break_glass.overdue(requests, now)
        uses = sum(at > now - WINDOW for at in self._times[person.identity])
        return EarlierUses(overdue.id if overdue else "", uses)

    def _uses(self, scope: str, now: float) -> tuple[UsageEntry, ...]:
        still, found, over = list[ComparedRequest](), list[UsageEntry](), self._over[scope]
        for each in self._open[scope]:
            entry = each.entry(scope, now)
            if not each.record.is_over or (entry and entry.live):
                still.append(each)
                found += [entry] if entry else []
            elif entry and entry.approved_at:
                over.append(entry)
        self._open[scope] = still
        self._over[scope] = over = [each for each in over if each.approved_at > now - WEEK]
        return (*over, *found)


def _scopes(request: Request) -> Iterable[str]:
    return dict.fromkeys(name for leg in request.legs for name in names(leg.role.system, leg.role.role))
