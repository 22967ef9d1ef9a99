"""An approver asks before deciding: whoever could decide may ask, only the requester answers, and it is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import answer, ask, own_request
from bot.access.answer import AnswerForm
from bot.core.errors import (
    AlreadyAnswered,
    BadQuestion,
    LimitReached,
    NotAllowed,
    NotFound,
    Overtaken,
)
from bot.core.events import EVENT
from bot.core.lifecycle import fold
from bot.core.question_errors import NoSuchQuestion
from bot.core.request import MOST_QUESTIONS, QUESTION_LIMIT, Request
from bot.store.store import Store
from tests.house import House


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store).open()


async def asked(house: House, id_: str, text: str = "Which table?", who: str = "dan") -> Request:
    """An approver asks."""
    return await ask.ask(house.context, house.actor(who), id_, text)


async def answered(house: House, id_: str, n: int = 1, text: str = "orders", who: str = "mia") -> Request:
    """The requester answers."""
    return await answer.answer(house.context, house.actor(who), id_, n, AnswerForm(text=text))


async def test_question_and_answer_are_in_the_record_and_in_the_audit_log(house: House) -> None:
    request = await house.ask()
    await asked(house, request.id, "Which\ntable?\u200b")
    await asked(house, request.id, "Until when?", "eve")
    after = await answered(house, request.id, 2, "20:00")
    assert [(q.n, q.by.id, q.text, q.answer) for q in after.questions] == [
        (1, "UDAN", "Which table?", ""),
        (2, "UEVE", "Until when?", "20:00"),
    ]
    assert after == await house.now(request.id)
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    events = [EVENT.validate_json(entry[b"event"]) for _, entry in entries if entry[b"version"] != b"0"]
    assert [(event.kind, event.by) for event in events] == [
        ("submitted", "UMIA"),
        ("question_asked", "UDAN"),
        ("question_asked", "UEVE"),
        ("question_answered", "UMIA"),
    ]
    assert fold(events).questions == after.questions


@pytest.mark.parametrize("name", ["mia", "kim", "pat"])
async def test_whoever_could_not_decide_cannot_ask(house: House, name: str) -> None:
    request = await house.ask()
    with pytest.raises(NotAllowed):
        await asked(house, request.id, who=name)
    assert (await house.now(request.id)).questions == ()


async def test_who_has_approved_already_has_nothing_left_to_ask(house: House) -> None:
    request = await house.ask("eve", "vault/admin")
    await house.approve("dan", request.id)
    with pytest.raises(AlreadyAnswered):
        await asked(house, request.id)
    assert (await asked(house, request.id, who="kim")).questions


async def test_only_the_requester_answers(house: House) -> None:
    request = await house.ask()
    await asked(house, request.id)
    for name in ("dan", "eve", "pat"):
        with pytest.raises(NotAllowed):
            await answered(house, request.id, who=name)
    with pytest.raises(NotFound):
        await answered(house, request.id, who="kim")
    assert (await house.now(request.id)).questions[0].answer == ""


@pytest.mark.parametrize("n", [0, 2, -1, 10**6])
async def test_an_answer_belongs_to_a_question_that_was_asked(house: House, n: int) -> None:
    request = await house.ask()
    await asked(house, request.id)
    with pytest.raises(NoSuchQuestion):
        await answered(house, request.id, n)


async def test_a_second_answer_does_not_replace_the_first(house: House) -> None:
    request = await house.ask()
    await asked(house, request.id)
    first = await answered(house, request.id)
    assert await answered(house, request.id) == first, "the same one, delivered twice"
    with pytest.raises(NoSuchQuestion):
        await answered(house, request.id, text="all of them")
    assert await house.now(request.id) == first


async def test_once_it_is_decided_nobody_asks_or_answers(house: House) -> None:
    request = await house.ask()
    await asked(house, request.id)
    await house.approve("eve", request.id)
    with pytest.raises(Overtaken):
        await asked(house, request.id, "And then?")
    with pytest.raises(Overtaken):
        await answered(house, request.id)
    with pytest.raises(Overtaken):
        await answer.answerable(house.context, house.actor("mia"), request.id, 1)


async def test_after_a_cancelled_request_there_is_nothing_to_ask(house: House) -> None:
    request = await house.ask()
    await own_request.cancel(house.context, house.actor("mia"), request.id)
    with pytest.raises(Overtaken):
        await ask.askable(house.context, house.actor("dan"), request.id)


async def test_questions_are_bounded_in_number_and_the_last_one_sent_twice_is_one(house: House) -> None:
    request = await house.ask()
    for n in range(MOST_QUESTIONS):
        await asked(house, request.id, f"Question {n}?")
    last = f"Question {MOST_QUESTIONS - 1}?"
    assert len((await asked(house, request.id, last)).questions) == MOST_QUESTIONS
    with pytest.raises(LimitReached):
        await asked(house, request.id, "One more?")
    with pytest.raises(LimitReached):
        await ask.askable(house.context, house.actor("dan"), request.id)


@pytest.mark.parametrize("text", ["", " ", "?", "\u200b", "x" * (QUESTION_LIMIT + 1)])
async def test_what_says_nothing_or_too_much_is_refused_and_never_cut(house: House, text: str) -> None:
    request = await house.ask()
    with pytest.raises(BadQuestion):
        await asked(house, request.id, text)
    await asked(house, request.id, "x" * QUESTION_LIMIT)
    with pytest.raises(BadQuestion):
        await answered(house, request.id, text=text)


async def test_two_who_ask_at_the_same_moment_are_both_heard(house: House) -> None:
    request = await house.ask()
    await asyncio.gather(asked(house, request.id, "Which table?"), asked(house, request.id, "Which host?", "eve"))
    after = await house.now(request.id)
    assert [question.n for question in after.questions] == [1, 2]
    assert {question.text for question in after.questions} == {"Which table?", "Which host?"}


async def test_a_question_changes_nothing_of_what_is_decided(house: House) -> None:
    request = await house.ask()
    await asked(house, request.id)
    assert (await house.now(request.id)).decide_by == request.decide_by
    assert (await house.approve("dan", request.id)).reviews, "who asked decides as before"
