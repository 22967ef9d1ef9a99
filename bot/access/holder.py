"""What only the requester may do with their own request: cancel it, end the access early, have its secret shown."""

from __future__ import annotations

from collections.abc import Callable

from bot.access.context import AccessContext
from bot.core.errors import Overtaken
from bot.core.events import Cancelled, EndedEarly, Event, RevealRequested
from bot.core.request import Ending, Request, Reveal, State
from bot.core.verdict import Actor
from bot.policy import authorization


async def cancel(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """Cancel a pending or scheduled request. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`."""
    states = (State.PENDING, State.SCHEDULED)
    return await _own(context, "cancel", actor, id_, states, lambda now: Cancelled(at=now, by=actor.person.id))


async def release(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """End access early, also while it is being granted. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`."""

    def released(now: float) -> Event:
        return EndedEarly(at=now, by=actor.person.id, ending=Ending.RELEASED)

    return await _own(context, "release", actor, id_, (State.ACTIVE, State.GRANTING), released)


async def reveal(context: AccessContext, actor: Actor, id_: str, view: str, leg: int | None = None) -> Request:
    """Have a new secret of one role created and shown in the open modal ``view``; the other roles keep theirs.

    ``leg``: of which role; None for the first that has one. Raises `NotFound`, `NotAllowed`, `Overtaken`.
    """

    def asked(now: float) -> Event:
        return RevealRequested(at=now, by=actor.person.id, reveal=Reveal(view=view, at=now, leg=leg))

    return await _own(context, "reveal", actor, id_, (State.ACTIVE,), asked)


async def _own(
    context: AccessContext,
    verb: str,
    actor: Actor,
    id_: str | None,
    states: tuple[State, ...],
    event: Callable[[float], Event],
) -> Request:
    """One step of the requester's own request; the id may be omitted when a single request fits."""
    while True:
        loaded = await context.resolve(actor, id_, states)
        request = loaded.request
        # Permission before state: nobody but the requester learns the state of the request.
        await context.check(verb, actor, request, authorization.is_requester(request, actor.person))
        if request.state not in states:
            raise Overtaken(request)
        if after := await context.step(None, request, event(loaded.now)):
            return after
