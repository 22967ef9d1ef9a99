"""Who is to be told of an event, and where; what they read is rendered elsewhere, from the record."""

from __future__ import annotations

from bot.core.events import Event, Retried, Revoked
from bot.core.model import LegState, Request, State

CARD = "card"
"""The one message in the system's channel, rendered whole."""
THREAD = "thread:#"
"""A line in the card's thread; ``#`` becomes the number of the audit event that it tells."""
RECEIVED = "received"
"""The asker's DM: who was told, and until when."""
DECIDED = "decided"
"""The asker's DM: the decision, then how to connect."""
ENDING = "ending"
"""The asker's DM: it is about to end, what became of the wish for a later end, and that it has ended.

Each end has one of its own (``ending@2`` after the second extension), so that a new end is warned of anew.
"""
ALARM = "alarm:#"
"""A message of its own in the channel that cannot be overlooked."""

CROWD = "crowd"
"""One message in a channel where more wait than have a card, of the channel and not of a request."""
AUDIT = "audit:#"
"""A line in the audit channel, of what was done at a terminal."""

_QUIET = frozenset({"attempted", "reveal_asked", "revealed"})
_FIRST_ALARM = 3


def ending(extended: int) -> str:
    """The DM about the end that an access has after so many extensions."""
    return f"{ENDING}@{extended}" if extended else ENDING


def which_end(audience: str) -> int | None:
    """After how many extensions the end that a DM is about holds; None for what is no such DM."""
    kind, _, n = audience.partition("@")
    if kind != ENDING:
        return None
    return int(n) if n.isascii() and n.isdigit() and len(n) < 10 else 0


def notices(after: Request, event: Event) -> tuple[str, ...]:
    """The audiences of an event, by the noise budget: a card, its thread, at most three DMs that notify."""
    if event.kind in _QUIET:
        return ()
    if event.kind == "warned":
        return (ending(after.extended),)
    if isinstance(event, Retried):
        return (CARD, ALARM) if _alarming(after, event) else (CARD,)
    if event.kind == "extension_retried":
        return (CARD,)
    return (CARD, *_thread(after, event), *_dms(after, event), *_audit(event))


def _thread(after: Request, event: Event) -> tuple[str, ...]:
    if event.kind == "submitted":
        return ()
    if event.kind == "granted" and after.state is not State.ACTIVE:
        return ()
    if isinstance(event, Revoked) and after.state is not State.ENDED:
        return ()
    return (THREAD,)


def _audit(event: Event) -> tuple[str, ...]:
    by_hand = event.by.startswith("cli:") and event.kind in {"withdrawn", "closed_by_hand"}
    return (AUDIT,) if by_hand else ()


def _dms(after: Request, event: Event) -> tuple[str, ...]:
    """Who had no answer to wait for was never told that it was received."""
    told = _letters(after, event)
    return tuple(letter for letter in told if letter != RECEIVED) if after.rule else told


def _letters(after: Request, event: Event) -> tuple[str, ...]:
    last = ending(after.extended)
    match event.kind:
        case "submitted":
            return (RECEIVED,)
        case "approved":
            return (RECEIVED, DECIDED)
        case "approved_by_rule":
            return (DECIDED,)
        case "denied" | "lapsed":
            return (RECEIVED, DECIDED)
        case "cancelled" if event.by == "policy":
            return (RECEIVED, DECIDED)
        case "endorsed" | "cancelled" | "reminded":
            return (RECEIVED, DECIDED) if event.kind == "cancelled" and after.approved_at else (RECEIVED,)
        case "started":
            return (DECIDED,)
        case "extension_asked" | "extension_approved" | "extension_failed":
            return (last,)
        case "extension_denied":
            return (DECIDED, last)
        case "extended":
            return (DECIDED, ending(after.extended - 1))
        case "granted":
            return (DECIDED,) if after.state is State.ACTIVE else ()
        case "refused" | "doubted" | "withdrawn" | "expired":
            return (DECIDED,)
        case "closed_by_hand":
            return (DECIDED, last)
        case "revoked":
            return (DECIDED, last) if after.state is State.ENDED else ()
        case _:
            return ()


def _alarming(after: Request, event: Retried) -> bool:
    """A revoke that fails is told at its third failure, then each time that the count has doubled."""
    leg = after.legs[event.leg]
    if leg.state is not LegState.REVOKING or not event.failed or leg.tries < _FIRST_ALARM:
        return False
    return (leg.tries // _FIRST_ALARM) & (leg.tries // _FIRST_ALARM - 1) == 0 and leg.tries % _FIRST_ALARM == 0
