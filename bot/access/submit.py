"""A filled-in form becomes a request: what may be requested, how long, from when, how often; no approver decides here.

Only a rule of the policy approves here, in the same commit that records the request. A choice is a template
(several roles under one name) or a role that can be requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.access import proof, usage
from bot.access.circumstances import check_tickets, gather_circumstances
from bot.access.context import AccessContext
from bot.access.first_event import event_of_ruling, first_event, ruling_of, snapshot, submitted_event
from bot.access.form_fields import check_duration, check_reason, check_start
from bot.access.inputs import check_inputs
from bot.access.proof import CheckedProof
from bot.access.request_form import RequestForm, Submission
from bot.core import given_inputs, lifecycle
from bot.core.errors import (
    AlreadyRequested,
    CannotCombine,
    Crowded,
    LimitReached,
    NotAllowed,
    PolicyMoved,
    UnknownChoice,
)
from bot.core.lifecycle import OPEN
from bot.core.limit_errors import Conflicting
from bot.core.proof import ProofUse
from bot.core.request import Request, State
from bot.core.rule_effects import CheckedTicket
from bot.core.verdict import Actor
from bot.policy import authorization, conflicts, counted, on_behalf
from bot.policy.catalog import Catalog, Choice, cannot_combine
from bot.policy.rules import Ruling
from bot.policy.vocabulary import TOGETHER
from bot.store.indexes.person_counters import SUBMIT_WINDOW
from bot.store.types import Change, GuardFailed, PersonCounters, Superseded

__all__ = ["RequestForm", "Submission", "event_of_ruling", "first_event", "snapshot", "submitted_event"]
"""Re-exported for the callers of this module."""
_TRIES = 50


# choose


async def offers(context: AccessContext, actor: Actor) -> list[Choice]:
    """The choices that this person may request: the check that `submit` makes."""
    now = await context.store.now()
    return _offers(context.catalog(), actor, now)


def _offers(catalog: Catalog, actor: Actor, now: float) -> list[Choice]:
    return [
        choice
        for choice in catalog.choices()
        if authorization.may_request(catalog, actor.roster, actor.person, choice, now).allowed
    ]


def offers_for_others(context: AccessContext, actor: Actor) -> list[Choice]:
    """The choices that this person may request for somebody else."""
    catalog = context.catalog()
    return [each for each in catalog.choices() if on_behalf.offered(catalog, actor.roster, actor.person, each)]


async def prepare(context: AccessContext, actor: Actor, form: RequestForm) -> Submission:
    """The form with its choice, allowed by today's policy.

    Raises `UnknownChoice`, `CannotCombine`, `NotAllowed`, `Conflicting`.
    """
    now = await context.store.now()
    return check_allowed(context.catalog(), actor, form, now)


def check_allowed(catalog: Catalog, actor: Actor, form: RequestForm, now: float) -> Submission:
    """The check of `prepare`, by this policy."""
    requested_for = form.requested_for
    if requested_for and authorization.same_person(requested_for, actor.person):
        form = form.model_copy(update={"requested_for": None})
    choice = catalog.find(form.what)
    if choice is None:
        # A role that this person may not request is not suggested: not even its name is shown.
        visible = {each.name for each in _offers(catalog, actor, now)}
        parts = catalog.parts(form.what)
        if parts and visible.issuperset(each.name for each in parts) and (error := cannot_combine(parts)):
            raise CannotCombine(error.problem, most=error.most, name=error.name)
        raise UnknownChoice(form.what, tuple(name for name in catalog.nearest(form.what) if name in visible))
    if requested_for := form.requested_for:
        verdict = on_behalf.may_request_for(catalog, actor.roster, actor.person, requested_for, choice, now)
    else:
        verdict = authorization.may_request(catalog, actor.roster, actor.person, choice, now)
    if not verdict.allowed:
        raise NotAllowed(verdict)
    if conflict := conflicts.within(catalog.conflicts, counted.names_of(choice.roles)):
        raise Conflicting(conflict)
    return Submission(actor, form, catalog, choice)


async def find_offered(context: AccessContext, actor: Actor, choices: Sequence[Choice], form: RequestForm) -> Choice:
    """The choice that the form names among this person's offers. Raises `UnknownChoice`, `NotAllowed`."""
    found = next((choice for choice in choices if choice.name == form.what), None)
    return found or (await prepare(context, actor, form)).choice


# submit


async def submit(context: AccessContext, actor: Actor, form: RequestForm) -> Request:
    """Record a new request. Raises what errors.py has under NotUnderstood, NotAllowed (audited) and LimitReached."""
    try:
        submission = await prepare(context, actor, form)
    except (NotAllowed, Conflicting) as error:
        await context.audit_refusal("submit", actor, form.what, error)
        raise
    return await record(context, submission)


async def record(context: AccessContext, submission: Submission) -> Request:
    """Submit a form whose choice and permission were checked; if the policy has changed since, the commit fails.

    Raises also `OverLimit`, `Conflicting` and `NotCounted`, audited.
    """
    token, actor = submission.form.token, submission.actor
    # The code of a submission that is delivered twice is spent, and the second delivery is no wrong code.
    if submission.form.code.get_secret_value() and token and (made := await submitted_before(context, actor, token)):
        return made
    filled_in = completed(submission, await context.store.now() if submission.form.starts_at else 0.0)
    tickets = await check_tickets(context, filled_in.catalog, filled_in.requested_access)
    try:
        for _ in range(_TRIES):
            if request := await _try(context, filled_in, tickets):
                return request
    except (NotAllowed, *usage.REFUSALS) as error:
        await context.audit_refusal("submit", filled_in.actor, filled_in.choice.name, error)
        raise
    raise Crowded


