"""A filled-in form becomes a request: what may be requested, how long, from when, how often; no approver decides here.

Only a rule of the policy approves here, in the same commit that records the request. A guard is a condition that the
commit script checks, an op one more write in it; a choice, a template (several roles under one name) or a role that can
be requested; a generation, the hash of the policy; a person's ledger, their recent and open requests, with a MAC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from bot.access import circumstances, usage
from bot.access.context import AccessContext, CanExtend, Consequence
from bot.access.form_fields import check_duration, check_reason, check_start
from bot.access.inputs import check_inputs
from bot.core import given_inputs, lifecycle
from bot.core.errors import (
    AlreadyRequested,
    CannotCombine,
    LimitReached,
    NotAllowed,
    PolicyMoved,
    UnknownChoice,
)
from bot.core.events import ApprovedByRule, Submitted
from bot.core.frozen import Frozen
from bot.core.ids import new_id
from bot.core.lifecycle import OPEN
from bot.core.limit_errors import Conflicting
from bot.core.request import Request, State
from bot.core.role_snapshot import RoleSnapshot
from bot.core.rule_effects import CheckedTicket
from bot.core.verdict import Actor, Code, Reason, Verdict
from bot.policy import authorization, bindings, conflicts, counted, rules, steps
from bot.policy.catalog import Catalog, Choice, cannot_combine
from bot.policy.conditions import Circumstances, Wanted
from bot.policy.vocabulary import TOGETHER
from bot.store.commit_encoding import SUBMIT_WINDOW
from bot.store.types import Change, Counters, GuardFailed, Superseded

_TRIES = 50


class RequestForm(Frozen):
    """The fields of a line or a modal; those not filled in are None or empty.

    ``what``: a template or system/role. ``duration`` in seconds; None for the first that is offered. ``token`` makes
    the submission idempotent: delivered twice, it creates one request.
    """

    what: str = ""
    duration: int | None = None
    reason: str = ""
    starts_at: float = 0
    """The start in Unix seconds; 0 for now."""
    inputs: Mapping[str, str] = Field(default_factory=dict)
    """What was typed for the inputs of its roles, by name."""
    token: str = ""


@dataclass(frozen=True)
class Submission:
    """A form whose choice was found and allowed by ``catalog``, the policy; nothing is recorded yet."""

    actor: Actor
    form: RequestForm
    catalog: Catalog
    choice: Choice

    @property
    def complete(self) -> bool:
        """Whether no field has to be guessed: such a line needs no modal."""
        known = self.form.duration is not None or len(self.choice.durations) == 1
        asked = [name for name, shape in self.choice.inputs.items() if shape.default is None]
        known = known and all(self.form.inputs.get(name) for name in asked)
        return known and (bool(self.form.reason) or not self.choice.reason.required)

    @property
    def wanted(self) -> Wanted:
        """What it requests, as rules look at it."""
        form, choice = self.form, self.choice
        return Wanted(
            requester=self.actor.person,
            what=choice.name,
            roles=choice.roles,
            duration=form.duration or 0,
            reason=form.reason,
            inputs=form.inputs,
        )


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


async def prepare(context: AccessContext, actor: Actor, form: RequestForm) -> Submission:
    """The form with its choice, allowed by today's policy.

    Raises `UnknownChoice`, `CannotCombine`, `NotAllowed`, `Conflicting`.
    """
    now = await context.store.now()
    return allowed(context.catalog(), actor, form, now)


def allowed(catalog: Catalog, actor: Actor, form: RequestForm, now: float) -> Submission:
    """The same by this policy."""
    choice = catalog.find(form.what)
    if choice is None:
        # A role that this person may not request is not suggested: not even its name is shown.
        visible = {each.name for each in _offers(catalog, actor, now)}
        parts = catalog.parts(form.what)
        if parts and visible.issuperset(each.name for each in parts) and (error := cannot_combine(parts)):
            raise CannotCombine(error.problem, most=error.most, name=error.name)
        raise UnknownChoice(form.what, tuple(name for name in catalog.nearest(form.what) if name in visible))
    verdict = authorization.may_request(catalog, actor.roster, actor.person, choice, now)
    if not verdict.allowed:
        raise NotAllowed(verdict)
    if conflict := conflicts.within(catalog.conflicts, counted.names_of(choice.roles)):
        raise Conflicting(conflict)
    return Submission(actor, form, catalog, choice)


async def offered(context: AccessContext, actor: Actor, choices: Sequence[Choice], what: str) -> Choice:
    """The choice of that name among this person's offers. Raises `UnknownChoice`, `NotAllowed`."""
    found = next((choice for choice in choices if choice.name == what), None)
    return found or (await prepare(context, actor, RequestForm(what=what))).choice


