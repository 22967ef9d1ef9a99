"""Where the reason of a typed line begins: at a dash of any kind, also a glued one, or at "because"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b"
_ONLY_DASHES = re.compile(rf"[{DASHES}]+")
_GLUED = re.compile(rf"-{{2,}}|[{DASHES[1:]}]+")
"""A dash within a word that begins the reason: a single hyphen does not."""
Whole = Callable[[Sequence[str], int], int]
"""Of the words and a place among them: how many belong together from there, whatever dash is in them; 0 for none."""
_TIME = re.compile(r"\d{1,2}(:\d{2})?(am|pm)?", re.ASCII | re.IGNORECASE)
_BECAUSE = frozenset({"because", "reason:", "why:"})


def split(text: str, whole: Whole = lambda _words, _at: 0) -> tuple[list[str], str, str]:
    """The words before the reason, what introduced it ('' where nothing did), and the reason."""
    head: list[str] = []
    words = text.split(" ")
    kept = 0
    for n, word in enumerate(words):
        kept = kept - 1 if kept > 1 else whole(words, n)
        if kept:
            head.append(word)
            continue
        rest = words[n + 1 :]
        if word.casefold() in _BECAUSE:
            return head, word, " ".join(rest)
        if _ONLY_DASHES.fullmatch(word):
            if head and rest and _TIME.fullmatch(head[-1]) and _TIME.fullmatch(rest[0].rstrip(",;")):
                head.append(word)  # 22:00 - 23:00
                continue
            return head, word, " ".join(rest)
        if leading := _ONLY_DASHES.match(word):
            return head, leading[0], " ".join([word[leading.end() :], *rest])
        if (glued := _GLUED.search(word)) and not _is_range(word, glued):
            before = [word[: glued.start()]] if glued.start() else []
            after = [word[glued.end() :]] if word[glued.end() :] else []
            return [*head, *before], glued[0], " ".join([*after, *rest])
        if word:
            head.append(word)
    return head, "", ""


def begins_in(word: str) -> bool:
    """Whether a dash within the word could begin a reason."""
    return bool(_GLUED.search(word))


def _is_range(word: str, dash: re.Match[str]) -> bool:
    """``22:00–23:00``."""
    sides = word[: dash.start()], word[dash.end() :].rstrip(",;")
    return len(dash[0]) == 1 and all(_TIME.fullmatch(side) for side in sides)
