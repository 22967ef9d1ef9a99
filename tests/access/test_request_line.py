"""Each word of a line is used, shown as not understood, or kept in the reason; the golden corpus says which."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bot.access import input_words
from bot.access.parsed_line import WordUse
from bot.access.request_line import parse_line
from bot.core import typed
from tests.access.request_lines import CLOCK, FILE, lines, policy, spelled

VOCABULARY = policy().vocabulary
WORDS = [
    *{word for line in lines() for word in line.split()},
    "",
    "🔥",
    "\u200b",
    "a\xa0b",
    "--",
    "—",
    "<@U0ALICE>",
    "1h",
]


def test_the_corpus_is_understood_as_the_golden_file_has_it() -> None:
    assert len(lines()) >= 200
    assert spelled() == FILE.read_text(encoding="utf-8"), (
        "if this is meant: `python -m tests.access.request_lines`, and read the difference"
    )


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=14))
@example([*["hours"] * 9, 'room="hall', "<@U0ALICE|alice>", "--"])
def test_no_word_of_any_line_is_dropped(words: list[str]) -> None:
    text = " ".join(words)
    line = parse_line(text, VOCABULARY, CLOCK)
    seen = "".join("".join(word.split()) for word, _ in line.words)
    assert seen == "".join(typed.line(text).split())
    for word, use in line.words:
        if use is WordUse.REASON:
            assert word in line.reason
        if use is WordUse.UNKNOWN:
            # What is too long says that it was cut, and so does a sixth group by there being five.
            assert any(word in each or each.endswith("…") for each in line.unknown) or len(line.unknown) == 5


def test_a_line_of_four_thousand_characters_is_read_and_its_reason_bounded() -> None:
    assert parse_line("debug-prod " + "1h at a of " * 400, VOCABULARY, CLOCK).names == ("debug-prod",)
    assert len(parse_line("x " * 5000, VOCABULARY, CLOCK).reason) <= 501


def test_an_input_is_found_in_whatever_capitals_it_is_typed_where_it_can_mean_only_one() -> None:
    names = frozenset({"room", "Room", "Ticket"})
    found = {
        typed: input_words.read_input([f"{typed}=x"], 0, names) for typed in ("room", "Room", "ROOM", "ticket", "other")
    }
    assert found == {
        "room": (1, "room", "x"),
        "Room": (1, "Room", "x"),
        "ROOM": None,
        "ticket": (1, "Ticket", "x"),
        "other": None,
    }


@given(st.text(alphabet="ab-\u2013\u2014", min_size=1, max_size=12))
def test_a_dash_within_a_value_cuts_nothing_and_is_confirmed_where_it_may_begin_the_reason(value: str) -> None:
    sure = parse_line(f"vault/ops room={value} 1h -- why", VOCABULARY, CLOCK)
    assert (sure.inputs, sure.reason, sure.clear) == ((("room", value),), "why", True)
    quoted = parse_line(f'vault/ops 1h room="{value}" why', VOCABULARY, CLOCK)
    assert (quoted.inputs, quoted.reason, quoted.clear) == ((("room", value),), "why", True)
    unsure = parse_line(f"vault/ops 1h room={value} why", VOCABULARY, CLOCK)
    assert (unsure.inputs, unsure.reason) == ((("room", value),), "why")
    assert unsure.clear is not ("--" in value or "\u2013" in value or "\u2014" in value)


@given(st.text(alphabet="ab c\"'\u201c\u201d,;=-", max_size=20))
def test_a_value_in_quotes_is_what_stands_between_them_or_is_shown(value: str) -> None:
    line = parse_line(f"vault/ops 1h room=\u201c{value}\u201d -- why", VOCABULARY, CLOCK)
    said = " ".join(word for word, use in line.words if use is WordUse.INPUT)
    for _, given_ in line.inputs:
        assert given_ in said
        assert given_ == given_.strip() != ""
