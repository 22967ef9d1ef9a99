"""An error → one kind sentence: what, why, and what to do next; the one place that words refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from bot import logs
from bot.core import durations
from bot.core.errors import (
    AlreadyAnswered,
    AlreadyRequested,
    Ambiguous,
    BadDay,
    BadDuration,
    BadInput,
    BadQuestion,
    BadReason,
    BadStart,
    CannotCombine,
    CannotExtend,
    CouldNotCheck,
    Crowded,
    DelegationsChanged,
    IdentityTaken,
    JitError,
    Late,
    LimitReached,
    LockedDown,
    NotAllowed,
    NotAMember,
    NotFound,
    NotLockedDown,
    Overtaken,
    PolicyMoved,
    RoleChanged,
    RolledBack,
    StoreAway,
    Tampered,
    TerminalDoesNotCount,
    UnknownChoice,
    UnknownPerson,
    UnknownSystem,
    UnknownWord,
    WrongCode,
)
from bot.core.identity_errors import IdentityChanged
from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.question_errors import NoSuchQuestion, ReasonChanged, ReasonFixed
from bot.core.verdict import Code, Reason
from handlers.slack.outcome import worded_errors
from handlers.views import break_glass, factor_errors, rule_lines
from handlers.views.accounts import not_a_member
from handlers.views.extension import cannot_extend
from handlers.views.limits import conflicting, not_counted, over_limit
from handlers.views.lockdown import locked, not_locked
from handlers.views.questions import reason_changed, reason_fixed
from handlers.views.status import clause
from handlers.views.text import clock, code, length, safe, when

log = logging.getLogger(__name__)

UNEXPECTED = (
    "This failed, and it is our fault, not yours. `/jit list` shows what was recorded; if yours is not there, "
    "try again. If it fails again, tell an operator: the log says why."
)

_REASONS: Mapping[Code, str] = {
    Code.MAY_NOT_ASK: "you are in none of the groups that may request {about}; an operator can tell you which may",
    Code.NOBODY_TO_APPROVE: "not enough other active people could approve {about}; ask an operator to add an approver",
    Code.OWN_REQUEST: "You can't approve your own request. Another approver has to.",
    Code.NOT_AN_APPROVER: "Only {about} can approve this.",
    Code.ALREADY_FILLED: "Your group has already approved. It now waits for other approvers.",
    Code.NOT_YET_OPEN: "It is not your turn yet: {about} has to approve first. Your step opens after that.",
    Code.LINKED: (
        "One of you stands in for the other, so you can't approve each other's requests. Another approver has to."
    ),
    Code.FRESH_MEMBER: (
        "You joined {about} only a short while ago, so you can't approve a critical role yet. Another approver has to; "
        "you can deny it."
    ),
    Code.NO_STAND_IN: "Only approvers in {about} can name a stand-in.",
    Code.NOT_A_STAND_IN: "Only somebody in {about} can stand in for you.",
    Code.OWN_STAND_IN: "You can't stand in for yourself. Name somebody else.",
    Code.MAY_NOT_REVOKE: "only {about} can end this; ask one of them",
    Code.NOT_AN_OPERATOR: "only an operator of this workspace ({about}) can do this",
    Code.NOT_THE_REQUESTER: "only the requester can do this; `/jit list` shows what is yours",
    Code.REQUESTER_MAY_NOT: "the requester is no longer in a group that may request {about}; deny it, or wait",
    Code.MAY_NOT_ASK_FOR: "you are in none of the groups that may request {about} for others",
    Code.PERSON_MAY_NOT_ASK: "that person is in none of the groups that may request {about}, so nobody can for them",
    Code.NOT_AN_AUDITOR: "only {about} can read the audit log",
    Code.ABOUT_THEMSELF: "this is about you; another auditor or operator can snooze it",
    Code.DENIED_BY_RULE: "{about}",
    Code.RULE_UNSURE: "{about}",
    **break_glass.REASONS,
    Code.UNKNOWN_GROUP: "the members of {about} cannot be checked right now; please try again in a minute",
}


_DAYS = "`yesterday`, `today`, `monday` or `2026-11-24`"


def sentence(error: Exception) -> str:
    """What a person reads. The log has that it was refused, and why in the policy's words: not what was typed."""
    if (kept := worded_errors.get()) is not None:
        kept.append(error)
    for kind, words in _WORDS.items():
        if type(error) is kind:
            why = ",".join(r.code for r in error.verdict.reasons) if isinstance(error, NotAllowed) else None
            log.info("refused", extra=logs.facts(error=kind.__name__, why=why))
            return words(error)
    log.error("an error that nobody expected", exc_info=error)
    return UNEXPECTED


def _unknown(error: UnknownChoice) -> str:
    if not error.nearest:
        shows = "`/jit request` shows what there is."
        return f"There is no template or role {code(error.what, 80)} that you may request. {shows}"
    near = " or ".join(code(n, 80) for n in error.nearest[:3])
    return f"There is no template or role {code(error.what, 80)} that you may request. Did you mean {near}?"


