"""What an approver asked and what the requester answered and changed with it, in words; pure."""

from __future__ import annotations

from bot.core.question_errors import ReasonChanged, ReasonFixed
from bot.core.questions import ApproverQuestion, DurationChange, ReasonChange
from bot.core.request import Request
from handlers.views.text import approvers, fitting, length, name

CHANGED = "_changed after a question_"
"""Beneath a reason that is not the one that was requested with."""
_SAID = 700
"""Characters of one question or answer."""
_REASON = 500
"""Characters of each of the two reasons."""


def asked(request: Request, question: ApproverQuestion) -> str:
    """On the card: a question, its answer and what was changed with it, or that there is none."""
    asks = f":grey_question: {name(question.by)} asked: {fitting(question.text, _SAID)}"
    who = name(request.requester)
    if not question.answered:
        waits = "has not answered yet" if request.awaits_decision else "did not answer"
        return f"{asks}\n_{who} {waits}._"
    said = [f":speech_balloon: {who} answered: {fitting(question.answer, _SAID)}"] if question.answer else []
    changed = [
        *(["the reason"] if question.reason_change else []),
        *([_shortened(question.duration_change)] if question.duration_change else []),
    ]
    said += [f":pencil2: {who} changed {' and '.join(changed)}"] if changed else []
    return "\n".join([asks, *said])


def changes(reason: ReasonChange | None, duration: DurationChange | None) -> str:
    """What an answer changed, from what to what; empty where it changed nothing."""
    said = []
    if reason:
        before = f'"{fitting(reason.before, _REASON)}"' if reason.before else "none"
        said.append(f'the reason from {before} to "{fitting(reason.after, _REASON)}"')
    if duration:
        said.append(_shortened(duration))
    return " and ".join(said)


def reason_changed(error: ReasonChanged) -> str:
    """To an approver who read another reason."""
    who, id_ = name(error.request.requester), error.request.id
    return f"{who} changed the reason of {id_}, so nothing was approved. Its card shows the new one: read it first."


def reason_fixed(error: ReasonFixed) -> str:
    """To the requester."""
    id_ = error.request.id
    return {
        "approved": f"{approvers(error.request)} approved {id_} for this reason, so it stays. You can still answer.",
        "ticket": "Rules were judged on the ticket in the reason: name the same in a new one, or request again.",
        "policy": f"The policy no longer has what {id_} requests, so its reason stays. You can still answer.",
    }[error.why]


def _shortened(duration: DurationChange) -> str:
    return f"the time from {length(duration.before)} to {length(duration.after)}"
