"""The card in the system's channel and the lines of its thread: the whole request, rendered from the record.

Pure: a request in, a message out. What a button may do is judged when it is pressed, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    MarkdownTextObject,
    SectionBlock,
)

from bot.core.events import (
    Approved,
    ApprovedByRule,
    Cancelled,
    ClosedByHand,
    Denied,
    Doubted,
    Endorsed,
    Event,
    Expired,
    Extended,
    ExtensionApproved,
    ExtensionAsked,
    ExtensionDenied,
    ExtensionEndorsed,
    ExtensionFailed,
    Granted,
    Lapsed,
    Refused,
    Reminded,
    Revoked,
    Started,
    Withdrawn,
)
from bot.core.model import Ending, Extension, ExtensionState, LegState, Request, Review, State, Verb
from handlers.views import actions
from handlers.views.words import by_rule, clock, length, linked, name, safe, title, user, when, who


@dataclass(frozen=True)
class Message:
    """What is posted: blocks, and the sentence that a lock screen shows."""

    text: str
    blocks: list[dict[str, Any]]


@dataclass(frozen=True)
class Needed:
    """Who is to decide: their mentions, and how many answers are missing."""

    mentions: str
    missing: int
    told: str = ""
    """What else there is to say of how they were told."""


def card(request: Request, needed: Needed, site: str = "") -> Message:
    """The card of a request, in whatever state it is. ``site``: the workspace's own address, as `linked` has it."""
    blocks: list[Block] = [
        _section(f"{who(request.asker)} · *{title(request)}* · {length(request.duration)}\n{_badge(request)}"),
        _section(f"> {linked(request.reason, 600, site) or '_no reason was asked for_'}"),
        _section(consequence(request)),
        _section(_standing(request, needed)),
    ]
    buttons = _buttons(request)
    if buttons:
        blocks.append(ActionsBlock(block_id="decide", elements=buttons))
    blocks.append(_context(f"{request.id} · asked {when(request.created_at)}"))
    return Message(_lock_screen(request), [block.to_dict() for block in blocks])


def line(request: Request, event: Event, needed: Needed) -> str:
    """One line of the thread: what happened, by whom and why."""
    match event:
        case Reminded():
            return f"Still waits for {needed.mentions or 'a decision'}. It lapses {clock(request.decide_by)}."
        case Started():
            return "Its start has come. Opening it."
        case Lapsed() if request.approved_at:
            return f"It could not be started in time ({when(request.starts_at)}), so it lapsed. Nothing was opened."
        case ApprovedByRule(rule=rule, starts_at=start) if start > event.at:
            return f"Approved by {by_rule(rule)}. It is opened {when(start)} for {length(request.duration)}."
        case ApprovedByRule(rule=rule):
            return f"Approved by {by_rule(rule)}. Opening it for {length(request.duration)}."
        case Approved(review=review, duration=duration) if request.starts_at > event.at:
            return f"{name(review.by)} approved. It is opened {when(request.starts_at)} for {length(duration)}."
        case ExtensionAsked(extension=extension):
            asked = (
                f"{name(request.asker)} asks to have it until {clock(extension.until)}: {safe(extension.reason, 500)}"
            )
            return f"{asked}\n{needed.mentions or 'Nobody'} can decide. Otherwise it closes as planned."
        case ExtensionEndorsed(review=review):
            return f"{name(review.by)} approved the later end; more answers are needed."
        case ExtensionApproved(review=review, until=until):
            return f"{name(review.by)} approved an end at {clock(until)}. Telling the system."
        case ExtensionDenied(review=review):
            return f"{name(review.by)} said no to a later end: {safe(review.reason, 500)}"
        case ExtensionFailed(error=error):
            return f"There is no later end: {safe(error)}. It closes at {clock(request.ends_at)}, as planned."
        case Extended():
            return f"It has a later end now. It closes by itself at {clock(request.ends_at)}."
        case Endorsed(review=review):
            return f"{name(review.by)} approved {_for(request, review)}; more answers are needed."
        case Approved(review=review, duration=duration):
            return f"{name(review.by)} approved. Opening it for {length(duration)}."
        case Denied(review=review):
            return f"{name(review.by)} said no: {safe(review.reason, 500)}"
        case Cancelled(by="policy", reason=reason):
            return f"Void: {safe(reason)}. It has to be asked for again."
        case Cancelled():
            return f"{name(request.asker)} took the request back."
        case Lapsed():
            return "Nobody decided in time, so it lapsed. Nothing was opened."
        case Granted():
            return f"Open. It closes by itself at {clock(request.ends_at)}."
        case Refused(error=error) | Doubted(error=error):
            return f"It could not be opened: {safe(error)}."
        case Withdrawn(ending=Ending.RELEASED):
            return f"{name(request.asker)} gave it back. Closing it."
        case Withdrawn(reason=reason):
            return f"{user(event.by)} took it away: {safe(reason, 500)}. Closing it."
        case Expired():
            return "Its time is up. Closing it."
        case Revoked():
            return f"Closed, and read back as closed. {_proof(request)}".strip()
        case ClosedByHand(reason=reason):
            return f"Closed by hand by {safe(event.by)}, and not read back: {safe(reason, 500)}"
        case _:
            return ""


