"""The requester reminds the approvers, at most once in ten minutes; it changes nothing about who may approve."""

from __future__ import annotations

import json

from bot.access.context import AccessContext
from bot.core.errors import LimitReached, Overtaken
from bot.core.events import Reminded
from bot.core.request import Request, State
from bot.core.verdict import Actor
from bot.policy import authorization

WINDOW = 600
"""Seconds within which a request may have one reminder."""


async def remind(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """Notify the approvers again.

    Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`, `LimitReached`, and `Late` when it has expired meanwhile.
    """
    request = await _remindable(context, actor, id_)
    # Counted before it is recorded, so that one of two simultaneous reminders is refused.
    await _count(context, actor, request)
    while True:
        event = Reminded(at=await context.store.now(), by=actor.person.id)
        if after := await context.commit(None, request, event, deadline=request.decide_by):
            return after
        request = await _remindable(context, actor, request.id)


async def _remindable(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """The request, if this person may remind its approvers now."""
    request = (await context.find_by_typed(actor, id_, (State.PENDING,))).request
    await context.require_allowed("remind", actor, request.id, authorization.is_requester(request, actor.person))
    if request.state is not State.PENDING:
        raise Overtaken(request)
    return request


async def _count(context: AccessContext, actor: Actor, request: Request) -> None:
    fields = json.dumps({"by": actor.person.id, "about": request.id})
    if not await context.store.audit_event(
        "remind_asked", fields, id_=request.id, window=WINDOW, once=f"remind {request.id}"
    ):
        raise LimitReached("reminders", 1, WINDOW)
