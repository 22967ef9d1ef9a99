"""Checks whether access may be taken by break-glass, and makes the event; it reads nothing.

break_glass.py reads the store and commits; policy tests and replays bring their own state.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.access.context import CanExtend, Consequence
from bot.access.first_event import submitted_event
from bot.access.inputs import check_inputs
from bot.access.request_form import RequestForm, Submission
from bot.access.role_usage import RoleUsage
from bot.access.submit import check_allowed
from bot.core import durations
from bot.core.break_glass import BreakGlass
from bot.core.break_glass_events import BreakGlassUsed, SwitchedToBreakGlass
from bot.core.errors import BadDuration, LimitReached, NotAllowed, PolicyMoved
from bot.core.events import Submitted
from bot.core.ids import bounded
from bot.core.request import Request, RequiredStep
from bot.core.verdict import Actor, Code, Reason, Verdict
from bot.policy import break_glass as policy
from bot.policy.break_glass import MAX_PER_DAY, SHORTEST_REASON, BreakGlassTerms
from bot.policy.catalog import Catalog, Choice
from bot.policy.rules import WINDOW


@dataclass(frozen=True)
class EarlierUses:
    """A person's earlier break-glass access. ``overdue``: the id of a request whose review is overdue, or empty.

    ``uses``: how often they used it within 24 hours; None where that is not known.
    """

    overdue: str = ""
    uses: int | None = 0

    @property
    def needs_owner(self) -> str:
        """Why an owner has to approve the next use first; empty if none has to."""
        if self.overdue:
            return f"the review of the requester's break-glass access {self.overdue} is overdue"
        if self.uses is None:
            return "how often the requester used break-glass lately is not known"
        return ""

    @property
    def may_switch(self) -> Verdict:
        """Whether they may take the access of a pending request; no owner can allow it in place of its approvers."""
        if self.overdue:
            return Verdict(reasons=(Reason(code=Code.REVIEW_OVERDUE, about=(self.overdue,)),))
        if self.uses is None:
            return Verdict(reasons=(Reason(code=Code.USES_UNKNOWN),))
        return Verdict()

    def check_daily_limit(self) -> None:
        """Raises `LimitReached` if they used it as often as a day allows."""
        if (self.uses or 0) >= MAX_PER_DAY:
            raise LimitReached("break_glass", MAX_PER_DAY, WINDOW)


def submission(catalog: Catalog, actor: Actor, form: RequestForm, now: float) -> tuple[Submission, BreakGlassTerms]:
    """The form, checked and completed, for access that this person may take by break-glass.

    Raises what errors.py has under NotUnderstood, and `NotAllowed`.
    """
    choice, terms = allowed(catalog, actor, form, now)
    checked = {
        "duration": _duration(form.duration, longest_of(choice, terms)),
        "reason": _reason(choice, form.reason),
        "inputs": check_inputs(catalog, choice, form.inputs),
        "starts_at": 0.0,
    }
    return Submission(actor, form.model_copy(update=checked), catalog, choice), terms


def allowed(catalog: Catalog, actor: Actor, form: RequestForm, now: float) -> tuple[Choice, BreakGlassTerms]:
    """What the form names, if this person may take it by break-glass. Raises `UnknownChoice`, `NotAllowed`."""
    choice = catalog.find(form.what)
    if choice is None:
        check_allowed(catalog, actor, form, now)  # raises, with suggestions
        raise PolicyMoved
    verdict = policy.may_break_glass(catalog, actor.roster, actor.person, choice.roles)
    if not verdict.allowed:
        raise NotAllowed(verdict)
    terms = policy.terms(catalog, choice.roles)
    if terms is None:
        raise PolicyMoved
    return choice, terms


def longest_of(choice: Choice, terms: BreakGlassTerms) -> int:
    """The longest duration, in seconds, for which it can be taken."""
    return min(terms.at_most, choice.cap)


def check_use(role_usage: RoleUsage, actor: Actor, now: float, *, needs_owner: bool, pending: str = "") -> None:
    """Check conflicts, which forbid break-glass; limits do not. ``pending``: the request that is taken.

    A use that an owner has to approve is an ordinary request, to which limits apply.

    Raises `Conflicting`, `NotCounted`, `OverLimit`.
    """
    if needs_owner:
        role_usage.check(actor.person, now)
    else:
        role_usage.check_break_glass(actor.person, pending)


def first_event(
    submission: Submission,
    terms: BreakGlassTerms,
    needs_owner: str,
    now: float,
    consequence: Consequence,
    can_extend: CanExtend,
) -> BreakGlassUsed | Submitted:
    """The first event: access is taken, or if ``needs_owner`` says why, an owner of each system approves first."""
    submitted = submitted_event(submission, now, consequence, can_extend)
    return _needing_owner(submission, submitted, needs_owner) if needs_owner else _used(submission, submitted, terms)


def switched(
    catalog: Catalog, actor: Actor, request: Request, reason: str, duration: int | None, now: float
) -> SwitchedToBreakGlass:
    """The event that takes the access of a pending request. Raises `BadReason`, `BadDuration`, `PolicyMoved`."""
    roles = policy.refs(request)
    terms = policy.terms(catalog, roles)
    if terms is None:
        raise PolicyMoved
    by_list = policy.by_list(catalog, actor.roster, roles)
    return SwitchedToBreakGlass(
        at=now,
        by=actor.person.id,
        reason=bounded(reason, SHORTEST_REASON, ""),
        duration=_duration(duration, longest(catalog, request)),
        break_glass=BreakGlass(at=now, review_by=now + terms.review_within, by_list=by_list),
    )


def longest(catalog: Catalog, request: Request) -> int:
    """The longest duration, in seconds, for which the access of a pending request can be taken."""
    terms = policy.terms(catalog, policy.refs(request))
    return min(terms.at_most if terms else 0, *(leg.role.cap for leg in request.legs))


def _used(submission: Submission, submitted: Submitted, terms: BreakGlassTerms) -> BreakGlassUsed:
    by_list = policy.by_list(submission.catalog, submission.actor.roster, submission.choice.roles)
    glass = BreakGlass(at=submitted.at, review_by=submitted.at + terms.review_within, by_list=by_list)
    return BreakGlassUsed(break_glass=glass, **_fields(submitted))


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


def _fields(submitted: Submitted) -> dict[str, object]:
    left_out = {"kind", "remind_at", "may_break_glass", "escalations"}
    return {name: getattr(submitted, name) for name in Submitted.model_fields if name not in left_out}


def _duration(duration: int | None, most: int) -> int:
    """Seconds; the maximum if no duration was given. Raises `BadDuration`."""
    if duration is None:
        return most
    if not durations.SHORTEST <= duration <= most:
        raise BadDuration(durations.short(max(duration, 0)), (), most)
    return duration


def _reason(choice: Choice, reason: str) -> str:
    """A reason of a minimum length; its pattern is not required in an emergency. Raises `BadReason`."""
    return bounded(reason, max(choice.reason.min_length, SHORTEST_REASON), choice.reason.hint)
