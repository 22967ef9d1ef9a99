"""The modals: request, approve for less, deny, end now, and a sentence; pure, and no secret but in `secret`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    DateTimePickerElement,
    ExternalDataSelectElement,
    InputBlock,
    InputInteractiveElement,
    MarkdownTextObject,
    Option,
    OptionGroup,
    SectionBlock,
    StaticSelectElement,
    UserSelectElement,
)
from slack_sdk.models.views import View

from bot.access.terms import Terms
from bot.core import durations
from bot.core.request import QUESTION_LIMIT, ApproverQuestion, Request
from bot.policy.catalog import Choice, cannot_combine
from bot.policy.schema import ReasonShape
from bot.policy.vocabulary import MOST_TOGETHER, TOGETHER
from handlers.views import action_ids, form_fields, input_fields, role_terms
from handlers.views.role_terms import GroupNames
from handlers.views.text import clock, fitting, length, name, plain, title, who

PRESETS = (900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
"""Seconds to choose from where a role is asked for that names none."""


def offered(choice: Choice) -> tuple[int, ...]:
    """The durations to choose from, within the cap."""
    within = tuple(choice.durations) or tuple(preset for preset in PRESETS if preset <= choice.cap)
    return within or (choice.cap,)


@dataclass(frozen=True)
class Chosen:
    """What was chosen, with all that the person should know before they request it. ``expires`` in Unix seconds."""

    terms: Terms
    names: GroupNames
    expires: float

    @property
    def choice(self) -> Choice:
        """What it is."""
        return self.terms.choice


@dataclass(frozen=True)
class Filled:
    """What a form is filled in with; durations in seconds, a start in Unix seconds. ``note`` stands above it all."""

    duration: int | None = None
    reason: str = ""
    starts_at: float = 0
    note: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    person: str = ""
    """The account of the person whom it is for; empty for oneself."""
    for_others: bool = False
    """Whether there is a field for that."""
    confirm: Sequence[Block] = ()
    """The field for a second-factor code, or what stands in its place."""


def ask(choices: Sequence[Choice], chosen: Chosen | None = None, known: Filled = Filled()) -> View:
    """The request form: only what this person may request, filled in with what is known, never guessed."""
    blocks: list[Block] = noted(known.note)
    blocks.append(_what(choices, chosen.choice if chosen else None))
    blocks += [_for(known.person)] if known.for_others else []
    if chosen:
        blocks += _another(choices, chosen.choice)
        blocks += _too_long(chosen.choice, known.duration)
        blocks += [text(_told(chosen)), *input_fields.fields(chosen.choice, known.inputs)]
        blocks += [_duration(chosen.choice, known), _start(known.starts_at)]
        blocks += [_why(chosen.choice.reason, known.reason), *known.confirm]
    else:
        blocks += input_fields.kept(known.inputs)
        blocks += [_why(ReasonShape(), known.reason)] if known.reason else []
    return View(
        type="modal",
        callback_id=action_ids.ASK_VIEW,
        # Until something is chosen there are no inputs for these.
        private_metadata="" if chosen else f"{known.duration or 0} {int(known.starts_at)}",
        title="Request access",
        submit="Request",
        close="Cancel",
        blocks=blocks,
    )


def suggested(choices: Sequence[Choice], typed: str) -> list[OptionGroup]:
    """Those of the choices that have every word of what was typed, at most as many as a select can hold."""
    words = typed.casefold().split()
    fits = [c for c in choices if all(word in f"{c.name} {c.title}".casefold() for word in words)]
    return _grouped(fits[: form_fields.MOST_OPTIONS])


def approve_less(
    request: Request, page: str = "", confirm: Sequence[Block] = (), wanted: int | None = None, note: str = ""
) -> View:
    """Approve for a shorter time. ``page``: where in which list of waiting requests it was pressed.

    ``confirm``: the field for a second-factor code. ``wanted``: the seconds that are selected. ``note``: why it is
    drawn again.
    """
    shorter = _shorter(request) or [request.duration]
    return View(
        type="modal",
        callback_id=action_ids.APPROVE_LESS_VIEW,
        private_metadata=carried(request, page, reason=request.reason_changes),
        title="Approve for less",
        submit="Approve",
        close="Cancel",
        blocks=[*noted(note), about(request), form_fields.duration(shorter, wanted or shorter[-1]), *confirm],
    )


def deny(request: Request, page: str = "") -> View:
    """Deny, with a reason. ``page``: where in which list of waiting requests it was pressed."""
    return _reasoned(request, action_ids.DENY_VIEW, "Deny", "Deny", "Reason (the requester will see this)", page)


def decline(request: Request) -> View:
    """Decline what somebody else requested for this person, with a reason."""
    label = "Reason (who requested it for you will see this)"
    return _reasoned(request, action_ids.DECLINE_VIEW, "Decline", "Decline", label)


def question(request: Request, page: str = "") -> View:
    """Ask the requester something. ``page``: where in which list of waiting requests it was pressed."""
    label = "Your question (the requester and the other approvers will see this)"
    return View(
        type="modal",
        callback_id=action_ids.QUESTION_VIEW,
        private_metadata=carried(request, page),
        title="Ask a question",
        submit="Ask",
        close="Cancel",
        blocks=[about(request), form_fields.reason(label, longest=QUESTION_LIMIT)],
    )


def answer(request: Request, asked: ApproverQuestion, rule: ReasonShape | None = None) -> View:
    """Answer an approver's question, in words or by another reason or a shorter time, or both.

    ``rule``: what another reason has to look like; None where there can be none.
    """
    said, shorter = text(f"{name(asked.by)} asks: {fitting(asked.text, 1_500)}"), _shorter(request)
    instead = [*(["the reason"] if rule else []), *(["the time"] if shorter else [])]
    words = form_fields.reason(
        "Your answer (the approvers will see this)",
        longest=QUESTION_LIMIT,
        hint=f"You can leave it empty if you change {' or '.join(instead)}." if instead else None,
        optional=bool(instead),
    )
    return View(
        type="modal",
        callback_id=action_ids.ANSWER_VIEW,
        private_metadata=f"{request.id} {asked.n}",
        title="Answer",
        submit="Answer",
        close="Cancel",
        blocks=[about(request), said, words, *_better_reason(request, rule), *_less(request, shorter)],
    )


def revoke(request: Request) -> View:
    """End access early, with a reason."""
    return _reasoned(request, action_ids.REVOKE_VIEW, "End now", "End access", "Reason (the holder will see this)")


def note(heading: str, words: str, buttons: Sequence[ButtonElement] = ()) -> View:
    """A sentence, where a modal is what the person looks at, and what can be done next."""
    blocks: list[Block] = [text(words), *([ActionsBlock(elements=[*buttons])] if buttons else [])]
    return View(type="modal", callback_id=action_ids.NOTE_VIEW, title=heading[:24], close="Close", blocks=blocks)


def _what(choices: Sequence[Choice], chosen: Choice | None) -> InputBlock:
    """The select, or one that is searched in where there are more choices than it can hold."""
    element = _select(choices, action_ids.CHOICE, "Choose a template or a role", chosen)
    # A block of its own, since Slack keeps what was selected in one of the same id.
    block = f"{action_ids.CHOICE}:{chosen.name}" if chosen and TOGETHER in chosen.name else action_ids.CHOICE
    return InputBlock(block_id=block, label="What do you need?", dispatch_action=True, element=element)


def _for(person: str) -> InputBlock:
    """Who is to get the access. A block of its own for each person, since Slack keeps what was selected in one."""
    block, label = f"{action_ids.FOR}:{person}" if person else action_ids.FOR, "For (leave empty for yourself)"
    element = UserSelectElement(action_id=action_ids.FOR, placeholder="Choose a person", initial_user=person or None)
    return InputBlock(block_id=block, label=label, element=element, optional=True)


def _another(choices: Sequence[Choice], chosen: Choice) -> list[Block]:
    """One more role for the same request, where a role was chosen and there is room for more."""
    names = chosen.name.split(TOGETHER)
    others = (choice for choice in choices if "/" in choice.name and not {*choice.name.split(TOGETHER)} & {*names})
    more = [choice for choice in others if not cannot_combine([chosen, choice])]
    if "/" not in chosen.name or not more or len(names) >= MOST_TOGETHER:
        return []
    element = _select(more, action_ids.ADD_ROLE, "Choose a role", None)
    block, label = f"{action_ids.ADD_ROLE}:{chosen.name}", "Another role in the same request"
    return [InputBlock(block_id=block, label=label, dispatch_action=True, element=element, optional=True)]


def _select(choices: Sequence[Choice], action: str, words: str, chosen: Choice | None) -> InputInteractiveElement:
    initial = _choice_option(chosen) if chosen else None
    if len(choices) > form_fields.MOST_OPTIONS:
        said = f"{words}: type to search"
        return ExternalDataSelectElement(action_id=action, placeholder=said, min_query_length=0, initial_option=initial)
    groups = _grouped(choices)
    return StaticSelectElement(action_id=action, placeholder=words, option_groups=groups, initial_option=initial)


def _grouped(choices: Sequence[Choice]) -> list[OptionGroup]:
    """Templates first, then each system's roles."""
    groups: dict[str, list[Option]] = {}
    for choice in choices:
        heading = "Several roles" if len(choice.roles) > 1 and "/" in choice.name else ""
        heading = heading or (choice.name.partition("/")[0] if "/" in choice.name else "Templates")
        groups.setdefault(heading, []).append(_choice_option(choice))
    return [OptionGroup(label=heading, options=found) for heading, found in groups.items()]


