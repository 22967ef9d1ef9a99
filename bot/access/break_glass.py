"""The requester takes access at once, without approval; the review afterwards is in break_glass_review.py.

Judged when it is typed or pressed, on today's policy, groups and records. Whatever the verdict relied on is guarded in
the commit: the policy, the person's counters, the record's version; and every lockdown, as with any access. A person
whose earlier review is overdue, or whose earlier uses are not known, needs the approval of an owner of the system: one
of its ``approvers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import SecretStr

from bot.access import break_glass_verdict, proof, usage
from bot.access.break_glass_verdict import EarlierUses
from bot.access.consent import ROLE_CHANGED
from bot.access.context import AccessContext
from bot.access.request_form import RequestForm, Submission
from bot.access.submit import is_repeat, submitted_before, within_limits
from bot.access.usage import GuardedRoleUsage
from bot.core import lifecycle
from bot.core.errors import (
    AlreadyRequested,
    Crowded,
    LimitReached,
    NotAllowed,
    Overtaken,
    PolicyMoved,
    RoleChanged,
)
from bot.core.events import Cancelled
from bot.core.proof import NO_CODE, ProofUse
from bot.core.request import Request, State
from bot.core.verdict import Actor
from bot.policy import authorization
from bot.policy import break_glass as policy
from bot.policy.break_glass import BreakGlassTerms
from bot.policy.catalog import Catalog, Choice, RoleRef
from bot.store.indexes.person_counters import SUBMIT_WINDOW
from bot.store.types import Change, GuardFailed, Loaded, PersonCounters, Superseded

_TRIES = 50
_LIVE = frozenset({State.GRANTING, State.ACTIVE})


@dataclass(frozen=True)
class _PersonState:
    """A person's counters, and their open requests, confirmed by the records."""

    counters: PersonCounters
    own: Sequence[Request]

    @property
    def earlier_uses(self) -> EarlierUses:
        overdue = policy.overdue(self.own, self.counters.now)
        return EarlierUses(overdue.id if overdue else "", self.counters.ledger.break_glass_uses(self.counters.now))


# a line


def offers(context: AccessContext, actor: Actor) -> list[Choice]:
    """What this person may have by break-glass: the check that `use` makes."""
    catalog = context.catalog()
    return [
        choice
        for choice in catalog.choices()
        if policy.may_break_glass(catalog, actor.roster, actor.person, choice.roles).allowed
    ]


async def usable_new(context: AccessContext, actor: Actor, form: RequestForm) -> tuple[Choice, int]:
    """What the form names, and the longest duration, if they may take it. Raises `UnknownChoice`, `NotAllowed`."""
    choice, terms = break_glass_verdict.allowed(context.catalog(), actor, form, await context.store.now())
    return choice, break_glass_verdict.longest_of(choice, terms)


async def use(context: AccessContext, actor: Actor, form: RequestForm) -> Request:
    """Record access that is taken at once; if the person has a pending request for the same, that one is switched.

    Where an owner has to approve first, the request that is returned is pending.

    Raises what errors.py has under NotUnderstood, `NotAllowed`, `LimitReached`, `AlreadyRequested`, `Conflicting`,
    `NotCounted`, `LockedDown`, `PolicyMoved`, `Crowded`.
    """
    for _ in range(_TRIES):
        if request := await _try(context, actor, form):
            return request
    raise Crowded


async def _try(context: AccessContext, actor: Actor, form: RequestForm) -> Request | None:
    """Try to commit once; None when what it relied on has changed meanwhile."""
    catalog, state = context.catalog(), await _person_state(context, actor)
    submission, terms = await _submission(context, catalog, actor, form, state.counters.now)
    if form.token and (earlier_request := await submitted_before(context, actor, form.token)):
        return earlier_request
    for request in state.own:
        if is_repeat(submission, request) and request.state is State.PENDING and not request.only_required:
            return await switch(context, actor, request.id, submission.form.reason, submission.form.duration, form.code)
        if is_repeat(submission, request) and (request.state in _LIVE or request.state is State.PENDING):
            raise AlreadyRequested(request)
    why = state.earlier_uses.needs_owner
    if not why:
        state.earlier_uses.check_daily_limit()
    counters = await within_limits(context, submission, state.counters) if why else _with_confirmed_open(state)
    if why and counters.submits >= catalog.workspace.limits.submits:
        raise LimitReached("submits", catalog.workspace.limits.submits, SUBMIT_WINDOW)
    role_usage = await _role_usage(context, actor, submission.catalog, submission.choice.roles, needs_owner=bool(why))
    event = break_glass_verdict.first_event(
        submission, terms, why, counters.now, context.consequence, context.can_extend
    )
    proved = await proof.check(context, catalog, actor, submission.choice.roles, ProofUse.BREAK_GLASS, form.code)
    event = event.model_copy(update={"proof": proved.proof})
    request = lifecycle.begin(event)
    # Guards: the person's counters, the token, the usage that the verdict relied on, the policy, and the proof.
    by_person = {actor.person.id: counters}
    guards, extra_writes = context.store.submission(request, form.token, by_person)
    guards = (*guards, *role_usage.guards, *proved.guards)
    extra_writes = (*extra_writes, *role_usage.count_request(request), *proved.extra_writes)
    same_policy = context.store.policy.is_current(catalog.policy_hash)
    try:
        await context.store.commit(
            Change(None, request, event, guards=(same_policy, *guards), extra_writes=extra_writes)
        )
    except Superseded:
        return None
    except GuardFailed as error:
        if error.guard == same_policy:
            raise PolicyMoved from error
        return None
    context.store.ledgers_committed({actor.person.id: counters.after(request, actor.person.id)})
    role_usage.committed(extra_writes)
    proved.committed(context)
    return request


