"""What people read when something is refused: written down, leaf by leaf, and none leaves them in the dark."""

from __future__ import annotations

import re

import pytest

from handlers.error_messages import sentence, worded
from handlers.views.text import field_error, unmarked
from tests.handlers.views.sentences import FILE, REFUSALS, spelled


def test_every_refusal_is_worded_as_the_golden_file_has_it() -> None:
    golden = FILE.read_text(encoding="utf-8")
    assert spelled() == golden, "if this is meant: `python -m tests.handlers.views.sentences`, and read the difference"


def test_no_leaf_of_the_tree_is_left_out() -> None:
    assert {type(error) for error in REFUSALS.values()} >= worded()


@pytest.mark.parametrize("name", REFUSALS)
def test_a_sentence_is_whole_short_and_harmless_and_never_a_shrug(name: str) -> None:
    said = re.sub(r"<!date\^\d+\^[^|<>]+\|([^<>]+)>", r"\1", sentence(REFUSALS[name]))
    assert re.match(r"[A-Z0-9`]", said)
    assert said.endswith((".", "?"))
    assert "\n" not in said
    assert len(said) < 400
    assert not re.search(r"went wrong|unexpected|error|invalid|null|\bNone\b(?! of)|[{}]", said)
    assert "<!channel>" not in said
    assert "<https:" not in said


@pytest.mark.parametrize("name", [name for name in REFUSALS if name != "what nobody expected"])
def test_beneath_a_field_nothing_shows_slacks_own_marks(name: str) -> None:
    said = field_error(sentence(REFUSALS[name]))
    assert len(said) <= 150
    assert not re.search(r"<!date|<@|&(amp|lt|gt);|`|\u2068|\u2069", said)
    assert said.endswith((".", "?", "\u2026"))


def test_a_sentence_without_marks_names_times_people_and_links_in_words() -> None:
    said = "<!date^1768464000^{time}|08:00 UTC>: <@U1DAN> asked for `a &lt;b&gt; &amp; c`; see <https://x.example|it>."
    assert unmarked(said) == "08:00 UTC: somebody asked for a <b> & c; see it."
