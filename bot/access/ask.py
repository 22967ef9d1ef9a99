"""An approver asks the requester a question before deciding, and the requester answers; it decides nothing.

Anybody who could approve or deny now may ask, and only the requester may answer, both only while the request is
undecided.
"""

from __future__ import annotations

from bot.access.context import AccessContext
from bot.access.review import reviewable
from bot.core import typed
from bot.core.errors import BadQuestion, LimitReached, NoSuchQuestion, Overtaken
from bot.core.events import QuestionAnswered, QuestionAsked
from bot.core.request import MOST_QUESTIONS, QUESTION_LIMIT, ApproverQuestion, Request
from bot.core.verdict import Actor
from bot.policy import authorization


async def ask(context: AccessContext, actor: Actor, id_: str, text: str) -> Request:
    """Record a question to the requester; idempotent until it is answered.

    Raises what `askable` does, and `BadQuestion`, `PolicyMoved`, `Late`.
    """
    text = _bounded(text, "question")
    while True:
        request = await reviewable(context, actor, id_)
        if any(_same(each, actor, text) for each in request.questions):
            return request
        _require_room(request)
        catalog, now = context.catalog(), await context.store.now()
        question = ApproverQuestion(n=len(request.questions) + 1, by=actor.person, text=text, at=now)
        event = QuestionAsked(at=now, by=actor.person.id, question=question)
        if after := await context.step(catalog, request, event, deadline=request.decide_by):
            return after


async def askable(context: AccessContext, actor: Actor, id_: str) -> Request:
    """The request, if this person could ask about it now: the check that `ask` makes.

    Raises what `reviewable` does, and `LimitReached`.
    """
    request = await reviewable(context, actor, id_)
    _require_room(request)
    return request


async def answer(context: AccessContext, actor: Actor, id_: str, n: int, text: str) -> Request:
    """Record the answer to question ``n``; idempotent.

    Raises what `answerable` does, and `BadQuestion`, `Late`.
    """
    text = _bounded(text, "answer")
    while True:
        request = await _of_requester(context, actor, id_)
        question = request.question(n)
        if question and question.answer == text:
            return request
        _unanswered(request, n)
        event = QuestionAnswered(at=await context.store.now(), by=actor.person.id, n=n, answer=text)
        if after := await context.step(None, request, event, deadline=request.decide_by):
            return after


async def answerable(context: AccessContext, actor: Actor, id_: str, n: int) -> tuple[Request, ApproverQuestion]:
    """The request and its question ``n``, if this person could answer it now.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `NoSuchQuestion`.
    """
    request = await _of_requester(context, actor, id_)
    return request, _unanswered(request, n)


async def _of_requester(context: AccessContext, actor: Actor, id_: str) -> Request:
    """Permission before state: nobody but the requester learns the state of the request."""
    request = (await context.find(actor, id_)).request
    await context.check("answer", actor, request, authorization.is_requester(request, actor.person))
    return request


def _unanswered(request: Request, n: int) -> ApproverQuestion:
    if not request.awaits_decision:
        raise Overtaken(request)
    question = request.question(n)
    if question is None or question.answer:
        raise NoSuchQuestion(request)
    return question


def _require_room(request: Request) -> None:
    if len(request.questions) >= MOST_QUESTIONS:
        raise LimitReached("questions", MOST_QUESTIONS)


def _same(question: ApproverQuestion, actor: Actor, text: str) -> bool:
    return not question.answer and question.text == text and authorization.same(question.by, actor.person)


def _bounded(text: str, what: str) -> str:
    """The text as one line that says something, never cut. Raises `BadQuestion`."""
    text = typed.line(text)
    if len(text) > QUESTION_LIMIT:
        raise BadQuestion(what, QUESTION_LIMIT)
    if not typed.says_something(text):
        raise BadQuestion(what)
    return text
