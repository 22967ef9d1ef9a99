"""Limits and conflicts in words: why a request is refused, and what a role's limits are; pure."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.usage import LimitHit
from bot.policy.limits import UsageLimitsShape, in_words
from handlers.views.text import clock, code, length, name, when

_WITHIN = {"per_day": "24 hours", "per_week": "7 days"}


def over_limit(error: OverLimit) -> str:
    """No room for one more."""
    hit, what = error.hit, code(error.hit.scope, 90)
    if error.requested_for and (hit.personal or hit.kind == "cooldown"):
        return _for_other(hit, what, name(error.requested_for))
    if hit.kind == "cooldown":
        when_again = f"You can request it again at {when(hit.until)}."
        return f"Your last request for {what} was denied less than {length(hit.limit)} ago. {when_again}"
    if hit.kind == "live":
        return f"{_live(hit, what, own=error.own)} {_next(hit, own=error.own)}"
    times = "once" if hit.limit == 1 else f"{hit.limit} times"
    whom = (" for you" if error.own else " for this requester") if hit.personal else ""
    room = f"There is room again at {when(hit.until)}."
    return f"{what} was approved {times}{whom} within {_WITHIN[hit.kind]}, the maximum. {room}"


def _for_other(hit: LimitHit, what: str, them: str) -> str:
    """To who requests it for somebody else: that there is no room for that person, and nothing of what became of it."""
    if hit.kind == "live":
        return f"{them} already has as many requests for {what} approved as one person may. They can end one first."
    return f"Nobody can request {what} for {them} now. It can be requested again at {when(hit.until)}."


def _live(hit: LimitHit, what: str, *, own: bool) -> str:
    if hit.personal:
        who = "You already have" if own else "The requester already has"
        return f"{who} {_requests(hit.limit)} for {what} approved, the maximum for one person."
    return f"{what} is full: {_requests(hit.limit)} for it {'has' if hit.limit == 1 else 'have'} access, the maximum."


def _next(hit: LimitHit, *, own: bool) -> str:
    if hit.personal:
        return (
            "End one first: `/jit list` shows yours." if own else "Deny it, or approve it once one of them has ended."
        )
    again = "request it again" if own else "approve it"
    return f"The next one ends at {clock(hit.until)}; {again} then." if hit.until else f"Once one has ended, {again}."


def _requests(count: int) -> str:
    return "one request" if count == 1 else f"{count} requests"


def conflicting(error: Conflicting) -> str:
    """Both sides of a conflict."""
    conflict = error.conflict
    mine, other = code(conflict.mine, 90), code(conflict.other, 90)
    rule = f"Nobody may hold both {mine} and {other}"
    if not conflict.request:
        return f"{rule}, so they cannot be one request. Leave one of them out."
    if error.requested_for:  # who requests it for somebody else does not learn what that person has
        them = name(error.requested_for)
        has = f"{them} has, or has requested, access that nobody may hold together with {mine}."
        return f"{has} They can end or cancel it first: `/jit list` shows it to them."
    if error.own:
        return f"{rule}, and your request {conflict.request} is for {other}. End or cancel it first: `/jit list`."
    ends = f"Deny this, or approve it once {conflict.request} has ended."
    return f"{rule}, and the requester has {other} ({conflict.request}). {ends}"


def not_counted(error: NotCounted) -> str:
    """A count that is not known."""
    what = " and ".join(code(scope, 90) for scope in error.scopes[:3])
    return (
        f"Who has {what} could not be counted, so nothing new is allowed. It is being counted again; please try again "
        "in a few seconds. If this goes on, tell an operator: the worker's log says why."
    )


def terms(limits: Iterable[tuple[str, UsageLimitsShape]], others: Iterable[tuple[str, str]]) -> list[str]:
    """What limits a choice, for `/jit explain`: the limits by what they are of, and what may not be held with it."""
    lines = [f"Limits of {code(scope, 90)}: {in_words(each)}." for scope, each in limits]
    return lines + [f"Nobody may hold both {code(mine, 90)} and {code(other, 90)}." for mine, other in others]
