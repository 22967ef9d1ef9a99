"""What only the requester may do with their own request: cancel it, end the access early, have its secret shown.

Whoever requested it for them may cancel and end it, too: that only takes access away.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from bot.access import proof, usage
from bot.access.context import AccessContext
from bot.core.errors import Overtaken
from bot.core.events import Cancelled, EndedEarly, Event, RevealRequested
from bot.core.proof import NO_CODE, ProofUse
from bot.core.request import Ending, Request, Reveal, State
from bot.core.verdict import Actor
from bot.policy import authorization, mfa
from bot.policy.catalog import Catalog
from bot.store.types import Loaded

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


async def reveal(
    context: AccessContext,
    actor: Actor,
    id_: str,
    view: str,
    leg: int | None = None,
    code: SecretStr = NO_CODE,
    wait: float = 0.0,
) -> Request:
    """Have a new secret of one role created and shown in the open modal ``view``; the other roles keep theirs.

    ``leg``: the number of the role's leg; None for the first leg that has a secret.

    ``code``: the second-factor code that was typed, if any. ``wait``: seconds before it is shown.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `NotProved`, `PolicyMoved`.
    """
    while True:
        loaded = await revealable(context, actor, id_)
        request, catalog = loaded.request, context.catalog()
        waits = request.reveal
        # The code of a form that is delivered twice is spent, and the second delivery is no wrong code.
        if code.get_secret_value() and waits and (waits.view, waits.leg) == (view, leg):
            return request
        roles = usage.refs_of(request)
        by_request = _needs_proof_as_requested(catalog, request)
        proved = await proof.check(context, catalog, actor, roles, ProofUse.REQUEST, code, by_rule=by_request)
        shown = Reveal(view=view, at=loaded.now + wait, leg=leg, proof=proved.proof)
        event = RevealRequested(at=loaded.now, by=actor.person.id, reveal=shown)
        # By the workspace's policy: one that this process has not read yet may ask for a proof.
        if after := await context.commit(
            catalog, request, event, guards=proved.guards, extra_writes=proved.extra_writes
        ):
            proved.committed(context)
            return after


def _needs_proof_as_requested(catalog: Catalog, request: Request) -> bool:
    """Whether its secret needs a proof since the request had one, though no role asks for it now.

    So it is where a rule of the policy may have asked, or a role has left the policy, so that nobody can say what it
    asks for.
    """
    roles = usage.refs_of(request)
    if not (request.proof or request.consent_proof) or mfa.asks_proof(catalog, roles, ProofUse.REQUEST):
        return False
    by_rule = any(rule.then.require and rule.then.require.mfa for rule in catalog.rules)
    return by_rule or any(catalog.role(ref.system, ref.role) is None for ref in roles)


async def revealable(context: AccessContext, actor: Actor, id_: str) -> Loaded:
    """The request, if this person could have its secret shown now. Raises `NotFound`, `NotAllowed`, `Overtaken`."""
    return await _own_in(context, "reveal", actor, id_, (State.ACTIVE,))


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
        loaded = await _own_in(context, verb, actor, id_, states, for_others=for_others)
        if after := await context.commit(None, loaded.request, event(loaded.now, loaded.request)):
            return after


async def _own_in(
    context: AccessContext,
    verb: str,
    actor: Actor,
    id_: str | None,
    states: tuple[State, ...],
    *,
    for_others: bool = False,
) -> Loaded:
    """The requester's own request in one of these states. Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`."""
    loaded = await context.find_by_typed(actor, id_, states, for_others=for_others)
    request = loaded.request
    # Permission before state: nobody but the requester learns the state of the request.
    if not (for_others and authorization.is_party(request, actor.person)):
        await context.require_allowed(verb, actor, request.id, authorization.is_requester(request, actor.person))
    if request.state not in states:
        raise Overtaken(request)
    return loaded
