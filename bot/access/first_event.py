"""Makes the event that begins a request: submitted, approved by a rule, or drafted; it applies the rules.

It records nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.access.context import CanExtend, Consequence
from bot.access.request_form import Submission
from bot.core import lifecycle
from bot.core.errors import NotAllowed
from bot.core.escalation import Escalation
from bot.core.events import ApprovedByRule, Drafted, Submitted
from bot.core.happening import Requested
from bot.core.ids import new_id
from bot.core.request import DraftWait, Person, Request
from bot.core.role_snapshot import RoleSnapshot
from bot.core.rule_effects import CheckedTicket
from bot.core.verdict import Code, Reason, Roster, Verdict
from bot.policy import bindings, rules, steps
from bot.policy.break_glass import may_break_glass
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.conditions import Circumstances
from bot.policy.rules import Ruling


def first_event(
    submission: Submission,
    circumstances: Circumstances,
    used: Mapping[str, int],
    consequence: Consequence,
    can_extend: CanExtend,
) -> Submitted | ApprovedByRule | Drafted:
    """The first event: submitted to approvers, as rules require and shorten it, or approved by a rule.

    A request for somebody else is a draft first: until that person accepts, rules can only deny it. ``used``: see
    `PersonCounters`. Raises `NotAllowed` where a rule denies it, or requires approvals that nobody could give.
    """
    return event_of_ruling(
        submission, circumstances, ruling_of(submission, circumstances, used), consequence, can_extend
    )


def ruling_of(submission: Submission, circumstances: Circumstances, used: Mapping[str, int]) -> Ruling:
    """What the rules of the policy say of it. Raises `NotAllowed` where one denies it."""
    catalog, roster = submission.catalog, submission.actor.roster
    ruling = rules.judge(catalog, roster, submission.requested_access, circumstances, used)
    if not ruling.verdict.allowed:
        raise NotAllowed(ruling.verdict)
    return ruling


def event_of_ruling(
    submission: Submission,
    circumstances: Circumstances,
    ruling: Ruling,
    consequence: Consequence,
    can_extend: CanExtend,
) -> Submitted | ApprovedByRule | Drafted:
    """The first event by this ruling. Raises `NotAllowed` where rules require approvals that nobody could give."""
    catalog, roster = submission.catalog, submission.actor.roster
    submitted = submitted_event(submission, circumstances.now, consequence, can_extend)
    if submission.requested_by:
        until = min(circumstances.now + catalog.workspace.consent, submitted.decide_by)
        # No step is open before the consent, so none escalates.
        draft_fields = _fields(submitted) | {"escalations": ()}
        return Drafted(waits_for=DraftWait.CONSENT, waits_until=until, **draft_fields)
    submitted = submitted.model_copy(update=ruling_fields(ruling, circumstances))
    if ruling.by is not None:
        return ApprovedByRule(
            rule=ruling.by,
            **{name: value for name, value in _fields(submitted).items() if name != "by"},
        )
    require_approvers(catalog, roster, lifecycle.begin(submitted), circumstances.now)
    return submitted


def ruling_fields(ruling: Ruling, circumstances: Circumstances) -> dict[str, Any]:
    """The fields of the record that rules set on a request that they do not deny."""
    fields: dict[str, Any] = {
        "required_steps": ruling.required_steps,
        "shortened": ruling.shortened,
        "tickets": tuple(
            CheckedTicket(check=check, ticket=ticket, exists=exists)
            for (check, ticket), exists in circumstances.tickets.items()
            if exists is not None
        ),
    }
    return fields | ({"duration": ruling.shortened.duration} if ruling.shortened else {})


def require_approvers(catalog: Catalog, roster: Roster, request: Request, now: float) -> None:
    """Raises `NotAllowed` if rules require more approvals than there are people who could give them."""
    if request.required_steps and (names := rules.groups_without_approvers(catalog, roster, request, now)):
        raise NotAllowed(Verdict(reasons=(Reason(code=Code.NOBODY_TO_APPROVE, about=names),)))


def _fields(event: Requested) -> dict[str, Any]:
    """All fields of the first event but its kind."""
    return {name: getattr(event, name) for name in Submitted.model_fields if name != "kind"}


def times_to_decide(catalog: Catalog, starts_at: float, now: float) -> tuple[float, float]:
    """Until when approvers may decide, from ``now`` on, and when they are reminded (0 for never); Unix seconds."""
    workspace = catalog.workspace
    decide_by = starts_at + workspace.start_grace if starts_at else now + workspace.pending
    remind_at = now + (workspace.remind or (decide_by - now) / 2)
    return decide_by, remind_at if remind_at < decide_by else 0.0


def first_escalations(
    catalog: Catalog, roster: Roster, requester: Person, roles: Iterable[RoleRef], now: float, decide_by: float
) -> tuple[Escalation, ...]:
    """When those steps escalate that are open from the start."""
    opened = steps.first_open(steps.steps_of_roles(catalog, roster, requester, roles, now))
    return steps.escalations_of(opened, (), now, decide_by)


def submitted_event(submission: Submission, now: float, consequence: Consequence, can_extend: CanExtend) -> Submitted:
    """The event with which a complete form begins a request, under a new id."""
    catalog, choice, form = submission.catalog, submission.choice, submission.form
    workspace = catalog.workspace
    decide_by, remind_at = times_to_decide(catalog, form.starts_at, now)
    person, roster = submission.requester, submission.actor.roster
    return Submitted(
        at=now,
        by=submission.actor.person.id,
        id=new_id(),
        requester=submission.requester,
        requested_by=submission.requested_by,
        what=choice.name,
        title=choice.title,
        reason=form.reason,
        duration=form.duration or 0,
        roles=tuple(
            snapshot(catalog, ref.system, ref.role, consequence, can_extend, form.inputs) for ref in choice.roles
        ),
        generation=catalog.policy_hash,
        grant_budget=workspace.grant_budget,
        decide_by=decide_by,
        remind_at=remind_at,
        starts_at=form.starts_at,
        start_grace=workspace.start_grace if form.starts_at else 0,
        warn_before=workspace.warn,
        escalations=first_escalations(catalog, roster, person, choice.roles, now, decide_by),
        may_break_glass=may_break_glass(catalog, roster, person, choice.roles).allowed,
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