def by_hand(request: Request, event: Event) -> Message:
    """What an operator did at a terminal, to those who look after the operators."""
    did = line(request, event, Needed("", 0))
    about = f"{request.id}, {name(request.asker)}, {title(request)}"
    return warning(f"At a terminal: {about}. {did}")


def alarm(request: Request) -> Message:
    """A message of its own: access that should be closed and may not be."""
    about = f"{request.id}, {name(request.asker)}, {title(request)}"
    if request.state is not State.REVOKING:
        return warning(f"It took several tries to close this, and it is closed now: {about}.")
    stuck = [leg for leg in request.legs if leg.state is LegState.REVOKING]
    said = "; ".join(f"{safe(leg.role.name, 90)}: {safe(leg.error, 200)} ({leg.tries} tries)" for leg in stuck)
    text = f"Not closed yet: {about}. It is tried again until it is."
    blocks = [_section(f":rotating_light: *{text}*"), _section(said or "It is being looked at again.")]
    return Message(text, [block.to_dict() for block in blocks])


def _badge(request: Request) -> str:
    return {
        State.PENDING: ":hourglass_flowing_sand: waits for a decision",
        State.SCHEDULED: f":alarm_clock: approved, to be opened {when(request.starts_at)}",
        State.GRANTING: ":gear: approved, being opened",
        State.ACTIVE: f":unlock: open until {clock(request.ends_at)}",
        State.REVOKING: ":lock_with_ink_pen: being closed",
        State.DENIED: ":no_entry: denied",
        State.CANCELLED: f":leftwards_arrow_with_hook: {'void' if request.closed_by == 'policy' else 'taken back'}",
        State.LAPSED: ":zzz: lapsed, nothing was opened",
        State.FAILED: ":warning: could not be opened, nothing stands",
        State.ENDED: ":lock: closed",
    }[request.state]


def consequence(request: Request) -> str:
    """What it opens, a line a role."""
    return "\n".join(
        f"*{safe(leg.role.sensitivity, 20)}* · {safe(leg.role.title, 120)} · {safe(leg.role.consequence, 200)}"
        for leg in request.legs
    )


def _standing(request: Request, needed: Needed) -> str:
    """Who decides, how many, by when; or what came of it and who did it."""
    said = [_answered(request, review) for review in request.reviews]
    if request.rule:
        said.append(f":ballot_box_with_check: Approved by {by_rule(request.rule)}")
    match request.state:
        case State.PENDING:
            count = "1 answer" if needed.missing == 1 else f"{needed.missing} answers"
            said.append(
                f"{needed.mentions or 'Nobody'} can decide · {count} needed · lapses {clock(request.decide_by)}"
            )
            if needed.told:
                said.append(needed.told)
            if request.starts_at:
                said.append(f"To be opened {when(request.starts_at)}.")
        case State.SCHEDULED:
            said.append(f"It is opened {when(request.starts_at)}, after it was looked at again.")
        case State.GRANTING:
            said += [f"{safe(leg.role.name, 90)}: {safe(leg.error, 200)}" for leg in request.legs if leg.error]
            said.append("Being opened.")
        case State.ACTIVE:
            said.append(f"Opened {clock(request.granted_at)}, closes by itself {when(request.ends_at)}.")
            if request.extension:
                said.append(later_end(request.extension, needed.mentions))
        case State.REVOKING:
            said.append(f"{_why(request)} Being closed.")
            said += [f"{safe(leg.role.name, 90)}: {safe(leg.error, 200)}" for leg in request.legs if leg.error]
        case State.ENDED:
            said.append(f"{_why(request)} Closed {when(request.closed_at)}. {_proof(request)}".strip())
        case State.FAILED:
            said.append(f"Could not be opened: {safe(request.closed_reason)}")
        case State.CANCELLED if request.closed_by == "policy":
            said.append(f"Void: {safe(request.closed_reason)}.")
        case State.CANCELLED:
            said.append(f"Taken back by {user(request.closed_by)}. {safe(request.closed_reason)}".strip())
        case State.LAPSED:
            missed = f"It could not be started by {when(request.starts_at + request.start_grace)}."
            said.append(missed if request.approved_at else f"Nobody decided by {clock(request.decide_by)}.")
        case State.DENIED:
            pass
    return "\n".join(said)


