"""Somebody accepts or declines access that another person requested for them; no approver sees it before that.

Only that person can, while it waits for them. When they accept, it is judged again: approvers then have their time to
decide, or a rule of the policy approves it in the same commit. If the person who requested it may no longer do so, it
is cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from bot.access import first_event, proof, usage
from bot.access.circumstances import check_tickets, gather_circumstances
from bot.access.context import AccessContext
from bot.core import lifecycle
from bot.core.errors import CouldNotCheck, NotAllowed, Overtaken, PolicyMoved, RoleChanged
from bot.core.events import Cancelled, Consented
from bot.core.ids import bounded
from bot.core.proof import NO_CODE, ProofUse
from bot.core.request import Request
from bot.core.rule_effects import CheckedTicket
from bot.core.verdict import Actor, Roster
from bot.policy import authorization, on_behalf, rules
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances
from bot.policy.rules import Ruling
from bot.store.types import Change, GuardFailed, Loaded, PersonCounters, Superseded

MAY_NO_LONGER_REQUEST = "who requested it for somebody else may no longer do so"
"""Why a request is cancelled, where the person who requested it left or lost the right."""
ROLE_CHANGED = "its role was changed in the policy"
"""Why a request is cancelled whose role changed since, so that it would grant something else."""


async def accept(context: AccessContext, actor: Actor, id_: str, code: SecretStr = NO_CODE) -> Request:
    """Accept: the request goes to its approvers. ``code``: the second-factor code that was typed, if any.

    Raises what `consentable` does, and `RoleChanged`, `CouldNotCheck`, `Late`; `Overtaken` where it is cancelled since
    the person who requested it no longer may; `NotProved`; and what limits, conflicts and rules raise in
    `submit.record`.
    """
    while True:
        loaded = await _consentable(context, actor, id_)
        # The policy is read after the record: the commit fails unless it is still the workspace's policy.
        catalog, request = context.catalog(), loaded.request
        verdict = authorization.may_still_request(catalog, actor.roster, request, loaded.now)
        await context.require_allowed("consent", actor, request.id, verdict)
        if why := why_cancelled(catalog, actor.roster, request):
            event = Cancelled(at=loaded.now, by="policy", reason=why)
            if after := await context.commit(catalog, request, event):
                raise RoleChanged(after) if why == ROLE_CHANGED else Overtaken(after)
            continue
        if after := await _accepted(context, actor, catalog, loaded, code):
            return after


async def decline(context: AccessContext, actor: Actor, id_: str, reason: str) -> Request:
    """Decline: the request is cancelled, with a reason. Raises what `consentable` does, and `BadReason`."""
    reason = bounded(reason, 1, "why not")
    while True:
        loaded = await _consentable(context, actor, id_)
        event = Cancelled(at=loaded.now, by=actor.person.id, reason=reason)
        if after := await context.commit(None, loaded.request, event):
            return after


async def consentable(context: AccessContext, actor: Actor, id_: str) -> Request:
    """The request, if this person could accept or decline it now. Raises `NotFound`, `NotAllowed`, `Overtaken`."""
    return (await _consentable(context, actor, id_)).request


def why_cancelled(catalog: Catalog, roster: Roster, request: Request) -> str:
    """Why nobody can accept or approve it any more; empty where they can. Raises `CouldNotCheck`."""
    if not authorization.roles_unchanged(catalog, request):
        return ROLE_CHANGED
    return why_not_for_others(catalog, roster, request)


def why_not_for_others(catalog: Catalog, roster: Roster, request: Request) -> str:
    """Why it is cancelled, if the person who requested it for somebody else no longer may. Raises `CouldNotCheck`."""
    verdict = on_behalf.may_still_request_for(catalog, roster, request)
    if verdict.unknown:
        raise CouldNotCheck("who may request this for others")
    return "" if verdict.allowed else MAY_NO_LONGER_REQUEST


async def _consentable(context: AccessContext, actor: Actor, id_: str) -> Loaded:
    loaded = await context.find_readable(actor, id_)
    # Permission before state: nobody but this person learns what they answered.
    await context.require_allowed(
        "consent", actor, loaded.request.id, on_behalf.may_consent(loaded.request, actor.person)
    )
    if not loaded.request.is_draft:
        raise Overtaken(loaded.request)
    return loaded


async def _accepted(
    context: AccessContext, actor: Actor, catalog: Catalog, loaded: Loaded, code: SecretStr
) -> Request | None:
    """Accept and commit; None when the record, or anything that the verdict relied on, has changed meanwhile."""
    request = loaded.request
    requested = rules.requested_access(request)
    try:
        acceptance = await _judge_acceptance(
            context, actor, catalog, loaded, await check_tickets(context, catalog, requested)
        )
    except (NotAllowed, *usage.REFUSALS) as error:
        await context.audit_refusal("consent", actor, request.id, error)
        raise
    proved = await proof.check(
        context,
        catalog,
        actor,
        usage.refs_of(request),
        ProofUse.REQUEST,
        code,
        by_rule=acceptance.requires_proof,
    )
    event = acceptance.event.model_copy(update={"proof": proved.proof})
    after, role_usage = lifecycle.advance(request, event), acceptance.role_usage
    same_policy = context.store.policy.is_current(catalog.policy_hash)
    person, counters = request.requester.id, acceptance.counters
    ledger = counters.ledger.after_rule(after) if counters else None
    guards, extra_writes = context.store.ledger(person, counters, ledger) if counters and ledger else ((), ())
    guards = (same_policy, *guards, *role_usage.guards, *proved.guards)
    extra_writes = (*extra_writes, *role_usage.count_request(after), *proved.extra_writes)
    change = Change(request, after, event, deadline=request.waits_until, guards=guards, extra_writes=extra_writes)
    try:
        await context.store.commit(change)
    except Superseded:
        return None
    except GuardFailed as error:
        if error.guard == same_policy:
            raise PolicyMoved from error
        return None  # what was counted for this person or these roles has changed meanwhile
    role_usage.committed(extra_writes)
    proved.committed(context)
    if ledger:
        context.store.ledgers_committed({person: ledger})
    return after


@dataclass(frozen=True)
class _Acceptance:
    """The event, with what the verdict relied on.

    ``counters``: of the person, for an approval by a rule; ``role_usage``: what limits and conflicts count;
    ``requires_proof``: whether a rule asks for a proof.
    """

    event: Consented
    counters: PersonCounters | None
    role_usage: usage.GuardedRoleUsage
    requires_proof: bool


async def _judge_acceptance(
    context: AccessContext, actor: Actor, catalog: Catalog, loaded: Loaded, tickets: tuple[CheckedTicket, ...]
) -> _Acceptance:
    """Check limits, conflicts and rules as `submit` does for requests of one's own.

    Raises `NotCounted`, `Conflicting`, `OverLimit`, and `NotAllowed` where rules deny it.
    """
    request, requester, roster = loaded.request, loaded.request.requester, actor.roster
    counters = await context.store.counters(requester.id, [rule.key for rule in catalog.rules])
    now = counters.now
    role_usage = await usage.of_request(context.store, catalog, request)
    role_usage.check(requester, now)
    circumstances = await gather_circumstances(
        context, catalog, requester, role_usage, now, max(request.starts_at, now), tickets, request.id
    )
    ruling = rules.judge(catalog, roster, rules.requested_access(request), circumstances, counters.rule_uses)
    event, _ = _by_ruling(catalog, roster, request, circumstances, ruling, actor.person.id)
    return _Acceptance(event, counters if event.rule else None, role_usage, ruling.requires_proof)


def consent_event(
    catalog: Catalog, roster: Roster, request: Request, circumstances: Circumstances, used: Mapping[str, int], by: str
) -> tuple[Consented, Request]:
    """The event of accepting it at ``circumstances.now``, and the request after it; it reads nothing.

    ``used``: how many each rule has approved for this person lately, see `PersonCounters`.

    Raises `NotAllowed` where rules deny it, or require approvals that nobody could give.
    """
    ruling = rules.judge(catalog, roster, rules.requested_access(request), circumstances, used)
    return _by_ruling(catalog, roster, request, circumstances, ruling, by)


def _by_ruling(
    catalog: Catalog, roster: Roster, request: Request, circumstances: Circumstances, ruling: Ruling, by: str
) -> tuple[Consented, Request]:
    now, requester = circumstances.now, request.requester
    if not ruling.verdict.allowed:
        raise NotAllowed(ruling.verdict)
    decide_by, remind_at = first_event.times_to_decide(catalog, request.starts_at, now)
    effects = {
        name: made
        for name, made in first_event.ruling_fields(ruling, circumstances).items()
        if name in Consented.model_fields
    }
    if ruling.by is None:
        roles = usage.refs_of(request)
        effects["escalations"] = first_event.first_escalations(catalog, roster, requester, roles, now, decide_by)
    event = Consented(at=now, by=by, decide_by=decide_by, remind_at=remind_at, rule=ruling.by, **effects)
    after = lifecycle.advance(request, event)
    first_event.require_approvers(catalog, roster, after, now)
    return event, after
