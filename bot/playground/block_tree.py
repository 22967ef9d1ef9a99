"""What a tree of Block Kit blocks contains: its interactive elements, their options, its texts; it checks nothing."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]


def elements(blocks: Iterable[Json]) -> list[Json]:
    """Each interactive element, with its block id."""
    found = []
    for block in blocks:
        inner = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        named = [element for element in inner if isinstance(element, dict) and "action_id" in element]
        found += [{**element, "block_id": block.get("block_id", "")} for element in named]
    return found


def options(element: Mapping[str, Any]) -> list[Json]:
    """All options of an element, those in groups included."""
    groups = element.get("option_groups") or []
    return [*(element.get("options") or []), *(option for group in groups for option in group["options"])]


def texts(value: Any) -> list[str]:
    """Every text in a tree of blocks."""
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in ([v] if k == "text" and isinstance(v, str) else texts(v))]
    return [s for inner in value for s in texts(inner)] if isinstance(value, list) else []


def with_ids(blocks: list[Json]) -> list[Json]:
    """A copy in which each block and element has an id: Slack generates the missing ones."""
    copied = copy.deepcopy(blocks)
    for block in copied:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        if block["type"] not in {"section", "actions", "input"}:
            continue
        for element in [*block.get("elements", []), block.get("accessory"), block.get("element")]:
            if element and element["type"] != "image":
                element.setdefault("action_id", secrets.token_urlsafe(4))
    return copied
