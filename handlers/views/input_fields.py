"""The fields of the request form for the typed inputs of what is chosen, filled in with what is known; pure."""

from __future__ import annotations

from collections.abc import Mapping

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, StaticSelectElement

from bot.core import ssh_keys
from bot.policy.catalog import Choice
from bot.policy.inputs import LONGEST, InputShape
from handlers.views import action_ids
from handlers.views.text import plain

_KEY_HINT = "One line, as in your .pub file: Ed25519, ECDSA, or RSA of at least 3072 bits. Never the private key."


def fields(choice: Choice, known: Mapping[str, str]) -> list[InputBlock]:
    """One for each input of the choice: a select for a choice, a text for the others."""
    return [_field(choice, name, shape, known.get(name, "")) for name, shape in choice.inputs.items()]


def kept(known: Mapping[str, str]) -> list[InputBlock]:
    """What was typed for inputs while nothing is chosen that could ask for them."""
    return [_block(name, "", name, _text(name, text, ssh_keys.LONGEST)) for name, text in known.items()]


def _field(choice: Choice, name: str, shape: InputShape, text: str) -> InputBlock:
    title = shape.titled(name)
    if shape.choice:
        return _block(name, choice.name, title, _select(title, shape, text))
    most = LONGEST if shape.pattern else ssh_keys.LONGEST
    hint = f"Expected: {plain(shape.expected, 240)}" if shape.pattern else _KEY_HINT
    text = text or shape.default or ""
    return _block(name, choice.name, title, _text(title, text if len(text) <= most else "", most), hint)


def _block(
    name: str, what: str, title: str, element: StaticSelectElement | PlainTextInputElement, hint: str | None = None
) -> InputBlock:
    """The id names the choice as well: Slack keeps what is in a field of the same id, whatever it is filled in with."""
    return InputBlock(block_id=f"{action_ids.INPUT}:{name}:{what}", label=plain(title, 60), element=element, hint=hint)


def _select(title: str, shape: InputShape, text: str) -> StaticSelectElement:
    options = [Option(value=value, text=plain(value, 75)) for value in shape.choice or ()]
    wanted = shape.typed_as(text)  # the default where nothing was typed, and none for what will not do
    known = next((option for option in options if option.value == wanted), None)
    placeholder = plain(f"Choose: {title}", 140)
    return StaticSelectElement(
        action_id=action_ids.INPUT, options=options, initial_option=known, placeholder=placeholder
    )


def _text(title: str, text: str, most: int) -> PlainTextInputElement:
    return PlainTextInputElement(
        action_id=action_ids.INPUT, max_length=most, initial_value=text[:most] or None, placeholder=plain(title, 140)
    )
