"""Ends the access of others, for approvers, operators and offboarding: one request, or all of a person or a system.

Permission to end is checked by this replica's policy even when the workspace has a newer one: it only reduces access.
So no commit here has a guard on the policy, except where a lost group is the reason. A leg is one role of a request,
which providers know under its order id, `J-xxxx.n`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.access.context import AccessContext
from bot.core.errors import CouldNotCheck, NotAllowed, NotFound, Overtaken, Tampered, UnknownSystem
from bot.core.events import Cancelled, ClosedManually, EndedEarly, Event
from bot.core.frozen import Frozen
from bot.core.identity import identity_or_none
from bot.core.ids import bounded
from bot.core.request import Ending, Request, State
from bot.core.verdict import Actor
from bot.policy import authorization
from bot.policy.catalog import Catalog
from bot.policy.problems import like
from bot.store.shared_entitlements import SharedEntitlements
from bot.store.types import Loaded

LIVE = frozenset({State.GRANTING, State.ACTIVE})
"""The states in which access exists, or may at any moment."""
REVOCABLE = LIVE | {State.SCHEDULED}
_CONCURRENT = 16
_TIME_LIMIT = 2.0
"""Seconds after which ending many requests stops and answers the person, who can continue by repeating it."""
_REASON = "why access is ended"


class RevokeTarget(Frozen):
    """Whose access, or which system's; one of the three is set. ``email`` as typed."""

    user: str = ""
    email: str = ""
    system: str = ""

    def fits(self, request: Request) -> bool:
        """Whether the request is meant: by account or by its bound e-mail address, never by a display name."""
        if self.system:
            return any(leg.role.system == self.system for leg in request.legs)
        if self.user:
            return request.requester.id == self.user
        return bool(self.email) and request.requester.identity == identity_or_none(self.email)


@dataclass(frozen=True)
class BulkRevocation:
    """The result of ending many requests. ``already_ended``, ``not_tried``: how many."""

    revoked: tuple[Request, ...]
    already_ended: int
    not_tried: int


# one request


async def revoke(context: AccessContext, actor: Actor, id_: str, reason: str) -> Request:
    """End access that is scheduled, being granted or active. Raises what `revocable` does, and `BadReason`."""
    reason = bounded(reason, 1, _REASON)
    while True:
        loaded = await _revocable(context, actor, id_)
        event = EndedEarly(at=loaded.now, by=actor.person.id, ending=Ending.REVOKED, reason=reason)
        if after := await context.commit(None, loaded.request, event):
            return after


async def revocable(context: AccessContext, actor: Actor, id_: str) -> Request:
    """The request, if this person could end it now: the check that `revoke` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`.
    """
    return (await _revocable(context, actor, id_)).request


async def _revocable(context: AccessContext, actor: Actor, id_: str) -> Loaded:
    loaded = await context.find_readable(actor, id_)
    request = loaded.request
    verdict = authorization.may_revoke(context.catalog(), actor.roster, request, actor.person)
    await context.require_allowed("revoke", actor, request.id, verdict)
    if request.state not in REVOCABLE:
        raise Overtaken(request)
    return loaded


# all of a person's, all of a system's


async def revocable_all(context: AccessContext, actor: Actor, target: RevokeTarget) -> list[Request]:
    """The target's requests that this person could end now, each checked by itself.

    Raises `UnknownSystem`, `CouldNotCheck`.
    """
    catalog, roster = context.catalog(), actor.roster
    systems = authorization.systems_of(catalog, roster, actor.person)
    unknown = [name for name, members in roster.items() if not members.known]
    if target.system and target.system not in systems:
        if unknown:
            raise CouldNotCheck(f"who is in {', '.join(unknown)}")
        raise UnknownSystem(target.system, tuple(like(target.system, systems)))
    found = [
        loaded.request
        for loaded in await context.store.open_on(systems)
        if loaded.request.state in REVOCABLE
        and target.fits(loaded.request)
        and authorization.may_revoke(catalog, roster, loaded.request, actor.person).allowed
    ]
    if unknown and not found:
        raise CouldNotCheck(f"who is in {', '.join(unknown)}")
    return found


