"""An error → one kind sentence: what, why, and what to do next; the one place that words what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from bot.core import durations
from bot.core.errors import (
    AlreadyAnswered,
    AlreadyAsked,
    Ambiguous,
    BadDuration,
    BadReason,
    BadStart,
    CannotExtend,
    CouldNotCheck,
    IdentityTaken,
    JitError,
    Late,
    LimitReached,
    NotAllowed,
    NotAMember,
    NotFound,
    Overtaken,
    PolicyMoved,
    RoleChanged,
    StoreAway,
    Tampered,
    UnknownChoice,
    UnknownSystem,
)
from bot.core.model import Request, State
from bot.core.policy import Code, Reason
from handlers.views.words import clock, length, name, safe, user, when

log = logging.getLogger(__name__)

UNEXPECTED = (
    "This did not work, and it is our fault, not yours. Nothing was changed; the operators can see it in the log."
)

_MEMBERS: Mapping[str, str] = {
    "guest": "Guests cannot ask for access or decide about it. Ask a full member of this workspace.",
    "external": "You belong to another organisation, so you cannot ask for access or decide about it here.",
    "elsewhere": "You belong to another workspace, so you cannot ask for access or decide about it here.",
    "bot": "Apps cannot ask for access or decide about it.",
    "deactivated": "This account is deactivated, so it cannot ask for access or decide about it.",
    "no_email": "Your Slack profile shows no e-mail address, and access is bound to one. Ask a Slack admin to add it.",
}

_REASONS: Mapping[Code, str] = {
    Code.MAY_NOT_ASK: "you are in none of the groups that may ask for {about}",
    Code.NOBODY_TO_APPROVE: "nobody but you could approve {about}; ask an operator to add an approver",
    Code.OWN_REQUEST: "nobody decides about their own request; another approver has to",
    Code.NOT_AN_APPROVER: "only {about} can decide about this",
    Code.ALREADY_FILLED: "your part is decided already; what is open waits for others",
    Code.MAY_NOT_REVOKE: "only {about} can take this away",
    Code.NOT_THE_ASKER: "only the person who asked can do this",
    Code.ASKER_MAY_NOT: "who asked is in none of the groups that may ask for {about}",
    Code.UNKNOWN_GROUP: "it cannot be checked just now who is in {about}; please try again in a minute",
}


def sentence(error: Exception) -> str:
    """What a person reads."""
    for kind, words in _WORDS.items():
        if type(error) is kind:
            return words(error)
    log.error("an error that nobody expected", exc_info=error)
    return UNEXPECTED


def _unknown(error: UnknownChoice) -> str:
    if not error.nearest:
        return f"There is no template or role `{safe(error.what, 80)}` that you may ask for. `/jit request` shows them."
    near = " or ".join(f"`{safe(n, 80)}`" for n in error.nearest[:3])
    return f"There is no template or role `{safe(error.what, 80)}` that you may ask for. Did you mean {near}?"


def _system(error: UnknownSystem) -> str:
    near = " or ".join(f"`{safe(n, 80)}`" for n in error.nearest[:3])
    hint = f"Did you mean {near}?" if near else "`/jit help who` has an example."
    return f"There is no system `{safe(error.what, 80)}` that you can see. {hint}"


def _duration(error: BadDuration) -> str:
    if not error.cap:
        return f"`{safe(error.text, 20)}` is no duration. Write it like `30m`, `1h30m` or `2d`."
    offered = ", ".join(durations.short(s) for s in error.offered)
    choose = f"Choose one of {offered}." if offered else "Choose a shorter one."
    return f"`{safe(error.text, 20)}` does not fit: at most {length(error.cap)} here. {choose}"


def _reason(error: BadReason) -> str:
    hint = f" Expected: {safe(error.hint, 140)}." if error.hint else ""
    return {
        "missing": f"Please say why: those who decide and the audit read it.{hint}",
        "short": f"Please say a little more, at least {error.limit} characters.{hint}",
        "long": f"Please say it in at most {error.limit} characters.",
        "form": f"The reason is not of the form that is expected here.{hint}",
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
    return f"You asked {error.limit} times within {length(error.window)}, which is the most. Please wait a little."


def _ambiguous(error: Ambiguous) -> str:
    if not error.ids:
        return "You have no request that this fits. `/jit list` shows yours."
    return f"Which one? Say its id: {', '.join(f'`{id_}`' for id_ in error.ids)}."


def _overtaken(error: Overtaken) -> str:
    return f"{error.request.id} {stands(error.request)}, so this cannot be done any more."


def stands(request: Request) -> str:
    """Where a request stands and by whom, as the end of a sentence."""
    by = user(request.closed_by)
    match request.state:
        case State.PENDING:
            return "still waits for a decision"
        case State.SCHEDULED | State.GRANTING | State.ACTIVE:
            return f"is approved already (by {', '.join(name(r.by) for r in request.reviews)})"
        case State.REVOKING:
            return "is being closed already"
        case State.DENIED:
            return f"was denied by {by}"
        case State.CANCELLED:
            return f"was taken back by {by}"
        case State.LAPSED:
            return f"lapsed at {clock(request.decide_by)}"
        case State.FAILED:
            return "could not be opened"
        case State.ENDED:
            return f"ended {when(request.closed_at)}"


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    UnknownChoice: _unknown,
    UnknownSystem: _system,
    BadDuration: _duration,
    BadReason: _reason,
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
    Late: lambda e: f"{e.id} lapsed at {clock(e.deadline)}, before this was recorded. It has to be asked for again.",
    Overtaken: _overtaken,
    AlreadyAnswered: lambda e: f"Your answer to {e.request.id} is recorded already; it {stands(e.request)}.",
    RoleChanged: lambda e: (
        f"{e.request.id} is void: what it asks for was changed in the policy since. Please have it asked for again."
    ),
    PolicyMoved: lambda _: "The policy has just been changed. Nothing was recorded; please press again in a minute.",
    CouldNotCheck: lambda e: f"Slack did not tell {e.what} in time. Nothing was recorded; please press again.",
    IdentityTaken: lambda _: (
        "Your e-mail address is bound to another account of this workspace. Ask an operator to look into it."
    ),
    Tampered: lambda e: (
        f"The record of {e.id} does not bear our seal, so nothing is done with it. The operators were told."
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