# submit


async def submit(context: AccessContext, actor: Actor, form: RequestForm) -> Request:
    """Record a new request. Raises what errors.py has under NotUnderstood, NotAllowed (audited) and LimitReached."""
    try:
        submission = await prepare(context, actor, form)
    except (NotAllowed, Conflicting) as error:
        await context.refused("submit", actor, form.what, error)
        raise
    return await record(context, submission)


async def record(context: AccessContext, submission: Submission) -> Request:
    """The same for a form whose choice and permission were checked; a policy that changed since fails the commit.

    Raises also `OverLimit`, `Conflicting` and `NotCounted`, audited.
    """
    whole = completed(submission, await context.store.now() if submission.form.starts_at else 0.0)
    tickets = await circumstances.check_tickets(context, whole.catalog, whole.wanted)
    try:
        for _ in range(_TRIES):
            if request := await _try(context, whole, tickets):
                return request
    except (NotAllowed, *usage.REFUSALS) as error:
        await context.refused("submit", whole.actor, whole.choice.name, error)
        raise
    raise PolicyMoved


def completed(submission: Submission, now: float) -> Submission:
    """The same with each field checked, and filled in. Raises `BadDuration`, `BadReason`, `BadStart`, `BadInput`."""
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
    counters = await context.store.counters(actor.person.id, [rule.key for rule in catalog.rules])
    counters = await _within_limits(context, submission, counters)
    now = counters.now
    use = await usage.read(context.store, catalog, submission.choice.roles)
    use.check(actor.person, now)
    facts = await circumstances.gather(
        context, catalog, actor.person, use, now, submission.form.starts_at or now, tickets
    )
    event = first_event(submission, facts, counters.rule_uses, context.consequence, context.can_extend)
    request = lifecycle.begin(event)
    # Guards: the counters that limits and rules relied on, the token, and the policy that judged all this.
    guards, ops = context.store.submission(request, token, counters)
    guards, ops = (*guards, *use.guards), (*ops, *use.entering(request))
    same_policy = context.store.policy.same(catalog.generation)
    try:
        await context.store.commit(Change(None, request, event, guards=(same_policy, *guards), ops=ops))
    except Superseded:
        return None  # the id is taken: the next try draws another
    except GuardFailed as error:
        if error.guard == same_policy:
            raise PolicyMoved from error
        # Either this submission was recorded before, or the person requested something else meanwhile: judge again.
        return await _submitted_before(context, actor, token) if token else None
    context.store.counted(request, counters)
    use.written(ops)
    return request


async def _submitted_before(context: AccessContext, actor: Actor, token: str) -> Request | None:
    """The request that this submission created the first time; a token of somebody else's request is deleted."""
    known = await context.store.asked_by(token)
    loaded = await context.store.load_ours([known]) if known else []
    own = [found.request for found in loaded if found.request.requester.id == actor.person.id]
    if known and not own:
        await context.store.forget_token(token)
    return own[0] if own else None


async def _within_limits(context: AccessContext, submission: Submission, counters: Counters) -> Counters:
    """The counters, with only the open requests that records confirm. Raises `AlreadyRequested`, `LimitReached`."""
    limits, person = submission.catalog.workspace.limits, submission.actor.person
    not_active_yet = {State.PENDING, State.SCHEDULED, State.GRANTING}
    # Anybody who can write to Redis can empty or fill an index; only the record shows whose a request is.
    loaded = [found.request for found in await context.store.load_ours(counters.open_ids)]
    open_ = [request for request in loaded if request.requester.id == person.id and request.state in OPEN]
    for request in open_:
        same = _parts(request.what) == _parts(submission.choice.name)
        same = same and given_inputs.values(request) == submission.form.inputs
        if same and request.state in not_active_yet:
            raise AlreadyRequested(request)
    if len(open_) >= limits.open:
        raise LimitReached("open", limits.open)
    if counters.submits >= limits.submits:
        raise LimitReached("submits", limits.submits, SUBMIT_WINDOW)
    ids = tuple(request.id for request in open_)
    return replace(counters, open_ids=ids, ledger=counters.ledger.model_copy(update={"open": ids}))


