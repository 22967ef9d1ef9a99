"""Operators lock a system down, or everything: nothing is granted until two operators lift it; it ends nothing.

A lockdown is in force from its commit on (see bot/store/lockdowns.py); the workers end requests that are active
or being granted (bot/worker/lockdown_enforcer.py). Each declaration, and each vote to lift, is audited. A roster is the
members of groups as known now.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.access.context import AccessContext
from bot.core.errors import (
    CouldNotCheck,
    LockedDown,
    NotLockedDown,
    StoreAway,
    TerminalDoesNotCount,
    UnknownSystem,
)
from bot.core.ids import bounded
from bot.core.lockdown import NEEDED, VOTE_FOR, Lock, Lockdowns, Operator, Vote
from bot.core.verdict import Actor, Roster
from bot.policy import authorization
from bot.policy.problems import like
from bot.store.lockdowns import DECLARED, LIFTED, VOTED

_TRIES = 16
_CONTENDED = "the lockdowns change faster than this one can be written"


@dataclass(frozen=True)
class LiftVote:
    """The result of an operator's vote to lift. ``lock``: with the votes that count now."""

    lock: Lock
    lifted: bool
    repeated: bool
    """Whether this operator had voted before."""


async def current(context: AccessContext) -> Lockdowns:
    """All lockdowns of the workspace."""
    return await context.store.lockdowns.read()


async def require_operator(context: AccessContext, actor: Actor) -> None:
    """Raises `NotAllowed`, audited, unless this person is an operator."""
    verdict = authorization.may_lock_down(context.catalog(), actor.roster, actor.person)
    await context.require_allowed("lockdown", actor, "lockdown", verdict)


# declare


async def lock(context: AccessContext, actor: Actor, system: str, reason: str) -> Lock:
    """Lock a system down, or everything (``system`` is empty).

    Raises `NotAllowed`, `UnknownSystem`, `BadReason`.
    """
    await require_operator(context, actor)
    return await lock_as(context, _operator(actor), system, reason)


async def lock_as(context: AccessContext, operator: Operator, system: str, reason: str) -> Lock:
    """The same for a known operator, such as anybody at a terminal with the store and its keys."""
    reason, systems = bounded(reason, 3, "why it is stopped"), context.catalog().systems
    if system and system not in systems:
        raise UnknownSystem(system, tuple(like(system, list(systems))))
    for _ in range(_TRIES):
        before = await current(context)
        new = Lock(system=system, operator=operator, reason=reason, at=await context.store.now())
        if await _write(context, before, before.locked(new), DECLARED, new, operator):
            return new
    raise StoreAway(_CONTENDED)


# lift


async def lift(context: AccessContext, actor: Actor, system: str) -> LiftVote:
    """Vote to lift: the second operator's vote lifts it.

    Raises `NotAllowed`, `NotLockedDown`, `LockedDown` where this process cannot read the lockdowns, and
    `CouldNotCheck` for an actor who was not looked up in Slack for this very vote.
    """
    await require_operator(context, actor)
    if not actor.looked_up_now:
        raise CouldNotCheck("who the operators are")
    return await lift_as(context, _operator(actor), actor.roster, system)


async def lift_as(context: AccessContext, operator: Operator, roster: Roster, system: str) -> LiftVote:
    """The same for a known operator; ``roster``: the groups by which earlier votes are checked again.

    Raises `TerminalDoesNotCount` as well.
    """
    if operator.person is None:
        raise TerminalDoesNotCount(operator.by)
    for _ in range(_TRIES):
        before, now = await current(context), await context.store.now()
        lock = _liftable(context, before, system)
        votes = tuple(vote for vote in lock.votes if _counts(context, vote, roster, now))
        if any(vote.operator.is_one_with(operator) for vote in votes):
            return LiftVote(lock.model_copy(update={"votes": votes}), lifted=False, repeated=True)
        voted = lock.model_copy(update={"votes": (*votes, Vote(operator=operator, at=now))})
        lifted = len(voted.votes) >= NEEDED
        after = before.lifted(system) if lifted else before.voted(lock, voted.votes)
        if await _write(context, before, after, LIFTED if lifted else VOTED, voted, operator):
            return LiftVote(voted, lifted=lifted, repeated=False)
    raise StoreAway(_CONTENDED)


def _liftable(context: AccessContext, before: Lockdowns, system: str) -> Lock:
    found = before.of(system)
    if found is None:
        raise NotLockedDown(system, tuple(each.system for each in before.locks))
    if not context.store.lockdowns.readable:
        raise LockedDown(found)
    return found


def _counts(context: AccessContext, vote: Vote, roster: Roster, now: float) -> bool:
    """Whether an earlier vote still counts: it is recent, and its voter may still be an operator."""
    person = vote.operator.person
    if person is None or not vote.at <= now < vote.at + VOTE_FOR:
        return False
    verdict = authorization.may_lock_down(context.catalog(), roster, person)
    # That vote was allowed by Slack's user groups then; a terminal does not know them, and must not undo it.
    return verdict.allowed or verdict.unknown


async def _write(
    context: AccessContext, before: Lockdowns, after: Lockdowns, kind: str, lock: Lock, operator: Operator
) -> bool:
    """Compare and set, audited and posted; False when the lockdowns are no longer ``before``: check again."""
    systems = context.catalog().systems
    channels = [owner.channel for name, owner in systems.items() if lock.system in {"", name}]
    fields = {
        "by": operator.by,
        "what": kind,
        "name": operator.name,
        "system": lock.system,
        "reason": lock.reason,
        "votes": [vote.operator.name for vote in lock.votes],
    }
    return await context.store.lockdowns.write(before, after, kind, fields, channels)


def at_terminal(by: str) -> Operator:
    """The operator for `lock_as` at a terminal with the store and its keys; ``by`` is ``cli:<user>@<host>``."""
    return Operator(by=by, name=by)


def _operator(actor: Actor) -> Operator:
    person = actor.person
    return Operator(by=person.id, name=person.name or person.email, person=person)
