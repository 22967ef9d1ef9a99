"""The modals: ask, approve for less, deny, end now, and a sentence; pure, and no secret but in `secret`."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import (
    InputBlock,
    MarkdownTextObject,
    Option,
    OptionGroup,
    PlainTextInputElement,
    SectionBlock,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from bot.core import durations
from bot.core.catalog import Choice
from bot.core.model import REASON_LIMIT, Request
from handlers.views import actions
from handlers.views.words import length, plain, safe, title, who
from providers.systems.base import Secret

PRESETS = (900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
"""Seconds to choose from where a role is asked for that names none."""
_MOST_OPTIONS = 100


def offered(choice: Choice) -> tuple[int, ...]:
    """The durations to choose from, within the cap."""
    within = tuple(choice.durations) or tuple(preset for preset in PRESETS if preset <= choice.cap)
    return within or (choice.cap,)


def ask(choices: Sequence[Choice], chosen: Choice | None = None, duration: int | None = None, reason: str = "") -> View:
    """Ask for access: filled in with what was typed, never guessed."""
    options = {choice.name: _choice_option(choice) for choice in choices}
    blocks = [
        InputBlock(
            block_id=actions.CHOICE,
            label="What do you need?",
            dispatch_action=True,
            element=StaticSelectElement(
                action_id=actions.CHOICE,
                placeholder="Choose a template or a role",
                option_groups=_grouped(choices, options),
                initial_option=options.get(chosen.name) if chosen else None,
            ),
        )
    ]
    if chosen:
        blocks += [_duration(chosen, duration), _why(chosen, reason)]
    return View(
        type="modal",
        callback_id=actions.ASK_VIEW,
        title="Request access",
        submit="Ask",
        close="Not now",
        blocks=blocks,
    )


def approve_less(request: Request) -> View:
    """Approve for a shorter time."""
    shorter = [p for p in PRESETS if p < request.duration] or [max(durations.SHORTEST, request.duration // 2)]
    options = [Option(value=str(seconds), text=length(seconds)) for seconds in shorter]
    element = StaticSelectElement(action_id=actions.DURATION, options=options, initial_option=options[-1])
    return View(
        type="modal",
        callback_id=actions.APPROVE_LESS_VIEW,
        private_metadata=request.id,
        title="Approve for less",
        submit="Approve",
        close="Not now",
        blocks=[_about(request), InputBlock(block_id=actions.DURATION, label="For how long?", element=element)],
    )


def deny(request: Request) -> View:
    """Deny, and say why."""
    return _reasoned(request, actions.DENY_VIEW, "Deny", "Deny", "Why not? The asker reads this.")


def revoke(request: Request) -> View:
    """End access before its time, and say why."""
    return _reasoned(request, actions.REVOKE_VIEW, "End now", "End it", "Why? The asker reads this.")


def note(heading: str, text: str) -> View:
    """A sentence, where a modal is what the person looks at."""
    return View(type="modal", callback_id=actions.NOTE_VIEW, title=heading[:24], close="Close", blocks=[_text(text)])


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
        blocks=[_text(text) for text in lines],
    )


def _grouped(choices: Sequence[Choice], options: dict[str, Option]) -> list[OptionGroup]:
    """Templates first, then each system's roles."""
    groups: dict[str, list[Option]] = {}
    for choice in choices:
        heading = choice.name.partition("/")[0] if "/" in choice.name else "Templates"
        groups.setdefault(heading, []).append(options[choice.name])
    return [OptionGroup(label=heading, options=found[:_MOST_OPTIONS]) for heading, found in groups.items()][
        :_MOST_OPTIONS
    ]


def _choice_option(choice: Choice) -> Option:
    return Option(value=choice.name, text=plain(choice.title, 75))


def _duration(choice: Choice, duration: int | None) -> InputBlock:
    seconds = sorted({*offered(choice), *([duration] if duration else [])})
    options = [Option(value=str(s), text=length(s)) for s in seconds][:_MOST_OPTIONS]
    initial = next((o for o in options if o.value == str(duration)), options[0])
    element = StaticSelectElement(action_id=actions.DURATION, options=options, initial_option=initial)
    return InputBlock(block_id=f"{actions.DURATION}:{choice.name}", label="For how long?", element=element)


def _why(choice: Choice, reason: str) -> InputBlock:
    element = PlainTextInputElement(
        action_id=actions.REASON,
        multiline=True,
        max_length=REASON_LIMIT,
        initial_value=plain(reason, REASON_LIMIT) or None,
        placeholder=plain(choice.reason.hint, 140) or None,
    )
    label = "Why? Those who decide read this."
    return InputBlock(block_id=actions.REASON, label=label, element=element, optional=not choice.reason.required)


def _reasoned(request: Request, callback: str, heading: str, submit: str, label: str) -> View:
    element = PlainTextInputElement(action_id=actions.REASON, multiline=True, max_length=REASON_LIMIT)
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=request.id,
        title=heading,
        submit=submit,
        close="Not now",
        blocks=[_about(request), InputBlock(block_id=actions.REASON, label=label, element=element)],
    )


def _about(request: Request) -> SectionBlock:
    return _text(f"{who(request.asker)} · *{title(request)}* · {length(request.duration)} · {request.id}")


def _text(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))
