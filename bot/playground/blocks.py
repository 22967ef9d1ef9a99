"""Slack's limits on messages and views, those too that its SDK does not check; it says what is wrong, not why.

Sources: Slack's references "Blocks", "Block elements", "Composition objects", "Views" and `chat.postMessage`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bot.playground.errors import SlackRefusal

Json = Any
MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
MESSAGE_CHARACTERS = 13_000
"""About what all blocks of a message may hold together."""
TEXT = 40_000
VIEW_BYTES = 250_000
ID = 255
_BLOCKS: Mapping[str, frozenset[str]] = {
    "section": frozenset({"text", "fields", "accessory", "expand"}),
    "actions": frozenset({"elements"}),
    "context": frozenset({"elements"}),
    "divider": frozenset(),
    "header": frozenset({"text"}),
    "image": frozenset({"image_url", "alt_text", "title", "slack_file"}),
    "input": frozenset({"label", "element", "hint", "optional", "dispatch_action"}),
    "rich_text": frozenset({"elements"}),
}
_MOST_ELEMENTS = {"actions": 25, "context": 10}


class Flaws:
    """What is wrong, each with a JSON pointer, as Slack's ``response_metadata.messages`` has it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.found: list[str] = []

    def say(self, where: str, what: str) -> None:
        """One more."""
        self.found.append(f"[ERROR] {what} [json-pointer:{where}]")

    def length(self, where: str, value: Json, most: int, least: int = 1) -> None:
        """A string of so many characters."""
        if not isinstance(value, str):
            self.say(where, "must be a string")
        elif len(value) < least:
            self.say(where, f"must be more than {least - 1} characters")
        elif len(value) > most:
            self.say(where, f"must be less than {most + 1} characters")

    def keys(self, where: str, value: Mapping[str, Json], allowed: Iterable[str]) -> None:
        """No other keys."""
        for key in value.keys() - set(allowed):
            self.say(f"{where}/{key}", f"invalid additional property: {key}")


def check_message(text: Json, blocks: Json) -> None:
    """Raise `SlackRefusal` for a message that Slack would not take."""
    if not text and not blocks:
        raise SlackRefusal("no_text")
    if blocks is None:
        return
    flaws = Flaws()
    _check_blocks(flaws, blocks, MESSAGE_BLOCKS, in_view=False)
    if flaws.found:
        raise SlackRefusal("invalid_blocks", response_metadata={"messages": flaws.found})
    if sum(len(words) for words in _texts(blocks)) > MESSAGE_CHARACTERS:
        raise SlackRefusal("msg_blocks_too_long")


def check_view(view: Json) -> None:
    """Raise `SlackRefusal` for a view that Slack would not take."""
    if not isinstance(view, dict):
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": ["[ERROR] view is no object"]})
    if len(json.dumps(view).encode()) > VIEW_BYTES:
        raise SlackRefusal("view_too_large")
    flaws = Flaws()
    _check_frame(flaws, view)
    _check_blocks(flaws, view.get("blocks"), VIEW_BLOCKS, in_view=True)
    has_input = any(isinstance(b, dict) and b.get("type") == "input" for b in view.get("blocks") or [])
    if view.get("type") == "modal" and has_input and not view.get("submit"):
        flaws.say("/view/submit", "a view with input blocks needs submit")
    if flaws.found:
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": flaws.found})


_FRAME = frozenset(
    {
        "type",
        "title",
        "submit",
        "close",
        "blocks",
        "private_metadata",
        "callback_id",
        "clear_on_close",
        "notify_on_close",
        "external_id",
        "submit_disabled",
    }
)


def _check_frame(flaws: Flaws, view: Mapping[str, Json]) -> None:
    flaws.keys("/view", view, _FRAME)
    if view.get("type") not in {"modal", "home"}:
        flaws.say("/view/type", "must be modal or home")
    for part in ("title", "submit", "close"):
        if part in view:
            _check_text(flaws, f"/view/{part}", view[part], 24, plain=True)
    if view.get("type") == "modal" and "title" not in view:
        flaws.say("/view/title", "missing required field: title")
    for part, most in (("private_metadata", 3000), ("callback_id", ID), ("external_id", ID)):
        if view.get(part):
            flaws.length(f"/view/{part}", view[part], most)


