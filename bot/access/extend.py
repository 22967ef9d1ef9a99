"""The requester asks to extend active access; its approvers decide in review.py, and nothing is extended here.

Until the systems have the new end, access ends at the old one, whatever is requested or approved.
A leg is one role of a request.
"""

from __future__ import annotations

from pydantic import SecretStr

from bot.access import proof, usage
from bot.access.circumstances import gather_circumstances
from bot.access.context import AccessContext
from bot.core import deadlines, durations
from bot.core.errors import BadDuration, CannotExtend, Overtaken
from bot.core.events import ExtensionRequested
from bot.core.ids import bounded
from bot.core.proof import NO_CODE, ProofUse
from bot.core.request import Extension, Request, State
from bot.core.verdict import Actor
from bot.policy import authorization, rules
from bot.policy.catalog import Catalog
from bot.policy.rules import Ruling
from bot.store.types import CommitGuard, Loaded


async def extend(
    context: AccessContext, actor: Actor, id_: str | None, more: int, reason: str, code: SecretStr = NO_CODE
) -> Request:
    """Request an extension by ``more`` seconds beyond the current end.

    Rules are judged as at a submit, for all of the access. Raises what `extensible` does, and `BadDuration`,
    `BadReason`, `NotProved`, `PolicyMoved`, `Late`. ``code``: the second-factor code that was typed, if any.
    """
    reason = bounded(reason, 3, "why it is still needed")
    while True:
        loaded = await _extensible(context, actor, id_)
        request, now = loaded.request, loaded.now
        until, latest = request.ends_at + more, deadlines.last_end(request)
        if more < durations.SHORTEST:
            raise BadDuration(durations.short(max(more, 0)), (), 0)
        if until > latest:
            raise CannotExtend(request, "cap", latest)
        catalog = context.catalog()
        ruling, guards = await _ruling(context, catalog, actor, loaded, until)
        await context.require_allowed("extend", actor, request.id, ruling.verdict)
        if ruling.shortened and until > request.granted_at + ruling.shortened.duration:
            raise CannotExtend(request, "rule", request.granted_at + ruling.shortened.duration)
        n = request.extension.n + 1 if request.extension else 1
        proved = await proof.check(
            context,
            catalog,
            actor,
            usage.refs_of(request),
            ProofUse.REQUEST,
            code,
            by_rule=ruling.requires_proof,
        )
        extension = Extension(
            n=n, until=until, reason=reason, at=now, required_steps=ruling.required_steps, proof=proved.proof
        )
        event = ExtensionRequested(at=now, by=actor.person.id, extension=extension)
        # The deadline is checked by the store's own time: access that has ended cannot be extended.
        added = (*guards, *proved.guards)
        if after := await context.commit(
            catalog, request, event, deadline=request.ends_at, guards=added, extra_writes=proved.extra_writes
        ):
            proved.committed(context)
            return after


async def _ruling(
    context: AccessContext, catalog: Catalog, actor: Actor, loaded: Loaded, until: float
) -> tuple[Ruling, tuple[CommitGuard, ...]]:
    """The ruling on the whole access up to its new end, judged for the start of the extension.

    Also returns the guards on the usage that it relied on.
    """
    request = loaded.request
    role_usage = await usage.of_request(context.store, catalog, request)
    begins, tickets = request.ends_at, request.tickets
    circumstances = await gather_circumstances(
        context, catalog, request.requester, role_usage, loaded.now, begins, tickets, request.id
    )
    requested = rules.requested_access(request, round(until - request.granted_at))
    return rules.judge(catalog, actor.roster, requested, circumstances, {}), role_usage.guards


async def extensible(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """The request, if this person could request an extension now: the check that `extend` makes.

    Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`, `CannotExtend`.
    """
    return (await _extensible(context, actor, id_)).request


async def _extensible(context: AccessContext, actor: Actor, id_: str | None) -> Loaded:
    loaded = await context.find_by_typed(actor, id_, (State.ACTIVE,))
    request, catalog = loaded.request, context.catalog()
    await context.require_allowed("extend", actor, request.id, authorization.is_requester(request, actor.person))
    if request.state is not State.ACTIVE:
        raise Overtaken(request)
    entitled = authorization.may_still_request(catalog, actor.roster, request, loaded.now)
    await context.require_allowed("extend", actor, request.id, entitled)
    if why := _obstacle(catalog, request):
        raise CannotExtend(request, why, deadlines.last_end(request))
    return loaded


def _obstacle(catalog: Catalog, request: Request) -> str:
    """The reason code of `CannotExtend`, where the access cannot be extended; empty when it can."""
    if not all(leg.role.can_extend for leg in request.legs):
        return "systems"
    if request.extension and request.extension.undone:
        return "asked"
    if not authorization.roles_unchanged(catalog, request):
        return "changed"
    if deadlines.last_end(request) < request.ends_at + durations.SHORTEST:
        return "cap"
    return ""
