"""The rules of the insights: each counts cases, explains itself in a sentence and says what to do.

A rule says of a person only what its cases prove, and nothing below its thresholds: a false alarm is worse. The rule
`inactive`, about people who are not in the audit log, is in `findings.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bot.core import durations, start_times
from bot.policy.insight_thresholds import (
    AfterDenial,
    AlwaysApproved,
    AskedAgain,
    EachOther,
    NeverDenied,
    OneApprover,
    RubberStamp,
    UnusualHours,
)
from bot.reports.insights.cases import (
    AuditReference,
    Cases,
    DecisionCase,
    Insight,
    InsightRule,
    InsightSeverity,
    RequestCase,
)

_SEVERAL = 3
"""How many people a finding about a role needs."""
_NIGHT, _MORNING = 22, 6
"""Night, in hours of the day."""


class Again(InsightRule[AskedAgain]):
    """Counts by person and what they requested."""

    name, severity = "asked-again", InsightSeverity.LOW
    says = "One person gets the same access again and again."
    act = "Make a template with the duration that they need."

    def answered(self, answer: DecisionCase) -> None:
        if answer.yes and answer.last:
            self.cases[answer.ask.who, answer.ask.what].add(answer.ask.at, answer.ask.reference)

    def found(self, period: str) -> Iterator[Insight]:
        for key, cases in self.cases.items():
            if cases.count >= self.limits.times:
                who, what = key
                act = self.act if "/" in what else "Check whether the template's durations fit what it is used for."
                yield self._finding((who, what), f"{who} got {what} {cases.count} times in {period}.", cases, act)


class Stamps(InsightRule[RubberStamp]):
    """Counts by approver."""

    name, severity = "rubber-stamp", InsightSeverity.HIGH
    says = "Somebody approves within seconds, too fast to have read the request."
    act = "Ask what they check before they approve. A second step in the policy adds another approver."

    def __init__(self, limits: RubberStamp, since: float) -> None:
        super().__init__(limits, since)
        self._answers: Counter[str] = Counter()

    def answered(self, answer: DecisionCase) -> None:
        self._answers[answer.by] += 1
        if answer.yes and answer.wait < self.limits.faster_than:
            self.cases[answer.by, ""].add(answer.at, answer.reference)

    def found(self, period: str) -> Iterator[Insight]:
        fast = durations.words(self.limits.faster_than)
        for (by, _), cases in self.cases.items():
            answers = self._answers[by]
            if cases.count >= self.limits.times and _part(cases.count, answers) >= self.limits.percent:
                said = f"{by} approved within {fast} {cases.count} times, of {answers} decisions in {period}."
                yield self._finding((by,), said, cases)


class Mutual(InsightRule[EachOther]):
    """Counts approvals by requester and approver."""

    name, severity = "each-other", InsightSeverity.HIGH
    says = "Two people approve each other's requests, and hardly anybody else does."
    act = "Add people to the approving groups, or require a second step."

    def __init__(self, limits: EachOther, since: float) -> None:
        super().__init__(limits, since)
        self._got: Counter[str] = Counter()

    def answered(self, answer: DecisionCase) -> None:
        if answer.yes:
            self._got[answer.ask.who] += 1
            self.cases[answer.ask.who, answer.by].add(answer.at, answer.reference)

    def found(self, period: str) -> Iterator[Insight]:
        for key, to_one in list(self.cases.items()):
            one, other = key
            to_other = self.cases.get((other, one))
            if one < other and to_other and self._much(one, to_one) and self._much(other, to_other):
                parts = " and ".join(
                    f"{cases.count} of the {self._got[who]} approvals that {who} got"
                    for who, cases in ((one, to_one), (other, to_other))
                )
                both = Cases(to_one.count + to_other.count, min(to_one.since, to_other.since))
                both.references = [*to_one.references, *to_other.references]
                said = f"{one} and {other} approve each other: {parts}, in {period}."
                yield self._finding((one, other), said, both)

    def _much(self, who: str, cases: Cases) -> bool:
        return cases.count >= self.limits.times and _part(cases.count, self._got[who]) >= self.limits.percent


class Bottleneck(InsightRule[OneApprover]):
    """Counts decisions by role and approver."""

    name, severity = "one-approver", InsightSeverity.MEDIUM
    says = "Nearly every request for a role waits for the same approver."
    act = "Add people to the groups that approve it."

    def __init__(self, limits: OneApprover, since: float) -> None:
        super().__init__(limits, since)
        self._answers: Counter[str] = Counter()
        self._late: Counter[tuple[str, str]] = Counter()
        self._requesters: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def answered(self, answer: DecisionCase) -> None:
        late = answer.wait > self.limits.waits
        for role in answer.ask.roles:
            key = role, answer.by
            self._answers[role] += 1
            self.cases[key].add(answer.at, answer.reference)
            self._requesters[key].add(answer.ask.who)
            if late:
                self._late[key] += 1

    def found(self, period: str) -> Iterator[Insight]:
        for key, cases in self.cases.items():
            role, by = key
            answers, late, requesters = self._answers[role], self._late[role, by], len(self._requesters[role, by])
            alone = answers >= self.limits.times and _part(cases.count, answers) >= self.limits.percent
            if alone and requesters >= _SEVERAL and _part(late, cases.count) >= 50:
                waits = durations.words(self.limits.waits)
                said = f"{by} made {cases.count} of {answers} decisions about {role} in {period}, {late} of them"
                yield self._finding((role, by), f"{said} after more than {waits}; {requesters} people waited.", cases)


class Formality(InsightRule[AlwaysApproved]):
    """Counts approvals by role; a request that expired was not approved."""

    name, severity = "always-approved", InsightSeverity.LOW
    says = "Nobody was ever denied a role."
    act = "Check whether approval still protects something; a shorter `max` may protect more."

    def __init__(self, limits: AlwaysApproved, since: float) -> None:
        super().__init__(limits, since)
        self._refused: set[str] = set()
        self._requesters: defaultdict[str, set[str]] = defaultdict(set)

    def answered(self, answer: DecisionCase) -> None:
        for role in answer.ask.roles if answer.last else ():
            if answer.yes:
                self.cases[role, ""].add(answer.at, answer.reference)
                self._requesters[role].add(answer.ask.who)
            else:
                self._refused.add(role)

    def lapsed(self, ask: RequestCase) -> None:
        self._refused.update(ask.roles)

    def found(self, period: str) -> Iterator[Insight]:
        for (role, _), cases in self.cases.items():
            requesters = len(self._requesters[role])
            if cases.count >= self.limits.times and role not in self._refused and requesters >= _SEVERAL:
                said = f"{role} was requested {cases.count} times in {period}, by {requesters} people"
                yield self._finding((role,), f"{said}, and approved each time.", cases)


class NoNo(InsightRule[NeverDenied]):
    """Counts decisions by approver."""

    name, severity = "never-denied", InsightSeverity.MEDIUM
    says = "Somebody decides a lot and never denies."
    act = "Review some of the decisions together: who never denies may not be looking."

    def __init__(self, limits: NeverDenied, since: float) -> None:
        super().__init__(limits, since)
        self._denied: set[str] = set()

    def answered(self, answer: DecisionCase) -> None:
        if answer.yes:
            self.cases[answer.by, ""].add(answer.at, answer.reference)
        else:
            self._denied.add(answer.by)

    def found(self, period: str) -> Iterator[Insight]:
        for (by, _), cases in self.cases.items():
            if cases.count >= self.limits.times and by not in self._denied:
                yield self._finding(
                    (by,), f"{by} decided {cases.count} times in {period} and approved each time.", cases
                )


class AskedOn(InsightRule[AfterDenial]):
    """Counts by person and what they were denied; a denial counts once, whichever of its roles is requested next."""

    name, severity = "after-denial", InsightSeverity.HIGH
    says = "Somebody is denied, and soon requests the same again."
    act = "Check who denied, who approved afterwards, and why."

    def __init__(self, limits: AfterDenial, since: float) -> None:
        super().__init__(limits, since)
        self._denied: dict[tuple[str, str], DecisionCase] = {}
        """The last denial by person and role."""
        self._asked_on: dict[AuditReference, set[tuple[str, str]]] = {}
        self._given: Counter[tuple[str, str]] = Counter()

    def asked(self, ask: RequestCase) -> None:
        last = {self._denied[key] for role in ask.roles if (key := (ask.who, role)) in self._denied}
        for denial in last:
            for role in denial.ask.roles:
                if self._denied.get((ask.who, role)) == denial:
                    del self._denied[ask.who, role]
            if ask.at - denial.at <= self.limits.soon:
                key = ask.who, denial.ask.what
                self.cases[key].add(denial.at, denial.ask.reference, ask.reference)
                self._asked_on.setdefault(ask.reference, set()).add(key)

    def answered(self, answer: DecisionCase) -> None:
        if not answer.yes:
            self._denied |= {(answer.ask.who, role): answer for role in answer.ask.roles}
        if answer.last:
            for key in self._asked_on.pop(answer.ask.reference, ()):
                self._given[key] += answer.yes

    def over(self, ask: RequestCase) -> None:
        self._asked_on.pop(ask.reference, None)

    def found(self, period: str) -> Iterator[Insight]:
        soon = durations.words(self.limits.soon)
        for key, cases in self.cases.items():
            if cases.count >= self.limits.times:
                who, what = key
                said = f"{who} was denied {what} and requested it again within {soon}, {cases.count} times in {period}"
                yield self._finding((who, what), f"{said}; {self._given[key]} of these were approved.", cases)


class Hours(InsightRule[UnusualHours]):
    """Counts by person, in the time zone of their Slack profile."""

    name, severity = "unusual-hours", InsightSeverity.HIGH
    says = "Somebody who requests by day also requests at night."
    act = "Ask whether it was them, and what they needed it for."

    def __init__(self, limits: UnusualHours, since: float) -> None:
        super().__init__(limits, since)
        self._by_day: Counter[str] = Counter()

    def asked(self, ask: RequestCase) -> None:
        hour = datetime.fromtimestamp(ask.at, UTC).astimezone(start_times.zone(ask.tz)).hour
        if _MORNING <= hour < _NIGHT:
            self._by_day[ask.who] += 1
        else:
            self.cases[ask.who, ""].add(ask.at, ask.reference)

    def found(self, period: str) -> Iterator[Insight]:
        for (who, _), cases in self.cases.items():
            by_day = self._by_day[who]
            seldom = _part(cases.count, cases.count + by_day) <= self.limits.percent
            if cases.count >= self.limits.times and by_day >= self.limits.by_day and seldom:
                hours = f"between {_NIGHT}:00 and {_MORNING:02}:00 in their time zone"
                said = f"{who} requested {cases.count} times {hours}, and {by_day} times by day, in {period}."
                yield self._finding((who,), said, cases)


RULES: tuple[type[InsightRule[Any]], ...] = (Again, Stamps, Mutual, Bottleneck, Formality, NoNo, AskedOn, Hours)
"""All rules that count cases."""


def _part(count: int, of: int) -> float:
    """In percent."""
    return 100 * count / of if of else 0.0
