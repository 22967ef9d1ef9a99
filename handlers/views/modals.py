"""The modals: ask, approve for less, deny, end now, and a sentence; pure, and no secret but in `secret`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk.models.blocks import (
    Block,
    DateTimePickerElement,
    ExternalDataSelectElement,
    InputBlock,
    InputInteractiveElement,
    MarkdownTextObject,
    Option,
    OptionGroup,
    PlainTextInputElement,
    SectionBlock,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from bot.books import Terms
from bot.core import durations
from bot.core.catalog import Choice
from bot.core.model import REASON_LIMIT, Request
from bot.core.shapes import ReasonShape
from handlers.views import actions, terms
from handlers.views.terms import Names
from handlers.views.words import clock, length, plain, safe, title, who
from providers.systems.base import Secret

PRESETS = (900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
"""Seconds to choose from where a role is asked for that names none."""
_MOST_OPTIONS = 100


def offered(choice: Choice) -> tuple[int, ...]:
    """The durations to choose from, within the cap."""
    within = tuple(choice.durations) or tuple(preset for preset in PRESETS if preset <= choice.cap)
    return within or (choice.cap,)


@dataclass(frozen=True)
class Chosen:
    """What was chosen, with all that the person should know before they ask. ``lapses`` in Unix seconds."""

    terms: Terms
    names: Names
    lapses: float

    @property
    def choice(self) -> Choice:
        """What it is."""
        return self.terms.choice


def ask(
    choices: Sequence[Choice],
    chosen: Chosen | None = None,
    duration: int | None = None,
    reason: str = "",
    starts_at: float = 0,
) -> View:
    """Ask for access: only what this person may ask for, filled in with what is known, never guessed."""
    blocks: list[Block] = [_what(choices, chosen.choice if chosen else None)]
    if chosen:
        blocks += _too_long(chosen.choice, duration)
        blocks += [text(_told(chosen)), _duration(chosen.choice, duration), _start(starts_at)]
        blocks.append(_why(chosen.choice.reason, reason))
    elif reason:
        blocks.append(_why(ReasonShape(), reason))
    return View(
        type="modal",
        callback_id=actions.ASK_VIEW,
        title="Request access",
        submit="Ask",
        close="Not now",
        blocks=blocks,
    )


def suggested(choices: Sequence[Choice], typed: str) -> list[OptionGroup]:
    """Those of the choices that have every word of what was typed, at most as many as a select can hold."""
    words = typed.casefold().split()
    fits = [c for c in choices if all(word in f"{c.name} {c.title}".casefold() for word in words)]
    return _grouped(fits[:_MOST_OPTIONS])


def approve_less(request: Request, start: int = 0) -> View:
    """Approve for a shorter time. ``start``: where in the list of those who wait it was pressed."""
    shorter = [p for p in PRESETS if p < request.duration] or [max(durations.SHORTEST, request.duration // 2)]
    options = [Option(value=str(seconds), text=length(seconds)) for seconds in shorter]
    element = StaticSelectElement(action_id=actions.DURATION, options=options, initial_option=options[-1])
    return View(
        type="modal",
        callback_id=actions.APPROVE_LESS_VIEW,
        private_metadata=_carried(request, start),
        title="Approve for less",
        submit="Approve",
        close="Not now",
        blocks=[about(request), InputBlock(block_id=actions.DURATION, label="For how long?", element=element)],
    )


def deny(request: Request, start: int = 0) -> View:
    """Deny, and say why. ``start``: where in the list of those who wait it was pressed."""
    return _reasoned(request, actions.DENY_VIEW, "Deny", "Deny", "Why not? The asker reads this.", start)


def revoke(request: Request) -> View:
    """End access before its time, and say why."""
    return _reasoned(request, actions.REVOKE_VIEW, "End now", "End it", "Why? The asker reads this.")


def note(heading: str, words: str) -> View:
    """A sentence, where a modal is what the person looks at."""
    return View(type="modal", callback_id=actions.NOTE_VIEW, title=heading[:24], close="Close", blocks=[text(words)])


def secret(request: Request, shown: Secret) -> View:
    """The secret, to the one person it belongs to; Slack keeps no copy of a modal in any channel."""
    password = shown.password.get_secret_value().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = [
        f"*{title(request)}* ({request.id})",
        f"User\n```{safe(shown.username, 200)}```",
        f"Password\n```{password}```",
    ]
    if shown.how:
        lines.append(f"Connect\n```{safe(shown.how, 1000)}```")
    lines.append("Showing it again makes a new password; this one stops working then.")
    return View(
        type="modal",
        callback_id=actions.NOTE_VIEW,
        title="Your access",
        close="Close",
        blocks=[text(each) for each in lines],
    )


def _what(choices: Sequence[Choice], chosen: Choice | None) -> InputBlock:
    """The select, or one that is searched in where there are more choices than it can hold."""
    initial = _choice_option(chosen) if chosen else None
    words = "Choose a template or a role"
    element: InputInteractiveElement
    if len(choices) > _MOST_OPTIONS:
        element = ExternalDataSelectElement(
            action_id=actions.CHOICE, placeholder=f"{words}: type to search", min_query_length=0, initial_option=initial
        )
    else:
        groups = _grouped(choices)
        element = StaticSelectElement(
            action_id=actions.CHOICE, placeholder=words, option_groups=groups, initial_option=initial
        )
    return InputBlock(block_id=actions.CHOICE, label="What do you need?", dispatch_action=True, element=element)


def _grouped(choices: Sequence[Choice]) -> list[OptionGroup]:
    """Templates first, then each system's roles."""
    groups: dict[str, list[Option]] = {}
    for choice in choices:
        heading = choice.name.partition("/")[0] if "/" in choice.name else "Templates"
        groups.setdefault(heading, []).append(_choice_option(choice))
    return [OptionGroup(label=heading, options=found) for heading, found in groups.items()]


