"""What a question to the requester and its answer make of a request that waits for approval."""

from __future__ import annotations

from bot.core.events import QuestionAnswered, QuestionAsked
from bot.core.illegal_event import IllegalEvent
from bot.core.request import MOST_QUESTIONS, Request


def ask(request: Request, event: QuestionAsked) -> Request:
    """The request with one question more. Raises `IllegalEvent`."""
    if event.question.n != len(request.questions) + 1 or event.question.n > MOST_QUESTIONS:
        raise IllegalEvent(f"{request.id}: questions are numbered in order, up to {MOST_QUESTIONS}")
    return request.model_copy(update={"questions": (*request.questions, event.question)})


def answer(request: Request, event: QuestionAnswered) -> Request:
    """The request with an answer, and with what it changes. Raises `IllegalEvent`.

    The time only becomes shorter, and a reason that somebody has approved stays. No deadline, no reminder and no
    required step changes: who has to approve stays as rules judged it when it was requested, however short it is now.
    """
    question = request.question(event.n)
    if question is None or question.answered:
        raise IllegalEvent(f"{request.id} has no question {event.n} without an answer")
    if not (event.answer or event.reason_change or event.duration_change):
        raise IllegalEvent(f"{request.id}: an answer says something, or changes something")
    said = {"answer": event.answer, "answered_at": event.at}
    said |= {"reason_change": event.reason_change, "duration_change": event.duration_change}
    answered = question.model_copy(update=said)
    questions = tuple(answered if each.n == event.n else each for each in request.questions)
    return request.model_copy(update={"questions": questions, **_reason(request, event), **_duration(request, event)})


def _reason(request: Request, event: QuestionAnswered) -> dict[str, str]:
    change = event.reason_change
    if change is None:
        return {}
    if change.before != request.reason or change.after == change.before:
        raise IllegalEvent(f"{request.id} has another reason than the one that is to change")
    if request.reviews:
        raise IllegalEvent(f"{request.id}: its reason was approved, and stays")
    return {"reason": change.after}


def _duration(request: Request, event: QuestionAnswered) -> dict[str, int]:
    change = event.duration_change
    if change is None:
        return {}
    if change.before != request.duration or not 0 < change.after < change.before:
        raise IllegalEvent(f"{request.id}: an answer only shortens the time")
    return {"asked": change.after, "duration": change.after}
