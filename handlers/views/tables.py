"""Slack's `table` block, and the same rows as text for where Slack refuses the block; pure.

Slack takes a table in a message only, one a message, and none in a modal or on a Home tab.
Source: Slack's reference "Table block".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import RichTextBlock, RichTextElementParts, RichTextSectionElement, TableBlock

from handlers.views.text import code, plain, safe

ACCOUNT = re.compile(r"^[UW][A-Z0-9]{1,30}$")
"""A Slack user id."""
REFUSED = frozenset({"invalid_blocks", "invalid_attachments", "invalid_arguments", "unsupported_block_type"})
"""Slack's answers to a message with a block that it does not know or want: the same is sent again as lines."""
_MOST_ROWS = 99
"""Besides the header."""
_MOST_CHARACTERS = 8_000
"""Of all cells; Slack takes 10,000 in a message."""
_CELL = 300


@dataclass(frozen=True)
class Table:
    """Rows of plain text beneath ``head``. ``code``: the columns that are commands or ids, to be copied."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    code: frozenset[int] = frozenset()
    numbers: frozenset[int] = frozenset()
    """The columns that are aligned to the right."""
    people: frozenset[int] = frozenset()
    """The columns in which a Slack user id is shown as that person."""


def fitting(table: Table) -> list[Sequence[str]]:
    """As many of its rows as Slack takes; none is cut in two."""
    shown: list[Sequence[str]] = []
    left = _MOST_CHARACTERS
    for row in table.rows[:_MOST_ROWS]:
        left -= sum(min(len(cell), _CELL) for cell in row)
        if left < 0:
            break
        shown.append(row)
    return shown


def block(table: Table) -> dict[str, Any]:
    """As a block."""
    head = [_cell(cell, bold=True) for cell in table.head]
    body = [[_of_column(table, n, cell) for n, cell in enumerate(row)] for row in fitting(table)]
    settings = [
        {"align": "right" if n in table.numbers else "left", "is_wrapped": n not in table.numbers}
        for n in range(len(table.head))
    ]
    found: dict[str, Any] = TableBlock(rows=[head, *body], column_settings=settings).to_dict()
    return found


def lines(table: Table) -> list[str]:
    """As lines of text, a row each."""
    return [
        "• " + " · ".join(_words(table, n, cell) for n, cell in said)
        for row in fitting(table)
        if (said := [(n, cell) for n, cell in enumerate(row) if cell])
    ]


def _words(table: Table, column: int, cell: str) -> str:
    if column in table.people and ACCOUNT.match(cell):
        return f"<@{cell}>"
    return code(cell, _CELL) if column in table.code else safe(cell, _CELL)


def _of_column(table: Table, column: int, cell: str) -> RichTextBlock:
    if column in table.people and ACCOUNT.match(cell):
        return RichTextBlock(elements=[RichTextSectionElement(elements=[RichTextElementParts.User(user_id=cell)])])
    return _cell(cell, code=column in table.code)


def _cell(words: str, *, bold: bool = False, code: bool = False) -> RichTextBlock:
    """Rich text is shown as it is: nothing in it is a mention or a link. Slack refuses an empty cell."""
    style = RichTextElementParts.TextStyle(bold=bold or None, code=code or None) if bold or code else None
    text = RichTextElementParts.Text(text=plain(words, _CELL) or "–", style=style)
    return RichTextBlock(elements=[RichTextSectionElement(elements=[text])])