def _combining(error: CannotCombine) -> str:
    why = {
        "many": f"a request has at most {error.most} roles",
        "long": f"their names have more than {error.most} characters together",
        "inputs": f"together they ask for more than {error.most} inputs",
        "differs": f"both ask for {code(error.name, 40)}, with other values",
    }[error.problem]
    return f"These roles cannot be one request: {why}. Request them one after the other."


def _system(error: UnknownSystem) -> str:
    near = " or ".join(code(n, 80) for n in error.nearest[:3])
    hint = f"Did you mean {near}?" if near else "`/jit help who` has an example."
    return f"There is no system {code(error.what, 80)} that you can see. {hint}"


def _word(error: UnknownWord) -> str:
    what = code(error.what, 60)
    if error.twice:
        two = "two people" if error.twice == "person" else f"two {error.twice}s"
        return f"You named {two} ({what} is the second); search for one at a time."
    near = " or ".join(code(n, 90) for n in error.nearest[:3])
    hint = f"Did you mean {near}?" if near else "`/jit help audit` has examples."
    return f"I don't understand {what}: it is not a person, system, role, kind, request or time. {hint}"


def _duration(error: BadDuration) -> str:
    if not error.cap:
        return f'I don\'t understand the duration "{safe(error.text, 20)}". Try `30m`, `1h30m` or `2d`.'
    offered = ", ".join(durations.short(s) for s in error.offered)
    choose = f"Choose one of {offered}." if offered else "Choose another, like `30m`."
    typed = length(seconds) if (seconds := _seconds(error.text)) else code(error.text, 20)
    if seconds < durations.SHORTEST:
        return f"{typed} is too short: the minimum is {length(durations.SHORTEST)}. {choose}"
    return f"{typed} is too long: the maximum is {length(error.cap)}.{f' {choose}' if offered else ''}"


def _seconds(text: str) -> int:
    try:
        return durations.parse(text)
    except durations.NotADuration:
        return 0


def _reason(error: BadReason) -> str:
    hint = f" Expected: {safe(error.hint, 240)}." if error.hint else ""
    return {
        "missing": f"Please give a reason: approvers and auditors read it.{hint}",
        "short": f"The reason is too short: the minimum is {error.limit} characters.{hint}",
        "long": f"The reason is too long: the maximum is {error.limit} characters.",
        "form": f"The reason does not have the required form.{hint}",
    }[error.problem]


def _input(error: BadInput) -> str:
    title, expected, why = safe(error.title, 90), safe(error.expected, 240), safe(error.why, 300)
    typed = f'"{safe(error.typed, 60)}"'
    asks = f" It asks for {expected}." if error.expected else ""
    return {
        "missing": f"{title} is missing. Expected: {expected}.",
        "choice": f"{title} has no choice {typed}. Choose {expected}.",
        "form": f"{title} {typed} does not have the required form. Expected: {expected}.",
        "long": f"{title} is too long. Expected: {expected}.",
        "key": f"{title} cannot be used: {why}.",
        "refused": f"{title} {typed} is not accepted: {why}.",
        "unasked": f"`{title}` does not ask for {code(error.name, 40)}.{asks}",
    }[error.problem]


def _start(error: BadStart) -> str:
    if not error.at:
        forms = "`at 22:00`, `at tomorrow 9:30` or `at 2026-11-26 22:00`"
        return f'I don\'t understand the time "{safe(error.text, 30)}". Try {forms}.'
    bounds = f"at least a minute from now, and no later than {when(error.latest)}"
    return f"The start has to be {bounds}. Choose another, or none."


def _not_allowed(error: NotAllowed) -> str:
    said = [_REASONS[reason.code].format(about=_about(reason)) for reason in error.verdict.reasons]
    whole = [words for words in said if words.endswith(".")]
    parts = [words for words in said if not words.endswith(".")]
    return " ".join([*whole, *([f"You cannot do this: {'; '.join(parts)}."] if parts else [])])


def _about(reason: Reason) -> str:
    if reason.code in {Code.DENIED_BY_RULE, Code.RULE_UNSURE}:
        return rule_lines.denial(*reason.about)
    return " or ".join(code(word, 80) for word in reason.about) or "nobody"


def _limit(error: LimitReached) -> str:
    if error.kind == "open":
        return f"You have {error.limit} open requests, the maximum. Cancel or release one first: `/jit list`."
    if error.kind == "open_for":
        return f"That person has {error.limit} open requests, the maximum. They can cancel or release one first."
    if error.kind == "reminders":
        return f"The approvers were reminded within the last {length(error.window)}. Please give them a moment."
    if error.kind == "delegations":
        return f"This workspace has {error.limit} stand-ins, the maximum. An operator can end some: `jit delegations`."
    if error.kind == "break_glass":
        times, again = f"{error.limit} times within {length(error.window)}", "`/jit request` asks the approvers."
        return f"You used break-glass {times}, the maximum. {again}"
    if error.kind == "questions":
        return f"This request already has {error.limit} questions, the maximum. Approve it, or deny it with a reason."
    return f"You made {error.limit} requests within {length(error.window)}, the maximum. Please wait a few minutes."


