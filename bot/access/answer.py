"""The requester answers an approver's question, and may give a better reason and ask for a shorter time with it.

Only the requester can, and only while the request is undecided. It withdraws no approval: after one the reason is
fixed, and a shorter time is less than what was approved. Rules are not judged again, so a shorter time never needs
fewer approvals; a new reason has to name the same tickets.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.access import form_fields
from bot.access.circumstances import tickets_named
from bot.access.context import AccessContext
from bot.core import durations, typed
from bot.core.errors import BadDuration, BadQuestion, Overtaken
from bot.core.events import QuestionAnswered
from bot.core.frozen import Frozen
from bot.core.question_errors import NoSuchQuestion, ReasonFixed
from bot.core.questions import ApproverQuestion, DurationChange, ReasonChange
from bot.core.request import QUESTION_LIMIT, Request
from bot.core.verdict import Actor
from bot.policy import authorization, rules
from bot.policy.catalog import Catalog, Choice


class AnswerForm(Frozen):
    """An answer. ``reason``: a new one, empty to keep it; ``duration``: in seconds, None to keep it."""

    text: str = ""
    reason: str = ""
    duration: int | None = None


@dataclass(frozen=True)
class Answerable:
    """A question that waits for its answer. ``choice``: has the rules for a new reason; None if the reason is fixed."""

    request: Request
    question: ApproverQuestion
    choice: Choice | None


async def answer(context: AccessContext, actor: Actor, id_: str, n: int, form: AnswerForm) -> Request:
    """Record the answer to question ``n``, and what it changes; idempotent.

    Raises what `answerable` does, and `BadQuestion`, `BadReason`, `BadDuration`, `ReasonFixed`, `PolicyMoved`,
    `Late`.
    """
    form = form.model_copy(update={"text": bounded(form.text, "answer") if typed.line(form.text) else ""})
    while True:
        request = await _of_requester(context, actor, id_)
        question = request.question(n)
        if question and _same(request, question, form):
            return request
        _unanswered(request, n)
        # The policy is read after the record: the commit fails unless a new reason was judged by the workspace's.
        catalog, now = context.catalog(), await context.store.now()
        event = answer_event(catalog, request, n, form, actor.person.id, now)
        relied_on = catalog if event.reason_change else None
        if after := await context.commit(relied_on, request, event, deadline=request.decide_by):
            return after


def answer_event(catalog: Catalog, request: Request, n: int, form: AnswerForm, by: str, now: float) -> QuestionAnswered:
    """The event of an answer to a question that waits for it; the text was checked before.

    Raises `BadQuestion`, `BadReason`, `BadDuration`, `ReasonFixed`.
    """
    reason, duration = _new_reason(catalog, request, form.reason), _shorter(request, form.duration)
    if not (form.text or reason or duration):
        raise BadQuestion("answer")
    return QuestionAnswered(at=now, by=by, n=n, answer=form.text, reason_change=reason, duration_change=duration)


async def answerable(context: AccessContext, actor: Actor, id_: str, n: int) -> Answerable:
    """The question ``n`` of the request, if this person could answer it now: the checks that `answer` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `NoSuchQuestion`.
    """
    request = await _of_requester(context, actor, id_)
    question = _unanswered(request, n)
    try:
        choice = _changeable(context.catalog(), request)
    except ReasonFixed:
        choice = None
    return Answerable(request, question, choice)


def bounded(text: str, what: str) -> str:
    """A question or an answer as one line that says something, never cut. Raises `BadQuestion`."""
    text = typed.line(text)
    if len(text) > QUESTION_LIMIT:
        raise BadQuestion(what, QUESTION_LIMIT)
    if not typed.says_something(text):
        raise BadQuestion(what)
    return text


async def _of_requester(context: AccessContext, actor: Actor, id_: str) -> Request:
    """Permission before state: nobody but the requester learns the state of the request."""
    request = (await context.find_readable(actor, id_)).request
    await context.require_allowed("answer", actor, request.id, authorization.is_requester(request, actor.person))
    return request


def _unanswered(request: Request, n: int) -> ApproverQuestion:
    if not request.awaits_decision:
        raise Overtaken(request)
    question = request.question(n)
    if question is None or question.answered:
        raise NoSuchQuestion(request)
    return question


def _same(request: Request, question: ApproverQuestion, form: AnswerForm) -> bool:
    """Whether the question already has this answer, with the same changes."""
    reason = question.reason_change.after if question.reason_change else request.reason
    duration = question.duration_change.after if question.duration_change else request.duration
    return (
        question.answered
        and question.answer == form.text
        and typed.line(form.reason) in {"", reason}
        and form.duration in {None, duration}
    )


def _changeable(catalog: Catalog, request: Request) -> Choice:
    """The choice, for a new reason. Raises `ReasonFixed` after an approval, or if the policy no longer has it."""
    if request.reviews:
        raise ReasonFixed(request, "approved")
    choice = catalog.find(request.what)
    if choice is None:
        raise ReasonFixed(request, "policy")
    return choice


def _new_reason(catalog: Catalog, request: Request, reason: str) -> ReasonChange | None:
    """Another reason, by the check that a request passes; None for none, or the same."""
    if typed.line(reason) in {"", request.reason}:
        return None
    text = form_fields.check_reason(_changeable(catalog, request), reason)
    before = rules.requested_access(request)
    after = before.model_copy(update={"reason": text})
    if {*tickets_named(catalog, before)} != {*tickets_named(catalog, after)}:
        # Else a request that needs fewer approvals because of a ticket could drop the ticket.
        raise ReasonFixed(request, "ticket")
    return ReasonChange(before=request.reason, after=text)


def _shorter(request: Request, duration: int | None) -> DurationChange | None:
    """A shorter time; None for none, or the same. Raises `BadDuration` for a longer one."""
    if duration is None or duration == request.duration:
        return None
    if not durations.SHORTEST <= duration < request.duration:
        raise BadDuration(durations.short(max(duration, 0)), (), request.duration)
    return DurationChange(before=request.duration, after=duration)
