"""All that the bot has shown in a local Slack, checked against every limit that Slack has; it forgives nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bot.playground import Call, LocalSlack
from bot.playground.block_tree import texts
from bot.playground.blocks import MESSAGE_CHARACTERS, TEXT, UPDATED_TEXT, VIEW_BYTES, message_flaws, view_flaws
from bot.playground.elements import Flaws, check_groups, check_options

Json = Any
_MESSAGES = {"chat.postMessage", "chat.update", "chat.postEphemeral"}


def flaws(slack: LocalSlack) -> list[str]:
    """What Slack would refuse, of each payload that it was given: accepted, refused, or lost on its way."""
    found = [f"{kind}: {said}" for kind, body in slack.payloads for said in _flaws(kind, body)]
    for call in slack.calls:
        found += [f"{call.method}: {said}" for said in _called(call)]
    return found


def buttons_of(shown: Json) -> Iterator[Json]:
    """Every button in a view, a message, or several."""
    if isinstance(shown, dict):
        if shown.get("type") == "button":
            yield shown
        for part in shown.values():
            yield from buttons_of(part)
    elif isinstance(shown, list):
        for part in shown:
            yield from buttons_of(part)


def assert_labelled(button: Json) -> None:
    """It has a label, in words, which says more than what stands on it."""
    label = button.get("accessibility_label", "")
    assert len(label) > len(button["text"]["text"]), f"{button['text']['text']!r} has no label"
    assert not re.search(r":[a-z_]+:", label), f"{label!r} is read aloud, signs and all"


def _called(call: Call) -> Iterator[str]:
    if call.method in _MESSAGES:
        yield from _flaws("message", call.args)
        most = UPDATED_TEXT if call.method == "chat.update" else TEXT
        if len(call.args.get("text") or "") > most:
            yield f"text: more than {most} characters"
        if not call.args.get("text"):
            yield "text: a lock screen would show nothing"
    elif call.method.startswith("views."):
        yield from _flaws("view", call.args["view"])


def _flaws(kind: str, body: Json) -> Iterator[str]:
    match kind:
        case "message":
            blocks = body.get("blocks") or []
            yield from _said(message_flaws(blocks))
            if sum(map(len, texts(blocks))) > MESSAGE_CHARACTERS:
                yield f"blocks: more than {MESSAGE_CHARACTERS} characters"
        case "view":
            yield from _said(view_flaws(body))
            if len(repr(body).encode()) > VIEW_BYTES:
                yield f"view: more than {VIEW_BYTES} bytes"
        case "options":
            looked = Flaws()
            if "option_groups" in body:
                check_groups(looked, "/option_groups", body["option_groups"])
            elif body.get("options"):
                check_options(looked, "/options", body["options"], 100)
            yield from _said(looked)
        case _:
            yield f"nothing knows how to check a {kind}"


def _said(flaws: Flaws) -> Iterator[str]:
    yield from (f"{where}: {what}" for where, what in flaws.all)
