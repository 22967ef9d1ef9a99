"""Durations are read as people write them, told as people read them, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import durations
from bot.core.durations import LONGEST, SHORTEST, NotADuration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1d2h3m4s", 93_784),
        ("90m", 5400),
        ("36h", 129_600),
        (" 4H ", 14_400),
        ("1h0m", 3600),
        ("5s", SHORTEST),
        ("366d", LONGEST),
    ],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert durations.parse(text) == seconds


FORMS = ["", " ", "30", "m", "h30m", "30m1h", "1h 30m", "1.5h", "-1h", "+1h", "1w", "1h1h", "PT1H", "an hour", "1h\n2m"]


@pytest.mark.parametrize("text", [*FORMS, "٣٠m", "３０m", "1" * 50 + "s"])
def test_what_is_no_duration_is_told_the_forms(text: str) -> None:
    with pytest.raises(NotADuration, match="30m, 1h30m or 2d"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["0s", "0m", "4s", "367d", "9999d9999h"])
def test_a_duration_has_bounds(text: str) -> None:
    with pytest.raises(NotADuration, match="between 5s and 366d"):
        durations.parse(text)


def test_an_error_repeats_little_of_what_was_typed() -> None:
    with pytest.raises(NotADuration) as caught:
        durations.parse("x" * 10_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("seconds", "short", "words"),
    [
        (5400, "1h30m", "1 h 30 min"),
        (60, "1m", "1 min"),
        (45, "45s", "45 s"),
        (172_800, "2d", "2 d"),
        (90_061, "1d1h1m1s", "1 d 1 h 1 min 1 s"),
        (0, "0s", "no time"),
    ],
)
def test_a_duration_is_written(seconds: int, short: str, words: str) -> None:
    assert durations.short(seconds) == short
    assert durations.words(seconds) == words


@given(st.integers(SHORTEST, LONGEST))
def test_what_is_written_reads_the_same(seconds: int) -> None:
    assert durations.parse(durations.short(seconds)) == seconds


@given(st.text(max_size=30))
def test_any_text_is_a_duration_within_bounds_or_none(text: str) -> None:
    try:
        found = durations.parse(text)
    except NotADuration:
        return
    assert SHORTEST <= found <= LONGEST