def completed(submission: Submission, now: float) -> Submission:
    """The submission, each field checked and completed. Raises `BadDuration`, `BadReason`, `BadStart`, `BadInput`."""
    form, choice = submission.form, submission.choice
    duration = check_duration(choice, form.duration)
    reason = check_reason(choice, form.reason)
    check_start(form.starts_at, now)
    inputs = check_inputs(submission.catalog, choice, form.inputs)
    checked = {"duration": duration, "reason": reason, "inputs": inputs}
    return replace(submission, form=form.model_copy(update=checked))


async def _try(context: AccessContext, submission: Submission, tickets: tuple[CheckedTicket, ...]) -> Request | None:
    """Try to commit once; None when the state that it relied on has changed meanwhile."""
    actor, catalog, token = submission.actor, submission.catalog, submission.form.token
    counters = await _counters(context, submission)
    requester = submission.requester
    own, now = counters[requester.id], counters[requester.id].now
    role_usage = await usage.read(context.store, catalog, submission.choice.roles)
    role_usage.check(requester, now, for_other=submission.requested_by is not None)
    circumstances = await gather_circumstances(
        context, catalog, requester, role_usage, now, submission.form.starts_at or now, tickets
    )
    ruling = ruling_of(submission, circumstances, own.rule_uses)
    event = event_of_ruling(submission, circumstances, ruling, context.consequence, context.can_extend)
    proved = await _proved(context, submission, ruling)
    event = event.model_copy(update={"proof": proved.proof})
    request = lifecycle.begin(event)
    # Guards: the counters that limits and rules relied on, the token, and the policy that judged all this.
    guards, extra_writes = context.store.submission(request, token, counters)
    guards = (*guards, *role_usage.guards, *proved.guards)
    extra_writes = (*extra_writes, *role_usage.count_request(request), *proved.extra_writes)
    same_policy = context.store.policy.is_current(catalog.policy_hash)
    try:
        await context.store.commit(
            Change(None, request, event, guards=(same_policy, *guards), extra_writes=extra_writes)
        )
    except Superseded:
        return None  # the id is taken: the next try draws another
    except GuardFailed as error:
        if error.guard == same_policy:
            raise PolicyMoved from error
        # Either this submission was recorded before, or the person requested something else meanwhile: judge again.
        return await submitted_before(context, actor, token) if token else None
    context.store.ledgers_committed({person: each.after(request, person) for person, each in counters.items()})
    role_usage.committed(extra_writes)
    proved.committed(context)
    return request


async def _proved(context: AccessContext, submission: Submission, ruling: Ruling) -> CheckedProof:
    """The proof of whoever requests it, where the policy or a rule asks for one. Raises `NotProved`."""
    actor, catalog, form = submission.actor, submission.catalog, submission.form
    roles = submission.choice.roles
    return await proof.check(context, catalog, actor, roles, ProofUse.REQUEST, form.code, by_rule=ruling.requires_proof)


async def submitted_before(context: AccessContext, actor: Actor, token: str) -> Request | None:
    """The request that this submission created before; forgets a token that led to somebody else's request."""
    request_id = await context.store.request_of_token(token)
    loaded = await context.store.load_ours([request_id]) if request_id else []
    own = [found.request for found in loaded if found.request.parties[-1].id == actor.person.id]
    if request_id and not own:
        await context.store.forget_token(token)
    return own[0] if own else None


async def _counters(context: AccessContext, submission: Submission) -> dict[str, PersonCounters]:
    """The counters that limits and rules rely on, by person: of the requester, and of who requests it for them.

    Raises `AlreadyRequested`, `LimitReached`.
    """
    store, who, limits = context.store, submission.actor.person, submission.catalog.workspace.limits
    rules = [rule.key for rule in submission.catalog.rules]
    counters = await store.counters(submission.requester.id, rules)
    by_person = {submission.requester.id: counters}
    if submission.requested_by:
        by_person[who.id] = await store.counters(who.id)
    by_person[submission.requester.id] = await within_limits(context, submission, counters)
    if by_person[who.id].submits >= limits.submits:
        raise LimitReached("submits", limits.submits, SUBMIT_WINDOW)
    return by_person


async def within_limits(context: AccessContext, submission: Submission, counters: PersonCounters) -> PersonCounters:
    """The counters, with only the open requests that records confirm. Raises `AlreadyRequested`, `LimitReached`."""
    limits, person = submission.catalog.workspace.limits, submission.requester
    not_active_yet = {State.DRAFT, State.PENDING, State.SCHEDULED, State.GRANTING}
    # Anybody who can write to Redis can empty or fill an index; only the record shows whose a request is.
    loaded = [found.request for found in await context.store.load_ours(counters.open_ids)]
    open_ = [request for request in loaded if request.requester.id == person.id and request.state in OPEN]
    for request in open_:
        if is_repeat(submission, request) and request.state in not_active_yet:
            raise AlreadyRequested(request, of_another=not authorization.is_party(request, submission.actor.person))
    # A request that waits only for its break-glass review is in the ledger, and is not open.
    if sum(not request.is_over for request in open_) >= limits.open:
        raise LimitReached("open_for" if submission.requested_by else "open", limits.open)
    ids = tuple(request.id for request in open_)
    return replace(counters, open_ids=ids, ledger=counters.ledger.model_copy(update={"open": ids}))


def is_repeat(submission: Submission, request: Request) -> bool:
    """Whether a request is for the same roles, in any order, with the same inputs."""
    same = frozenset(request.what.split(TOGETHER)) == frozenset(submission.choice.name.split(TOGETHER))
    return same and given_inputs.values(request) == submission.form.inputs
