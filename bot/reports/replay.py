"""Replays the requests of the archive by another policy: what would have become of each; it changes nothing.

A request is judged by the functions that judge real ones, at its own time. Approvals and denials that were given count
where they would have counted. Who is in a Slack user group is as it is given; of one that is not given nobody knows.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import ValidationError

from bot.access import policy_case
from bot.access.context import CanExtend, Consequence
from bot.access.policy_case import Attempt, CaseOutcome
from bot.access.submit import RequestForm
from bot.audit.archive import queries
from bot.audit.archive.archive import Archive
from bot.core.audit_chain import AuditEntry
from bot.core.errors import NotAllowed
from bot.core.events import (
    EVENT,
    Approved,
    ApprovedByRule,
    Cancelled,
    Consented,
    Denied,
    Drafted,
    Endorsed,
    RequestExpired,
    Submitted,
)
from bot.core.request import Person, Review, Verb
from bot.core.verdict import Members
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances
from bot.policy.rules import WINDOW

_KINDS = (
    *("submitted", "approved_by_rule", "drafted", "consented"),
    *("endorsed", "approved", "denied", "request_expired", "cancelled"),
)


class Fate(StrEnum):
    """What became of a request, or would have."""

    BY_RULE = "approved-by-rule"
    """A rule approved it."""
    APPROVED = "approved"
    """People approved it."""
    DENIED = "denied"
    """An approver denied it."""
    WAITS = "asks"
    """Approvals are missing: nobody decided, or too few."""
    CANCELLED = "cancelled"
    """The requester took it back undecided."""
    REFUSED = "refused"
    """The policy has no place for it."""
    UNKNOWN = "unknown"
    """It depends on who is in a user group, which is not given, or on what rules ask, which is not known any more."""


@dataclass
class PastRequest:
    """A request as the archive tells it. ``took``: seconds until it was decided, None where it was not."""

    first: Submitted | ApprovedByRule
    reviews: list[Review] = field(default_factory=list)
    fate: Fate = Fate.WAITS
    took: float | None = None


@dataclass(frozen=True)
class Replayed:
    """A request, and what the other policy would have made of it.

    ``took``: seconds until the decision there would have been, by the decisions that were given; None without one.
    ``longer``: by how many seconds that is later than it was (negative: sooner). Where approvals are missing, it is
    estimated by how long the people of those groups took (``estimated``); None where nothing tells.
    """

    past: PastRequest
    fate: Fate
    outcome: CaseOutcome
    took: float | None = None
    longer: float | None = None
    estimated: bool = False

    @property
    def same(self) -> bool:
        """Whether it would have gone as it did."""
        return self.fate is self.past.fate and not self.longer and not (self.fate is Fate.WAITS and self.past.took)


@dataclass(frozen=True)
class Replay:
    """All of them, the first one first. ``unreadable``: requests that another version wrote, and this cannot read."""

    requests: tuple[Replayed, ...]
    unreadable: int


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
    past, unreadable = _read(queries.between(archive, workspace, *span, kinds=_KINDS))
    judge = _Judge(catalog, roster_of(catalog, groups), consequence, can_extend)
    judge.learn(past)
    return Replay(tuple(judge.judged(each) for each in past), unreadable)


def _read(entries: Iterator[AuditEntry]) -> tuple[list[PastRequest], int]:
    """Each request that begins in the span; an id that is drawn again begins another."""
    found: list[PastRequest] = []
    latest: dict[str, PastRequest] = {}
    drafts: dict[str, Drafted] = {}
    unreadable = 0
    for entry in entries:
        try:
            event = EVENT.validate_json(entry.event)
        except ValidationError:
            unreadable += entry.kind in {"submitted", "approved_by_rule", "drafted"}
            latest.pop(entry.id, None)
            continue
        draft = drafts.pop(entry.id, None)
        if isinstance(event, Drafted):
            drafts[entry.id] = event
            continue
        if isinstance(event, Consented) and draft:
            event = _as_their_own(draft, event)
        if isinstance(event, Submitted | ApprovedByRule):
            ruled = isinstance(event, ApprovedByRule)
            past = PastRequest(event, fate=Fate.BY_RULE if ruled else Fate.WAITS, took=0.0 if ruled else None)
            found.append(past)
            latest[entry.id] = past
        elif known := latest.get(entry.id):
            _tell(known, event)
    return found, unreadable


def _as_their_own(draft: Drafted, accepted: Consented) -> Submitted | ApprovedByRule:
    """What somebody requested for another counts as that person's own, from when they accepted it."""
    given = {
        name: getattr(draft, name) for name in Submitted.model_fields if name not in {"kind", "by", "requested_by"}
    }
    then = ("at", "decide_by", "remind_at", "required_steps", "shortened", "tickets", "escalations")
    facts = given | {name: getattr(accepted, name) for name in then}
    if accepted.shortened:
        facts["duration"] = accepted.shortened.duration
    if accepted.rule:
        return ApprovedByRule(rule=accepted.rule, **facts)
    return Submitted(by=accepted.by, **facts)


def _tell(past: PastRequest, event: object) -> None:
    if isinstance(event, Endorsed | Approved | Denied):
        past.reviews.append(event.review)
    if isinstance(event, Approved | Denied):
        past.fate = Fate.APPROVED if isinstance(event, Approved) else Fate.DENIED
        past.took = event.at - past.first.at
    elif isinstance(event, Cancelled) and past.took is None:
        past.fate = Fate.CANCELLED
    elif isinstance(event, RequestExpired) and past.took is None:
        past.fate = Fate.WAITS


