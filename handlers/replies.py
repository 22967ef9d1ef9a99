"""An error → one kind sentence: what, why, and what to do next; the one place that words what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from bot import logs
from bot.core import durations
from bot.core.errors import (
    AlreadyAnswered,
    AlreadyAsked,
    Ambiguous,
    BadDay,
    BadDuration,
    BadReason,
    BadStart,
    CannotExtend,
    CouldNotCheck,
    Crowded,
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
    StoreAway,
    Tampered,
    UnknownChoice,
    UnknownPerson,
    UnknownSystem,
    UnknownWord,
)
from bot.core.model import Request, State
from bot.core.policy import Code, Reason
from handlers.views.stopping import locked, stopped
from handlers.views.words import approvers, clock, length, safe, user, when

log = logging.getLogger(__name__)

UNEXPECTED = (
    "This did not work, and it is our fault, not yours. `/jit list` shows what is recorded; if it is not there, "
    "try again. If it fails again, tell an operator: the log has why."
)

_MEMBERS: Mapping[str, str] = {
    "guest": "Guests cannot ask for access or decide about it. Ask a full member of this workspace.",
    "external": (
        "You belong to another organisation, so you cannot ask for access or decide about it here. "
        "Ask somebody of this workspace."
    ),
    "elsewhere": (
        "You belong to another workspace, so you cannot ask for access or decide about it here. Use `/jit` in your own."
    ),
    "bot": "Apps cannot ask for access or decide about it. A person has to, from their own account.",
    "deactivated": (
        "This account is deactivated, so it cannot ask for access or decide about it. A Slack admin can activate it."
    ),
    "no_email": "Your Slack profile shows no e-mail address, and access is bound to one. Ask a Slack admin to add it.",
}

_REASONS: Mapping[Code, str] = {
    Code.MAY_NOT_ASK: "you are in none of the groups that may ask for {about}; an operator can tell you which may",
    Code.NOBODY_TO_APPROVE: "nobody but you could approve {about}; ask an operator to add an approver",
    Code.OWN_REQUEST: "nobody decides about their own request; another approver has to",
    Code.NOT_AN_APPROVER: "only {about} can decide about this; ask one of them",
    Code.ALREADY_FILLED: "your part is decided already; what is open waits for others",
    Code.MAY_NOT_REVOKE: "only {about} can take this away; ask one of them",
    Code.NOT_AN_OPERATOR: "only an operator of this workspace ({about}) can do this",
    Code.NOT_THE_ASKER: "only the person who asked can do this; `/jit list` shows what is yours",
    Code.ASKER_MAY_NOT: "who asked is in none of the groups that may ask for {about} any more; deny it, or wait",
    Code.NOT_AN_AUDITOR: "only {about} can read the record",
    Code.ABOUT_THEMSELF: "this is about you; another auditor or operator can snooze it",
    Code.UNKNOWN_GROUP: "it cannot be checked just now who is in {about}; please try again in a minute",
}


_DAYS = "`yesterday`, `today`, `monday` or `2026-11-24`"


said: ContextVar[list[Exception] | None] = ContextVar("said", default=None)
"""The errors that were worded for whoever is answered just now, if somebody keeps them."""


def sentence(error: Exception) -> str:
    """What a person reads. The log has that it was refused, and why in the policy's words: not what was typed."""
    if (kept := said.get()) is not None:
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
        return f"There is no template or role `{safe(error.what, 80)}` that you may ask for. {shows}"
    near = " or ".join(f"`{safe(n, 80)}`" for n in error.nearest[:3])
    return f"There is no template or role `{safe(error.what, 80)}` that you may ask for. Did you mean {near}?"


def _system(error: UnknownSystem) -> str:
    near = " or ".join(f"`{safe(n, 80)}`" for n in error.nearest[:3])
    hint = f"Did you mean {near}?" if near else "`/jit help who` has an example."
    return f"There is no system `{safe(error.what, 80)}` that you can see. {hint}"


