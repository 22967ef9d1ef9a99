"""Slack's limits on blocks, messages and views, including those that its SDK does not check.

A block that no bot of this kind uses is refused as unsupported; the contents of rich text are not checked.
Sources: Slack's references "Blocks", "Views", `chat.postMessage` and `blocks.validate`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bot.playground.block_tree import texts
from bot.playground.elements import ID, Flaws, check_element, check_image, check_text, kind_of
from bot.playground.errors import SlackRefusal
from bot.playground.tables import TABLES, check_count, check_data_table, check_table

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
MESSAGE_CHARACTERS = 13_000
"""For all blocks of a message together; an estimate."""
TEXT, UPDATED_TEXT = 40_000, 4_000
VIEW_BYTES = 250_000
_MOST_ELEMENTS = {"actions": 25, "context": 10}
_FRAME = {
    "type", "title", "submit", "close", "blocks", "private_metadata", "callback_id", "clear_on_close",
    "notify_on_close", "external_id", "submit_disabled",
}  # fmt: skip


def check_message(text: Any, blocks: Any, unknown: Collection[str] = ()) -> None:
    """Raise `SlackRefusal` for a message that Slack refuses. ``unknown``: blocks that this Slack does not have yet."""
    if text is not None and not isinstance(text, str):
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": ["[ERROR] text must be a string"]})
    if not text and not blocks:
        raise SlackRefusal("no_text")
    if blocks is None:
        return
    if not isinstance(blocks, list):
        raise SlackRefusal("invalid_blocks_format")
    flaws = message_flaws(blocks)
    for index, block in enumerate(blocks):
        if kind_of(block) in unknown:
            flaws.say(f"/blocks/{index}/type", f"unsupported type: {kind_of(block)}")
    if flaws.all:
        raise SlackRefusal("invalid_blocks", response_metadata=flaws.messages())
    if sum(len(words) for words in texts(blocks)) > MESSAGE_CHARACTERS:
        raise SlackRefusal("msg_blocks_too_long")


def check_view(view: Any, kind: str = "modal") -> None:
    """Raise `SlackRefusal` for a view that Slack refuses."""
    if len(json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode()) > VIEW_BYTES:
        raise SlackRefusal("view_too_large")
    flaws = view_flaws(view)
    if not flaws.all and view["type"] != kind:
        flaws.say("/view/type", f"must be {kind}")
    if flaws.all:
        raise SlackRefusal("invalid_arguments", response_metadata=flaws.messages())


def message_flaws(blocks: Any, where: str = "/blocks") -> Flaws:
    """The flaws in the blocks of a message."""
    flaws = Flaws()
    _check_blocks(flaws, where, blocks, MESSAGE_BLOCKS, in_message=True)
    if isinstance(blocks, list):
        check_count(flaws, where, blocks)
    return flaws


def view_flaws(view: Any, where: str = "/view") -> Flaws:
    """The flaws in a view."""
    flaws = Flaws()
    if not flaws.object(where, view, _FRAME):
        return flaws
    modal = view.get("type") == "modal"
    if not modal and view.get("type") != "home":
        flaws.say(f"{where}/type", "must be a valid enum value")
    for part in ("title", "submit", "close"):
        if part in view or (part == "title" and modal):
            check_text(flaws, f"{where}/{part}", view.get(part), 24, plain=True)
    for part, most in (("private_metadata", 3000), ("callback_id", ID), ("external_id", ID)):
        if part in view:
            flaws.length(f"{where}/{part}", view[part], most, 0)
    _check_blocks(flaws, f"{where}/blocks", view.get("blocks"), VIEW_BLOCKS, in_modal=modal)
    blocks = view.get("blocks")
    inputs = isinstance(blocks, list) and any(kind_of(block) == "input" for block in blocks)
    if modal and inputs and "submit" not in view:
        flaws.say(f"{where}/submit", "submit is required when there are input blocks")
    return flaws


def _check_blocks(
    flaws: Flaws, where: str, blocks: Any, most: int, *, in_modal: bool = False, in_message: bool = False
) -> None:
    items = flaws.array(where, blocks, most, 0)
    for index, block in enumerate(items):
        kind = kind_of(block)
        misplaced = (kind == "input" and not in_modal) or (kind in TABLES and not in_message)
        if kind not in _BLOCKS or misplaced:
            flaws.say(f"{where}/{index}/type", f"unsupported type: {kind or 'none'}")
            continue
        check, keys = _BLOCKS[kind]
        flaws.object(f"{where}/{index}", block, {"type", "block_id", *keys.split()})
        if "block_id" in block:
            flaws.length(f"{where}/{index}/block_id", block["block_id"], ID)
        check(flaws, f"{where}/{index}", block)
    flaws.distinct(where, "block_id", items)


def _check_section(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    if "text" not in block and "fields" not in block:
        flaws.say(where, "must provide text or fields")
    if "text" in block:
        check_text(flaws, f"{where}/text", block["text"], 3000)
    if "fields" in block:
        for index, field in enumerate(flaws.array(f"{where}/fields", block["fields"], 10)):
            check_text(flaws, f"{where}/fields/{index}", field, 2000)
    if "accessory" in block:
        check_element(flaws, f"{where}/accessory", block["accessory"], "section")


def _check_elements(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    place, where = block["type"], f"{where}/elements"
    items = flaws.array(where, block.get("elements"), _MOST_ELEMENTS[place])
    for index, element in enumerate(items):
        if place == "context" and kind_of(element) in {"mrkdwn", "plain_text"}:
            check_text(flaws, f"{where}/{index}", element, 3000)
        else:
            check_element(flaws, f"{where}/{index}", element, place)
    flaws.distinct(where, "action_id", items)


def _check_header(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    check_text(flaws, f"{where}/text", block.get("text"), 150, plain=True)


def _check_image(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    check_image(flaws, where, block)
    if "title" in block:
        check_text(flaws, f"{where}/title", block["title"], 2000, plain=True)


def _check_input(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    check_text(flaws, f"{where}/label", block.get("label"), 2000, plain=True)
    if "hint" in block:
        check_text(flaws, f"{where}/hint", block["hint"], 2000, plain=True)
    check_element(flaws, f"{where}/element", block.get("element"), "input")


def _check_rich_text(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    for index, element in enumerate(flaws.array(f"{where}/elements", block.get("elements"), MESSAGE_BLOCKS)):
        if not kind_of(element).startswith("rich_text_"):
            flaws.say(f"{where}/elements/{index}/type", f"unsupported type: {kind_of(element) or 'none'}")


def _check_nothing(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    """A divider has nothing to check."""


_BLOCKS: Mapping[str, tuple[Callable[[Flaws, str, Mapping[str, Any]], None], str]] = {
    "section": (_check_section, "text fields accessory expand"),
    "actions": (_check_elements, "elements"),
    "context": (_check_elements, "elements"),
    "divider": (_check_nothing, ""),
    "header": (_check_header, "text"),
    "image": (_check_image, "image_url alt_text title slack_file"),
    "input": (_check_input, "label element hint optional dispatch_action"),
    "rich_text": (_check_rich_text, "elements"),
    "table": (check_table, "rows column_settings"),
    "data_table": (check_data_table, "rows caption page_size row_header_column_index"),
}
