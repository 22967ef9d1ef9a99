"""The asker's reminder to those who can decide: at most one in ten minutes; it changes nothing about who that is."""

from __future__ import annotations

import json

from bot.core import policy
from bot.core.errors import LimitReached, Overtaken
from bot.core.events import Reminded
from bot.core.model import Request, State
from bot.desk import Desk
from bot.wishes import Actor

WINDOW = 600
"""Seconds within which there is one reminder of a request."""


async def remind(desk: Desk, actor: Actor, id_: str | None) -> Request:
    """Have those who can decide told again. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`, `LimitReached`.

    Also `Late`, when the request lapsed meanwhile.
    """
    request = await _remindable(desk, actor, id_)
    await _once(desk, actor, request)
    while True:
        event = Reminded(at=await desk.store.now(), by=actor.person.id)
        if after := await desk.step(None, request, event, deadline=request.decide_by):
            return after
        request = await _remindable(desk, actor, request.id)


async def _remindable(desk: Desk, actor: Actor, id_: str | None) -> Request:
    """The request, if this person may remind of it now."""
    request = (await desk.which(actor, id_, (State.PENDING,))).request
    await desk.check("remind", actor, request, policy.may_give_back(request, actor.person))
    if request.state is not State.PENDING:
        raise Overtaken(request)
    return request


async def _once(desk: Desk, actor: Actor, request: Request) -> None:
    """Noted before it is told, so that of two at once one is refused."""
    said = json.dumps({"by": actor.person.id, "about": request.id})
    if not await desk.store.note("remind_asked", said, id_=request.id, window=WINDOW, once=f"remind {request.id}"):
        raise LimitReached("reminders", 1, WINDOW)
