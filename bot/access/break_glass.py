"""The requester takes access at once, without approval; the review afterwards is in break_glass_review.py.

Judged when it is typed or pressed, on today's policy, groups and records. Whatever the verdict relied on is guarded in
the commit: the policy, the person's counters, the record's version; and every lockdown, as with any access. A person
whose earlier review is overdue, or whose earlier uses are not known, needs the approval of an owner of the system: one
of its ``approvers``.

A guard is a condition that the commit script checks, an op one more write in it; a ledger, a person's counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.access import break_glass_verdict, usage
from bot.access.break_glass_verdict import EarlierUses
from bot.access.consent import CHANGED
from bot.access.context import AccessContext
from bot.access.request_form import RequestForm, Submission
from bot.access.submit import repeats, submitted_before, within_limits
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
class _Earlier:
    """The person's counters, and their open requests as the records confirm them."""

    counters: PersonCounters
    own: Sequence[Request]

    @property
    def uses(self) -> EarlierUses:
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


async def use(context: AccessContext, actor: Actor, form: RequestForm) -> Request:
    """Record access that is taken at once; where the same waits for approval already, that request is taken.

    What an owner has to approve first comes back as a pending request. Raises what errors.py has under NotUnderstood,
    `NotAllowed`, `LimitReached`, `AlreadyRequested`, `Conflicting`, `NotCounted`, `LockedDown`, `PolicyMoved`,
    `Crowded`.
    """
    for _ in range(_TRIES):
        if request := await _try(context, actor, form):
            return request
    raise Crowded


async def _try(context: AccessContext, actor: Actor, form: RequestForm) -> Request | None:
    """Try to commit once; None when what it relied on has changed meanwhile."""
    catalog, earlier = context.catalog(), await _earlier(context, actor)
    submission, terms = await _submission(context, catalog, actor, form, earlier.counters.now)
    if form.token and (known := await submitted_before(context, actor, form.token)):
        return known
    for request in earlier.own:
        if repeats(submission, request) and request.state is State.PENDING and not request.only_required:
            return await switch(context, actor, request.id, submission.form.reason, submission.form.duration)
        if repeats(submission, request) and (request.state in _LIVE or request.state is State.PENDING):
            raise AlreadyRequested(request)
    why = earlier.uses.needs_owner
    if not why:
        earlier.uses.check_times()
    counters = await within_limits(context, submission, earlier.counters) if why else _with_open(earlier)
    if why and counters.submits >= catalog.workspace.limits.submits:
        raise LimitReached("submits", catalog.workspace.limits.submits, SUBMIT_WINDOW)
    counting = await _counting(context, actor, submission.catalog, submission.choice.roles, needs_owner=bool(why))
    event = break_glass_verdict.first_event(
        submission, terms, why, counters.now, context.consequence, context.can_extend
    )
    request = lifecycle.begin(event)
    by_person = {actor.person.id: counters}
    guards, ops = context.store.submission(request, form.token, by_person)
    guards, ops = (*guards, *counting.guards), (*ops, *counting.entering(request))
    same_policy = context.store.policy.same(catalog.generation)
    try:
        await context.store.commit(Change(None, request, event, guards=(same_policy, *guards), ops=ops))
    except Superseded:
        return None
    except GuardFailed as error:
        if error.guard == same_policy:
            raise PolicyMoved from error
        return None
    context.store.counted({actor.person.id: counters.after(request, actor.person.id)})
    counting.written(ops)
    return request


async def _submission(
    context: AccessContext, catalog: Catalog, actor: Actor, form: RequestForm, now: float
) -> tuple[Submission, BreakGlassTerms]:
    try:
        return break_glass_verdict.submission(catalog, actor, form, now)
    except NotAllowed as error:
        choice = catalog.find(form.what)
        await context.refused("break-glass", actor, choice.name if choice else form.what, error)
        raise


# a request that waits


async def usable(context: AccessContext, actor: Actor, id_: str) -> tuple[Request, int]:
    """The pending request and the longest duration, if this person could take it now: the check that `switch` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `RoleChanged`, `LimitReached`, `Conflicting`, `NotCounted`.
    """
    loaded, catalog, _, _ = await _usable(context, actor, id_)
    return loaded.request, break_glass_verdict.longest(catalog, loaded.request)