def _already_requested(error: AlreadyRequested) -> str:
    if error.of_another:
        return "That person has the same request open already. `/jit list` shows it, if you made it."
    id_ = error.request.id
    then = f"`/jit show {id_}` shows it." if error.request.is_active else f"`/jit cancel {id_}` cancels it."
    return f"You have already requested this: {id_} {clause(error.request)}. {then}"


def _terminal(error: TerminalDoesNotCount) -> str:
    why = safe(error.why, 200) or "nobody has claimed it in Slack (`jit people bind-cli`)"
    nobody = f"{code(error.by, 200)} does not count as an operator: {why}."
    return f"{nobody} You can lift in Slack instead: `/jit lockdown lift`."


def _ambiguous(error: Ambiguous) -> str:
    if not error.ids:
        return "None of your requests fits this right now. `/jit list` shows them."
    return f"Which one? Add its id to the command: {', '.join(f'`{id_}`' for id_ in error.ids)}."


def _overtaken(error: Overtaken) -> str:
    request = error.request
    never = "yet" if request.awaits_decision or request.is_draft else "any more"
    return f"{request.id} {clause(request)}, so this cannot be done {never}. `/jit show {request.id}` shows it."


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    UnknownChoice: _unknown,
    CannotCombine: _combining,
    UnknownSystem: _system,
    BadDay: lambda e: f'I don\'t understand the day "{safe(e.text, 30)}". Try {_DAYS}.',
    UnknownPerson: lambda e: (
        f"Who is {code(e.what, 40)}? Pick the person from Slack's @ list, or type their e-mail address."
    ),
    BadDuration: _duration,
    BadReason: _reason,
    BadInput: _input,
    BadQuestion: lambda e: (
        f"The {e.what} is too long: the maximum is {e.limit} characters." if e.limit else f"Please type the {e.what}."
    ),
    UnknownWord: _word,
    BadStart: _start,
    CannotExtend: cannot_extend,
    NotAMember: not_a_member,
    NotAllowed: _not_allowed,
    LimitReached: _limit,
    OverLimit: over_limit,
    Conflicting: conflicting,
    NotCounted: not_counted,
    AlreadyRequested: _already_requested,
    NotFound: lambda e: f"There is no request {code(e.id, 20)} that you can see. `/jit list` shows yours.",
    Ambiguous: _ambiguous,
    Late: lambda e: (
        f"Too late: the time for this ended at {clock(e.deadline)}, so {e.id} did not change. "
        "If it is still needed, request it again."
    ),
    Overtaken: _overtaken,
    AlreadyAnswered: lambda e: f"You have already answered {e.request.id}, and count once; it {clause(e.request)}.",
    NoSuchQuestion: lambda e: (
        f"This question about {e.request.id} already has an answer. `/jit show {e.request.id}` shows both."
    ),
    ReasonChanged: reason_changed,
    ReasonFixed: reason_fixed,
    RoleChanged: lambda e: (
        f"The policy changed a role of {e.request.id}, so it is cancelled. It has to be requested again."
    ),
    LockedDown: lambda e: locked(e.lock),
    TerminalDoesNotCount: _terminal,
    WrongCode: lambda e: (
        f"No terminal is waiting with {code(e.what, 60)}: a code works once, within ten minutes. "
        "`jit people bind-cli` at the terminal prints a new one."
    ),
    NotLockedDown: not_locked,
    PolicyMoved: lambda _: "The policy has just changed. Nothing was recorded; please press again in a minute.",
    DelegationsChanged: lambda _: "Who stands in for whom has just changed. Nothing was recorded; please press again.",
    CouldNotCheck: lambda e: (
        f"Slack did not answer in time ({safe(e.what, 200)}). Nothing was recorded; please try again in a moment."
    ),
    IdentityTaken: lambda _: (
        "Your e-mail address is bound to another account of this workspace, so we cannot tell who you are. "
        "Nothing was recorded. An operator can check it, then type `jit people unbind`."
    ),
    IdentityChanged: lambda e: (
        f"The directory {code(e.directory, 60)} says that your e-mail address belongs to another person than before, "
        "so we cannot tell who you are. Nothing was recorded. An operator can check it, then type `jit people bind`."
    ),
    Tampered: lambda e: (
        f"The record of {e.id} failed its integrity check, so it is ignored; the operators were notified. "
        "Request again what you need."
    ),
    RolledBack: lambda e: (
        f"The record of {e.id} went back to an earlier state, so nothing new is done with it; "
        "the operators were notified. Request again what you need."
    ),
    Crowded: lambda _: (
        "Too many people are using this right now, and your turn did not come in time. Nothing was recorded; "
        "please try again in a few seconds."
    ),
    StoreAway: lambda _: (
        "Storage isn't responding. Your request was saved completely or not at all: check `/jit list` in a minute."
    ),
    **factor_errors.WORDS,
}


def worded() -> frozenset[type[Exception]]:
    """The errors that have a sentence, for the test that finds those that have none."""
    return frozenset(_WORDS)


def known(error: Exception) -> bool:
    """Whether it is refused on purpose."""
    return isinstance(error, JitError)
