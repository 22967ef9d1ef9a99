"""Slack's limits on the blocks `table` and `data_table`, which only a message may have, and only one of.

Sources: Slack's references "Table block" and "Data table block". The contents of rich text are checked as far as a
cell needs: Slack refuses an empty text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.playground.block_tree import texts
from bot.playground.elements import Flaws, kind_of

TABLES = frozenset({"table", "data_table"})
CELLS, ROWS = 20, 100
CHARACTERS = 10_000
"""In all cells of a table; Slack's pages say 10,000 in one place and 20,000 in another."""
_ALIGNMENTS = ("left", "center", "right")
_CELLS = {"raw_text": "text", "raw_number": "value text", "rich_text": "elements"}


def check_table(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    """Check a ``table``."""
    _check_rows(flaws, f"{where}/rows", block.get("rows"), 1, ROWS)
    if "column_settings" in block:
        for index, column in enumerate(flaws.array(f"{where}/column_settings", block["column_settings"], CELLS, 0)):
            _check_column(flaws, f"{where}/column_settings/{index}", column)


def check_data_table(flaws: Flaws, where: str, block: Mapping[str, Any]) -> None:
    """Check a ``data_table``: its first row is a header, and all rows are as long."""
    rows = _check_rows(flaws, f"{where}/rows", block.get("rows"), 2, ROWS + 1)
    flaws.length(f"{where}/caption", block.get("caption"), 3000)
    for index, row in enumerate(rows):
        if isinstance(row, list) and isinstance(rows[0], list) and len(row) != len(rows[0]):
            flaws.say(f"{where}/rows/{index}", "all rows must have the same number of cells")
    for index, cell in enumerate(rows[0] if rows and isinstance(rows[0], list) else []):
        if kind_of(cell) == "rich_text":
            flaws.say(f"{where}/rows/0/{index}/type", "unsupported type: rich_text")
    for key, least, most in (("page_size", 1, ROWS), ("row_header_column_index", 0, CELLS - 1)):
        value = block.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            flaws.say(f"{where}/{key}", f"must be an integer from {least} to {most}")


def check_count(flaws: Flaws, where: str, blocks: list[Any]) -> None:
    """Check that a message has one table at most."""
    found = [index for index, block in enumerate(blocks) if kind_of(block) in TABLES]
    for index in found[1:]:
        flaws.say(f"{where}/{index}", "only_one_table_allowed")


def _check_rows(flaws: Flaws, where: str, rows: Any, least: int, most: int) -> list[Any]:
    found = flaws.array(where, rows, most, least)
    for index, row in enumerate(found):
        for place, cell in enumerate(flaws.array(f"{where}/{index}", row, CELLS)):
            _check_cell(flaws, f"{where}/{index}/{place}", cell)
    if sum(map(len, texts(found))) > CHARACTERS:
        flaws.say(where, f"must be less than {CHARACTERS + 1} characters in all cells")
    return found


def _check_cell(flaws: Flaws, where: str, cell: Any) -> None:
    kind = kind_of(cell)
    if kind not in _CELLS:
        flaws.say(f"{where}/type", f"unsupported type: {kind or 'none'}")
        return
    flaws.object(where, cell, {"type", "block_id", *_CELLS[kind].split()})
    match kind:
        case "raw_text":
            flaws.length(f"{where}/text", cell.get("text"), CHARACTERS)
        case "raw_number" if not isinstance(cell.get("value"), int | float):
            flaws.say(f"{where}/value", "must be a number")
        case "rich_text":
            parts = [part for section in cell.get("elements", []) for part in section.get("elements", [])]
            if not parts or "" in texts(parts):
                flaws.say(f"{where}/elements", "must have a text of more than 0 characters")


def _check_column(flaws: Flaws, where: str, column: Any) -> None:
    if column is None or not flaws.object(where, column, {"align", "is_wrapped"}):
        return
    if column.get("align", "left") not in _ALIGNMENTS:
        flaws.say(f"{where}/align", "must be a valid enum value")
    if not isinstance(column.get("is_wrapped", False), bool):
        flaws.say(f"{where}/is_wrapped", "must be a boolean")