def _choice_option(choice: Choice) -> Option:
    return Option(value=choice.name, text=plain(choice.title, 75))


def _told(chosen: Chosen) -> str:
    """What it opens, who decides, and until when."""
    decides = terms.decides(chosen.terms, chosen.names)
    within = length(chosen.terms.within)
    until = f"If nobody does within {within}, by {clock(chosen.lapses)}, it lapses."
    return f"{terms.opens(chosen.terms)}\nWho decides: {decides}. {until}"


def _too_long(choice: Choice, duration: int | None) -> list[Block]:
    """What was typed and cannot be had is said, not quietly made into something else."""
    if duration is None or _fits(choice, duration):
        return []
    return [text(f":warning: {length(duration)} does not fit: {length(max(offered(choice)))} is the most here.")]


def _fits(choice: Choice, duration: int) -> bool:
    return durations.SHORTEST <= duration <= (max(choice.durations) if choice.durations else choice.cap)


def _duration(choice: Choice, duration: int | None) -> InputBlock:
    fits = duration is not None and _fits(choice, duration)
    seconds = sorted({*offered(choice), *([duration] if duration and fits else [])})
    options = [Option(value=str(s), text=length(s)) for s in seconds][:_MOST_OPTIONS]
    known = options[0] if duration is None else next((o for o in options if o.value == str(duration)), None)
    element = StaticSelectElement(
        action_id=actions.DURATION, options=options, initial_option=known, placeholder="Choose how long"
    )
    return InputBlock(block_id=f"{actions.DURATION}:{choice.name}", label="For how long?", element=element)


def _why(rule: ReasonShape, reason: str) -> InputBlock:
    element = PlainTextInputElement(
        action_id=actions.REASON,
        multiline=True,
        max_length=REASON_LIMIT,
        initial_value=plain(reason, REASON_LIMIT) or None,
        placeholder=plain(rule.hint, 140) or None,
    )
    label, hint = "Why? Those who decide read this.", _expected(rule)
    return InputBlock(block_id=actions.REASON, label=label, hint=hint, element=element, optional=not rule.required)


def _expected(rule: ReasonShape) -> str | None:
    """What a reason has to look like, beneath the field."""
    if rule.pattern:
        return f"Expected: {plain(rule.hint, 140)}" if rule.hint else f"It has to fit {plain(rule.pattern, 200)}"
    return None


def _start(starts_at: float) -> InputBlock:
    element = DateTimePickerElement(action_id=actions.START, initial_date_time=int(starts_at) or None)
    label = "When should it start? Leave it empty for at once."
    return InputBlock(block_id=actions.START, label=label, element=element, optional=True)


def _carried(request: Request, start: int) -> str:
    """Which request it is about, and the place in the list to which one comes back."""
    return f"{request.id} {start}" if start else request.id


def _reasoned(request: Request, callback: str, heading: str, submit: str, label: str, start: int = 0) -> View:
    element = PlainTextInputElement(action_id=actions.REASON, multiline=True, max_length=REASON_LIMIT)
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=_carried(request, start),
        title=heading,
        submit=submit,
        close="Not now",
        blocks=[about(request), InputBlock(block_id=actions.REASON, label=label, element=element)],
    )


def about(request: Request) -> SectionBlock:
    """Which request it is."""
    return text(f"{who(request.asker)} · *{title(request)}* · {length(request.duration)} · {request.id}")


def text(words: str) -> SectionBlock:
    """A paragraph."""
    return SectionBlock(text=MarkdownTextObject(text=words[:3000], verbatim=True))
