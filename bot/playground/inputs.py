"""The inputs of a view or a message, as a Slack client keeps them: their values, and which values they accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.playground.block_tree import Json, elements, options
from bot.playground.errors import NotThere
from bot.playground.workspace import Message, View

Surface = Message | View
"""Where elements are shown (Slack's own word)."""
_STATE: Mapping[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "multi_static_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
_LISTS = {"selected_options", "selected_users"}


def blocks_of(seen: Surface) -> list[Json]:
    """The blocks of a view or a message."""
    blocks: list[Json] = seen.blocks if isinstance(seen, Message) else seen.body["blocks"]
    return blocks


def find(seen: Surface, name: str, value: str | None = None) -> Json:
    """An element by action id or block id; ``value`` tells those with the same id apart."""
    there = elements(blocks_of(seen))
    for element in there:
        if name in {element["action_id"], element["block_id"]} and value in {None, element.get("value")}:
            return element
    names = ", ".join(element["action_id"] for element in there) or "nothing"
    raise NotThere(f"there is no {name}{f' with the value {value}' if value else ''} here; there is {names}")


def values(seen: Surface) -> dict[str, Json]:
    """``state.values``: what was filled in, else the initial value."""
    state: dict[str, Json] = {}
    touched = seen.state if isinstance(seen, View) else {}
    for element in elements(blocks_of(seen)):
        if element["type"] in _STATE:
            key, initial = _STATE[element["type"]]
            block, action = element["block_id"], element["action_id"]
            untouched = {"type": element["type"], key: element.get(initial, [] if key in _LISTS else None)}
            state.setdefault(block, {})[action] = touched.get(block, {}).get(action, untouched)
    return state


def chosen(element: Json, value: Any, suggested: list[Json] | None = None) -> Json:
    """How an action reports a value of an element. Raises `NotThere` if the element does not accept it."""
    kind = element["type"]
    if kind == "plain_text_input":
        return {"value": _typed(element, str(value))}
    key = "selected_option" if kind == "overflow" else _STATE[kind][0]
    if kind == "external_select":
        return {key: _option(element, suggested or [], value)}
    if kind in {"static_select", "radio_buttons", "overflow"}:
        return {key: _option(element, options(element), value)}
    if kind in {"multi_static_select", "checkboxes"}:
        return {key: [_option(element, options(element), each) for each in value]}
    return {key: value}


def fill(view: View, name: str, value: Any) -> tuple[Json, Json]:
    """Fill in an input. Returns the element and its value now."""
    element = find(view, name)
    if element["type"] not in _STATE:
        raise NotThere(f"{name} is a {element['type']}: it cannot be filled in")
    now = chosen(element, value, view.suggested.get(element["action_id"]))
    view.state.setdefault(element["block_id"], {})[element["action_id"]] = {"type": element["type"], **now}
    return element, now


def check_complete(view: View) -> None:
    """Raise `NotThere` if Slack's client would not submit the modal."""
    if "submit" not in view.body:
        raise NotThere("this modal has no submit button")
    state = values(view)
    for block in view.body["blocks"]:
        if block["type"] == "input" and not block.get("optional"):
            inside = state[block["block_id"]][block["element"]["action_id"]]
            if not any(value for key, value in inside.items() if key != "type"):
                raise NotThere(f"the input {block['element']['action_id']} is required")


def _typed(element: Json, text: str) -> str | None:
    least, most = int(element.get("min_length", 0)), int(element.get("max_length", 3000))
    if text and not least <= len(text) <= most:
        raise NotThere(f"the input {element['action_id']} takes {least} to {most} characters, not {len(text)}")
    return text or None


def _option(element: Json, offered: list[Json], value: Any) -> Json:
    for option in offered:
        if option["value"] == value:
            return option
    names = ", ".join(option["value"] for option in offered) or "none"
    raise NotThere(f"no option {value} at {element['action_id']}; there are {names}")
