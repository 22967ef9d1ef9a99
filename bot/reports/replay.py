"""Replays the requests of the archive by another policy: what would have become of each; it changes nothing.

A request is judged by the functions that judge real ones, step by step at its own times. Approvals, denials and reviews
that were given count where they would have counted. Who is in a Slack user group is as it is given; of one that is not
given nobody knows.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from bot.access import usage
from bot.access.context import CanExtend, Consequence
from bot.access.policy_case import CaseOutcome, Trial
from bot.access.submit import RequestForm
from bot.audit.archive import queries
from bot.audit.archive.archive import Archive
from bot.core import lifecycle
from bot.core.audit_chain import AuditEntry
from bot.core.break_glass_events import BreakGlassReviewed, BreakGlassUsed, SwitchedToBreakGlass
from bot.core.errors import JitError
from bot.core.events import EVENT, Approved, Consented, Denied, Endorsed, Event
from bot.core.happening import Requested
from bot.core.illegal_event import IllegalEvent
from bot.core.request import Person, State
from bot.core.rule_effects import CheckedTicket
from bot.core.usage import DAY
from bot.core.verdict import Members
from bot.policy import break_glass
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances
from bot.policy.rules import WINDOW
from bot.reports import replayed
from bot.reports.replay_ledger import ComparedRequest, ReplayLedger
from bot.reports.replayed import Fate, PastRequest, Replay, Replayed, ReviewFate

__all__ = ["Fate", "PastRequest", "Replay", "Replayed", "ReviewFate"]
"""What is imported above and asked for here too."""
_LATER = {kind for kinds in lifecycle.TRANSITIONS.values() for kind in kinds}
_KINDS = sorted({*lifecycle.BEGINNINGS, *_LATER, *lifecycle.ANYWHERE})
_BEFORE = 30 * DAY
"""Seconds before the span of which it is read what is live, was approved or denied, and is still to be reviewed."""


def replay(
    archive: Archive,
    workspace: str,
    catalog: Catalog,
    span: tuple[float, float],
    groups: Mapping[str, Sequence[str]],
    consequence: Consequence,
    can_extend: CanExtend,
) -> Replay:
    """The requests of a span, in Unix seconds. ``groups``: the identities in each user group. Raises `NoArchive`."""
    judge = _Judge(catalog, roster_of(catalog, groups), consequence, can_extend, span[0])
    for entry in queries.between(archive, workspace, span[0] - _reach(catalog), span[1], kinds=_KINDS):
        judge.read(entry)
    return Replay(tuple(judge.finished(span[1])), judge.unreadable)


def _reach(catalog: Catalog) -> float:
    """Seconds before the span that count for limits, rules and break-glass; none where nothing is counted."""
    roles = [role for system in catalog.systems.values() for role in system.roles.values()]
    if not catalog.counted_scopes and not any(role.break_glass for role in roles):
        return 0.0
    return max(_BEFORE, *(role.max for role in roles))


def roster_of(catalog: Catalog, groups: Mapping[str, Sequence[str]]) -> dict[str, Members]:
    """The members of each group, of user groups as they are given; of one that is not given nobody knows."""
    found: dict[str, Members] = {}
    for name, group in catalog.groups.items():
        known = group.is_listed or name in groups
        people = group.people if group.is_listed else groups.get(name, ())
        found[name] = Members(identities=frozenset(address.lower() for address in people), known=known)
    return found


@dataclass
class _Replaying:
    """A request of the span, and how far it came by the other policy."""

    past: PastRequest
    trial: Trial
    counted: ComparedRequest
    refused: JitError | None = None
    """Why it would not have been requested."""
    held: JitError | None = None
    """Why an approval that was given would not have counted, where a limit or a conflict says so."""
    review: ReviewFate | None = None
    """What would have become of a review by somebody who may not give it."""


@dataclass
class _Judge:
    """Judges each event in the order of time, and counts what comes of it."""

    catalog: Catalog
    roster: Mapping[str, Members]
    consequence: Consequence
    can_extend: CanExtend
    since: float
    unreadable: int = 0
    ledger: ReplayLedger = field(default_factory=ReplayLedger)
    _all: list[_Replaying] = field(default_factory=list)
    _latest: dict[str, _Replaying | ComparedRequest] = field(default_factory=dict)
    """What each id stands for; one of before the span is only counted."""
    _ruled: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each rule approved for each person."""

    def read(self, entry: AuditEntry) -> None:
        """One more event; an id that is drawn again begins another request."""
        try:
            event = EVENT.validate_json(entry.event)
        except ValidationError:
            self.unreadable += entry.kind in lifecycle.BEGINNINGS and entry.at >= self.since
            self._lose(entry.id)
            return
        if isinstance(event, Requested):
            self._latest[entry.id] = self._begun(event)
        elif known := self._latest.get(entry.id):
            counted = known if isinstance(known, ComparedRequest) else known.counted
            try:
                counted.record = lifecycle.advance(counted.record, event)
            except IllegalEvent:  # what came before it is missing
                self._lose(entry.id)
                return
            if isinstance(known, ComparedRequest):
                self._went(known, event)
            else:
                self._follow(known, event)

    def _lose(self, id_: str) -> None:
        """What happens to a request from here on cannot be read."""
        if known := self._latest.pop(id_, None):
            counted = known if isinstance(known, ComparedRequest) else known.counted
            counted.lost = True

    def _begun(self, event: Requested) -> _Replaying | ComparedRequest:
        counted = ComparedRequest(lifecycle.begin(event))
        if event.at < self.since:
            self.ledger.add(counted)
            self._went(counted, event)
            return counted
        trial = Trial(self.catalog, self.roster, self.consequence, self.can_extend, self.ledger.count, id=event.id)
        found = _Replaying(PastRequest(event), trial, counted)
        self._all.append(found)
        found.refused = self._tried(found, event.at, lambda: self._try(found, event))
        if counted.would:
            self.ledger.add(counted)
        return found

    def _went(self, counted: ComparedRequest, event: Event | Requested) -> None:
        """Count what happened before the span."""
        if isinstance(event, BreakGlassUsed | SwitchedToBreakGlass):
            self.ledger.taken(counted, event.at)
        elif isinstance(event, Denied):
            self.ledger.denied(counted.record, event.at)

    def _try(self, found: _Replaying, event: Requested) -> None:
        person, form = event.requester, self._form(event)
        if isinstance(event, BreakGlassUsed) or event.only_required:
            earlier = self.ledger.earlier_uses(person, event.at)
            found.trial.break_glass(person, form, earlier, event.at)
        else:
            circumstances = self._circumstances(event.at, event.starts_at, event.tickets)
            found.trial.submit(event.requested_by or person, form, circumstances, self._used(person, event.at))

    def _follow(self, found: _Replaying, event: Event) -> None:
        """What a later event would have come to; what the other policy refused stays refused."""
        past, trial, at = found.past, found.trial, event.at
        past.apply(event)
        if found.refused:
            return
        if past.took is None:  # once people have decided, nobody waits any more
            self._tried(found, at, lambda: None)
        person = found.counted.record.requester
        request = trial.request
        if isinstance(event, Consented) and request and request.is_draft:
            circumstances = self._circumstances(at, past.first.starts_at, event.tickets)
            found.refused = self._tried(found, at, lambda: trial.accept(circumstances, self._used(person, at)))
        elif isinstance(event, Endorsed | Approved | Denied):
            self._decide(found, event)
        elif isinstance(event, SwitchedToBreakGlass) and request and request.awaits_decision:
            earlier = self.ledger.earlier_uses(person, at)
            found.held = self._tried(found, at, lambda: trial.switch(person, event.reason, event.duration, earlier, at))
        elif isinstance(event, BreakGlassReviewed):
            found.review = self._not_theirs(found, event)

    def _decide(self, found: _Replaying, event: Endorsed | Approved | Denied) -> None:
        # Whose right it was counts: nobody stands in for anybody in a replay.
        who, at, trial = event.review.stands_in_for or event.review.by, event.at, found.trial
        if isinstance(event, Denied):
            self._tried(found, at, lambda: trial.deny(who, event.review.reason or "not given", at))
            return
        error = self._tried(found, at, lambda: trial.approve(who, at))
        if isinstance(error, usage.REFUSALS):
            found.held = error

    def _not_theirs(self, found: _Replaying, event: BreakGlassReviewed) -> ReviewFate | None:
        request = found.trial.request
        if request is None or request.break_glass is None:
            return None
        verdict = break_glass.may_review(self.catalog, self.roster, request, event.review.by, event.at)
        if verdict.allowed:
            return None
        return ReviewFate.UNKNOWN if verdict.unknown else ReviewFate.NOT_THEIRS

    def _tried(self, found: _Replaying, at: float, step: Callable[[], None]) -> JitError | None:
        """Let the time pass, take the step, and count what came of it; the error where it is refused."""
        trial, before = found.trial, found.trial.request
        error: JitError | None = None
        try:
            trial.wait(at)
            step()
        except JitError as refused:
            error = refused
        request = found.counted.would = trial.request
        if request and request.rule and not (before and before.rule):
            self._ruled[request.requester.identity, request.rule.key].append(at)
        if request and request.break_glass and not (before and before.break_glass):
            self.ledger.taken(found.counted, at)
        if request and request.state is State.DENIED and before and before.state is not State.DENIED:
            self.ledger.denied(request, at)
        return error

    def _form(self, event: Requested) -> RequestForm:
        """As it was filled in, without what the other policy does not ask for: its form has no field for that."""
        choice = self.catalog.find(event.what)
        asked = choice.inputs if choice else {}
        return RequestForm(
            what=event.what,
            duration=event.shortened.asked if event.shortened else event.duration,
            reason=event.reason,
            starts_at=event.starts_at,
            inputs={each.name: each.value for role in event.roles for each in role.inputs if each.name in asked},
            requested_for=event.requester if event.requested_by else None,
        )

    def _circumstances(self, at: float, starts_at: float, tickets: Sequence[CheckedTicket]) -> Circumstances:
        """What was known then, besides what is counted: what ticket systems said. Calendars are not replayed."""
        answers = {(each.check, each.ticket): each.exists for each in tickets}
        return Circumstances(now=at, begins=max(starts_at, at), tickets=answers)

    def _used(self, person: Person, at: float) -> dict[str, int]:
        return {
            rule.key: sum(at - WINDOW < when <= at for when in self._ruled[person.identity, rule.key])
            for rule in self.catalog.rules
        }

    # at the end of the span

    def finished(self, until: float) -> Iterator[Replayed]:
        """What became of each, the first one first."""
        waits: dict[str, list[float]] = defaultdict(list)
        for each in self._all:
            for review in each.past.reviews:
                waits[review.by.identity].append(review.at - each.past.asked_at)
        for each in self._all:
            yield self._finished(each, until, waits)

    def _finished(self, found: _Replaying, until: float, waits: Mapping[str, Sequence[float]]) -> Replayed:
        past, trial, record = found.past, found.trial, found.counted.record
        if past.took is None and not found.refused:
            self._tried(found, record.closed_at or until, lambda: None)
        request = trial.request
        lacks = () if found.refused or past.fate is Fate.CANCELLED else trial.missing(until)
        made = Replayed(
            past,
            replayed.fate(past, request, found.refused),
            CaseOutcome(found.refused, request, lacks, trial.ruling),
            held=found.held,
            reached=replayed.reached(request),
            was_reached=replayed.reached(record),
            review=found.review or replayed.review_of(record, request.break_glass if request else None, until),
            was_reviewed=replayed.review_of(record, record.break_glass, until),
        )
        if request and not found.refused and (at := replayed.decided_at(request)):
            took = at - past.asked_at
            return replace(made, held=None, took=took, longer=None if past.took is None else took - past.took)
        longer = self._estimated(past, lacks, waits) if made.fate is Fate.WAITS and not made.too_late else None
        return replace(made, longer=longer, estimated=longer is not None)

    def _estimated(
        self, past: PastRequest, lacks: Sequence[tuple[tuple[str, ...], int]], waits: Mapping[str, Sequence[float]]
    ) -> float | None:
        """By how much later the missing approvals may have come: as long as the slowest group takes, as the median."""
        if past.took is None:
            return None
        each = [self._median(groups, waits) for groups, _ in lacks]
        known = [wait for wait in each if wait is not None]
        return max(0.0, max(known) - past.took) if known and len(known) == len(each) else None

    def _median(self, groups: Sequence[str], waits: Mapping[str, Sequence[float]]) -> float | None:
        people = {who for group in groups if group in self.roster for who in self.roster[group].identities}
        found = [wait for who in people for wait in waits.get(who, ())]
        return statistics.median(found) if found else None