async def switch(context: AccessContext, actor: Actor, id_: str, reason: str, duration: int | None = None) -> Request:
    """Take the access of the person's own pending request at once. Raises what `usable` does, and `LockedDown`, `Late`.

    Also `BadReason`, `BadDuration`, `PolicyMoved`, `Crowded`.
    """
    for _ in range(_TRIES):
        loaded, catalog, earlier, counting = await _usable(context, actor, id_)
        request, now = loaded.request, loaded.now
        event = break_glass_verdict.switched(catalog, actor, request, reason, duration, now)
        after = lifecycle.advance(request, event)
        used = earlier.counters.ledger.with_break_glass(now)
        guards, ops = context.store.ledger(actor.person.id, earlier.counters, used)
        guards, ops = (*guards, *counting.guards), (*ops, *counting.entering(after))
        same_policy = context.store.policy.same(catalog.generation)
        change = Change(request, after, event, deadline=request.decide_by, guards=(same_policy, *guards), ops=ops)
        try:
            await context.store.commit(change)
        except Superseded:
            continue
        except GuardFailed as error:
            if error.guard == same_policy:
                raise PolicyMoved from error
            continue
        context.store.counted({actor.person.id: used})
        counting.written(ops)
        return after
    raise Crowded


async def _usable(context: AccessContext, actor: Actor, id_: str) -> tuple[Loaded, Catalog, _Earlier, GuardedRoleUsage]:
    loaded = await context.find(actor, id_)
    request, catalog = loaded.request, context.catalog()
    await context.check("break-glass", actor, request, authorization.is_requester(request, actor.person))
    if request.state is not State.PENDING or request.only_required:
        raise Overtaken(request)
    verdict = policy.may_break_glass(catalog, actor.roster, actor.person, policy.refs(request))
    await context.check("break-glass", actor, request, verdict)
    if not authorization.unchanged(catalog, request):
        event = Cancelled(at=loaded.now, by="policy", reason=CHANGED)
        raise RoleChanged(await context.step(catalog, request, event) or request)
    earlier = await _earlier(context, actor)
    await context.check("break-glass", actor, request, earlier.uses.may_switch)
    earlier.uses.check_times()
    return loaded, catalog, earlier, await _counting(context, actor, catalog, policy.refs(request), request)


# the person's earlier uses


async def _earlier(context: AccessContext, actor: Actor) -> _Earlier:
    """Anybody who can write to Redis can empty or fill an index: only the records show whose a request is."""
    counters = await context.store.counters(actor.person.id)
    loaded = [found.request for found in await context.store.load_ours(counters.open_ids)]
    own = [each for each in loaded if each.requester.id == actor.person.id and each.state in lifecycle.OPEN]
    return _Earlier(counters, own)


async def _counting(
    context: AccessContext,
    actor: Actor,
    catalog: Catalog,
    roles: tuple[RoleRef, ...],
    pending: Request | None = None,
    *,
    needs_owner: bool = False,
) -> GuardedRoleUsage:
    """What is counted for the roles, and allows it: see `check_use`. ``pending``: what is taken.

    Raises `Conflicting`, `NotCounted`, `OverLimit`.
    """
    counting = await usage.read(context.store, catalog, roles)
    now, taken = await context.store.now() if needs_owner else 0.0, pending.id if pending else ""
    try:
        break_glass_verdict.check_use(counting, actor, now, needs_owner=needs_owner, pending=taken)
    except usage.REFUSALS as error:
        about = pending.id if pending else " ".join(f"{ref.system}/{ref.role}" for ref in roles)
        await context.refused("break-glass", actor, about, error)
        raise
    return counting


def _with_open(earlier: _Earlier) -> PersonCounters:
    """The counters with what is open, past every limit of ordinary requests: break-glass has one of its own."""
    counters, ids = earlier.counters, tuple(request.id for request in earlier.own)
    return replace(counters, open_ids=ids, ledger=counters.ledger.model_copy(update={"open": ids}))
