"""What a person typed shows what it is: hidden signs are no words and change no others; real writing stays as it is."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access.form_fields import check_reason
from bot.core.errors import BadReason
from bot.core.typed import bounded, isolated, line, says_something
from bot.policy.catalog import Choice
from tests.house import catalog

BLANK = {
    "Hangul filler": "\u3164",
    "Hangul choseong filler": "\u115f",
    "Hangul jungseong filler": "\u1160",
    "halfwidth Hangul filler": "\uffa0",
    "braille blank": "\u2800",
    "zero width space": "\u200b",
    "joiners": "\u200c\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "Mongolian vowel separator": "\u180e",
    "Mongolian selectors": "\u180b\u180c\u180d\u180f",
    "Khmer inherent vowels": "\u17b4\u17b5",
    "marks": "\u200e\u200f\u061c",
    "overrides": "\u202a\u202b\u202d\u202e\u202c",
    "isolates": "\u2066\u2067\u2068\u2069",
    "variants": "\ufe0f\ufe00\U000e0100",
    "tags": "\U000e0061\U000e0062\U000e007f",
    "combining marks": "\u0301\u0336\u20dd",
    "invisible operators": "\u2061\u2062\u2063\u2064",
    "object": "\ufffc",
    "null notehead": "\U0001d159",
    "musical beams": "\U0001d173\U0001d17a",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "spaces": "\u00a0\u1680\u2003\u3000\u2028\u2029\t\n",
    "controls": "\x00\x1b\x7f\x9b",
}
REAL = {
    "a family": "restart it 👨\u200d👩\u200d👧\u200d👦 now",
    "a skin tone": "👩🏽\u200d🚒 fights INC-1",
    "a heart": "we ❤\ufe0f it, 1\ufe0f\u20e3 time",
    "England": "for 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f only",
    "Persian": "می\u200cخواهم کتاب\u200cها را ببینم",
    "a Hijri year": "سال ۱۳۴۰ ه\u200d قمری",
    "Devanagari": "क्\u200dष और क्\u200cष",
    "Bengali": "র\u200d্যাব",
    "Vietnamese, in parts": "Tie\u0302\u0301ng Vie\u0323\u0302t",
    "Hebrew with points": "בְּרֵאשִׁ֖ית בָּרָ֣א",
    "Thai": "ที่นี่ น้ำ",
    "Japanese": "葛\U000e0100城市 の障害",
    "Korean": "장애 대응",
}


@pytest.mark.parametrize("name", BLANK)
def test_what_cannot_be_seen_is_no_reason(name: str) -> None:
    for blank in (BLANK[name], BLANK[name] * 20, *BLANK[name]):
        assert line(blank) == ""
        assert not says_something(blank)
        for decoy in (blank, f"{blank}.{blank}", f"🔥{blank}", f"_{blank}_"):
            with pytest.raises(BadReason):
                check_reason(_choice(), decoy)


@pytest.mark.parametrize("name", REAL)
def test_real_writing_stays_as_it_was_typed(name: str) -> None:
    assert line(REAL[name]) == REAL[name]
    assert says_something(REAL[name])
    assert check_reason(_choice(), REAL[name]) == REAL[name]


@pytest.mark.parametrize("name", [name for name in BLANK if name not in {"spaces", "braille blank"}])
def test_what_cannot_be_seen_changes_no_word(name: str) -> None:
    if name in {"combining marks", "variants"}:  # they belong to the letter before
        return
    hidden = line("INC-1" + "".join(f"{c}{BLANK[name]}" for c in " the vault"))
    assert hidden.replace(" ", "") == "INC-1thevault"


def test_no_letter_is_buried_in_marks_and_no_mark_lands_on_what_is_before_the_text() -> None:
    assert len(line("a" + "\u0336" * 200)) == 7
    assert line("\u0336\u0336INC-1 \u0336x") == "INC-1 x"


def test_writing_from_the_right_turns_nothing_round_and_other_writing_is_left_alone() -> None:
    assert isolated("سلام") == "\u2068سلام\u2069"
    assert isolated("INC-1 🔥") == "INC-1 🔥"


@given(st.text(alphabet=st.characters(), max_size=80), st.integers(min_value=1, max_value=40))
def test_any_text_is_one_clean_line(typed: str, most: int) -> None:
    text = line(typed)
    assert line(text) == text
    assert text == text.strip()
    assert "  " not in text
    assert len(bounded(typed, most)) <= most
    for n, sign in enumerate(text):
        if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn"}:
            assert sign in "\u200c\u200d" or "\U000e0030" <= sign <= "\U000e007f", (n, sign)
        assert unicodedata.bidirectional(sign) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    def took(count: int) -> float:
        texts = [sign * count for sign in ("a\u0336", "\u200d", "🏴\U000e0061", "👨\u200d", " \u3164")]
        began = time.process_time()
        for text in texts:
            line(text)
        return time.process_time() - began

    assert took(40_000) < 40 * max(took(4_000), 0.005)


def _choice() -> Choice:
    found = catalog().find("vault/read-only")
    assert found
    return found
