"""Break-glass in words: the alarm, the owners' messages, the review, and what the requester reads; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    InputBlock,
    Option,
    PlainTextInputElement,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from bot.access.parsed_line import RequestLine
from bot.access.request_form import RequestForm
from bot.core.break_glass import BreakGlass
from bot.core.request import REASON_LIMIT, Request
from bot.core.verdict import Code
from bot.policy.break_glass import SHORTEST_REASON
from bot.policy.catalog import Choice
from handlers.views import action_ids, buttons, ended, form_fields, input_fields
from handlers.views.message import SlackMessage, section
from handlers.views.modals import PRESETS, about, noted, text
from handlers.views.text import (
    clock,
    code,
    fitting,
    length,
    linked_as,
    name,
    risk,
    safe,
    sensitivity,
    title,
    user,
    when,
)

JUSTIFIED, NOT_JUSTIFIED = "justified", "not_justified"
_SIGN = ":rotating_light:"
_MOST = 8
_WARNING = (
    f"{_SIGN} You get access at once, and nobody approves it. The audit channel and the owners of the system are "
    "notified, and an owner reviews it afterwards."
)
REASONS: Mapping[Code, str] = {
    Code.NO_BREAK_GLASS: "the policy has no break-glass for {about}; `/jit request` asks the approvers",
    Code.MAY_NOT_BREAK_GLASS: "you are in none of the groups that may use break-glass for {about}",
    Code.REVIEW_OVERDUE: (
        "the review of your break-glass access {about} is overdue; ask an owner of its system to review it"
    ),
    Code.USES_UNKNOWN: "how often you used break-glass lately is not known now, so this waits for its approvers",
    Code.OWN_BREAK_GLASS: "You can't review your own break-glass access. Another person has to.",
    Code.LINKED_BREAK_GLASS: (
        "One of you stands in for the other, so you can't review each other's break-glass access. Another owner has to."
    ),
    Code.NOT_AN_OWNER: "only {about} can review this",
    Code.ALREADY_REVIEWED: "Somebody has already reviewed this. The card shows the outcome.",
}
"""Why not, for `handlers/error_messages.py`."""


# messages


def alarm(request: Request, owners: str) -> SlackMessage:
    """In the audit channel: access was taken without approval. ``owners``: who has to review it, as mentions."""
    glass = _glass(request)
    took = f"{name(request.requester)} took {title(request)} for {length(request.duration)} without approval"
    lines = [
        f"{_SIGN} *Break-glass: {took}* ({request.id}, {risk(sensitivity(request))}).",
        f"> {safe(request.reason, 500)}",
        f"{owners or 'The owners of the system'}: please review it by {when(glass.review_by)}.{by_list(glass)}",
    ]
    blocks: list[Block] = [section("\n".join(lines)), *_offered(request)]
    return SlackMessage(f"🚨 Break-glass: {took} ({request.id}).", [block.to_dict() for block in blocks])


def overdue_alarm(request: Request, owners: str) -> SlackMessage:
    """In the audit channel, once: nobody has reviewed it in time."""
    glass, who = _glass(request), name(request.requester)
    late = f"The review of break-glass access {request.id} is overdue"
    until = f"Until then, {who}'s next break-glass needs the approval of an owner."
    lines = [
        f"{_SIGN} *{late}*: {who}, {title(request)}, used {when(glass.at)}.",
        f"{owners or 'The owners of the system'}: please review it. {until}",
    ]
    blocks: list[Block] = [section("\n".join(lines)), *_offered(request)]
    return SlackMessage(f"🚨 {late}.", [block.to_dict() for block in blocks])


def to_owner(request: Request, link: str) -> SlackMessage:
    """To an owner: what was taken and what to do; later, what the review found."""
    glass = _glass(request)
    took = f"{name(request.requester)} used break-glass: *{title(request)}* for {length(request.duration)}"
    lines = [f"{_SIGN} {took} ({request.id}). Nobody approved it.", f"> {safe(request.reason, 500)}"]
    if glass.review:
        lines.append(outcome(glass))
    elif not request.lacks_review:
        lines.append("No access was given, so there is nothing to review.")
    else:
        late = f"{_overdue(glass)} Please review it." if glass.overdue else ""
        lines.append(f"{late or f'Please review it by {when(glass.review_by)}.'}{by_list(glass)}")
    lines += [linked_as(link, "Open the card")] if link else []
    blocks: list[Block] = [section("\n".join(lines)), *_offered(request)]
    plain_text = f"🚨 {name(request.requester)} used break-glass: {title(request)} ({request.id})."
    return SlackMessage(plain_text, [block.to_dict() for block in blocks])


def reviewed(request: Request) -> SlackMessage | None:
    """To the requester: what the review of their access found; None before there is one."""
    review = request.break_glass.review if request.break_glass else None
    if review is None:
        return None
    found = "justified" if review.justified else "not justified"
    said = f"{name(review.by)} reviewed your break-glass access *{title(request)}* ({request.id}): {found}."
    more = [f"Reason: {safe(review.reason, 500)}"] if review.reason else []
    more += [f"Follow-up: {safe(review.follow_up, 500)}"] if review.follow_up else []
    return SlackMessage(said, [section("\n".join([said, *more])).to_dict()])


def lines(request: Request) -> list[str]:
    """On the card: that nobody approved it, and the review that is due or was given."""
    glass = request.break_glass
    if glass is None:
        return _first_an_owner(request)
    said = [f"{_SIGN} {name(request.requester)} used break-glass: nobody approved it.{by_list(glass)}"]
    if glass.review:
        return [*said, outcome(glass)]
    if not request.lacks_review:
        return said
    late = f"{_overdue(glass)} An owner of the system has to review it." if glass.overdue else ""
    return [*said, late or f"An owner of the system reviews it by {when(glass.review_by)}."]


def _first_an_owner(request: Request) -> list[str]:
    """Why an owner approves what somebody wanted by break-glass."""
    if not (request.only_required and request.required_steps and request.awaits_decision):
        return []
    why = safe(request.required_steps[0].because, 300)
    return [f"{_SIGN} {name(request.requester)} asked for break-glass. An owner has to approve it first, since {why}."]


def waits(request: Request) -> str:
    """That its review is outstanding, in a few words of a list."""
    late = request.break_glass is not None and request.break_glass.overdue > 0
    return "its review is overdue" if late else "waiting for its review"


def and_review(request: Request, said: str) -> str:
    """A label, with the same where a review is outstanding."""
    return f"{said}, {waits(request)}" if request.lacks_review else said


def outcome(glass: BreakGlass) -> str:
    """What the review found; nothing where there is none."""
    review = glass.review
    if review is None:
        return ""
    found = ":white_check_mark: justified" if review.justified else ":x: not justified"
    why = f": {fitting(review.reason, 500)}" if review.reason else ""
    follow_up = f"\nFollow-up: {fitting(review.follow_up, 500)}" if review.follow_up else ""
    return f"{name(review.by)} reviewed it: {found}{why}{follow_up}"


def by_list(glass: BreakGlass) -> str:
    """What decided, where Slack did not tell its groups."""
    return " User groups could not be read; the policy's list decided." if glass.by_list else ""


def came_of(request: Request) -> str:
    """After a review, for the reviewer."""
    glass = _glass(request)
    found = "justified" if glass.review and glass.review.justified else "not justified"
    return f"You reviewed {request.id}, {title(request)}, of {name(request.requester)}: {found}. They can read it."


# what the requester reads


def answer(made: Request) -> SlackMessage:
    """After the line or the form."""
    if made.break_glass is None:
        why = made.required_steps[0].because if made.required_steps else ""
        asked = f"You requested *{title(made)}* for {length(made.duration)} ({made.id})."
        first = f"An owner of the system has to approve this first, since {safe(why, 300)}."
        said = f"{asked} {first} If nobody answers by {clock(made.decide_by)}, it expires."
        return _with(said, [buttons.cancel(made)])
    glass = made.break_glass
    used = f"{_SIGN} You used break-glass: *{title(made)}* for {length(made.duration)} ({made.id}). Granting access."
    then = f"The audit channel and the owners are notified; an owner reviews it by {when(glass.review_by)}."
    said = f"{used} {then}{by_list(glass)}"
    return _with(said, [buttons.release(made)])


def unclear(line: RequestLine, offers: Sequence[Choice]) -> str:
    """How a line is written, and what this person may take by break-glass."""
    if not offers:
        return "There is no role here that you may take by break-glass. `/jit request` asks the approvers."
    names = ", ".join(code(choice.name, 90) for choice in offers[:_MOST])
    example = f"`/jit break-glass {safe(offers[0].name, 90)} 30m -- INC-42 the database is down`"
    words = " and ".join(f'"{safe(each, 80)}"' for each in line.unknown)
    said = f"I don't understand {words}. " if words else ""
    start = "Break-glass access starts at once: leave out the start. " if line.starts_at else ""
    return f"{said}{start}Write what you need, for how long and why: {example}. You may take {names}."


# modals


def use(
    request: Request,
    longest: int,
    duration: int | None = None,
    reason: str = "",
    note: str = "",
    confirm: Sequence[Block] = (),
) -> View:
    """Take the access of a pending request at once. ``duration``, ``reason``: what is filled in instead of its own.

    ``note``: why it is drawn again. ``confirm``: the field for a second-factor code.
    """
    above = [*noted(note), about(request)]
    fields = _fields(longest, duration or request.duration, reason or request.reason)
    return _use(action_ids.BREAK_GLASS_VIEW, request.id, [*above, text(_WARNING), *fields, *confirm])


def use_new(choice: Choice, longest: int, form: RequestForm, note: str, confirm: Sequence[Block]) -> View:
    """Take access at once that was not requested yet, filled in as it was typed; see `use`."""
    what = text(f"*{safe(choice.title, 150)}* · {code(choice.name, 200)}")
    fields = [*input_fields.fields(choice, form.inputs), *_fields(longest, form.duration or longest, form.reason)]
    above = [*noted(note), what, text(_WARNING)]
    return _use(action_ids.BREAK_GLASS_NEW_VIEW, choice.name, [*above, *fields, *confirm])


def _use(callback: str, carried: str, blocks: Sequence[Block]) -> View:
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=carried,
        title="Break glass",
        submit="Break glass",
        close="Cancel",
        blocks=[*blocks],
    )


def _fields(longest: int, duration: int, reason: str) -> list[Block]:
    """For how long, at most what was asked for, and why."""
    seconds = sorted({*(preset for preset in PRESETS if preset < longest), min(duration, longest), longest})
    why = "Why can it not wait? (everybody reads this)"
    return [
        form_fields.duration(seconds, min(duration, longest)),
        form_fields.reason(why, reason, shortest=SHORTEST_REASON),
    ]


def review(request: Request) -> View:
    """Review a break-glass access."""
    options = [
        Option(value=JUSTIFIED, text="Justified"),
        Option(value=NOT_JUSTIFIED, text="Not justified"),
    ]
    follow_up = PlainTextInputElement(action_id=action_ids.FOLLOW_UP, multiline=True, max_length=REASON_LIMIT)
    return View(
        type="modal",
        callback_id=action_ids.BREAK_GLASS_REVIEW_VIEW,
        private_metadata=request.id,
        title="Review break-glass",
        submit="Save review",
        close="Cancel",
        blocks=[
            about(request),
            text("\n".join(words for words in (_taken(request), ended.why(request)) if words)),
            InputBlock(
                block_id=action_ids.OUTCOME,
                label="Was it justified?",
                element=StaticSelectElement(action_id=action_ids.OUTCOME, options=options, placeholder="Choose"),
            ),
            InputBlock(
                block_id=action_ids.FOLLOW_UP,
                label="Follow-up (what has to be done next)",
                element=follow_up,
                optional=True,
            ),
            form_fields.reason("Reason (needed where it was not justified)", optional=True),
        ],
    )


def _taken(request: Request) -> str:
    glass = _glass(request)
    return f"{user(request.requester.id)} took it {when(glass.at)}, without approval.{by_list(glass)}"


def _overdue(glass: BreakGlass) -> str:
    return f"The review was due {when(glass.review_by)} and is overdue (day {glass.overdue})."


def _glass(request: Request) -> BreakGlass:
    if request.break_glass is None:
        raise ValueError(f"{request.id} is no break-glass access")
    return request.break_glass


def _offered(request: Request) -> list[Block]:
    """What an owner can do: judged again when it is pressed."""
    row = buttons.break_glass_row(request)
    return [ActionsBlock(block_id="break_glass", elements=list(row))] if row else []


def _with(said: str, offered: Sequence[ButtonElement]) -> SlackMessage:
    blocks: list[Block] = [text(said), ActionsBlock(elements=[*offered])]
    return SlackMessage(said, [block.to_dict() for block in blocks])
