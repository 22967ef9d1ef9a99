"""Slack's tables: in a message only, one of them, and within their limits."""

from __future__ import annotations

from typing import Any

import pytest

from bot.playground import SlackRefusal
from bot.playground.blocks import check_message, message_flaws, view_flaws


def cell(text: str = "x") -> dict[str, Any]:
    return {"type": "raw_text", "text": text}


def rich(text: str = "x") -> dict[str, Any]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


def table(**more: Any) -> dict[str, Any]:
    return {"type": "table", "rows": [[cell(), rich()], [cell("1"), rich("2")]], **more}


def data_table(**more: Any) -> dict[str, Any]:
    return {
        "type": "data_table",
        "caption": "c",
        "rows": [[cell(), cell()], [{"type": "raw_number", "value": 1}, rich()]],
        **more,
    }


@pytest.mark.parametrize("block", [
    table(),
    table(column_settings=[{"align": "right", "is_wrapped": True}, None]),
    table(rows=[[cell()] * 20] * 100),
    data_table(),
    data_table(page_size=100, row_header_column_index=1),
    data_table(rows=[[cell()]] * 101),
])  # fmt: skip
def test_a_table_within_its_limits_is_taken_in_a_message(block: dict[str, Any]) -> None:
    assert message_flaws([block]).all == []


@pytest.mark.parametrize("block", [
    table(rows=[]),
    table(rows=[[]]),
    table(rows=[[cell()] * 21]),
    table(rows=[[cell()]] * 101),
    table(rows=[[cell("")]]),
    table(rows=[[rich("")]]),
    table(rows=[[{"type": "rich_text", "elements": []}]]),
    table(rows=[[cell("x" * 10_001)]]),
    table(rows=[[{"type": "mrkdwn", "text": "x"}]]),
    table(column_settings=[{"align": "middle"}]),
    table(column_settings=[{"is_wrapped": "yes"}]),
    table(column_settings=[{"width": 3}]),
    table(column_settings=[{}] * 21),
    table(caption="c"),
    data_table(rows=[[cell()]]),
    data_table(rows=[[cell()], [cell(), cell()]]),
    data_table(rows=[[rich()], [cell()]]),
    data_table(rows=[[cell()], [{"type": "raw_number", "value": "1"}]]),
    data_table(caption=""),
    data_table(page_size=0),
    data_table(page_size=101),
    data_table(row_header_column_index=20),
])  # fmt: skip
def test_a_table_beyond_its_limits_is_refused(block: dict[str, Any]) -> None:
    assert message_flaws([block]).all


def test_a_message_has_one_table() -> None:
    [(where, what)] = message_flaws([table(), data_table()]).all
    assert (where, what) == ("/blocks/1", "only_one_table_allowed")


@pytest.mark.parametrize("block", [table(), data_table()])
@pytest.mark.parametrize("kind", ["modal", "home"])
def test_no_view_has_a_table(block: dict[str, Any], kind: str) -> None:
    view = {"type": kind, "title": {"type": "plain_text", "text": "t"}, "blocks": [block]}
    assert ("/view/blocks/0/type", f"unsupported type: {block['type']}") in view_flaws(view).all


def test_a_slack_that_does_not_have_a_block_yet_refuses_it() -> None:
    check_message("x", [table()])
    with pytest.raises(SlackRefusal, match="invalid_blocks"):
        check_message("x", [table()], {"table"})


@pytest.mark.parametrize("image", [
    {"slack_file": {"id": "F1"}, "image_url": "https://x.example/y.png"},
    {"slack_file": {}},
    {"slack_file": "F1"},
    {"slack_file": {"id": "F1", "url": "https://x.example"}},
])  # fmt: skip
def test_an_image_has_one_source(image: dict[str, Any]) -> None:
    assert message_flaws([{"type": "image", "alt_text": "a", "slack_file": {"id": "F1"}}]).all == []
    assert message_flaws([{"type": "image", "alt_text": "a", **image}]).all
