"""Requests as rules count them: who asked for what, and who answered when; told from audit events, which it doubts.

An event that is not as this version writes it is no case. What is remembered is bounded by what is open and by who
asks for what, never by how much happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic_core import from_json

from bot.core.lifecycle import BEGINNINGS
from bot.core.thresholds import Thresholds
from bot.record.seals import Entry

T = TypeVar("T", bound=Thresholds)

KINDS = ("submitted", "approved_by_rule", "endorsed", "approved", "denied", "lapsed", "cancelled")
"""The events that cases are told from."""
_ANSWERS = frozenset({"endorsed", "approved", "denied"})
KEPT = 200
"""Cases of which the proof is kept, the latest; the count is of all."""


class Severity(StrEnum):
    """How much it matters; the order of the members is the order in which they are told."""

    HIGH = "high"
    """Somebody may be going round the rules."""
    MEDIUM = "medium"
    """The rules may not do what they are there for."""
    LOW = "low"
    """It could be made easier."""


@dataclass(frozen=True)
class Finding:
    """What stands out. ``key`` names it: the same one is found again under it. ``since`` in Unix seconds.

    ``count``: how many cases there are. Their evidence: ``requests`` by id and ``events`` by number, the latest `KEPT`
    of them; ``people`` where it is that somebody was not seen.
    """

    rule: str
    key: str
    severity: Severity
    sentence: str
    act: str
    count: int
    since: float
    requests: tuple[str, ...] = ()
    events: tuple[int, ...] = ()
    people: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    """Whom and what it is about: a bound identity, a role, a template, a group."""


class Proof(NamedTuple):
    """Where a case stands in the record."""

    id: str
    seq: int


class Ask(NamedTuple):
    """Somebody asked. ``who``: the bound identity; ``what``: a template, or system/role; ``at`` in Unix seconds."""

    proof: Proof
    at: float
    who: str
    tz: str
    what: str
    roles: tuple[str, ...]


class Answer(NamedTuple):
    """Somebody answered. ``last``: it decided the request."""

    ask: Ask
    proof: Proof
    at: float
    by: str
    yes: bool
    last: bool

    @property
    def wait(self) -> float:
        """Seconds from the asking."""
        return self.at - self.ask.at


@dataclass(slots=True)
class Cases:
    """Counted in full, and remembered as far as `KEPT` goes."""

    count: int = 0
    since: float = 0.0
    proofs: list[Proof] = field(default_factory=list)

    def add(self, at: float, *proofs: Proof) -> None:
        """One case more, and what proves it."""
        self.count += 1
        self.since = self.since or at
        self.proofs.extend(proofs)
        if len(self.proofs) >= 2 * KEPT:  # seldom, since it moves them all
            del self.proofs[:-KEPT]


class Rule(Generic[T]):
    """What all rules have. ``name`` is the one in the policy."""

    name: ClassVar[str]
    says: ClassVar[str]
    """What it finds, for whoever wonders."""
    severity: ClassVar[Severity]
    act: ClassVar[str]
    """What could be done about it."""

    def __init__(self, limits: T, since: float) -> None:
        """Count cases of requests that were asked for from ``since`` on, Unix seconds."""
        self.limits, self.since = limits, since
        self.cases: defaultdict[tuple[str, str], Cases] = defaultdict(Cases)
        """By what they are about: a person, a role, or two of these."""

    def asked(self, ask: Ask) -> None:
        """Somebody asked."""

    def answered(self, answer: Answer) -> None:
        """Somebody answered."""

    def lapsed(self, ask: Ask) -> None:
        """Nobody decided in time."""

    def over(self, ask: Ask) -> None:
        """It lapsed, or was taken back, undecided."""

    def found(self, period: str) -> Iterator[Finding]:
        """What stands out; ``period`` is how far was looked back, in words."""
        raise NotImplementedError

    def _finding(self, about: tuple[str, ...], sentence: str, cases: Cases, act: str = "") -> Finding:
        proofs = sorted(set(cases.proofs), key=lambda proof: proof.seq)[-KEPT:]
        return Finding(
            rule=self.name,
            key=" ".join((self.name, *about)),
            severity=self.severity,
            sentence=sentence,
            act=act or self.act,
            count=cases.count,
            since=cases.since,
            requests=tuple(dict.fromkeys(proof.id for proof in proofs)),
            events=tuple(proof.seq for proof in proofs),
            about=about,
        )


def tell(entries: Iterable[Entry], rules: Sequence[Rule[Any]]) -> None:
    """Read events in the order of time; what was asked for before the first of them is nobody's case."""
    undecided: dict[str, Ask] = {}
    asked, answered, lapsed, over = (_minding(rules, name) for name in ("asked", "answered", "lapsed", "over"))
    for entry in entries:
        if entry.kind in BEGINNINGS:
            if ask := _ask(entry):
                if entry.kind == "submitted":  # what a rule approved waits for nobody's answer
                    undecided[entry.id] = ask
                for rule in asked:
                    if ask.at >= rule.since:
                        rule.asked(ask)
            continue
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
        for rule in lapsed if entry.kind == "lapsed" else ():
            if found.at >= rule.since:
                rule.lapsed(found)
        for rule in over:
            rule.over(found)


def _minding(rules: Sequence[Rule[Any]], verb: str) -> list[Rule[Any]]:
    """The rules that count such a case: a month has hundreds of thousands."""
    return [rule for rule in rules if getattr(type(rule), verb) is not getattr(Rule, verb)]


def _ask(entry: Entry) -> Ask | None:
    facts = _facts(entry)
    try:
        asker = facts["asker"]
        who, tz, what = asker["identity"], asker.get("tz", "UTC"), facts["what"]
        roles = tuple(f"{role['system']}/{role['role']}" for role in facts["roles"])
    except (KeyError, TypeError, AttributeError):
        return None
    if not (who and what and type(who) is type(tz) is type(what) is str and entry.version):
        return None
    return Ask(Proof(entry.id, entry.seq), entry.at, who, tz, what, roles)


def _answer(entry: Entry, ask: Ask) -> Answer | None:
    try:
        by = _facts(entry)["review"]["by"]["identity"]
    except (KeyError, TypeError):
        return None
    if not isinstance(by, str) or not by or by == ask.who:
        return None
    proof = Proof(entry.id, entry.seq)
    return Answer(ask, proof, entry.at, by, entry.kind != "denied", entry.kind != "endorsed")


def _facts(entry: Entry) -> dict[str, Any]:
    try:
        found = from_json(entry.event)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
