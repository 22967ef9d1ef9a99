"""One event of a request as a line in the thread of its card; pure."""

from __future__ import annotations

from bot.core.break_glass import BreakGlass
from bot.core.break_glass_events import BreakGlassReviewed, BreakGlassUsed, ReviewOverdue, SwitchedToBreakGlass
from bot.core.events import (
    AccessExpired,
    Approved,
    ApprovedByRule,
    Cancelled,
    ClosedManually,
    Consented,
    Denied,
    EndedEarly,
    Endorsed,
    Escalated,
    Event,
    Extended,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionEndorsed,
    ExtensionFailed,
    ExtensionRequested,
    Granted,
    GrantRefused,
    GrantUncertain,
    QuestionAnswered,
    QuestionAsked,
    Reminded,
    RequestExpired,
    Revoked,
    Started,
)
from bot.core.request import ByRule, Ending, Request, Review, State
from handlers.views.break_glass import by_list, outcome
from handlers.views.card import for_how_long
from handlers.views.confirmed import after, factor
from handlers.views.ended import proof
from handlers.views.extension import undecided
from handlers.views.message import Needed, SlackMessage, warning
from handlers.views.parts import refused
from handlers.views.questions import changes
from handlers.views.text import by_rule, clock, fitting, length, name, reviewer, safe, title, user, when

_SAID = 1_000
"""Characters of a question or an answer."""


def line(request: Request, event: Event, needed: Needed) -> str:
    """One line of the thread: what happened, by whom and why."""
    match event:
        case Reminded() if needed.others and not needed.steps:
            return ""  # those of this card have answered
        case Reminded():
            what = f"{name(request.requester)}'s request for {title(request)}"
            return f"Reminder: {what} needs {needed} by {clock(request.decide_by)}. If nobody answers, it expires."
        case Escalated(role=role, step=step) if found := needed.escalated.get((role, step)):
            still = f"{found.missing} approval{'' if found.missing == 1 else 's'} from {found.own}"
            what = f"{name(request.requester)}'s request for {title(request)}"
            return f"Escalated: {what} still needs {still}. From now on {found.to} can approve or deny it, too."
        case Started():
            return "The start time has come. Granting access."
        case RequestExpired() if request.approved_at:
            return f"Access could not start at {when(request.starts_at)}, so the request expired. No access was given."
        case ApprovedByRule(rule=rule, starts_at=start) if start > event.at:
            return f"Approved by {by_rule(rule)}. Access starts {when(start)} for {length(request.duration)}."
        case ApprovedByRule(rule=rule):
            return f"Approved by {by_rule(rule)}. Granting access for {length(request.duration)}."
        case Approved(review=review, duration=duration) if request.starts_at > event.at:
            return f"{_approved(review, length(duration))}. Access starts {when(request.starts_at)}."
        case Endorsed(review=review):
            return f"{_approved(review, for_how_long(request, review))}. {_still(needed)}"
        case QuestionAsked(question=question):
            asks = f"{name(question.by)} asks {user(request.requester.id)}: {fitting(question.text, _SAID)}"
            return f"{asks}\nThe requester answers in a direct message from this app."
        case QuestionAnswered():
            return _answers(request, event)
        case Approved(review=review, duration=duration):
            return f"{_approved(review, length(duration))}. Granting access."
        case Denied(review=review):
            return f"{reviewer(review)} denied: {safe(review.reason, 500)}"
        case Cancelled(by="policy", reason=reason):
            return f"The policy cancelled the request: {safe(reason)}. Please request again."
        case Cancelled():
            requested_by = request.requested_by
            by = requested_by if requested_by and event.by == requested_by.id else request.requester
            return f"{name(by)} cancelled the request."
        case Consented(rule=ByRule() as rule) if request.starts_at > event.at:
            return f"Approved by {by_rule(rule)}. Access starts {when(request.starts_at)}."
        case Consented(rule=ByRule() as rule):
            return f"Approved by {by_rule(rule)}. Granting access for {length(request.duration)}."
        case RequestExpired():
            return "Nobody answered in time, so the request expired. No access was given."
        case Granted():
            return f"Access granted. It ends at {clock(request.ends_at)}."
        case GrantRefused(error=error) | GrantUncertain(error=error):
            return f"Access could not be granted: {refused(request)}{safe(error)}."
        case EndedEarly(ending=Ending.RELEASED):
            return f"{name(request.requester)} ended access early. Revoking it."
        case EndedEarly(reason=reason):
            # By the time that it is posted, the access may have been revoked: what is over was not cancelled by that.
            cancelled = request.state is State.CANCELLED
            ended = "cancelled the request" if cancelled else "ended access early"
            return f"{user(event.by)} {ended}: {safe(reason, 500)}.{'' if cancelled else ' Revoking it.'}"
        case AccessExpired():
            return "Access expired. Revoking it."
        case Revoked():
            return f"Access removed, and verified in the system. {proof(request)}".strip()
        case ClosedManually(reason=reason):
            return f"Closed manually by {safe(event.by)}, not verified in the system: {safe(reason, 500)}"
        case _:
            return _extension(request, event, needed) or _break_glass(request, event)


