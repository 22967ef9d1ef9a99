"""A rule speaks at its threshold and is silent below it; and without its evidence there is no finding."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.audit_chain import AuditEntry
from bot.core.events import ApprovedByRule, Event, Submitted
from bot.core.request import ByRule
from bot.policy.insight_thresholds import Rules
from bot.reports.insights.cases import KEPT, AuditReference, DecisionCase, RequestCase, feed
from bot.reports.insights.findings import explained
from bot.reports.insights.rules import RULES
from tests.reports.insights.stories import DAY, NOON, Story

UNTIL = NOON + 10 * DAY
PEOPLE = ("mia", "eve", "kim")
Told = Callable[[Story], object]


def again(times: int, *, system: str = "vault") -> Told:
    return lambda story: [story.approved("mia", "dan", NOON + n * DAY, system=system) for n in range(times)]


def stamps(fast: int, slow: int = 0, wait: float = 9.9) -> Told:
    def told(story: Story) -> None:
        for n in range(fast + slow):
            story.approved(PEOPLE[n % 3], "dan", NOON + n * 3600, wait if n < fast else 300)

    return told


def mutual(one: int, other: int, beside: int = 0) -> Told:
    def told(story: Story) -> None:
        for n in range(one):
            story.approved("mia", "eve", NOON + n * 3600)
        for n in range(other):
            story.approved("eve", "mia", NOON + n * 3600 + 60)
        for n in range(beside):
            story.approved("mia", "dan", NOON + n * 3600 + 120)

    return told


def bottleneck(dans: int, others: int, wait: float = 1801, people: int = 3, soon: int = 0) -> Told:
    def told(story: Story) -> None:
        for n in range(dans + others):
            by = "dan" if n < dans else "sam"
            story.approved(PEOPLE[n % people], by, NOON + n * 3600, 60 if n < soon else wait)

    return told


def formality(times: int, people: int = 3, last: str = "") -> Told:
    def told(story: Story) -> None:
        for n in range(times):
            story.approved(PEOPLE[n % people], f"dan{n % 4}", NOON + n * 3600)
        id_ = story.ask("mia", "vault", NOON + 200 * 3600)
        if last == "denied":
            story.answer(id_, "dan1", NOON + 201 * 3600, yes=False)
        elif last == "request_expired":
            story.lapse(id_, NOON + 204 * 3600)
        elif last == "cancelled":
            story.cancel(id_, NOON + 204 * 3600)

    return told


def no_no(yes: int, no: int = 0) -> Told:
    def told(story: Story) -> None:
        for n in range(yes):
            story.approved(PEOPLE[n % 3], "dan", NOON + n * 3600, system=f"s{n % 9}")
        for n in range(no):
            story.denied("kim", "dan", NOON + n * 3600 + 60, system="hall")

    return told


def asked_on(times: int, after: float = 3600.0, denied: str = "vault", what: str = "vault") -> Told:
    def told(story: Story) -> None:
        for n in range(times):
            at = NOON + 3 * n * DAY
            story.denied("mia", "dan", at, 60, system=denied)
            story.approved("mia", "eve", at + 60 + after, system=what)

    return told


def halves(story: Story) -> None:
    """Two denials of two roles at once, after which each role is requested alone."""
    asked_on(2, denied="vault + hall")(story)
    for n in range(2):
        story.approved("mia", "eve", NOON + 3 * n * DAY + 7200, system="hall")


def night(by_night: int, by_day: int, tz: str = "Europe/Berlin", hours: float = 11.0) -> Told:
    """2026-03-09 12:00 UTC is 13:00 in Berlin, and eleven hours later it is midnight there."""

    def told(story: Story) -> None:
        for n in range(by_day):
            story.ask("mia", "vault", NOON + (n % 9) * DAY + n, tz)
        for n in range(by_night):
            story.ask("mia", "vault", NOON + n * DAY + hours * 3600, tz)

    return told


TRIPS: dict[str, tuple[str, Told]] = {
    "five times the same": ("asked-again", again(5)),
    "ten fast ones, half of all": ("rubber-stamp", stamps(10, 10)),
    "each other five times, six of ten": ("each-other", mutual(6, 5, beside=4)),
    "eight of ten by one, slowly, for three": ("one-approver", bottleneck(8, 2)),
    "one approver, half of it slow": ("one-approver", bottleneck(10, 0, soon=5)),
    "fifty approved": ("always-approved", formality(50)),
    "fifty approved, one taken back": ("always-approved", formality(50, last="cancelled")),
    "fifty yeses": ("never-denied", no_no(50)),
    "three denials, asked again within a day": ("after-denial", asked_on(3, DAY - 400)),
    "three denials, part of it asked again": ("after-denial", asked_on(3, denied="vault + hall", what="hall")),
    "three denials, asked again with more": ("after-denial", asked_on(3, what="hall + vault")),
    "three by night, fifteen by day": ("unusual-hours", night(3, 15)),
}
SILENT: dict[str, tuple[str, Told]] = {
    "four times the same": ("asked-again", again(4)),
    "five times, and one of another": ("asked-again", lambda s: (again(4)(s), again(1, system="hall")(s))),
    "five times, denied": ("asked-again", lambda s: [s.denied("mia", "dan", NOON + n) for n in range(5)]),
    "nine fast ones": ("rubber-stamp", stamps(9)),
    "ten fast ones, less than half": ("rubber-stamp", stamps(10, 11)),
    "ten in ten seconds": ("rubber-stamp", stamps(10, 0, wait=10.0)),
    "each other, four times one way": ("each-other", mutual(8, 4)),
    "each other, less than six of ten": ("each-other", mutual(5, 5, beside=4)),
    "one way": ("each-other", mutual(20, 0)),
    "seven of nine": ("one-approver", bottleneck(9, 0)),
    "less than eight of ten": ("one-approver", bottleneck(79, 21)),
    "one approver, soon": ("one-approver", bottleneck(20, 0, wait=1800)),
    "one approver, for two": ("one-approver", bottleneck(20, 0, people=2)),
    "one approver, less than half of it slow": ("one-approver", bottleneck(11, 0, soon=6)),
    "forty-nine approved": ("always-approved", formality(49)),
    "fifty approved, for two": ("always-approved", formality(50, people=2)),
    "fifty approved, one denied": ("always-approved", formality(50, last="denied")),
    "fifty approved, one lapsed": ("always-approved", formality(50, last="request_expired")),
    "forty-nine yeses": ("never-denied", no_no(49)),
    "fifty yeses and a no": ("never-denied", no_no(50, 1)),
    "two denials": ("after-denial", asked_on(2)),
    "two denials, each part asked again": ("after-denial", halves),
    "three denials, asked again after a day": ("after-denial", asked_on(3, DAY + 1)),
    "three denials, and another thing": ("after-denial", asked_on(3, what="hall")),
    "two by night": ("unusual-hours", night(2, 30)),
    "three by night, fourteen by day": ("unusual-hours", night(3, 14)),
    "more than a fifth by night": ("unusual-hours", night(5, 19)),
    "late, and still evening there": ("unusual-hours", night(3, 30, tz="America/New_York")),
}


@pytest.mark.parametrize("name", TRIPS)
def test_a_rule_speaks_at_its_threshold(name: str) -> None:
    rule, told = TRIPS[name]
    story = Story()
    told(story)
    [found] = story.found(rule, UNTIL)
    assert found.rule == rule
    assert found.requests
    assert set(found.requests) <= {entry.id for entry in story.entries()}
    assert set(found.events) <= {entry.seq for entry in story.entries()}
    assert str(found.count) in found.sentence or rule == "each-other"
    assert story.found(rule, UNTIL, without=found.requests) == []


@pytest.mark.parametrize("name", SILENT)
def test_a_rule_is_silent_below_it(name: str) -> None:
    rule, told = SILENT[name]
    story = Story()
    told(story)
    assert story.found(rule, UNTIL) == []


@pytest.mark.parametrize("name", TRIPS)
def test_what_lies_further_back_than_the_period_is_no_case(name: str) -> None:
    rule, told = TRIPS[name]
    story = Story()
    told(story)
    assert story.found(rule, UNTIL + 90 * DAY) == []


def test_every_rule_has_thresholds_and_words_and_every_one_is_tried() -> None:
    assert {rule.name for rule in RULES} | {"inactive"} == set(Rules.names()) == set(explained())
    assert {rule for rule, _ in TRIPS.values()} == {rule for rule, _ in SILENT.values()} == {r.name for r in RULES}
    assert all(says.endswith(".") for says in explained().values())


def test_what_the_policy_approved_by_itself_was_asked_for_and_answered_by_nobody() -> None:
    story, answered = Story(), Story()
    night(3, 15)(story)
    stamps(10, 10)(answered)
    for each in (story, answered):
        each.told = [(at, id_, by_rule(event)) for at, id_, event in each.told]
    [found] = story.found("unusual-hours", UNTIL)
    assert found.count == 3
    assert answered.found("rubber-stamp", UNTIL) == []


def by_rule(event: Event) -> Event:
    """As a rule would have approved it."""
    if not isinstance(event, Submitted):
        return event
    facts = {name: getattr(event, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    return ApprovedByRule(rule=ByRule(n=1, key="k", sensitivity="low", at_most=3600, used=1, budget=3), **facts)


def test_the_first_of_two_answers_counts_for_the_one_who_gave_it() -> None:
    story = Story()
    for n in range(10):
        id_ = story.ask(PEOPLE[n % 3], "vault", NOON + n * 3600)
        story.answer(id_, "dan", NOON + n * 3600 + 2, last=False)
        story.answer(id_, "sam", NOON + n * 3600 + 900)
    assert [each.sentence for each in story.found("rubber-stamp", UNTIL)] == [
        "dan@example.com approved within 10 s 10 times, of 10 decisions in 30 d."
    ]


def test_of_very_many_cases_the_latest_are_the_evidence() -> None:
    story = Story()
    no_no(KEPT + 50)(story)
    [found] = story.found("never-denied", UNTIL + 10 * DAY)
    assert found.count == KEPT + 50
    assert len(found.requests) == KEPT
    assert found.requests[-1] == story.entries()[-1].id


@pytest.mark.parametrize(
    "event", ["", "{", "[]", '{"requester": 1}', '{"requester": {"identity": "x"}, "what": 3, "roles": []}', "[" * 9999]
)
def test_an_event_that_is_not_as_we_write_it_is_no_case(event: str) -> None:
    counting = [rule(Rules().of(rule.name), 0.0) for rule in RULES]
    kinds = ("submitted", "approved", "denied", "endorsed", "request_expired", "cancelled")
    story = Story()
    again(5)(story)
    strange = [AuditEntry(900 + n, NOON + n, "J-2222", 1, kind, event) for n, kind in enumerate(kinds)]
    feed([*strange, *story.entries()], counting)
    assert [each.rule for rule in counting for each in rule.found("30 d")] == ["asked-again"]


def test_nobody_answers_themself_whatever_an_event_says() -> None:
    story = Story()
    for n in range(12):
        story.approved("mia", "mia", NOON + n * 3600, 2)
    assert story.found("rubber-stamp", UNTIL) == []


def state(answers: int) -> int:
    """The bytes that all rules remember after so many answers by and about the same few."""
    counting = [rule(Rules().of(rule.name), 0.0) for rule in RULES]
    for n in range(answers):
        ask = RequestCase(
            AuditReference(f"J-{n}", 2 * n), NOON + n, PEOPLE[n % 3], "UTC", "vault/read-only", ("vault/read-only",)
        )
        answer = DecisionCase(
            ask, AuditReference(f"J-{n}", 2 * n + 1), NOON + n + 2, PEOPLE[(n + 1) % 3], n % 7 > 0, last=True
        )
        for rule in counting:
            rule.asked(ask)
            rule.answered(answer)
    return len(pickle.dumps([vars(rule) for rule in counting]))


def test_what_is_remembered_does_not_grow_with_what_happened() -> None:
    assert state(40_000) < 2.5 * state(4_000)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A few people who ask a lot for little, and answer each other now and then."""
    story = Story()
    names = ("mia", "eve", "dan", "sam")
    for n in range(draw(st.integers(0, 60))):
        at = NOON + n * draw(st.sampled_from((600, 3600, 9 * 3600)))
        who, by = draw(st.permutations(names))[:2]
        id_ = story.ask(who, draw(st.sampled_from(("vault", "hall"))), at, draw(st.sampled_from(("UTC", "Asia/Tokyo"))))
        wait = draw(st.sampled_from((2, 60, 3000)))
        match draw(st.sampled_from(("yes", "yes", "yes", "no", "lapse", "cancel", "open"))):
            case "yes":
                story.answer(id_, by, at + wait)
            case "no":
                story.answer(id_, by, at + wait, yes=False)
            case "lapse":
                story.lapse(id_, at + 3500)
            case "cancel":
                story.cancel(id_, at + 30)
    return story


LOW = Rules.model_validate(
    {
        "asked-again": {"times": 2, "within": "30d"},
        "rubber-stamp": {"times": 2, "percent": 30},
        "each-other": {"times": 2, "percent": 30},
        "one-approver": {"times": 3, "percent": 40},
        "always-approved": {"times": 4},
        "never-denied": {"times": 3},
        "after-denial": {"times": 2},
        "unusual-hours": {"times": 2, "by_day": 2, "percent": 60},
    }
)


@settings(max_examples=80)
@given(story=stories())
def test_a_finding_vanishes_with_its_evidence(story: Story) -> None:
    until = NOON + 25 * DAY
    for rule in RULES:
        for found in story.found(rule.name, until, limits=LOW):
            assert found.requests
            assert found.events
            left = {each.key for each in story.found(rule.name, until, without=found.requests, limits=LOW)}
            assert found.key not in left
