"""An approver names a stand-in who decides in their place for a while, and ends that again; each change is audited.

A delegation gives no right by itself: whether a stand-in counts is judged at each decision (bot/policy/stand_ins.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.access.context import AccessContext
from bot.core import durations
from bot.core.delegation import MOST, Delegation, Delegations, same_person
from bot.core.errors import BadDuration, LimitReached, StoreAway
from bot.core.request import ID_ALPHABET, Person
from bot.core.verdict import Actor
from bot.policy import stand_ins
from bot.store.workspace_values import DELEGATIONS

MADE, ENDED = "delegated", "delegation_ended"
"""The kinds of the audit events."""
NOTIFIED = "delegation:#"
"""The audience of the notification to the approver or the stand-in."""
_TRIES = 16
_LETTERS = 6


@dataclass(frozen=True)
class NamedStandIn:
    """A new delegation, and the groups for which it counts now."""

    delegation: Delegation
    groups: tuple[str, ...]


@dataclass(frozen=True)
class OwnDelegations:
    """Who stands in for a person, and for whom they stand in, now."""

    person: Person | None = None
    each: tuple[Delegation, ...] = ()


# an approver


async def name_stand_in(context: AccessContext, actor: Actor, stand_in: Person, until: float) -> NamedStandIn:
    """Have somebody stand in for this person until a time in Unix seconds.

    Raises `NotAllowed`, `BadDuration`, `LimitReached`.
    """
    catalog, me = context.catalog(), actor.person
    verdict = stand_ins.may_delegate(catalog, actor.roster, me, stand_in)
    await context.require_allowed("delegate", actor, stand_in.id, verdict)
    for _ in range(_TRIES):
        before, now = await context.store.delegations.read()
        seconds, cap = int(until - now), catalog.workspace.delegation.at_most
        if not durations.SHORTEST <= seconds <= cap + 1:
            raise BadDuration(durations.short(max(0, seconds)), (), cap)
        current = before.made_by(me)
        if current and not same_person(current.stand_in, stand_in):
            await _end(context, _of_id(current.id), me.id, "replaced")
            continue
        if current is None and len(before.each) >= MOST:
            raise LimitReached("delegations", MOST)
        # A later end keeps the id: approvals that were given by the delegation still count.
        id_, at = (current.id, current.at) if current else (_new_id(), now)
        new = Delegation(id=id_, person=me, stand_in=stand_in, at=at, until=until)
        after = before.with_delegation(new).model_copy(update={"revision": context.store.delegations.next_revision})
        if await _write(context, after, MADE, new, me.id):
            return NamedStandIn(new, stand_ins.groups_for(catalog, actor.roster, me, stand_in))
    raise StoreAway("the delegations change faster than they can be written")


async def end_own(context: AccessContext, actor: Actor) -> Delegation | None:
    """End the person's own delegation; None if there is none."""
    return await _end(context, lambda all_: all_.made_by(actor.person), actor.person.id, "ended")


async def own_delegations(context: AccessContext, actor: Actor) -> OwnDelegations:
    """The delegations that concern this person; where the policy allows none, nothing is read."""
    if not stand_ins.entitling(context.catalog()):
        return OwnDelegations()
    found, now = await context.store.delegations.read()
    return OwnDelegations(actor.person, tuple(each for each in found.concerning(actor.person) if each.is_active(now)))


# operators, and time


async def all_active(context: AccessContext) -> tuple[Delegation, ...]:
    """Every active delegation, for an operator at the terminal."""
    found, now = await context.store.delegations.read()
    return found.active(now)


async def end_by_operator(context: AccessContext, by: str, id_: str) -> Delegation | None:
    """End any delegation by its id. ``by`` is ``cli:<user>@<host>``; None if there is no such id."""
    return await _end(context, lambda all_: all_.by_id(id_.upper()), by, "ended")


async def end_expired(context: AccessContext) -> int:
    """End the delegations whose time is up. Returns how many."""
    found, now = await context.store.delegations.read()
    over = [delegation.id for delegation in found.each if not delegation.is_active(now)]
    return sum([bool(await _end(context, _of_id(id_), "clock", "expired")) for id_ in over])


async def end_of_deactivated(context: AccessContext, users: frozenset[str]) -> int:
    """End the delegations of deactivated accounts. Returns how many."""
    found, _ = await context.store.delegations.read()
    ids = [each.id for each in found.each if {each.person.id, each.stand_in.id} & users]
    return sum([bool(await _end(context, _of_id(id_), "worker", "deactivated")) for id_ in ids])


def _of_id(id_: str) -> Callable[[Delegations], Delegation | None]:
    return lambda found: found.by_id(id_)


async def _end(
    context: AccessContext, pick: Callable[[Delegations], Delegation | None], by: str, why: str
) -> Delegation | None:
    for _ in range(_TRIES):
        before, _ = await context.store.delegations.read()
        found = pick(before)
        if found is None:
            return None
        after = before.without(found.id).model_copy(update={"revision": context.store.delegations.next_revision})
        if await _write(context, after, ENDED, found, by, why):
            return found
    raise StoreAway("the delegations change faster than they can be written")


async def _write(
    context: AccessContext, after: Delegations, kind: str, delegation: Delegation, by: str, why: str = ""
) -> bool:
    """Compare and set; audits and notifies both. False when the delegations have changed: read and judge again."""
    people = (delegation.person, delegation.stand_in)
    fields: dict[str, Any] = {
        "by": by,
        "delegation": delegation.id,
        "person": delegation.person.id,
        "name": delegation.person.name or delegation.person.email,
        "stand_in": delegation.stand_in.id,
        "stand_in_name": delegation.stand_in.name or delegation.stand_in.email,
        "at": delegation.at,
        "until": delegation.until,
        **({"why": why} if why else {}),
    }
    # Whoever did it reads the answer to their command instead of a notification.
    recipients = [person.id for person in people if person.id != by]
    rows = [f"{user}|{NOTIFIED}" for user in dict.fromkeys(recipients)]
    return await context.store.delegations.write(after, kind, fields, id_=DELEGATIONS, rows=rows)


def _new_id() -> str:
    return "D-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(_LETTERS))