def roster_of(catalog: Catalog, groups: Mapping[str, Sequence[str]]) -> dict[str, Members]:
    """The members of each group, of user groups as they are given; of one that is not given nobody knows."""
    found: dict[str, Members] = {}
    for name, group in catalog.groups.items():
        known = group.is_listed or name in groups
        people = group.people if group.is_listed else groups.get(name, ())
        found[name] = Members(identities=frozenset(address.lower() for address in people), known=known)
    return found


@dataclass
class _Judge:
    """Judges one request after the other, and counts what rules approve."""

    catalog: Catalog
    roster: Mapping[str, Members]
    consequence: Consequence
    can_extend: CanExtend
    _ruled: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each rule approved for each person."""
    _denied: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each person was denied each role."""
    _waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long each person took to decide."""

    def learn(self, past: Sequence[PastRequest]) -> None:
        """How long each approver took, and who was denied what when, by the whole span."""
        for each in past:
            if each.fate is Fate.DENIED and each.took is not None:
                for role in each.first.roles:
                    name = f"{role.system}/{role.role}"
                    self._denied[each.first.requester.identity, name].append(each.first.at + each.took)
            for review in each.reviews:
                self._waits[review.by.identity].append(review.at - each.first.at)

    def judged(self, past: PastRequest) -> Replayed:
        at, requester = past.first.at, past.first.requester
        attempt = Attempt(requester, self.roster, self._form(past), self._used(requester, at), facts=self._facts(past))
        outcome = self._judge(attempt, at)
        if outcome.refused:
            unknown = isinstance(outcome.refused, NotAllowed) and outcome.refused.verdict.unknown
            return Replayed(past, Fate.UNKNOWN if unknown else Fate.REFUSED, outcome)
        if outcome.rule:
            self._ruled[requester.identity, outcome.rule.key].append(at)
            return Replayed(past, Fate.BY_RULE, outcome, 0.0, _later(0.0, past.took))
        return self._decided(past, attempt, outcome)

    def _decided(self, past: PastRequest, attempt: Attempt, outcome: CaseOutcome) -> Replayed:
        """What the decisions that were given would have come to."""
        at = past.first.at
        for review in past.reviews:
            # Whose right it was counts: nobody stands in for anybody in a replay.
            more = replace(attempt, approvers=(*attempt.approvers, review.stands_in_for or review.by))
            after = self._judge(more, review.at)
            if after.refused:
                continue  # by this policy it is not theirs to decide
            took = review.at - at
            if review.verb is Verb.DENY:
                return Replayed(past, Fate.DENIED, outcome, took, _later(took, past.took))
            attempt, outcome = more, after
            if not outcome.missing:
                return Replayed(past, Fate.APPROVED, outcome, took, _later(took, past.took))
        if past.fate is Fate.CANCELLED:
            return Replayed(past, Fate.CANCELLED, outcome)
        longer = self._estimated(past, outcome)
        return Replayed(past, Fate.WAITS, outcome, longer=longer, estimated=longer is not None)

    def _estimated(self, past: PastRequest, outcome: CaseOutcome) -> float | None:
        """By how much later the missing approvals may have come: as long as the slowest group takes, as the median."""
        if past.took is None:
            return None
        each = [self._median(groups) for groups, _ in outcome.missing]
        known = [wait for wait in each if wait is not None]
        return max(0.0, max(known) - past.took) if known and len(known) == len(each) else None

    def _median(self, groups: Sequence[str]) -> float | None:
        people = {who for group in groups if group in self.roster for who in self.roster[group].identities}
        waits = [wait for who in people for wait in self._waits.get(who, ())]
        return statistics.median(waits) if waits else None

    def _judge(self, attempt: Attempt, now: float) -> CaseOutcome:
        return policy_case.judge(self.catalog, attempt, now, self.consequence, self.can_extend)

    def _form(self, past: PastRequest) -> RequestForm:
        """As it was filled in, without what the other policy does not ask for: its form has no field for that."""
        first, choice = past.first, self.catalog.find(past.first.what)
        asked = choice.inputs if choice else {}
        return RequestForm(
            what=first.what,
            duration=first.duration,
            reason=first.reason,
            starts_at=first.starts_at,
            inputs={each.name: each.value for role in first.roles for each in role.inputs if each.name in asked},
        )

    def _facts(self, past: PastRequest) -> Circumstances:
        """What was known then: what ticket systems said, and denials of the span. Calendars are not replayed."""
        first, at = past.first, past.first.at
        names = [f"{role.system}/{role.role}" for role in first.roles]
        return Circumstances(
            now=at,
            begins=first.starts_at or at,
            denials={
                name: tuple(when for when in self._denied[first.requester.identity, name] if when < at)
                for name in names
            },
            tickets={(each.check, each.ticket): each.exists for each in first.tickets},
        )

    def _used(self, person: Person, at: float) -> dict[str, int]:
        return {
            rule.key: sum(at - WINDOW < when <= at for when in self._ruled[person.identity, rule.key])
            for rule in self.catalog.rules
        }


def _later(took: float, before: float | None) -> float | None:
    return None if before is None else took - before
