"""The rules by which something in the record stands out: each with a sentence that explains it and what could be done.

A rule counts cases and tells of no person what its cases do not show. It acts on nothing, and below its thresholds it
is silent: a false alarm is worse. `inactive`, which is about what is not in the record, is in bot/insights/findings.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bot.core import durations, moments
from bot.core.thresholds import (
    AfterDenial,
    AlwaysApproved,
    AskedAgain,
    EachOther,
    NeverDenied,
    OneApprover,
    RubberStamp,
    UnusualHours,
)
from bot.insights.cases import Answer, Ask, Cases, Finding, Proof, Rule, Severity

_SEVERAL = 3
"""People of whom something has to be true before it is said of a role."""
_NIGHT, _MORNING = 22, 6
"""The hours between which it is night."""


class Again(Rule[AskedAgain]):
    """Counts by person and what they asked for."""

    name, severity = "asked-again", Severity.LOW
    says = "One person is given the same access again and again."
    act = "Make a template of it, with the duration that they really need."

    def answered(self, answer: Answer) -> None:
        if answer.yes and answer.last:
            self.cases[answer.ask.who, answer.ask.what].add(answer.ask.at, answer.ask.proof)

    def found(self, period: str) -> Iterator[Finding]:
        for key, cases in self.cases.items():
            if cases.count >= self.limits.times:
                who, what = key
                act = self.act if "/" in what else "See whether the template's durations fit what it is used for."
                yield self._finding((who, what), f"{who} was given {what} {cases.count} times in {period}.", cases, act)


class Stamps(Rule[RubberStamp]):
    """Counts by approver."""

    name, severity = "rubber-stamp", Severity.HIGH
    says = "Somebody says yes within seconds, too fast to have read the request."
    act = "Ask what they look at before they answer; a second step in the policy has another person look."

    def __init__(self, limits: RubberStamp, since: float) -> None:
        super().__init__(limits, since)
        self._answers: Counter[str] = Counter()

    def answered(self, answer: Answer) -> None:
        self._answers[answer.by] += 1
        if answer.yes and answer.wait < self.limits.faster_than:
            self.cases[answer.by, ""].add(answer.at, answer.proof)

    def found(self, period: str) -> Iterator[Finding]:
        fast = durations.words(self.limits.faster_than)
        for (by, _), cases in self.cases.items():
            answers = self._answers[by]
            if cases.count >= self.limits.times and _part(cases.count, answers) >= self.limits.percent:
                said = f"{by} said yes in less than {fast} {cases.count} times, of {answers} answers in {period}."
                yield self._finding((by,), said, cases)


class Mutual(Rule[EachOther]):
    """Counts yeses by who asked and who gave them."""

    name, severity = "each-other", Severity.HIGH
    says = "Two people approve each other's requests, and hardly anybody else does."
    act = "Put more people into the groups that decide, or ask for a second step."

    def __init__(self, limits: EachOther, since: float) -> None:
        super().__init__(limits, since)
        self._got: Counter[str] = Counter()

    def answered(self, answer: Answer) -> None:
        if answer.yes:
            self._got[answer.ask.who] += 1
            self.cases[answer.ask.who, answer.by].add(answer.at, answer.proof)

    def found(self, period: str) -> Iterator[Finding]:
        for key, to_one in list(self.cases.items()):
            one, other = key
            to_other = self.cases.get((other, one))
            if one < other and to_other and self._much(one, to_one) and self._much(other, to_other):
                parts = " and ".join(
                    f"{cases.count} of the {self._got[who]} yeses that {who} got"
                    for who, cases in ((one, to_one), (other, to_other))
                )
                both = Cases(to_one.count + to_other.count, min(to_one.since, to_other.since))
                both.proofs = [*to_one.proofs, *to_other.proofs]
                said = f"{one} and {other} approve each other: {parts}, in {period}."
                yield self._finding((one, other), said, both)

    def _much(self, who: str, cases: Cases) -> bool:
        return cases.count >= self.limits.times and _part(cases.count, self._got[who]) >= self.limits.percent


class Bottleneck(Rule[OneApprover]):
    """Counts answers by role and approver."""

    name, severity = "one-approver", Severity.MEDIUM
    says = "Nearly all who ask for a role wait for one and the same person."
    act = "Put more people into the groups that decide about it."

    def __init__(self, limits: OneApprover, since: float) -> None:
        super().__init__(limits, since)
        self._answers: Counter[str] = Counter()
        self._late: Counter[tuple[str, str]] = Counter()
        self._askers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def answered(self, answer: Answer) -> None:
        late = answer.wait > self.limits.waits
        for role in answer.ask.roles:
            key = role, answer.by
            self._answers[role] += 1
            self.cases[key].add(answer.at, answer.proof)
            self._askers[key].add(answer.ask.who)
            if late:
                self._late[key] += 1

    def found(self, period: str) -> Iterator[Finding]:
        for key, cases in self.cases.items():
            role, by = key
            answers, late, askers = self._answers[role], self._late[role, by], len(self._askers[role, by])
            alone = answers >= self.limits.times and _part(cases.count, answers) >= self.limits.percent
            if alone and askers >= _SEVERAL and _part(late, cases.count) >= 50:
                waits = durations.words(self.limits.waits)
                said = f"{cases.count} of {answers} answers about {role} in {period} were {by}'s, {late} of them"
                yield self._finding((role, by), f"{said} after more than {waits}; {askers} people waited.", cases)


class Formality(Rule[AlwaysApproved]):
    """Counts decisions by role; one that lapsed was no yes."""

    name, severity = "always-approved", Severity.LOW
    says = "A role is never refused to anybody."
    act = "See whether the decision still protects something: a shorter `max` may protect more."

    def __init__(self, limits: AlwaysApproved, since: float) -> None:
        super().__init__(limits, since)
        self._refused: set[str] = set()
        self._askers: defaultdict[str, set[str]] = defaultdict(set)

    def answered(self, answer: Answer) -> None:
        for role in answer.ask.roles if answer.last else ():
            if answer.yes:
                self.cases[role, ""].add(answer.at, answer.proof)
                self._askers[role].add(answer.ask.who)
            else:
                self._refused.add(role)

    def lapsed(self, ask: Ask) -> None:
        self._refused.update(ask.roles)

    def found(self, period: str) -> Iterator[Finding]:
        for (role, _), cases in self.cases.items():
            askers = len(self._askers[role])
            if cases.count >= self.limits.times and role not in self._refused and askers >= _SEVERAL:
                said = f"{role} was asked for {cases.count} times in {period}, by {askers} people"
                yield self._finding((role,), f"{said}, and approved each time.", cases)


class NoNo(Rule[NeverDenied]):
    """Counts answers by approver."""

    name, severity = "never-denied", Severity.MEDIUM
    says = "Somebody decides a lot and never says no."
    act = "Look at some of the answers together: who never says no may not be looking."

    def __init__(self, limits: NeverDenied, since: float) -> None:
        super().__init__(limits, since)
        self._denied: set[str] = set()

    def answered(self, answer: Answer) -> None:
        if answer.yes:
            self.cases[answer.by, ""].add(answer.at, answer.proof)
        else:
            self._denied.add(answer.by)

    def found(self, period: str) -> Iterator[Finding]:
        for (by, _), cases in self.cases.items():
            if cases.count >= self.limits.times and by not in self._denied:
                yield self._finding((by,), f"{by} answered {cases.count} times in {period}, always yes.", cases)


class AskedOn(Rule[AfterDenial]):
    """Counts by person and what was denied; a denial counts once."""

    name, severity = "after-denial", Severity.HIGH
    says = "Somebody is denied, and soon asks for the same again."
    act = "See who said no, who said yes afterwards, and why."

    def __init__(self, limits: AfterDenial, since: float) -> None:
        super().__init__(limits, since)
        self._denied: dict[tuple[str, str], tuple[float, Proof]] = {}
        self._asked_on: set[Proof] = set()
        self._given: Counter[tuple[str, str]] = Counter()

    def asked(self, ask: Ask) -> None:
        key = ask.who, ask.what
        at, proof = self._denied.pop(key, (0.0, ask.proof))
        if at and ask.at - at <= self.limits.soon:
            self.cases[key].add(at, proof, ask.proof)
            self._asked_on.add(ask.proof)

    def answered(self, answer: Answer) -> None:
        key = answer.ask.who, answer.ask.what
        if not answer.yes:
            self._denied[key] = answer.at, answer.ask.proof
        if answer.last and answer.ask.proof in self._asked_on:
            self._asked_on.discard(answer.ask.proof)
            self._given[key] += answer.yes

    def over(self, ask: Ask) -> None:
        self._asked_on.discard(ask.proof)

    def found(self, period: str) -> Iterator[Finding]:
        soon = durations.words(self.limits.soon)
        for key, cases in self.cases.items():
            if cases.count >= self.limits.times:
                who, what = key
                said = f"{who} was denied {what} and asked again within {soon}, {cases.count} times in {period}"
                yield self._finding((who, what), f"{said}; {self._given[key]} of these were approved.", cases)


class Hours(Rule[UnusualHours]):
    """Counts by person, by the clock of the zone that Slack tells of them."""

    name, severity = "unusual-hours", Severity.HIGH
    says = "Somebody who asks by day asks by night."
    act = "Ask whether it was them, and what it was for."

    def __init__(self, limits: UnusualHours, since: float) -> None:
        super().__init__(limits, since)
        self._by_day: Counter[str] = Counter()

    def asked(self, ask: Ask) -> None:
        hour = datetime.fromtimestamp(ask.at, UTC).astimezone(moments.zone(ask.tz)).hour
        if _MORNING <= hour < _NIGHT:
            self._by_day[ask.who] += 1
        else:
            self.cases[ask.who, ""].add(ask.at, ask.proof)

    def found(self, period: str) -> Iterator[Finding]:
        for (who, _), cases in self.cases.items():
            by_day = self._by_day[who]
            seldom = _part(cases.count, cases.count + by_day) <= self.limits.percent
            if cases.count >= self.limits.times and by_day >= self.limits.by_day and seldom:
                hours = f"between {_NIGHT}:00 and {_MORNING}:00 of their own time"
                said = f"{who} asked {cases.count} times {hours}, and {by_day} times by day, in {period}."
                yield self._finding((who,), said, cases)


RULES: tuple[type[Rule[Any]], ...] = (Again, Stamps, Mutual, Bottleneck, Formality, NoNo, AskedOn, Hours)
"""Each rule that counts cases."""


def _part(count: int, of: int) -> float:
    """Percent."""
    return 100 * count / of if of else 0.0
