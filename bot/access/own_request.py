"""What only the requester may do with their own request: cancel it, end the access early, have its secret shown.

Whoever requested it for them may cancel and end it, too: that only takes access away.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.access.context import AccessContext
from bot.core.errors import Overtaken
from bot.core.events import Cancelled, EndedEarly, Event, RevealRequested
from bot.core.request import Ending, Request, Reveal, State
from bot.core.verdict import Actor
from bot.policy import authorization

_NO_LONGER_NEEDED = "requested for somebody else, and no longer needed"
"""The reason when the person who requested it for somebody else ends the access."""


async def cancel(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """Cancel a pending or scheduled request. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`."""
    states = (State.DRAFT, State.PENDING, State.SCHEDULED)

    def cancelled(now: float, _: Request) -> Event:
        return Cancelled(at=now, by=actor.person.id)

    return await _own(context, "cancel", actor, id_, states, cancelled, for_others=True)


async def release(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """End access early, also while it is being granted. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`."""

    def released(now: float, request: Request) -> Event:
        if authorization.is_requester(request, actor.person).allowed:
            return EndedEarly(at=now, by=actor.person.id, ending=Ending.RELEASED)
        return EndedEarly(at=now, by=actor.person.id, ending=Ending.REVOKED, reason=_NO_LONGER_NEEDED)

    return await _own(context, "release", actor, id_, (State.ACTIVE, State.GRANTING), released, for_others=True)


async def reveal(context: AccessContext, actor: Actor, id_: str, view: str, leg: int | None = None) -> Request:
    """Have a new secret of one role created and shown in the open modal ``view``; the other roles keep theirs.

    ``leg``: the number of the role's leg; None for the first leg that has a secret.

    Raises `NotFound`, `NotAllowed`, `Overtaken`.
    """

    def reveal_requested(now: float, _: Request) -> Event:
        return RevealRequested(at=now, by=actor.person.id, reveal=Reveal(view=view, at=now, leg=leg))

    return await _own(context, "reveal", actor, id_, (State.ACTIVE,), reveal_requested)


async def _own(
    context: AccessContext,
    verb: str,
    actor: Actor,
    id_: str | None,
    states: tuple[State, ...],
    event: Callable[[float, Request], Event],
    *,
    for_others: bool = False,
) -> Request:
    """Commit one event of the requester's own request; the id may be omitted when a single request fits.

    ``for_others``: also for the person who requested it for somebody else.
    """
    while True:
        loaded = await context.find_by_typed(actor, id_, states, for_others=for_others)
        request = loaded.request
        # Permission before state: nobody but the requester learns the state of the request.
        if not (for_others and authorization.is_party(request, actor.person)):
            await context.require_allowed(verb, actor, request.id, authorization.is_requester(request, actor.person))
        if request.state not in states:
            raise Overtaken(request)
        if after := await context.commit(None, request, event(loaded.now, request)):
            return after
