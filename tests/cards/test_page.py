"""The page to look at: every golden file is on it, nothing is left out in silence, and what was typed is only text."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cards.blocks import UnknownBlock, drawn, in_text
from tests.cards.mrkdwn import UnknownText, to_html, to_text
from tests.cards.page import GOLDEN, page


@pytest.fixture(scope="module")
def whole() -> str:
    return page()


def said(part: Any) -> list[str]:
    """Every label of a golden file; a placeholder is seen only where nothing is chosen or typed."""
    if isinstance(part, dict):
        if part.keys() & {"initial_option", "initial_user", "initial_value"}:
            part = {key: value for key, value in part.items() if key != "placeholder"}
        own = [part["text"]] if part.get("type") == "plain_text" else []
        return own + [text for value in part.values() for text in said(value)]
    return [text for value in part for text in said(value)] if isinstance(part, list) else []


def test_every_golden_file_is_on_the_page_at_both_widths(whole: str) -> None:
    names = {str(path.relative_to(GOLDEN).with_suffix("")) for path in GOLDEN.rglob("*") if path.is_file()}
    assert {"cards/pending", "home", "sentences"} <= names
    assert set(re.findall(r'<section id="([^"]+)">', whole)) == names
    assert whole.count('<div class="frame desktop">') == whole.count('<div class="frame phone">') == len(names)


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json")), ids=lambda path: path.stem)
def test_every_label_of_a_golden_file_is_in_its_drawing(path: Path, whole: str) -> None:
    name = str(path.relative_to(GOLDEN).with_suffix(""))
    [drawing] = re.findall(rf'<section id="{name}">(.*?)</section>', whole, re.DOTALL)
    labels = [text for text in said(json.loads(path.read_text(encoding="utf-8"))) if ":" not in text]
    assert [text for text in labels if html.escape(text) not in drawing] == []


def test_nothing_is_loaded_from_anywhere_and_no_script_runs(whole: str) -> None:
    assert not re.search(r"<(script|link|iframe|img|object|form)\b|\bsrc=|url\(|@import|\son\w+=", whole)
    assert set(re.findall(r'href="(.)', whole)) == {"#"}


EVIL = '<script>alert(1)</script>" onload="x'


def test_what_somebody_typed_is_escaped_wherever_it_stands() -> None:
    typed = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = {"type": "plain_text", "text": EVIL}
    option = {"text": plain, "value": EVIL, "description": plain}
    shown = drawn(
        [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{typed}* `{typed}` <https://x.example|{typed}>"}},
            {"type": "header", "text": plain},
            {
                "type": "input",
                "label": plain,
                "hint": plain,
                "element": {"type": "plain_text_input", "action_id": "a", "initial_value": EVIL},
            },
            {"type": "actions", "elements": [{"type": "static_select", "placeholder": plain, "options": [option]}]},
            {"type": "actions", "elements": [{"type": "button", "text": plain}]},
        ]
    )
    assert shown.count(html.escape("<script>")) == 11
    assert "<script" not in shown
    assert '"x' not in shown.replace("&quot;", "")


PLAIN = {"type": "plain_text", "text": "x"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "image_url": "https://x.example/x.png", "alt_text": "x"},
        {"type": "section", "text": PLAIN, "expand": True},
        {"type": "section", "text": {"type": "raw_text", "text": "x"}},
        {"type": "actions", "elements": [{"type": "checkboxes", "options": []}]},
        {"type": "actions", "elements": [{"type": "button", "text": PLAIN, "colour": "red"}]},
        {"type": "actions", "elements": [{"type": "button", "text": PLAIN, "style": "red"}]},
        {"text": PLAIN},
    ],
)
def test_what_would_go_unseen_is_an_error(block: dict[str, Any]) -> None:
    with pytest.raises(UnknownBlock):
        drawn([block])


def test_a_golden_file_that_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text('{"type": "modal", "blocks": [{"type": "divider"}]}', encoding="utf-8")
    with pytest.raises(UnknownBlock, match="divider") as told:
        page(tmp_path)
    assert told.value.__notes__ == ["in new"]


@pytest.mark.parametrize("text", [":never_heard_of:", "<!date^0^{era}|then>", "<!everyone>", "<http://x.example>"])
def test_text_that_it_cannot_show_is_an_error(text: str) -> None:
    with pytest.raises(UnknownText):
        to_html(text)


def test_marks_mentions_and_dates_are_shown_as_slack_shows_them() -> None:
    assert to_html("*a* _b_ ~c~ 2*3*4 snake_case_name") == "<p><b>a</b> <i>b</i> <s>c</s> 2*3*4 snake_case_name</p>"
    assert to_html("`*a* &lt;b&gt;`") == '<p><span class="code">*a* &lt;b&gt;</span></p>'
    assert to_html("> a\n> b\nc") == "<blockquote>a<br>b</blockquote><p>c</p>"
    assert to_text("<!subteam^S0DBA0001> <@UMIA> <!date^1800000000^{time}|then> :lock:") == "@dba @Mia 08:00 🔒"


def test_a_message_can_be_read_as_text() -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "Approve"}}
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Mia* &amp; co\n> why"}},
        {"type": "actions", "elements": [button, button]},
    ]
    assert in_text(blocks) == ["Mia & co", "> why", "[ Approve ]  [ Approve ]"]
    with pytest.raises(UnknownBlock):
        in_text([{"type": "input"}])