def first_event(
    submission: Submission,
    facts: Circumstances,
    used: Mapping[str, int],
    consequence: Consequence,
    can_extend: CanExtend,
) -> Submitted | ApprovedByRule:
    """The first event: submitted to approvers, as rules require and shorten it, or approved by a rule.

    ``used``: see `Counters`. Raises `NotAllowed` where a rule denies it, or requires approvals that nobody could give.
    """
    actor, catalog = submission.actor, submission.catalog
    ruling = rules.judge(catalog, actor.roster, submission.wanted, facts, used)
    if not ruling.verdict.allowed:
        raise NotAllowed(ruling.verdict)
    effects: dict[str, object] = {
        "required_steps": ruling.required_steps,
        "shortened": ruling.shortened,
        "tickets": tuple(
            CheckedTicket(check=check, ticket=ticket, exists=exists)
            for (check, ticket), exists in facts.tickets.items()
            if exists is not None
        ),
    }
    if ruling.shortened:
        effects["duration"] = ruling.shortened.duration
    submitted = submitted_event(submission, facts.now, consequence, can_extend).model_copy(update=effects)
    if ruling.by is not None:
        shared = {name: getattr(submitted, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
        return ApprovedByRule(rule=ruling.by, **shared)
    if ruling.required_steps:
        request = lifecycle.begin(submitted)
        if names := rules.unfillable(catalog, actor.roster, request, facts.now):
            raise NotAllowed(Verdict(reasons=(Reason(code=Code.NOBODY_TO_APPROVE, about=names),)))
    return submitted


def _parts(what: str) -> frozenset[str]:
    """What is requested, in any order."""
    return frozenset(what.split(TOGETHER))


def submitted_event(submission: Submission, now: float, consequence: Consequence, can_extend: CanExtend) -> Submitted:
    """The event with which a complete form begins a request, under a new id."""
    catalog, choice, form = submission.catalog, submission.choice, submission.form
    workspace = catalog.workspace
    decide_by = form.starts_at + workspace.start_grace if form.starts_at else now + workspace.pending
    remind_at = now + (workspace.remind or (decide_by - now) / 2)
    person, roster = submission.actor.person, submission.actor.roster
    opened = steps.first_open(steps.steps_of_roles(catalog, roster, person, choice.roles, now))
    return Submitted(
        at=now,
        by=submission.actor.person.id,
        id=new_id(),
        requester=submission.actor.person,
        what=choice.name,
        title=choice.title,
        reason=form.reason,
        duration=form.duration or 0,
        roles=tuple(
            snapshot(catalog, ref.system, ref.role, consequence, can_extend, form.inputs) for ref in choice.roles
        ),
        generation=catalog.generation,
        grant_budget=workspace.grant_budget,
        decide_by=decide_by,
        remind_at=remind_at if remind_at < decide_by else 0.0,
        starts_at=form.starts_at,
        start_grace=workspace.start_grace if form.starts_at else 0,
        warn_before=workspace.warn,
        escalations=steps.escalations_of(opened, (), now, decide_by),
    )


def snapshot(
    catalog: Catalog,
    system: str,
    name: str,
    consequence: Consequence,
    can_extend: CanExtend,
    values: Mapping[str, str] | None = None,
) -> RoleSnapshot:
    """A snapshot of the role: what will be granted, even if the policy changes later. ``values``: of its inputs."""
    owner, role = catalog.systems[system], catalog.systems[system].roles[name]
    params = bindings.bound(role.grants, values or {})
    return RoleSnapshot(
        system=system,
        role=name,
        title=f"{owner.title}: {role.title or name}",
        channel=owner.channel,
        provider=owner.provider,
        params=params,
        sensitivity=role.sensitivity,
        cap=role.max,
        consequence=consequence(owner.provider, params),
        can_extend=can_extend(owner.provider, params),
        digest=role.digest,
        inputs=tuple(shape.given(key, (values or {})[key]) for key, shape in role.asks.items()),
    )
