"""Text that a person typed → one line that shows what it is: without controls, hidden signs and turned writing.

What belongs to writing stays as it was typed: joiners within emoji, Persian or Devanagari, and variants of a sign.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

_NEVER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS = "\u200c\u200d"
_NO_LATIN = "\u0590"
"""Joiners mean nothing among the letters before it (Latin, Greek, Cyrillic): there, they only hide a difference."""
_IGNORABLE = (
    ("\u034f", "\u034f"),
    ("\u115f", "\u1160"),
    ("\u17b4", "\u17b5"),
    ("\u180b", "\u180f"),
    ("\u3164", "\u3164"),
    ("\uffa0", "\uffa0"),
    ("\U000e0000", "\U000e0fff"),
)
"""What Unicode calls default ignorable (DerivedCoreProperties.txt) and no category tells apart, but for variants."""
_BLANK = "\u2800\ufffc\U0001d159"
"""Signs that print nothing and are no spaces: a braille cell without dots, a place for an object, a null notehead."""
_VARIANTS = (("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
_FLAG, _TAGS, _END = "\U0001f3f4", ("\U000e0030", "\U000e007a"), "\U000e007f"
_LONGEST_TAG = 6
_MOST_MARKS = 6
"""Combining marks on one letter: more than any writing has, and fewer than reach into the next line."""
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_LEFTWARD = frozenset({"R", "AL", "AN"})


def line(typed: str) -> str:
    """All of it in one line, without what cannot be seen."""
    if typed.isascii() and typed.isprintable():
        return " ".join(typed.split())
    kept: list[str] = []
    marks, at = 0, 0
    while at < len(typed):
        sign, before = typed[at], kept[-1] if kept else " "
        if sign == _FLAG and (flag := _flag(typed, at)):
            kept += flag
            marks, at = 0, at + len(flag)
            continue
        at += 1
        if sign.isspace() or sign in _BLANK:
            kept.append(" ")
        elif sign in _JOINERS:
            if before >= _NO_LATIN and before not in _JOINERS and not _among(before, _VARIANTS[1:]):
                kept.append(sign)
        elif _among(sign, _VARIANTS):
            if not before.isspace() and before not in _JOINERS and not _among(before, _VARIANTS):
                kept.append(sign)
        elif unicodedata.category(sign) in _NEVER or _among(sign, _IGNORABLE):
            continue
        elif unicodedata.category(sign).startswith("M"):
            marks += 1
            if marks <= _MOST_MARKS and not before.isspace():
                kept.append(sign)
        else:
            marks = 0
            kept.append(sign)
    return "".join(sign for sign, after in pairwise([*kept, " "]) if not (sign == after == " ")).strip()


def bounded(typed: str, most: int) -> str:
    """`line`, of at most ``most`` characters; one that is longer ends in "…"."""
    text = line(typed)
    return text if len(text) <= most else text[: most - 1].rstrip(_JOINERS) + "…"


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit that can be seen: "." is no reason, and a blank letter is none."""
    return any(unicodedata.category(sign)[0] in "LN" for sign in line(text))


def isolated(text: str) -> str:
    """A part of a sentence that is written from right to left, if it is, and does not turn its neighbours round."""
    leftward = any(unicodedata.bidirectional(sign) in _LEFTWARD for sign in text)
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if leftward else text


def _among(sign: str, ranges: tuple[tuple[str, str], ...]) -> bool:
    return any(first <= sign <= last for first, last in ranges)


def _flag(typed: str, at: int) -> str:
    """The flag of a part of a country, which is spelled in hidden signs, as Unicode has it (UTS 51, ED-14a)."""
    end = typed.find(_END, at + 1, at + 2 + _LONGEST_TAG)
    tag = typed[at + 1 : end]
    return typed[at : end + 1] if end > 0 and tag and all(_TAGS[0] <= sign <= _TAGS[1] for sign in tag) else ""
