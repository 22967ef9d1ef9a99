"""The fields of the request form for the typed inputs of what is chosen, filled in with what is known; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, StaticSelectElement

from bot.core import ssh_keys
from bot.policy.catalog import Choice
from bot.policy.inputs import LONGEST, InputShape
from handlers.views import action_ids
from handlers.views.text import code, plain, safe

_KEY_HINT = "One line, as in your .pub file: Ed25519, ECDSA, or RSA of at least 3072 bits. Never the private key."


def fields(choice: Choice, known: Mapping[str, str]) -> list[InputBlock]:
    """One for each input of the choice: a select for a choice, a text for the others."""
    return [_field(choice, name, shape, known.get(name, "")) for name, shape in choice.inputs.items()]


def outdated(choice: Choice, shown: Mapping[str, bool], given: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """What a form lacks since the policy changed, as a sentence, '' for nothing; and the inputs that cannot stay in it.

    ``shown``: the inputs that it has a field for, and whether it is a select. A text that will not do is no such thing:
    its field is there, and an error has room under it.
    """
    asked = choice.inputs
    new = [safe(shape.titled(name), 60) for name, shape in asked.items() if name not in shown]
    gone = [name for name in given if name not in asked]
    other = [
        name
        for name, shape in asked.items()
        if name in given and name in shown and (shape.choice or shown[name]) and not shape.typed_as(given[name])
    ]
    said = [f"It now asks for {_listed(new)}."] if new else []
    said += [f"It no longer asks for {_listed([code(name, 40) for name in gone])}."] if gone else []
    said += [f"{safe(asked[name].titled(name), 60)} takes other values now." for name in other]
    if not said:
        return "", ()
    changed = "The policy changed while this form was open, so nothing was requested."
    return " ".join([changed, *said, "Please check and request again."]), (*gone, *other)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def kept(known: Mapping[str, str]) -> list[InputBlock]:
    """What was typed for inputs while nothing is chosen that could ask for them."""
    return [_block(name, "", name, _text(name, text, ssh_keys.LONGEST)) for name, text in known.items()]


def _field(choice: Choice, name: str, shape: InputShape, text: str) -> InputBlock:
    title = shape.titled(name)
    if shape.choice:
        return _block(name, f"{choice.name}:{_options(shape.choice)}", title, _select(title, shape, text))
    most = LONGEST if shape.pattern else ssh_keys.LONGEST
    hint = f"Expected: {plain(shape.expected, 240)}" if shape.pattern else _KEY_HINT
    text = text or shape.default or ""
    return _block(name, choice.name, title, _text(title, text if len(text) <= most else "", most), hint)


def _block(
    name: str, what: str, title: str, element: StaticSelectElement | PlainTextInputElement, hint: str | None = None
) -> InputBlock:
    """The id names the choice as well: Slack keeps what is in a field of the same id, whatever it is filled in with."""
    return InputBlock(block_id=f"{action_ids.INPUT}:{name}:{what}", label=plain(title, 60), element=element, hint=hint)


def _options(values: Sequence[str]) -> str:
    """Tells selects with other options apart: what was selected in one is not to be kept in another."""
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:8]


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