def _word(error: UnknownWord) -> str:
    what = f"`{safe(error.what, 60)}`"
    if error.twice:
        return f"There is a {error.twice} already, so {what} cannot be another one. Ask for one at a time."
    near = " or ".join(f"`{safe(n, 90)}`" for n in error.nearest[:3])
    hint = f"Did you mean {near}?" if near else "`/jit help audit` has examples."
    return f"The record cannot be asked for {what}: it is no person, system, role, kind, request or time. {hint}"


def _duration(error: BadDuration) -> str:
    if not error.cap:
        return f"`{safe(error.text, 20)}` is no duration. Write it like `30m`, `1h30m` or `2d`."
    offered = ", ".join(durations.short(s) for s in error.offered)
    choose = f"Choose one of {offered}." if offered else "Choose another, like `30m`."
    if _seconds(error.text) < durations.SHORTEST:
        return f"`{safe(error.text, 20)}` is too short to be of use: at least {length(durations.SHORTEST)}. {choose}"
    return f"`{safe(error.text, 20)}` does not fit: at most {length(error.cap)} here. {choose}"


def _seconds(text: str) -> int:
    try:
        return durations.parse(text)
    except durations.NotADuration:
        return 0


def _reason(error: BadReason) -> str:
    hint = f" Expected: {safe(error.hint, 140)}." if error.hint else ""
    return {
        "missing": f"Please say why: those who decide and the audit read it.{hint}",
        "short": f"Please say a little more, at least {error.limit} characters.{hint}",
        "long": f"Please say it in at most {error.limit} characters.",
        "form": f"The reason is not of the form that is expected here.{hint or ' `/jit explain` has it.'}",
    }[error.problem]


def _start(error: BadStart) -> str:
    if not error.at:
        forms = "`at 22:00`, `at tomorrow 9:30` or `at 2026-11-26 22:00`"
        return f"`{safe(error.text, 30)}` is no time. Write it like {forms}."
    return f"A start lies at least a minute from now, and at the latest {when(error.latest)}. Choose another, or none."


def _cannot_extend(error: CannotExtend) -> str:
    ends = f"{error.request.id} closes at {clock(error.request.ends_at)}"
    return {
        "cap": f"{ends}, and its role allows {clock(error.latest)} at the latest. Ask anew once it is closed.",
        "asked": f"A later end is asked for already. Until it is decided, {ends}.",
        "systems": f"This system can have no later end: {ends}. Ask anew with `/jit request`.",
        "changed": f"Its role was changed in the policy since, so there is no later end: {ends}. Ask anew after that.",
    }[error.why]


def _not_allowed(error: NotAllowed) -> str:
    said = "; ".join(_REASONS[reason.code].format(about=_about(reason)) for reason in error.verdict.reasons)
    return f"You cannot do this: {said}."


def _about(reason: Reason) -> str:
    return ", ".join(f"`{safe(word, 80)}`" for word in reason.about) or "nobody"


def _limit(error: LimitReached) -> str:
    if error.kind == "open":
        return f"You have {error.limit} open requests, which is the most. Cancel or release one first: `/jit list`."
    if error.kind == "reminders":
        return f"They were told within the last {length(error.window)}. Please give them a moment."
    return f"You asked {error.limit} times within {length(error.window)}, which is the most. Please wait a few minutes."


def _ambiguous(error: Ambiguous) -> str:
    if not error.ids:
        return "You have no request that this fits now. `/jit list` shows yours, and where they stand."
    return f"Which one? Say its id after the command: {', '.join(f'`{id_}`' for id_ in error.ids)}."


def _overtaken(error: Overtaken) -> str:
    request = error.request
    never = "yet" if request.state is State.PENDING else "any more"
    return f"{request.id} {stands(request)}, so this cannot be done {never}. `/jit show {request.id}` has all of it."