def _choice_option(choice: Choice) -> Option:
    return Option(value=choice.name, text=plain(choice.title, 75))


def _told(chosen: Chosen) -> str:
    """What it grants, who approves, and until when."""
    approvers = role_terms.decides(chosen.terms, chosen.names)
    within = length(chosen.terms.decide_within)
    until = f"If nobody answers within {within} (by {clock(chosen.expires)}), the request expires."
    return f"{role_terms.opens(chosen.terms)}\nApproved by: {approvers}. {until}"


def _too_long(choice: Choice, duration: int | None) -> list[Block]:
    """A duration that is too long is named, not quietly shortened."""
    if duration is None or _fits(choice, duration):
        return []
    return [text(f":warning: {length(duration)} is too long: the maximum is {length(max(offered(choice)))}.")]


def _fits(choice: Choice, duration: int) -> bool:
    return durations.SHORTEST <= duration <= (max(choice.durations) if choice.durations else choice.cap)


def _duration(choice: Choice, filled: Filled) -> InputBlock:
    """The shortest is selected where nothing was said of it; a line that was not understood is asked back."""
    duration = filled.duration
    fits = duration is not None and _fits(choice, duration)
    seconds = sorted({*offered(choice), *([duration] if duration and fits else [])})
    initial = seconds[0] if duration is None and not filled.note else duration
    block_id = f"{action_ids.DURATION}:{choice.name}"
    return form_fields.duration(seconds, initial, block_id=block_id, placeholder="Choose how long")