def _approved(review: Review, for_: str) -> str:
    return f"{reviewer(review)} approved ({for_}){after(review.proof)}"


def _answers(request: Request, event: QuestionAnswered) -> str:
    """The answer, and who changed what with it."""
    answered, who = request.question(event.n), name(request.requester)
    to = f" {user(answered.by.id)}" if answered else ""
    changed = changes(event.reason_change, event.duration_change)
    if not event.answer:
        return f"{who} answers{to} with a change of the request: {changed}"
    said = f"{who} answers{to}: {fitting(event.answer, _SAID)}"
    return f"{said}\n{who} changed {changed}" if changed else said


def _extension(request: Request, event: Event, needed: Needed) -> str:
    match event:
        case ExtensionRequested(extension=extension):
            until, reason = clock(extension.until), safe(extension.reason, 500)
            asked = f"{name(request.requester)} asks to extend {title(request)} until {until}: {reason}"
            asked += (
                f"\n{name(request.requester)} confirmed it with {factor(extension.proof.factor)}."
                if extension.proof
                else ""
            )
            return f"{asked}\n{undecided(request, needed)}"
        case ExtensionEndorsed(review=review):
            return f"{reviewer(review)} approved the extension{after(review.proof)}. {_still(needed)}"
        case ExtensionApproved(review=review, until=until):
            extended = f"{reviewer(review)} approved the extension until {clock(until)}{after(review.proof)}"
            return f"{extended}. Extending access."
        case ExtensionDenied(review=review):
            return f"{reviewer(review)} denied the extension: {safe(review.reason, 500)}"
        case ExtensionFailed(error=error):
            return f"Not extended: {safe(error)}. Access ends at {clock(request.ends_at)} as planned."
        case Extended():
            return f"Extended. Access now ends at {clock(request.ends_at)}."
        case _:
            return ""


def _break_glass(request: Request, event: Event) -> str:
    match event:
        case BreakGlassUsed(break_glass=glass) | SwitchedToBreakGlass(break_glass=glass):
            took = f"{name(request.requester)} used break-glass for {length(event.duration)}, and nobody approved it"
            took += after(event.proof)
            return f"{took}: {safe(event.reason, 500)}. Granting access.{by_list(glass)}"
        case BreakGlassReviewed(review=review):
            return outcome(BreakGlass(at=event.at, review_by=event.at, review=review)).replace("\n", " ")
        case ReviewOverdue():
            return "The review of this break-glass access is overdue."
        case _:
            return ""


def _still(needed: Needed) -> str:
    """Whose approval is missing: the line mentions them, since it is their turn."""
    return f"It still needs {needed}." if needed.missing else "More approvals were needed."


def by_hand(request: Request, event: Event) -> SlackMessage:
    """What an operator did at a terminal, to those who look after the operators."""
    did = line(request, event, Needed())
    about = f"{request.id}, {name(request.requester)}, {title(request)}"
    return warning(f"At a terminal: {about}. {did}")
