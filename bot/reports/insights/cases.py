"""Requests as the rules count them: who requested what, and who decided when, read from audit events.

An event that this version cannot read is no case. Memory is bounded by the number of people and roles, not of events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic_core import from_json

from bot.core.audit_chain import AuditEntry
from bot.core.lifecycle import BEGINNINGS
from bot.policy.insight_thresholds import Thresholds

T = TypeVar("T", bound=Thresholds)

KINDS = (
    *("submitted", "approved_by_rule", "drafted", "consented", "break_glass_used"),
    *("endorsed", "approved", "denied", "request_expired", "cancelled"),
)
"""The events that cases are read from."""
_ANSWERS = frozenset({"endorsed", "approved", "denied"})
KEPT = 200
"""How many of the latest references are kept; all cases are counted."""


class InsightSeverity(StrEnum):
    """How much a finding matters, the most severe first."""

    HIGH = "high"
    """Somebody may be getting around the rules."""
    MEDIUM = "medium"
    """The rules may not do their job."""
    LOW = "low"
    """Something could be easier."""


@dataclass(frozen=True)
class Insight:
    """One finding. The same finding has the same ``key``. ``since`` in Unix seconds.

    ``count``: how many cases. The evidence is ``requests`` by id and ``events`` by number, the latest `KEPT` of them,
    or ``people`` who were not seen.
    """

    rule: str
    key: str
    severity: InsightSeverity
    sentence: str
    act: str
    count: int
    since: float
    requests: tuple[str, ...] = ()
    events: tuple[int, ...] = ()
    people: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    """What it is about: a bound identity, a role, a template, a group."""


class AuditReference(NamedTuple):
    """Where a case is in the audit log."""

    id: str
    seq: int


class RequestCase(NamedTuple):
    """A request. ``who``: the bound identity; ``what``: a template or system/role; ``at`` in Unix seconds."""

    reference: AuditReference
    at: float
    who: str
    tz: str
    what: str
    roles: tuple[str, ...]


class DecisionCase(NamedTuple):
    """A decision. ``last``: it was the last that the request needed."""

    ask: RequestCase
    reference: AuditReference
    at: float
    by: str
    yes: bool
    last: bool

    @property
    def wait(self) -> float:
        """Seconds since the request."""
        return self.at - self.ask.at


@dataclass(slots=True)
class Cases:
    """A count of cases, and the latest references."""

    count: int = 0
    since: float = 0.0
    references: list[AuditReference] = field(default_factory=list)

    def add(self, at: float, *references: AuditReference) -> None:
        """Counts a case."""
        self.count += 1
        self.since = self.since or at
        self.references.extend(references)
        if len(self.references) >= 2 * KEPT:  # not each time: it moves all of them
            del self.references[:-KEPT]


class InsightRule(Generic[T]):
    """A rule. ``name`` is its key in the policy."""

    name: ClassVar[str]
    says: ClassVar[str]
    """What it finds."""
    severity: ClassVar[InsightSeverity]
    act: ClassVar[str]
    """What to do about it."""

    def __init__(self, limits: T, since: float) -> None:
        """Counts requests from ``since`` on, Unix seconds."""
        self.limits, self.since = limits, since
        self.cases: defaultdict[tuple[str, str], Cases] = defaultdict(Cases)
        """By what they are about: a person, a role, or both."""

    def asked(self, ask: RequestCase) -> None:
        """A request was submitted."""

    def answered(self, answer: DecisionCase) -> None:
        """Somebody decided."""

    def lapsed(self, ask: RequestCase) -> None:
        """A request expired."""

    def over(self, ask: RequestCase) -> None:
        """A request expired or was cancelled."""

    def found(self, period: str) -> Iterator[Insight]:
        """The findings; ``period``: how far back it looked, in words."""
        raise NotImplementedError

    def _finding(self, about: tuple[str, ...], sentence: str, cases: Cases, act: str = "") -> Insight:
        references = sorted(set(cases.references), key=lambda reference: reference.seq)[-KEPT:]
        return Insight(
            rule=self.name,
            key=" ".join((self.name, *about)),
            severity=self.severity,
            sentence=sentence,
            act=act or self.act,
            count=cases.count,
            since=cases.since,
            requests=tuple(dict.fromkeys(reference.id for reference in references)),
            events=tuple(reference.seq for reference in references),
            about=about,
        )


def feed(entries: Iterable[AuditEntry], rules: Sequence[InsightRule[Any]]) -> None:
    """Reads events in order of time. Requests from before the first event are no cases."""
    undecided: dict[str, RequestCase] = {}
    drafts: dict[str, RequestCase] = {}
    asked, answered, lapsed, over = (_minding(rules, name) for name in ("asked", "answered", "lapsed", "over"))
    for entry in entries:
        if entry.kind in BEGINNINGS or entry.kind == "consented":
            ask = _ask(entry) if entry.kind in BEGINNINGS else drafts.pop(entry.id, None)
            if ask and entry.kind == "drafted":  # a request only once the person accepts it whom it is for
                drafts[entry.id] = ask
            elif ask:
                ask = ask._replace(at=entry.at)
                if not _by_rule(entry):  # else it waits for nobody
                    undecided[entry.id] = ask
                for rule in asked:
                    if ask.at >= rule.since:
                        rule.asked(ask)
            continue
        drafts.pop(entry.id, None)
        last = entry.kind != "endorsed"
        found = undecided.pop(entry.id, None) if last else undecided.get(entry.id)
        if found is None:
            continue
        if entry.kind in _ANSWERS:
            if answer := _answer(entry, found):
                for rule in answered:
                    if found.at >= rule.since:
                        rule.answered(answer)
            continue
        for rule in lapsed if entry.kind == "request_expired" else ():
            if found.at >= rule.since:
                rule.lapsed(found)
        for rule in over:
            rule.over(found)


def _minding(rules: Sequence[InsightRule[Any]], verb: str) -> list[InsightRule[Any]]:
    """The rules that count such cases, so that the others cost nothing on hundreds of thousands of events."""
    return [rule for rule in rules if getattr(type(rule), verb) is not getattr(InsightRule, verb)]


def _ask(entry: AuditEntry) -> RequestCase | None:
    facts = _facts(entry)
    try:
        requester = facts["requester"]
        who, tz, what = requester["identity"], requester.get("tz", "UTC"), facts["what"]
        roles = tuple(f"{role['system']}/{role['role']}" for role in facts["roles"])
    except (KeyError, TypeError, AttributeError):
        return None
    if not (who and what and type(who) is type(tz) is type(what) is str and entry.version):
        return None
    return RequestCase(AuditReference(entry.id, entry.seq), entry.at, who, tz, what, roles)


def _by_rule(entry: AuditEntry) -> bool:
    return entry.kind == "approved_by_rule" or (entry.kind == "consented" and bool(_facts(entry).get("rule")))


def _answer(entry: AuditEntry, ask: RequestCase) -> DecisionCase | None:
    try:
        by = _facts(entry)["review"]["by"]["identity"]
    except (KeyError, TypeError):
        return None
    if not isinstance(by, str) or not by or by == ask.who:
        return None
    reference = AuditReference(entry.id, entry.seq)
    return DecisionCase(ask, reference, entry.at, by, entry.kind != "denied", entry.kind != "endorsed")


def _facts(entry: AuditEntry) -> dict[str, Any]:
    try:
        found = from_json(entry.event)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
