"""Until when somebody stands in, as it is typed; whatever is not surely one time is asked back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.access.delegation_line import end_of
from tests.access.delegation_lines import FILE, lines, spelled
from tests.access.request_lines import CLOCK

WORDS = [*{word for line in lines() for word in line.split()}, "<@UKIM>", "\u0663", "1e9", "w", "-1w", "weeks"]


def test_the_corpus_is_understood_as_the_golden_file_has_it() -> None:
    assert len(lines()) >= 40
    assert spelled() == FILE.read_text(encoding="utf-8"), (
        "if this is meant: `python -m tests.access.delegation_lines`, and read the difference"
    )


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=6))
def test_whatever_is_typed_it_is_a_time_to_come_or_nothing(words: list[str]) -> None:
    end = end_of(" ".join(words), CLOCK)
    assert end is None or end > CLOCK.now - 1
