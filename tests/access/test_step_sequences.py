"""Whatever is pressed, waited for and changed in between: nothing is approved without every step, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.access import review, submit
from bot.access.answer import AnswerForm, answer_event
from bot.access.review import ReviewDecision, UnderReview
from bot.access.submit import RequestForm
from bot.core import deadlines, lifecycle
from bot.core.errors import JitError
from bot.core.events import QuestionAsked
from bot.core.request import MOST_QUESTIONS, ApproverQuestion, Request, Review, State, Verb
from bot.core.verdict import Actor, Members
from bot.policy import authorization
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances
from bot.policy.loader import can_extend, consequence
from tests.house import person
from tests.policy.test_steps import CATALOGS, NAMES, ROSTER, can_be_full, rosters

CLICKS = st.tuples(st.just("click"), st.sampled_from(NAMES), st.sampled_from([Verb.APPROVE] * 9 + [Verb.DENY]))
WAITS = st.tuples(st.just("wait"), st.sampled_from([60.0, 1_800.0, 1_860.0, 7_000.0]))
POLICIES = st.tuples(st.just("policy"), st.sampled_from(CATALOGS))
GROUPS = st.tuples(st.just("groups"), rosters)
LOOKS = st.tuples(st.just("look"), st.sampled_from(NAMES))
ASKS = st.tuples(st.just("ask"))
ANSWERS = st.tuples(
    st.just("answer"),
    st.sampled_from(["", "", "INC-2 burns", "INC-3 burns"]),
    st.sampled_from([None, 900, 1200, 1800, 3600]),
)
MOVES = st.one_of(*[CLICKS] * 10, WAITS, POLICIES, GROUPS)
CHANGING = st.one_of(*[CLICKS] * 5, *[LOOKS] * 2, *[ASKS] * 2, *[ANSWERS] * 4, WAITS, GROUPS)


@dataclass
class World:
    """A request, and the policy, the groups and the time by which it is judged."""

    policy: Catalog
    roster: dict[str, Members]
    now: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.request = self.submitted()
        self.seen = dict.fromkeys(NAMES, self.request)
        self.approvals: list[tuple[Request, Review]] = []

    def actor(self, who: str) -> Actor:
        return Actor(person=person("T1", who), roster=self.roster, looked_up_now=True)

    def submitted(self) -> Request:
        form = RequestForm(what="vault/admin", duration=1800, reason="INC-1 burns")
        submission = submit.completed(submit.check_allowed(self.policy, self.actor("mia"), form, self.now), self.now)
        return lifecycle.begin(
            submit.first_event(submission, Circumstances(now=self.now, begins=self.now), {}, consequence, can_extend)
        )

    def click(self, who: str, verb: Verb) -> None:
        """Press, as `review.review` judges it."""
        actor = self.actor(who)
        if self.request.state is not State.PENDING:
            return
        if any(authorization.same_person(given.by, actor.person) for given in self.request.reviews):
            return
        verdicts = (
            authorization.may_review(self.policy, self.roster, self.request, actor.person, self.now),
            authorization.may_still_request(self.policy, self.roster, self.request, self.now),
        )
        if not all(verdict.allowed for verdict in verdicts):
            return
        card = self.seen[who]
        decision = ReviewDecision(verb=verb, reason="not now", reason_changes=card.reason_changes)
        try:
            event = review.decision_event(self.policy, actor, UnderReview(self.request, self.now, None), decision)
        except JitError:
            return
        self.request = lifecycle.advance(self.request, event)
        if verb is Verb.APPROVE and self.request.reviews:
            self.approvals.append((card, self.request.reviews[-1]))

    def look(self, who: str) -> None:
        """See the card as it is now; until then, what is pressed is the older drawing."""
        self.seen[who] = self.request

    def ask(self) -> None:
        """Dan asks once more."""
        n = len(self.request.questions) + 1
        if self.request.state is State.PENDING and n <= MOST_QUESTIONS:
            question = ApproverQuestion(n=n, by=person("T1", "dan"), text="Which?", at=self.now)
            self.request = lifecycle.advance(self.request, QuestionAsked(at=self.now, by="UDAN", question=question))

    def answer(self, reason: str, seconds: int | None) -> None:
        """Mia answers the first question that waits, as `answer.answer` judges it."""
        waiting = [question.n for question in self.request.questions if not question.answered]
        if self.request.state is not State.PENDING or not waiting:
            return
        form = AnswerForm(text="orders", reason=reason, duration=seconds)
        try:
            event = answer_event(self.policy, self.request, waiting[0], form, "UMIA", self.now)
        except JitError:
            return
        self.request = lifecycle.advance(self.request, event)

    def wait(self, seconds: float) -> None:
        """Let the worker do what comes due meanwhile."""
        until = self.now + seconds
        while self.request.state is State.PENDING and (due := deadlines.due(self.request)) and due <= until:
            event = deadlines.due_event(self.request, due)
            assert event is not None
            self.now = due
            self.request = lifecycle.advance(self.request, event)
        self.now = until

    def move(self, move: tuple[Any, ...]) -> None:
        match move:
            case ("click", who, verb):
                self.click(who, verb)
            case ("wait", seconds):
                self.wait(seconds)
            case ("policy", policy):
                self.policy = policy
            case ("look", who):
                self.look(who)
            case ("ask",):
                self.ask()
            case ("answer", reason, seconds):
                self.answer(reason, seconds)
            case (_, roster):
                self.roster = roster


@given(st.sampled_from(CATALOGS), st.lists(MOVES, min_size=3, max_size=20))
@settings(max_examples=400)
def test_nothing_is_approved_without_every_step_in_order(policy: Catalog, moves: list[tuple[Any, ...]]) -> None:
    world = World(policy, {**ROSTER})
    for move in moves:
        world.move(move)
        if world.request.state is not State.PENDING:
            break
    state = world.request.state
    seen(str(state))
    assert state in {State.PENDING, State.GRANTING, State.DENIED, State.EXPIRED}
    if state is State.GRANTING:
        assert can_be_full(world.policy, world.roster, world.request)
        given_by = [each.by.id for each in world.request.reviews]
        assert len(given_by) == len(set(given_by))
        assert "UMIA" not in given_by


@given(st.sampled_from(CATALOGS), st.lists(st.one_of(WAITS, POLICIES, GROUPS), max_size=10))
def test_whatever_changes_and_escalates_nothing_is_approved_while_nobody_answers(
    policy: Catalog, moves: list[tuple[Any, ...]]
) -> None:
    world = World(policy, {**ROSTER})
    for move in moves:
        world.move(move)
    assert world.request.state in {State.PENDING, State.EXPIRED}
    assert world.request.reviews == ()


@given(st.sampled_from(CATALOGS), st.lists(CHANGING, min_size=3, max_size=30))
@settings(max_examples=400)
def test_nobody_has_approved_another_reason_or_less_time_than_what_is_granted(
    policy: Catalog, moves: list[tuple[Any, ...]]
) -> None:
    world = World(policy, {**ROSTER})
    world.ask()
    for move in moves:
        world.move(move)
        if world.request.state is not State.PENDING:
            break
    request = world.request
    assert request.duration <= 1800
    seen(f"{request.state}, {request.reason_changes and 'changed'} {len(world.approvals)}")
    for card, review_ in world.approvals:
        assert card.reason == request.reason, "whoever approved read this reason"
        assert request.state is not State.GRANTING or request.duration <= review_.duration <= card.duration
    if request.state is State.GRANTING:
        assert can_be_full(world.policy, world.roster, request)


def test_the_sequences_lead_to_approvals_too() -> None:
    for policy in CATALOGS:
        world = World(policy, {**ROSTER})
        for who in ("dan", "eve", "sam", "kim", "pat", "eve", "sam", "kim", "pat"):
            world.click(who, Verb.APPROVE)
        assert world.request.state is State.GRANTING
