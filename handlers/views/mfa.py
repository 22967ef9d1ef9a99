"""A person's second factors as they see them: what they have, the key of a new app, its recovery codes; pure.

A key and recovery codes are in these modals alone, once; `private_metadata` has the factor's id, and no secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, ButtonElement, InputBlock, PlainTextInputElement
from slack_sdk.models.views import View

from bot.access.enrolment import APP, LONGEST_CODE, RECOVERY, BegunFactor, ConfirmedFactor, OwnFactor, OwnFactors
from handlers.views import action_ids, modals
from handlers.views.message import SlackMessage, paragraphs
from handlers.views.text import clock, code, copyable, safe, when

_TITLE = "Your second factor"
_TYPED = (
    ":warning: A code typed in a command or message is never accepted, as Slack keeps those. Type codes only into a "
    "form. If it was a code that an operator issued, ask them for a new one."
)
_WHY = (
    "A second factor proves that it is you who requests or approves access, and not somebody with your Slack account."
)
_ASK = (
    "To set up an authenticator app, ask an operator for a code. They hand it to you outside Slack; it works once, and "
    "lasts 24 hours."
)


# what they have


def own(found: OwnFactors, *, typed: bool = False) -> View:
    """What a person has, and the field for an operator's code. ``typed``: whether more than the command was typed."""
    blocks: list[Block] = [modals.text(_TYPED)] if typed else []
    if found.doubt:
        failed = f"The record of your second factors failed its integrity check ({safe(found.doubt, 100)})"
        said = f":warning: {failed}, so none of them counts. Ask the operators: two of them can reset it."
        return _view(action_ids.NOTE_VIEW, [*blocks, modals.text(said)])
    waits = f"An operator's code waits for you until {when(found.offered_until)}: type it here."
    field = _field(action_ids.ENROLMENT_CODE, "Code from an operator", "7K3Q-9WXZ-4MPT")
    blocks += [modals.text("\n".join(_lines(found))), modals.text(waits if found.offered_until else _ASK), field]
    return _view(action_ids.MFA_VIEW, blocks, submit="Continue")


def to_open(*, typed: bool = False) -> SlackMessage:
    """The button that opens it, where somebody wrote a message; what they wrote is not in it."""
    button = ButtonElement(
        text="Open the form",
        action_id=action_ids.OPEN_FORM,
        value="mfa",
        style="primary",
        accessibility_label="Open the form of your second factor",
    )
    return paragraphs(_TYPED if typed else "Your second factor is set up in a form.", [button])


def _lines(found: OwnFactors) -> list[str]:
    """What there is, a line each."""
    if not found.factors:
        lines = [f"*You have no second factor yet.* {_WHY}"]
    else:
        lines = ["*You have*", *(f"• {_factor(factor, found.now)}" for factor in found.factors)]
    if found.locked_until > found.now:
        lines.append(f":lock: Too many wrong codes in a row: no code is accepted until {clock(found.locked_until)}.")
    return lines


def _factor(factor: OwnFactor, now: float) -> str:
    said = f"{_name(factor)}, since {when(factor.since, '{date_short_pretty}')}"
    if factor.trusted_from > now:
        said += f"; for critical roles from {when(factor.trusted_from)}"
    if factor.left == 0:
        said += ". Set up an app again to get new ones"
    return f"{said}."


def _name(factor: OwnFactor) -> str:
    if factor.kind == RECOVERY:
        return f"Recovery codes: {factor.left} left" if factor.left is not None else "Recovery codes"
    return "Authenticator app" if factor.kind == APP else code(factor.kind, 40)


# shown once


def key(begun: BegunFactor) -> View:
    """The key of a new app, and the field for its first code."""
    shown = [modals.text(f"*{line.label}*\n{copyable(line.text.get_secret_value())}") for line in begun.lines]
    steps = (
        "*1.* In your authenticator app, add an account and choose to enter a key by hand. *2.* Copy the key into it, "
        "or open the address on the phone with the app. *3.* Type the code that the app then shows.\nThis is shown "
        "once, to you alone: keep neither the key nor a screenshot of it. There is no picture to scan, as Slack would "
        "keep it."
    )
    label = "The 6 digits that your app shows now"
    blocks: list[Block] = [modals.text(steps), *shown, _field(action_ids.FIRST_CODE, label, "123456")]
    return _view(action_ids.MFA_KEY_VIEW, blocks, submit="Confirm", about=begun.id)


def done(confirmed: ConfirmedFactor) -> View:
    """The recovery codes, once."""
    codes = "\n".join(line.text.get_secret_value() for line in confirmed.recovery)
    blocks = [
        modals.text(f":white_check_mark: *Your authenticator app is set up.* {_from(confirmed)}"),
        modals.text(
            "*Recovery codes*: each works once in place of your app, for when the phone is lost. Print them, or keep "
            "them in a password manager, not in Slack. They replace older ones, and are shown only now."
        ),
        modals.text(f"```{codes}```"),
    ]
    return _view(action_ids.MFA_DONE_VIEW, blocks)


def done_before(confirmed: ConfirmedFactor) -> View:
    """To whoever pressed twice: nothing is wrong."""
    said = f":white_check_mark: *Your authenticator app is set up already.* {_from(confirmed)}"
    more = (
        "Close this to see your recovery codes. If they are not beneath it, ask an operator for a new code and set it "
    )
    return _view(action_ids.MFA_DONE_VIEW, [modals.text(said), modals.text(f"{more}up again: you get new ones.")])


def _from(confirmed: ConfirmedFactor) -> str:
    return f"It counts from now on, and for critical roles from {when(confirmed.trusted_from)}."


# elsewhere


def _field(block_id: str, label: str, placeholder: str) -> InputBlock:
    element = PlainTextInputElement(action_id=block_id, max_length=LONGEST_CODE, placeholder=placeholder)
    return InputBlock(block_id=block_id, label=label, element=element)


def _view(callback: str, blocks: Sequence[Block], *, submit: str | None = None, about: str | None = None) -> View:
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=about,
        title=_TITLE,
        submit=submit,
        close="Cancel" if submit else "Close",
        blocks=[*blocks],
    )