def _why(rule: ReasonShape, reason: str) -> InputBlock:
    return form_fields.reason(
        "Reason (approvers will see this)",
        reason,
        placeholder=plain(rule.expected, 140) or None,
        hint=_expected(rule),
        optional=not rule.required,
    )


def _expected(rule: ReasonShape) -> str | None:
    """What a reason has to look like, beneath the field."""
    return f"Expected: {plain(rule.expected, 240)}" if rule.pattern else None


def _start(starts_at: float) -> InputBlock:
    element = DateTimePickerElement(action_id=action_ids.START, initial_date_time=int(starts_at) or None)
    label = "Start (leave empty to start right away)"
    return InputBlock(block_id=action_ids.START, label=label, element=element, optional=True)


def _better_reason(request: Request, rule: ReasonShape | None) -> list[Block]:
    if rule is None:
        return [text("The reason stays: an approver has already approved it.")] if request.reviews else []
    label = "Reason (change it if another says it better)"
    block_id, hint = action_ids.NEW_REASON, _expected(rule)
    return [form_fields.reason(label, request.reason, hint=hint, optional=True, block_id=block_id)]


def _less(request: Request, shorter: Sequence[int]) -> list[Block]:
    """The present duration, and what is shorter."""
    if not shorter:
        return []
    label = "Duration (you can ask for less)"
    return [form_fields.duration([*shorter, request.duration], request.duration, label=label, optional=True)]


def _shorter(request: Request) -> list[int]:
    """The durations to choose from that are shorter than the request's."""
    half = max(durations.SHORTEST, request.duration // 2)
    return [p for p in PRESETS if p < request.duration] or [half] * (half < request.duration)


def carried(request: Request, page: str, reason: int = 0) -> str:
    """Which request it is about, and the place in the list to which one comes back.

    ``reason``: which of its reasons is shown, as `Request.reason_changes` counts them: ``J-7K3Q#1``.
    """
    id_ = f"{request.id}#{reason}" if reason else request.id
    return f"{id_} {page}".strip()


def _reasoned(request: Request, callback: str, heading: str, submit: str, label: str, page: str = "") -> View:
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=carried(request, page),
        title=heading,
        submit=submit,
        close="Cancel",
        blocks=[about(request), form_fields.reason(label)],
    )


def about(request: Request) -> SectionBlock:
    """Which request it is, and the reason for it."""
    what = f"{who(request.requester)} · *{title(request)}* · {length(request.duration)} · {request.id}"
    return text(f"{what}\nReason: {fitting(request.reason, 500)}" if request.reason else what)


def noted(note: str) -> list[Block]:
    """What stands above a form."""
    return [text(f":information_source: {note}")] if note else []


def text(words: str) -> SectionBlock:
    """A paragraph."""
    return SectionBlock(text=MarkdownTextObject(text=words[:3000], verbatim=True))
