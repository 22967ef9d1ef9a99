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

from bot.access import usage
from bot.access.consent import CHANGED
from bot.access.context import AccessContext
from bot.access.first_event import submitted_event
from bot.access.inputs import check_inputs
from bot.access.request_form import RequestForm, Submission
from bot.access.submit import allowed, repeats, submitted_before, within_limits
from bot.access.usage import RoleUse
from bot.core import durations, lifecycle
from bot.core.break_glass import BreakGlass
from bot.core.break_glass_events import BreakGlassUsed, SwitchedToBreakGlass
from bot.core.errors import (
    AlreadyRequested,
    BadDuration,
    LimitReached,
    Overtaken,
    PolicyMoved,
    RoleChanged,
)
from bot.core.events import Cancelled, Submitted
from bot.core.ids import bounded
from bot.core.request import Request, RequiredStep, State
from bot.core.verdict import Actor, Code, Reason, Verdict
from bot.policy import authorization
from bot.policy import break_glass as policy
from bot.policy.break_glass import MOST_A_DAY, SHORTEST_REASON, BreakGlassTerms
from bot.policy.catalog import Catalog, Choice, RoleRef
from bot.policy.rules import WINDOW
from bot.store.indexes.person_counters import SUBMIT_WINDOW
from bot.store.types import Change, Counters, GuardFailed, Loaded, Superseded

_TRIES = 50
_LIVE = frozenset({State.GRANTING, State.ACTIVE})


