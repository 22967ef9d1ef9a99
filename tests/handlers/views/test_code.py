"""What is shown as code: nothing in it ends it early, whoever typed it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import commands
from handlers.views.request_line import not_for_others
from handlers.views.text import code

HANDLERS = Path(__file__).parents[3] / "handlers"
_NAMES = {
    "{safe(name, 40)}",
    "{safe(holding.system, 40)}/{safe(holding.role, 40)}",
    "{safe(str(fields.get(name) or 'unknown'), 20)}",
    "{safe(str(fields.get('stays') or 'unknown'), 20)}",
}
"""Names of the policy, and hashes of ours: they have no backtick."""


@given(st.text(alphabet="`a <&\u202e\n*", max_size=60))
def test_code_is_one_piece(typed: str) -> None:
    assert re.fullmatch(r"`[^`\n]*`", code(typed))


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        (commands.nearest("requst", "debug -- the `disk`"), 2),
        (not_for_others("@mia", "debug 30m -- the `disk` <!channel>"), 1),
    ],
    ids=["nearest", "for others"],
)
def test_a_line_that_is_given_back_is_one_piece(said: str, pieces: int) -> None:
    assert said.count("`") == 2 * pieces
    assert "<!channel>" not in said
    assert "\u02cbdisk\u02cb" in said


def test_what_is_typed_is_put_between_backticks_by_code_alone() -> None:
    pattern = re.compile(r"(?<!`)`(\{(?:safe|plain|fitting)\([^`]*?)(?:=…)?`(?!`)")
    texts = (path.read_text(encoding="utf-8") for path in HANDLERS.rglob("*.py"))
    found = {inside for text in texts for inside in pattern.findall(text)}
    assert found - _NAMES == {"{safe(typed, most).translate(_TICK)}"}