def later_end(extension: Extension, mentions: str) -> str:
    """Where the wish for a later end stands; empty once it is simply the end."""
    wish = f"A later end, {clock(extension.until)}, is asked for: {safe(extension.reason, 300)}"
    match extension.state:
        case ExtensionState.PENDING:
            return f":arrow_right_hook: {wish}\n{mentions or 'Nobody'} can decide; undecided, it closes as planned."
        case ExtensionState.PROLONGING:
            trouble = f" {safe(extension.error, 200)}" if extension.error else ""
            return f"A later end, {clock(extension.until)}, is approved; the system is being told.{trouble}"
        case ExtensionState.DENIED:
            denial = extension.reviews[-1]
            return f"{name(denial.by)} said no to a later end: {safe(denial.reason, 300)}"
        case ExtensionState.FAILED:
            return f"There is no later end: {safe(extension.error, 200)}."
        case ExtensionState.DONE:
            return f"Its end was moved; {', '.join(name(review.by) for review in extension.reviews)} approved."


def _answered(request: Request, review: Review) -> str:
    if review.verb is Verb.DENY:
        return f":x: {who(review.by)} said no: {safe(review.reason, 500)}"
    return f":white_check_mark: {who(review.by)} approved {_for(request, review)}"


def _for(request: Request, review: Review) -> str:
    return f"for {length(review.duration)}" if review.duration < request.asked else f"all {length(request.asked)}"


def _why(request: Request) -> str:
    match request.ending:
        case Ending.EXPIRED:
            return "Its time was up."
        case Ending.RELEASED:
            return f"Given back by {name(request.asker)}."
        case Ending.REVOKED:
            return f"Taken away by {user(request.closed_by)}: {safe(request.closed_reason, 500)}."
        case Ending.REFUSED | Ending.DOUBTED:
            return f"It could not be opened: {safe(request.closed_reason)}."
        case None:
            return ""


def _proof(request: Request) -> str:
    """What the read-backs found: sessions ended, what was kept, what may remain."""
    outcomes = [leg.outcome for leg in request.legs if leg.outcome]
    killed = sum(int(outcome.get("killed") or 0) for outcome in outcomes)
    said = [f"{killed} live session{'s' if killed != 1 else ''} ended."] if killed else []
    said += [f"Kept: {safe(str(o['kept']))}." for o in outcomes if o.get("kept")]
    said += [f"May remain: {safe(str(o['remains']))}." for o in outcomes if o.get("remains")]
    return " ".join(said)


def _buttons(request: Request) -> list[Any]:
    """Only what may still apply."""
    value = request.id
    match request.state:
        case State.PENDING:
            return [
                ButtonElement(
                    text="Approve",
                    action_id=actions.APPROVE,
                    value=value,
                    style="primary",
                    confirm=_confirm(request),
                ),
                ButtonElement(text="Approve for less…", action_id=actions.APPROVE_LESS, value=value),
                ButtonElement(text="Deny…", action_id=actions.DENY, value=value, style="danger"),
            ]
        case State.ACTIVE if request.extension and request.extension.state is ExtensionState.PENDING:
            about = f"{request.id} {request.extension.n}"
            return [
                ButtonElement(
                    text="Approve later end", action_id=actions.EXTEND_APPROVE, value=about, confirm=_confirm(request)
                ),
                ButtonElement(text="Keep the end…", action_id=actions.EXTEND_DENY, value=about),
                ButtonElement(text="End now…", action_id=actions.REVOKE, value=value, style="danger"),
            ]
        case State.ACTIVE | State.GRANTING | State.SCHEDULED:
            return [ButtonElement(text="End now…", action_id=actions.REVOKE, value=value, style="danger")]
        case _:
            return []


def _confirm(request: Request) -> ConfirmObject | None:
    """Approving is one tap, except where it opens something critical."""
    if all(leg.role.sensitivity != "critical" for leg in request.legs):
        return None
    asked = f"{safe(request.asker.name or request.asker.email, 60)} gets {safe(request.title, 60)}"
    return ConfirmObject(
        title="This is critical",
        text=f"{asked} for {length(request.duration)}.",
        confirm="Approve",
        deny="Not yet",
    )


def _lock_screen(request: Request) -> str:
    who_, what = name(request.asker), title(request)
    match request.state:
        case State.PENDING:
            reason = safe(request.reason, 150)
            asked = f"{who_} asks for {what} for {length(request.duration)}"
            return f"{asked}: {reason}. Decide by {clock(request.decide_by)}." if reason else f"{asked}."
        case State.ACTIVE:
            return f"{who_} has {what} until {clock(request.ends_at)}."
        case _:
            return f"{who_}, {what}: {request.state.value}. {request.id}"


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))


def _context(text: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=text, verbatim=True)])


def warning(text: str) -> Message:
    """A sentence that cannot be overlooked."""
    return Message(text, [_section(f":rotating_light: *{text}*").to_dict()])