async def _submission(
    context: AccessContext, catalog: Catalog, actor: Actor, form: RequestForm, now: float
) -> tuple[Submission, BreakGlassTerms]:
    try:
        return break_glass_verdict.submission(catalog, actor, form, now)
    except NotAllowed as error:
        choice = catalog.find(form.what)
        await context.audit_refusal("break-glass", actor, choice.name if choice else form.what, error)
        raise


# a request that waits


async def switchable(context: AccessContext, actor: Actor, id_: str) -> tuple[Request, int]:
    """The pending request and the longest duration, if this person could take it now: the check that `switch` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `RoleChanged`, `LimitReached`, `Conflicting`, `NotCounted`.
    """
    loaded, catalog, _, _ = await _switchable(context, actor, id_)
    return loaded.request, break_glass_verdict.longest(catalog, loaded.request)


async def switch(
    context: AccessContext,
    actor: Actor,
    id_: str,
    reason: str,
    duration: int | None = None,
    code: SecretStr = NO_CODE,
) -> Request:
    """Take the access of the person's own pending request at once. ``code``: the second-factor code, if any.

    Raises what `switchable` does, and `LockedDown`, `Late`, `BadReason`, `BadDuration`, `NotProved`, `PolicyMoved`,
    `Crowded`.
    """
    for _ in range(_TRIES):
        loaded, catalog, state, role_usage = await _switchable(context, actor, id_)
        request, now = loaded.request, loaded.now
        event = break_glass_verdict.switched(catalog, actor, request, reason, duration, now)
        proved = await proof.check(context, catalog, actor, policy.refs(request), ProofUse.BREAK_GLASS, code)
        event = event.model_copy(update={"proof": proved.proof})
        after = lifecycle.advance(request, event)
        ledger_after = state.counters.ledger.with_break_glass(now)
        guards, extra_writes = context.store.ledger(actor.person.id, state.counters, ledger_after)
        guards = (*guards, *role_usage.guards, *proved.guards)
        extra_writes = (*extra_writes, *role_usage.count_request(after), *proved.extra_writes)
        same_policy = context.store.policy.is_current(catalog.policy_hash)
        change = Change(
            request, after, event, deadline=request.decide_by, guards=(same_policy, *guards), extra_writes=extra_writes
        )
        try:
            await context.store.commit(change)
        except Superseded:
            continue
        except GuardFailed as error:
            if error.guard == same_policy:
                raise PolicyMoved from error
            continue
        context.store.ledgers_committed({actor.person.id: ledger_after})
        role_usage.committed(extra_writes)
        proved.committed(context)
        return after
    raise Crowded


async def _switchable(
    context: AccessContext, actor: Actor, id_: str
) -> tuple[Loaded, Catalog, _PersonState, GuardedRoleUsage]:
    loaded = await context.find_readable(actor, id_)
    request, catalog = loaded.request, context.catalog()
    await context.require_allowed("break-glass", actor, request.id, authorization.is_requester(request, actor.person))
    if request.state is not State.PENDING or request.only_required:
        raise Overtaken(request)
    verdict = policy.may_break_glass(catalog, actor.roster, actor.person, policy.refs(request))
    await context.require_allowed("break-glass", actor, request.id, verdict)
    if not authorization.roles_unchanged(catalog, request):
        event = Cancelled(at=loaded.now, by="policy", reason=ROLE_CHANGED)
        raise RoleChanged(await context.commit(catalog, request, event) or request)
    state = await _person_state(context, actor)
    await context.require_allowed("break-glass", actor, request.id, state.earlier_uses.may_switch)
    state.earlier_uses.check_daily_limit()
    return loaded, catalog, state, await _role_usage(context, actor, catalog, policy.refs(request), request)


# the person's counters and open requests


async def _person_state(context: AccessContext, actor: Actor) -> _PersonState:
    """Anybody who can write to Redis can empty or fill an index: only the records show whose a request is."""
    counters = await context.store.counters(actor.person.id)
    loaded = [found.request for found in await context.store.load_ours(counters.open_ids)]
    own = [each for each in loaded if each.requester.id == actor.person.id and each.state in lifecycle.OPEN]
    return _PersonState(counters, own)


async def _role_usage(
    context: AccessContext,
    actor: Actor,
    catalog: Catalog,
    roles: tuple[RoleRef, ...],
    pending: Request | None = None,
    *,
    needs_owner: bool = False,
) -> GuardedRoleUsage:
    """The usage of the roles, which allows the access: see `check_use`. ``pending``: the request whose access is taken.

    Raises `Conflicting`, `NotCounted`, `OverLimit`.
    """
    role_usage = await usage.read(context.store, catalog, roles)
    now, taken = await context.store.now() if needs_owner else 0.0, pending.id if pending else ""
    try:
        break_glass_verdict.check_use(role_usage, actor, now, needs_owner=needs_owner, pending=taken)
    except usage.REFUSALS as error:
        about = pending.id if pending else " ".join(f"{ref.system}/{ref.role}" for ref in roles)
        await context.audit_refusal("break-glass", actor, about, error)
        raise
    return role_usage


def _with_confirmed_open(state: _PersonState) -> PersonCounters:
    """The counters with only the open requests that records confirm; the limits of ordinary requests do not apply."""
    counters, ids = state.counters, tuple(request.id for request in state.own)
    return replace(counters, open_ids=ids, ledger=counters.ledger.model_copy(update={"open": ids}))