async def revoke_all(context: AccessContext, actor: Actor, target: RevokeTarget, reason: str) -> BulkRevocation:
    """End all of the target's requests, each checked again. Raises what `revocable_all` does, and `BadReason`."""
    reason = bounded(reason, 1, _REASON)
    found, revoked = await revocable_all(context, actor, target), list[Request]()
    clock = asyncio.get_running_loop().time
    began, done = clock(), 0
    while done < len(found) and clock() - began < _TIME_LIMIT:
        batch = found[done : done + _CONCURRENT]
        done += len(batch)
        afters = await asyncio.gather(*(_revoke_if_open(context, actor, request, reason) for request in batch))
        revoked += [request for request in afters if request]
    return BulkRevocation(tuple(revoked), already_ended=done - len(revoked), not_tried=len(found) - done)


async def _revoke_if_open(context: AccessContext, actor: Actor, request: Request, reason: str) -> Request | None:
    try:
        return await revoke(context, actor, request.id, reason)
    except (NotAllowed, NotFound, Overtaken, Tampered):
        return None  # changed since it was listed; the others go on


# without a person in Slack


async def revoke_at_terminal(context: AccessContext, by: str, id_: str, reason: str) -> Request:
    """End access for an operator at the terminal; ``by`` is ``cli:<user>@<host>``.

    Raises `NotFound`, `Overtaken`, `Tampered`, `BadReason`.
    """
    reason = bounded(reason, 3, _REASON)
    while True:
        loaded = await context.find_by_id(id_)
        if loaded.request.state not in REVOCABLE:
            raise Overtaken(loaded.request)
        event = EndedEarly(at=loaded.now, by=by, ending=Ending.REVOKED, reason=reason)
        if after := await context.commit(None, loaded.request, event):
            return after


async def close_manually(context: AccessContext, by: str, id_: str, reason: str) -> Request:
    """Record that an operator removed access that the worker could not revoke; nothing is verified in the system.

    ``by`` is ``cli:<user>@<host>``: it takes the store and its keys. Raises what `revoke_at_terminal` does.
    """
    reason = bounded(reason, 3, "what was done to make sure that it is closed")
    while True:
        loaded = await context.find_by_id(id_)
        request = loaded.request
        if request.state is not State.REVOKING:
            raise Overtaken(request)
        # In the same commit as the state: an entitlement (what the system gives, such as a native role) that requests
        # share must no longer count this one as needing it.
        entitlements = SharedEntitlements(context.store)
        extra_writes = tuple(
            extra_write
            for leg in request.legs
            for extra_write in entitlements.leaving_writes(leg.entitlements, request.order_id(leg.n))
        )
        event = ClosedManually(at=loaded.now, by=by, reason=reason)
        if after := await context.commit(None, request, event, extra_writes=extra_writes):
            return after


async def offboard(context: AccessContext, id_: str, reason: str, catalog: Catalog | None = None) -> Request | None:
    """End or cancel a request whose requester surely lost their account or group; None if it is over or being revoked.

    ``catalog``: the policy of the verdict, if there was one: the commit fails when the workspace has another one by
    then. Raises `NotFound`, `Tampered`, `PolicyMoved`.
    """
    while True:
        loaded = await context.find_by_id(id_)
        event: Event
        match loaded.request.state:
            case State.DRAFT | State.PENDING | State.SCHEDULED:
                event = Cancelled(at=loaded.now, by="policy", reason=reason)
            case State.GRANTING | State.ACTIVE:
                event = EndedEarly(at=loaded.now, by="policy", ending=Ending.REVOKED, reason=reason)
            case _:
                return None
        if after := await context.commit(catalog, loaded.request, event):
            return after
