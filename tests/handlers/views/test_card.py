"""The card contract: for each state and kind, the card, its lock screen, its buttons, its thread and the DMs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot.access.track_record import TrackRecord
from bot.core.events import QuestionAnswered
from bot.core.lifecycle import TRANSITIONS, advance, begin, fold
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import MOST_QUESTIONS, QUESTION_LIMIT, Ending, LegState, Review, State, Verb
from bot.playground import LocalSlack
from bot.policy.approval_progress import ApprovalProgress, StepProgress
from bot.policy.steps import RequestStep
from handlers.views import card, thread
from handlers.views.ladder import ladder
from handlers.views.message import Needed
from handlers.views.text import clock, when
from tests.handlers.views.cards import FOLDER, SITE, STORIES, asked, needed, question, spelled, told
from tests.handlers.views.drawing import AT, DAN, EVE, HOUR, MIA, NAMES, request
from tests.handlers.views.shown import assert_labelled, buttons_of, flaws

WITH_A_CARD = [name for name in STORIES if not fold(STORIES[name]).unseen]
"""Approvers never saw the others."""


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_as_its_golden_file_has_it(name: str) -> None:
    golden = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert spelled(name) == golden, (
        "if this is meant: `python -m tests.handlers.views.cards`, and look at the difference"
    )


def test_what_approvers_never_saw_has_no_card_and_no_thread() -> None:
    unseen = [name for name in STORIES if name not in WITH_A_CARD]
    assert len(unseen) > 4
    assert all("card" not in told(name) and not told(name)["thread"] for name in unseen)


def test_there_is_a_story_of_each_state_and_no_file_without_one() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(STORIES)
    assert {fold(events).state for events in STORIES.values()} == set(State)


@pytest.mark.parametrize("name", STORIES)
def test_it_keeps_to_the_limits_and_what_was_typed_is_only_text(name: str) -> None:
    slack, shown = LocalSlack(), told(name)
    messages = [message for message in shown.values() if isinstance(message, dict)]
    slack.payloads += [("message", message) for message in messages]
    assert flaws(slack) == []
    for message in messages:
        assert message["text"], "a lock screen would show nothing"
        assert all("fields" not in block for block in message["blocks"])
    everything = "".join((*shown["thread"], *map(str, messages)))
    assert not any(evil in everything for evil in ("<!channel>", "<!here>", "<https://evil"))


@pytest.mark.parametrize("name", WITH_A_CARD)
def test_who_asks_for_what_comes_first_then_why_then_what_it_opens_then_who_decides(name: str) -> None:
    blocks = told(name)["card"]["blocks"]
    headed = blocks[0]["type"] == "header"
    assert headed is (fold(STORIES[name]).break_glass is not None), "only break-glass is louder than who asks for what"
    who, why, consequence, standing = (block["text"]["text"] for block in blocks[headed : headed + 4])
    assert who.startswith("*<https://local.slack.com/team/UMIA|Mia>* (mia@example.com) · *")
    assert re.search(r":(red|large_\w+)_circle: \*(Low|Medium|High|Critical) risk\*", who)
    assert why.startswith("> ")
    assert re.search("opens (the sandbox door|a postgresql login) ", consequence.casefold())
    assert standing


@pytest.mark.parametrize("name", WITH_A_CARD)
def test_buttons_that_no_longer_apply_are_gone(name: str) -> None:
    state, shown = fold(STORIES[name]).state, told(name)
    if not TRANSITIONS[state]:
        assert not any(_buttons(message) for message in shown.values() if isinstance(message, dict))
    assert all(len(row) <= 2 for row in _rows(shown["card"])), "a phone would break a longer row"


@pytest.mark.parametrize("name", STORIES)
def test_the_requester_is_rung_at_most_three_times_and_once_more_for_an_extension_or_a_later_start(name: str) -> None:
    request, rings = fold(STORIES[name]), told(name)["rings"]
    more = 2 * request.extended if request.extension else 0
    assert len(rings) <= 3 + max(more, int(request.extension is not None)) + int(request.starts_at > 0)
    assert len(set(rings)) == len(rings), "nothing is said twice"


@pytest.mark.parametrize("name", STORIES)
def test_a_screen_reader_says_what_each_button_is_about(name: str) -> None:
    for button in buttons_of(told(name)):
        assert_labelled(button)
        assert "J-7K3Q" in button["accessibility_label"]


@pytest.mark.parametrize("name", WITH_A_CARD)
def test_a_card_says_in_words_what_its_marks_say(name: str) -> None:
    shown = _text(told(name)["card"])
    words = re.sub(r":[a-z_]+:", "", shown)
    assert re.search(r"\*(Low|Medium|High|Critical) risk\*", words)
    for line in shown.splitlines():
        assert re.sub(r"[:>*\s]", "", re.sub(r":[a-z_]+:", "", line)), f"{line!r} is a mark alone"


def test_approving_is_one_tap_and_a_confirmation_where_it_is_critical() -> None:
    def confirms(name: str) -> list[bool]:
        return ["confirm" in button for button in _buttons(told(name)["card"]) if button["action_id"] == "approve"]

    assert confirms("pending") == [False]
    assert confirms("pending-critical") == [True]


def test_deny_stands_beside_approve_and_whatever_is_longer_beneath_them() -> None:
    first, second = _rows(told("pending")["card"])
    assert [button["text"]["text"] for button in first] == ["Approve", "Deny…"]
    assert [button["text"]["text"] for button in second] == ["Approve for less…", "Ask…"]


def test_a_card_says_what_approving_does_and_until_when_at_the_latest() -> None:
    assert (
        f"If approved: access for 30 min right away, until about {clock(AT + 4 * HOUR + 1800)} at the latest."
        in _text(told("pending")["card"])
    )
    later = _text(told("pending-later")["card"])
    assert f"access for 30 min from {when(AT + 10 * HOUR)}, until about {clock(AT + 10 * HOUR + 1800)}." in later


def test_who_approved_for_which_step_and_whom_it_still_waits_for() -> None:
    half = _text(told("pending-critical-half")["card"])
    assert "*Dan* (dan@example.com) approved (30 min) for `dba`" in half
    assert f"Needs 1 approval from {NAMES['security']} by " in half
    assert f"It still needs 1 approval from {NAMES['security']}." in told("pending-critical-half")["thread"][0]


def test_the_title_of_a_role_is_on_the_card_once() -> None:
    assert _text(told("pending-critical")["card"]).count("Vault: admin") == 1


@pytest.mark.parametrize("count", [8, 10])
def test_of_very_many_roles_every_one_is_on_the_card_with_its_own_risk(count: int) -> None:
    first = asked()
    [role] = first.roles
    long = {"consequence": "opens a PostgreSQL login: member of " + "reporting_readers, " * 12}
    roles = [role.model_copy(update={"role": f"r{n}", "title": f"Vault {n}: {'t' * 50}", **long}) for n in range(count)]
    roles[-1] = roles[-1].model_copy(update={"sensitivity": "critical"})
    request = begin(first.model_copy(update={"roles": tuple(roles)}))
    slack, message = LocalSlack(), card.card(request, needed(request), SITE)
    slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
    assert flaws(slack) == []
    shown = _text({"blocks": message.blocks})
    assert [f"Vault {n}: " in shown for n in range(count)] == [True] * count
    assert shown.count("Low risk") == count - 1
    assert shown.count("Critical risk") == 2, "the whole is as risky as its riskiest role"


def test_of_very_many_roles_that_cannot_be_revoked_every_one_is_named_on_the_card_and_in_the_alarm() -> None:
    events = STORIES["revoking-stuck"]
    request = fold(events)
    [leg] = request.legs
    legs = [
        leg.model_copy(update={"n": n, "error": "x" * 800, "role": leg.role.model_copy(update={"role": f"role-{n}"})})
        for n in range(10)
    ]
    request = request.model_copy(update={"legs": tuple(legs)})
    for message in (card.card(request, needed(request), SITE), card.alarm(request)):
        slack = LocalSlack()
        slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
        assert flaws(slack) == []
        assert all(f"vault/role-{n}: " in str(message.blocks) for n in range(10))


def test_as_many_systems_as_a_request_can_have_fit_on_each_of_their_cards() -> None:
    first = asked()
    [role] = first.roles
    roles = [
        role.model_copy(update={"system": f"s{n}", "title": f"System {n}: {'&' * 80}", "channel": f"C0SYSTEM{n}"})
        for n in range(10)
    ]
    request = begin(first.model_copy(update={"roles": tuple(roles)}))
    others = {n: ((" or ".join(f"`{'g' * 40}`" for _ in range(9)), 2),) for n in range(1, 10)}
    pending = card.card(request, Needed(((NAMES["dba"], 1),), others=others), SITE, channel=request.channel)
    legs = [leg.model_copy(update={"state": LegState.REVOKING, "error": "x" * 800}) for leg in request.legs]
    ending = {"state": State.REVOKING, "ending": Ending.REFUSED, "closed_reason": "x" * 800, "legs": tuple(legs)}
    closing = card.card(request.model_copy(update=ending), Needed(), SITE, channel=request.channel)
    for message in (pending, closing):
        slack = LocalSlack()
        slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
        assert flaws(slack) == []
        assert all(f"*System {n}: " in _text({"blocks": message.blocks}) for n in range(1, 10))
    assert "needs 2 approvals\n" in _text({"blocks": pending.blocks})
    assert "until about" in _text({"blocks": pending.blocks})
    assert _text({"blocks": closing.blocks}).count("being revoked") == 10


def test_earlier_requests_are_counted_on_the_card_while_it_is_to_be_decided() -> None:
    request = begin(asked())
    record = TrackRecord(days=30, requests=4, approved=3, denied=1)
    said = "Earlier requests for this in the last 30 days: 3 of 4 approved, 1 denied"
    assert said in str(card.card(request, needed(request), SITE, record).blocks)
    assert "Earlier requests" not in str(card.card(request, needed(request), SITE).blocks)


def test_as_many_questions_as_there_can_be_fit_on_a_card_whatever_is_typed() -> None:
    typed = "&" * QUESTION_LIMIT
    events = [question(n + 1).model_copy() for n in range(MOST_QUESTIONS)]
    request = begin(asked(reason="&" * 500))
    for event in events:
        bad = event.question.model_copy(update={"text": typed})
        request = advance(request, event.model_copy(update={"question": bad}))
        before, duration = request.reason, request.duration
        answered = QuestionAnswered(
            at=event.at,
            by=MIA.id,
            n=bad.n,
            answer=typed,
            reason_change=ReasonChange(before=before, after=f"{bad.n}{'&' * 499}"),
            duration_change=DurationChange(before=duration, after=duration - 60),
        )
        request = advance(request, answered)
        lines = thread.line(request, answered, needed(request))
        assert len(lines) < 3_000
        assert " to " in lines.rpartition("the time from")[2], "nothing of it is cut"
    slack, message = LocalSlack(), card.card(request, needed(request), SITE)
    slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
    assert flaws(slack) == []


def _text(message: dict[str, Any]) -> str:
    return "\n".join(block["text"]["text"] for block in message["blocks"] if block["type"] == "section")


def _rows(message: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [block["elements"] for block in message["blocks"] if block["type"] == "actions"]


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [element for row in _rows(message) for element in row]


def test_the_ladder_names_in_whose_place_a_step_was_approved() -> None:
    made = request()
    name = made.legs[0].role.name
    first, second = (RequestStep(name=name, n=n, own=("dba",), count=1) for n in (1, 2))
    given = Review(verb=Verb.APPROVE, by=EVE, at=AT, duration=60, stands_in_for=DAN, delegation="D-7K3QWX")
    [line] = ladder(
        made, ApprovalProgress(steps=(StepProgress(step=first, by=(given,)), StepProgress(step=second))), [name]
    )
    assert "1. `dba`: Eve for Dan approved" in line
