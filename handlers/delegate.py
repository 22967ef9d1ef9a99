"""`/jit delegate`: an approver names a stand-in for a while, sees who it is, or ends it."""

from __future__ import annotations

from bot.access import delegate as verbs
from bot.access.delegation_line import end_of
from bot.core.errors import IdentityTaken, NotAMember, UnknownPerson
from bot.core.request import Person
from bot.core.time_phrases import Clock
from handlers.context import Door
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views import delegation as views

OFF = frozenset({"off", "end", "stop", "none", "nobody"})


async def command(door: Door, payload: Payload, rest: str) -> str:
    """``/jit delegate``, ``/jit delegate off``, ``/jit delegate @kim until monday``: the answer's text."""
    actor = await door.who(payload)
    first, _, more = rest.strip().partition(" ")
    if not first:
        return views.listed(await verbs.own_delegations(door.context, actor)) or views.NOBODY
    if first.lower() in OFF:
        found = await verbs.end_own(door.context, actor)
        return views.ended(found) if found else views.NONE
    account = await _account(door, first)
    until = end_of(more, Clock(actor.person.tz, await door.context.store.now()))
    if until is None:
        return views.not_understood(more)
    try:
        stand_in: Person = await door.people.person(account)
    except (NotAMember, IdentityTaken):
        return views.CANNOT
    named = await verbs.name_stand_in(door.context, actor, stand_in, until)
    return views.named(named.delegation, named.groups)


async def _account(door: Door, word: str) -> str:
    """The account that is meant. Raises `UnknownPerson` for a bare name, which could be anybody's."""
    found = payloads.target(word.strip(",:;"), ()) if word[:1] == "<" or "@" in word else None
    if found and found.user:
        return found.user
    if found and found.email and (user := await door.people.account_of(found.email)):
        return user
    raise UnknownPerson(word[:40])