@dataclass(frozen=True)
class _Earlier:
    """The person's counters, and their open requests as the records confirm them."""

    counters: Counters
    own: Sequence[Request]

    @property
    def overdue(self) -> Request | None:
        return policy.overdue(self.own, self.counters.now)

    @property
    def uses(self) -> int | None:
        return self.counters.ledger.break_glass_uses(self.counters.now)


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
    `NotAllowed`, `LimitReached`, `AlreadyRequested`, `Conflicting`, `NotCounted`, `LockedDown`, `PolicyMoved`.
    """
    for _ in range(_TRIES):
        if request := await _try(context, actor, form):
            return request
    raise PolicyMoved


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
    why = _needs_owner(earlier)
    if not why and (earlier.uses or 0) >= MOST_A_DAY:
        raise LimitReached("break_glass", MOST_A_DAY, WINDOW)
    counters = await within_limits(context, submission, earlier.counters) if why else _with_open(earlier)
    if why and counters.submits >= catalog.workspace.limits.submits:
        raise LimitReached("submits", catalog.workspace.limits.submits, SUBMIT_WINDOW)
    counting = await _counting(context, actor, submission.catalog, submission.choice.roles, needs_owner=bool(why))
    submitted = submitted_event(submission, counters.now, context.consequence, context.can_extend)
    event = _needing_owner(submission, submitted, why) if why else _used(submission, submitted, terms)
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
    """The form, checked and filled in, of what this person may have by break-glass."""
    choice = catalog.find(form.what)
    if choice is None:
        allowed(catalog, actor, form, now)  # raises what is near
        raise PolicyMoved
    verdict = policy.may_break_glass(catalog, actor.roster, actor.person, choice.roles)
    await context.require("break-glass", actor, choice.name, verdict)
    terms = policy.terms(catalog, choice.roles)
    if terms is None:
        raise PolicyMoved
    checked = {
        "duration": _duration(form.duration, min(terms.at_most, choice.cap)),
        "reason": _reason(choice, form.reason),
        "inputs": check_inputs(catalog, choice, form.inputs),
        "starts_at": 0.0,
    }
    return Submission(actor, form.model_copy(update=checked), catalog, choice), terms


def _used(submission: Submission, submitted: Submitted, terms: BreakGlassTerms) -> BreakGlassUsed:
    return BreakGlassUsed(break_glass=_glass(submission, submitted.at, terms), **_facts(submitted))


def _needing_owner(submission: Submission, submitted: Submitted, why: str) -> Submitted:
    """The request that an owner of each of its systems approves, in place of the approvers of its roles."""
    first = {ref.system: f"{ref.system}/{ref.role}" for ref in reversed(submission.choice.roles)}
    steps = tuple(
        RequiredStep(any_of=submission.catalog.systems[system].approvers, role=role, because=why)
        for system, role in first.items()
    )
    return submitted.model_copy(
        update={"required_steps": steps, "only_required": True, "may_break_glass": False, "escalations": ()}
    )


def _facts(submitted: Submitted) -> dict[str, object]:
    left_out = {"kind", "remind_at", "may_break_glass", "escalations"}
    return {name: getattr(submitted, name) for name in Submitted.model_fields if name not in left_out}


def _glass(submission: Submission, now: float, terms: BreakGlassTerms) -> BreakGlass:
    by_list = policy.by_list(submission.catalog, submission.actor.roster, submission.choice.roles)
    return BreakGlass(at=now, review_by=now + terms.review_within, by_list=by_list)


# a request that waits


async def usable(context: AccessContext, actor: Actor, id_: str) -> tuple[Request, int]:
    """The pending request and the longest duration, if this person could take it now: the check that `switch` makes.

    Raises `NotFound`, `NotAllowed`, `Overtaken`, `RoleChanged`, `LimitReached`, `Conflicting`, `NotCounted`.
    """
    loaded, catalog, _, _ = await _usable(context, actor, id_)
    return loaded.request, _longest(catalog, loaded.request)


async def switch(context: AccessContext, actor: Actor, id_: str, reason: str, duration: int | None = None) -> Request:
    """Take the access of the person's own pending request at once. Raises what `usable` does, and `LockedDown`, `Late`.

    Also `BadReason`, `BadDuration`, `PolicyMoved`.
    """
    for _ in range(_TRIES):
        loaded, catalog, earlier, counting = await _usable(context, actor, id_)
        request, now, roles = loaded.request, loaded.now, policy.refs(loaded.request)
        terms = policy.terms(catalog, roles)
        if terms is None:
            raise PolicyMoved
        by_list = policy.by_list(catalog, actor.roster, roles)
        event = SwitchedToBreakGlass(
            at=now,
            by=actor.person.id,
            reason=bounded(reason, SHORTEST_REASON, ""),
            duration=_duration(duration, _longest(catalog, request)),
            break_glass=BreakGlass(at=now, review_by=now + terms.review_within, by_list=by_list),
        )
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
    raise PolicyMoved


async def _usable(context: AccessContext, actor: Actor, id_: str) -> tuple[Loaded, Catalog, _Earlier, RoleUse]:
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
    if earlier.overdue:
        overdue = Reason(code=Code.REVIEW_OVERDUE, about=(earlier.overdue.id,))
        await context.check("break-glass", actor, request, Verdict(reasons=(overdue,)))
    if earlier.uses is None:
        await context.check("break-glass", actor, request, Verdict(reasons=(Reason(code=Code.USES_UNKNOWN),)))
    if (earlier.uses or 0) >= MOST_A_DAY:
        raise LimitReached("break_glass", MOST_A_DAY, WINDOW)
    return loaded, catalog, earlier, await _counting(context, actor, catalog, policy.refs(request), request)


def _longest(catalog: Catalog, request: Request) -> int:
    terms = policy.terms(catalog, policy.refs(request))
    return min(terms.at_most if terms else 0, *(leg.role.cap for leg in request.legs))


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
) -> RoleUse:
    """What is counted for the roles: limits do not stop break-glass; conflicts do. ``pending``: what is taken.

    What an owner has to approve is a request as any: limits hold. Raises `Conflicting`, `NotCounted`, `OverLimit`.
    """
    counting = await usage.read(context.store, catalog, roles)
    try:
        if needs_owner:
            counting.check(actor.person, await context.store.now())
        else:
            counting.check_break_glass(actor.person, pending.id if pending else "")
    except usage.REFUSALS as error:
        about = pending.id if pending else " ".join(f"{ref.system}/{ref.role}" for ref in roles)
        await context.refused("break-glass", actor, about, error)
        raise
    return counting


def _with_open(earlier: _Earlier) -> Counters:
    """The counters with what is open, past every limit of ordinary requests: break-glass has one of its own."""
    counters, ids = earlier.counters, tuple(request.id for request in earlier.own)
    return replace(counters, open_ids=ids, ledger=counters.ledger.model_copy(update={"open": ids}))


def _needs_owner(earlier: _Earlier) -> str:
    """Why an owner has to approve it first; empty where nobody has to."""
    if overdue := earlier.overdue:
        return f"the review of the requester's break-glass access {overdue.id} is overdue"
    if earlier.uses is None:
        return "how often the requester used break-glass lately is not known"
    return ""


# fields


def _duration(duration: int | None, longest: int) -> int:
    """Seconds; as long as it can be where nothing was said. Raises `BadDuration`."""
    if duration is None:
        return longest
    if not durations.SHORTEST <= duration <= longest:
        raise BadDuration(durations.short(max(duration, 0)), (), longest)
    return duration


def _reason(choice: Choice, reason: str) -> str:
    """A reason that says something; no form is required in an emergency. Raises `BadReason`."""
    return bounded(reason, max(choice.reason.min_length, SHORTEST_REASON), choice.reason.hint)