def _check_blocks(flaws: Flaws, blocks: Json, most: int, *, in_view: bool) -> None:
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        flaws.say("/blocks", "must be an array of objects")
        return
    if len(blocks) > most:
        flaws.say("/blocks", f"no more than {most} items allowed")
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        where = f"/blocks/{index}"
        kind = block.get("type")
        if kind not in _BLOCKS or (kind == "input" and not in_view):
            flaws.say(f"{where}/type", f"unsupported type: {kind}")
            continue
        flaws.keys(where, block, _BLOCKS[kind] | {"type", "block_id"})
        if "block_id" in block:
            flaws.length(f"{where}/block_id", block["block_id"], ID)
            if block["block_id"] in seen:
                flaws.say(f"{where}/block_id", f"duplicate block_id: {block['block_id']}")
            seen.add(block["block_id"])
        _CHECKS[kind](flaws, where, block)


def _check_section(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    if "text" not in block and not block.get("fields"):
        flaws.say(where, "a section needs text or fields")
    if "text" in block:
        _check_text(flaws, f"{where}/text", block["text"], 3000)
    fields = block.get("fields", [])
    if len(fields) > 10:
        flaws.say(f"{where}/fields", "no more than 10 items allowed")
    for index, field in enumerate(fields):
        _check_text(flaws, f"{where}/fields/{index}", field, 2000)
    if "accessory" in block:
        _check_element(flaws, f"{where}/accessory", block["accessory"])


def _check_elements(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    elements = block.get("elements")
    most = _MOST_ELEMENTS[block["type"]]
    if not isinstance(elements, list) or not elements or len(elements) > most:
        flaws.say(f"{where}/elements", f"1 to {most} items allowed")
        return
    seen: set[str] = set()
    for index, element in enumerate(elements):
        inner = f"{where}/elements/{index}"
        if block["type"] == "context" and element.get("type") in {"mrkdwn", "plain_text"}:
            _check_text(flaws, inner, element, 3000)
            continue
        _check_element(flaws, inner, element)
        action = element.get("action_id")
        if action in seen:
            flaws.say(f"{inner}/action_id", f"duplicate action_id: {action}")
        seen.add(action)


def _check_header(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    _check_text(flaws, f"{where}/text", block.get("text"), 150, plain=True)


def _check_image(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    flaws.length(f"{where}/alt_text", block.get("alt_text"), 2000)
    if "slack_file" not in block:
        flaws.length(f"{where}/image_url", block.get("image_url"), 3000)


def _check_input(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    _check_text(flaws, f"{where}/label", block.get("label"), 2000, plain=True)
    if "hint" in block:
        _check_text(flaws, f"{where}/hint", block["hint"], 2000, plain=True)
    _check_element(flaws, f"{where}/element", block.get("element"))


def _check_nothing(flaws: Flaws, where: str, block: Mapping[str, Json]) -> None:
    """A divider has nothing to check; rich text is not used here."""


_CHECKS: Mapping[str, Callable[[Flaws, str, Mapping[str, Json]], None]] = {
    "section": _check_section,
    "actions": _check_elements,
    "context": _check_elements,
    "divider": _check_nothing,
    "header": _check_header,
    "image": _check_image,
    "input": _check_input,
    "rich_text": _check_nothing,
}
_BUTTON = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
_SELECT = {
    "type", "placeholder", "action_id", "options", "option_groups", "initial_option", "confirm", "focus_on_load",
    "min_query_length",
}  # fmt: skip
_TYPED = {
    "type", "action_id", "placeholder", "initial_value", "multiline", "min_length", "max_length",
    "dispatch_action_config", "focus_on_load",
}  # fmt: skip


def _check_element(flaws: Flaws, where: str, element: Json) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if "action_id" in (element or {}):
        flaws.length(f"{where}/action_id", element["action_id"], ID)
    match kind:
        case "button":
            _check_button(flaws, where, element)
        case "static_select" | "external_select":
            _check_select(flaws, where, element)
        case "plain_text_input":
            _check_typed(flaws, where, element)
        case "overflow":
            _check_options(flaws, f"{where}/options", element.get("options"), 5)
        case "image" | "datetimepicker":
            pass
        case _:
            flaws.say(f"{where}/type", f"unsupported type: {kind}")


def _check_button(flaws: Flaws, where: str, element: Mapping[str, Json]) -> None:
    flaws.keys(where, element, _BUTTON)
    _check_text(flaws, f"{where}/text", element.get("text"), 75, plain=True)
    if "value" in element:
        flaws.length(f"{where}/value", element["value"], 2000)
    if element.get("style") not in {None, "primary", "danger"}:
        flaws.say(f"{where}/style", "must be primary or danger")
    if "confirm" in element:
        confirm = element["confirm"]
        for part, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            _check_text(flaws, f"{where}/confirm/{part}", confirm.get(part), most, plain=part != "text")


def _check_select(flaws: Flaws, where: str, element: Mapping[str, Json]) -> None:
    flaws.keys(where, element, _SELECT)
    if "placeholder" in element:
        _check_text(flaws, f"{where}/placeholder", element["placeholder"], 150, plain=True)
    if element["type"] == "external_select":
        return
    groups = element.get("option_groups")
    if (groups is None) == ("options" not in element):
        flaws.say(where, "needs either options or option_groups")
        return
    if groups is None:
        _check_options(flaws, f"{where}/options", element["options"], 100)
        offered = element["options"]
    else:
        if not 1 <= len(groups) <= 100:
            flaws.say(f"{where}/option_groups", "1 to 100 items allowed")
        for index, group in enumerate(groups):
            _check_text(flaws, f"{where}/option_groups/{index}/label", group.get("label"), 75, plain=True)
            _check_options(flaws, f"{where}/option_groups/{index}/options", group.get("options"), 100)
        offered = [option for group in groups for option in group["options"]]
    if "initial_option" in element and element["initial_option"] not in offered:
        flaws.say(f"{where}/initial_option", "must be one of the options")


def _check_options(flaws: Flaws, where: str, options: Json, most: int) -> None:
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        flaws.say(where, f"1 to {most} items allowed")
        return
    for index, option in enumerate(options):
        _check_text(flaws, f"{where}/{index}/text", option.get("text"), 75)
        flaws.length(f"{where}/{index}/value", option.get("value"), 150)
        if "description" in option:
            _check_text(flaws, f"{where}/{index}/description", option["description"], 75)


def _check_typed(flaws: Flaws, where: str, element: Mapping[str, Json]) -> None:
    flaws.keys(where, element, _TYPED)
    if "placeholder" in element:
        _check_text(flaws, f"{where}/placeholder", element["placeholder"], 150, plain=True)
    most = element.get("max_length", 3000)
    if not 1 <= most <= 3000:
        flaws.say(f"{where}/max_length", "must be 1 to 3000")
    if "initial_value" in element:
        flaws.length(f"{where}/initial_value", element["initial_value"], most, 0)


def _check_text(flaws: Flaws, where: str, text: Json, most: int, *, plain: bool = False) -> None:
    if not isinstance(text, dict) or text.get("type") not in ({"plain_text"} if plain else {"plain_text", "mrkdwn"}):
        flaws.say(where, "must be a text object")
        return
    allowed = {"type", "text", "emoji"} if text["type"] == "plain_text" else {"type", "text", "verbatim"}
    flaws.keys(where, text, allowed)
    flaws.length(f"{where}/text", text.get("text"), most)


def _texts(value: Json) -> Iterable[str]:
    """Every text in a tree of blocks."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
