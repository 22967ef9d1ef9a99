"""A table and an image as HTML: what the digest and the audit log have besides text and buttons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cards.mrkdwn import literal

Json = Mapping[str, Any]


def table(block: Json) -> str:
    """A ``table``, whose first row is its head."""
    aligned = [column.get("align", "left") for column in block["column_settings"]]
    head, *rows = block["rows"]
    return (
        f'<table class="table">{_row(head, aligned, "th")}{"".join(_row(row, aligned, "td") for row in rows)}</table>'
    )


def image(block: Json) -> str:
    """An image: the file is not here, so its alternative text stands in its place."""
    return f'<div class="image">🖼 {literal(block["alt_text"])}</div>'


def _row(row: list[Json], aligned: list[str], tag: str) -> str:
    cells = (f'<{tag} class="{side}">{_cell(cell)}</{tag}>' for cell, side in zip(row, aligned, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(cell: Json) -> str:
    return "".join(_part(part) for section in cell["elements"] for part in section["elements"])


def _part(part: Json) -> str:
    if part["type"] == "user":
        return f'<span class="mention">@{literal(part["user_id"])}</span>'
    said = literal(part["text"])
    return f'<span class="code">{said}</span>' if part.get("style", {}).get("code") else said
