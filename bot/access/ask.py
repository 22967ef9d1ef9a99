"""An approver asks the requester a question before deciding; it decides nothing. The answer is in answer.py.

Anybody who could approve or deny now may ask, only while the request is undecided.
"""

from __future__ import annotations

from bot.access.answer import bounded
from bot.access.context import AccessContext
from bot.access.review import reviewable
from bot.core.errors import LimitReached
from bot.core.events import QuestionAsked
from bot.core.request import MOST_QUESTIONS, ApproverQuestion, Request
from bot.core.verdict import Actor
from bot.policy import authorization


async def ask(context: AccessContext, actor: Actor, id_: str, text: str) -> Request:
    """Record a question to the requester; idempotent until it is answered.

    Raises what `askable` does, and `BadQuestion`, `PolicyMoved`, `Late`.
    """
    text = bounded(text, "question")
    while True:
        request = await reviewable(context, actor, id_)
        if any(_same(each, actor, text) for each in request.questions):
            return request
        _require_room(request)
        catalog, now = context.catalog(), await context.store.now()
        question = ApproverQuestion(n=len(request.questions) + 1, by=actor.person, text=text, at=now)
        event = QuestionAsked(at=now, by=actor.person.id, question=question)
        if after := await context.commit(catalog, request, event, deadline=request.decide_by):
            return after


async def askable(context: AccessContext, actor: Actor, id_: str) -> Request:
    """The request, if this person could ask about it now: the check that `ask` makes.

    Raises what `reviewable` does, and `LimitReached`.
    """
    request = await reviewable(context, actor, id_)
    _require_room(request)
    return request


def _require_room(request: Request) -> None:
    if len(request.questions) >= MOST_QUESTIONS:
        raise LimitReached("questions", MOST_QUESTIONS)


def _same(question: ApproverQuestion, actor: Actor, text: str) -> bool:
    return not question.answered and question.text == text and authorization.same_person(question.by, actor.person)