def stands(request: Request) -> str:
    """Where a request stands and by whom, as the end of a sentence."""
    by = user(request.closed_by)
    match request.state:
        case State.PENDING:
            return "still waits for a decision"
        case State.SCHEDULED | State.GRANTING | State.ACTIVE:
            return f"is approved already (by {approvers(request)})"
        case State.REVOKING:
            return "is being closed already"
        case State.DENIED:
            return f"was denied by {by}"
        case State.CANCELLED if request.closed_by == "policy":
            return f"is void, since {safe(request.closed_reason, 200)}"
        case State.CANCELLED:
            return f"was taken back by {by}"
        case State.LAPSED:
            return f"lapsed at {clock(request.decide_by)}"
        case State.FAILED:
            return "could not be opened"
        case State.ENDED:
            return f"ended {when(request.closed_at)}"


def _not_locked(error: NotLockedDown) -> str:
    if not error.locked:
        return "Nothing is locked down, so there is nothing to lift."
    none, stand = (_of(system) for system in (error.system, error.locked[0]))
    lift = f"/jit lockdown lift {error.locked[0]}".strip()
    return f"There is no lockdown of {none}; one of {stand} stands, and `{safe(lift, 80)}` says that it be lifted."


def _of(system: str) -> str:
    return stopped(system) if system else "everything"


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    UnknownChoice: _unknown,
    UnknownSystem: _system,
    BadDay: lambda e: f"`{safe(e.text, 30)}` is no day that is over or begun. Write {_DAYS}.",
    UnknownPerson: lambda e: (
        f"Who is `{safe(e.what, 40)}`? Names are not believed: choose the person from the list that Slack offers as "
        "you type `@`, or write their e-mail address."
    ),
    BadDuration: _duration,
    BadReason: _reason,
    UnknownWord: _word,
    BadStart: _start,
    CannotExtend: _cannot_extend,
    NotAMember: lambda e: _MEMBERS[e.kind],
    NotAllowed: _not_allowed,
    LimitReached: _limit,
    AlreadyAsked: lambda e: (
        f"You asked for this already: {e.request.id} {stands(e.request)}. `/jit cancel {e.request.id}` takes it back."
    ),
    NotFound: lambda e: f"There is no request `{safe(e.id, 20)}` that you can see. `/jit list` shows yours.",
    Ambiguous: _ambiguous,
    Late: lambda e: (
        f"The time for this was over at {clock(e.deadline)}, before it was recorded, so {e.id} is as it was. "
        "If it is still needed, it has to be asked for again."
    ),
    Overtaken: _overtaken,
    AlreadyAnswered: lambda e: (
        f"Your answer to {e.request.id} is recorded already, and counts once; it {stands(e.request)}."
    ),
    RoleChanged: lambda e: (
        f"{e.request.id} is void: what it asks for was changed in the policy since. Please have it asked for again."
    ),
    LockedDown: lambda e: locked(e.lock),
    NotLockedDown: _not_locked,
    PolicyMoved: lambda _: "The policy has just been changed. Nothing was recorded; please press again in a minute.",
    CouldNotCheck: lambda e: (
        f"Slack did not tell {safe(e.what, 200)} in time. Nothing was recorded; please try again in a moment."
    ),
    IdentityTaken: lambda _: (
        "Your e-mail address is bound to another account of this workspace, so it is not certain who you are. "
        "Nothing was recorded. An operator can mend it, once they have made sure: `jit people unbind`."
    ),
    Tampered: lambda e: (
        f"The record of {e.id} does not bear our seal, so nothing is done with it. The operators were told. "
        "What is needed now has to be asked for anew."
    ),
    Crowded: lambda _: (
        "Very many people use this at the moment, and it could not be done in time. Nothing was recorded; "
        "please try again in a few seconds."
    ),
    StoreAway: lambda _: (
        "The store does not answer just now. Look at `/jit list` in a minute before you try again: "
        "whether this was recorded is not known, but nothing is half done."
    ),
}


def worded() -> frozenset[type[Exception]]:
    """The errors that have a sentence, for the test that finds those that have none."""
    return frozenset(_WORDS)


def known(error: Exception) -> bool:
    """Whether it is refused on purpose."""
    return isinstance(error, JitError)
