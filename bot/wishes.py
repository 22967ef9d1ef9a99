"""What people want of the desk, as values, and whether that is well formed; who may have it is policy's to say."""

from __future__ import annotations

import re
import secrets

from bot.core import durations, policy
from bot.core.catalog import Choice
from bot.core.errors import BadDuration, BadReason, BadStart, NotFound
from bot.core.model import ID_ALPHABET, REASON_LIMIT, Frozen, Person, Verb

SOONEST, LATEST = 60, 30 * 86_400
"""Seconds from now within which a start may lie."""
_ID = re.compile(rf"^(?:J-?)?([{ID_ALPHABET}]{{4,8}})$")


class Ask(Frozen):
    """What someone wants: a template or system/role, seconds (None: the first duration offered), a reason.

    ``token`` names the submission, so that the same one delivered twice asks once.
    """

    what: str
    duration: int | None = None
    reason: str = ""
    token: str = ""
    starts_at: float = 0
    """Unix seconds; 0 for at once."""


class Answer(Frozen):
    """What a reviewer says. ``duration`` in seconds, None for all that was asked."""

    verb: Verb
    duration: int | None = None
    reason: str = ""


class Actor(Frozen):
    """A person, and the groups as they are known at this moment."""

    person: Person
    roster: dict[str, policy.Members]


def spelled(id_: str) -> str:
    """An id as it is stored, from how a person may write it (``j-7k3q``, ``7K3Q``). Raises `NotFound`."""
    found = _ID.match(id_.strip().upper())
    if not found:
        raise NotFound(id_[:20])
    return f"J-{found[1]}"


def new_id() -> str:
    """Four letters and digits that are read aloud without mistakes."""
    return "J-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(4))


def check_duration(choice: Choice, duration: int | None) -> int:
    """Seconds that the choice allows. Raises `BadDuration`."""
    offered = tuple(choice.durations)
    if duration is None:
        return offered[0] if offered else min(choice.cap, 3600)
    if not durations.SHORTEST <= duration <= choice.cap or (offered and duration > max(offered)):
        raise BadDuration(durations.short(max(duration, 0)), offered, max(offered, default=choice.cap))
    return duration


def check_reason(choice: Choice, reason: str) -> str:
    """A reason of the form that the choice expects. Raises `BadReason`."""
    rule = choice.reason
    if not rule.required and not reason.strip():
        return ""
    text = bounded(reason, rule.min_length, rule.hint)
    if rule.pattern and not re.search(rule.pattern, text):
        raise BadReason("form", rule.hint)
    return text


def bounded(text: str, least: int, hint: str) -> str:
    """Bounded text with something in it: "." is no reason."""
    text = " ".join(text.split())
    if len(text) > REASON_LIMIT:
        raise BadReason("long", hint, REASON_LIMIT)
    if not re.search(r"\w", text):
        raise BadReason("missing", hint)
    if len(text) < least:
        raise BadReason("short", hint, least)
    return text


def check_start(starts_at: float, now: float) -> float:
    """A start that is soon enough to be remembered and late enough to be one. Raises `BadStart`."""
    if starts_at and not now + SOONEST <= starts_at <= now + LATEST:
        raise BadStart(starts_at, now + LATEST)
    return starts_at
