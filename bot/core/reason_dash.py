"""Where the reason of a typed line begins: at a dash of any kind, also a glued one, or at "because"."""

from __future__ import annotations

import re

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b"
_ONLY_DASHES = re.compile(rf"[{DASHES}]+")
_GLUED = re.compile(rf"-{{2,}}|[{DASHES[1:]}]+")
"""A dash within a word that begins the reason: a single hyphen does not."""
_TIME = re.compile(r"\d{1,2}(:\d{2})?(am|pm)?", re.ASCII | re.IGNORECASE)
_BECAUSE = frozenset({"because", "reason:", "why:"})


def split(text: str) -> tuple[list[str], str, str]:
    """The words before the reason, what introduced it ('' where nothing did), and the reason."""
    head: list[str] = []
    words = text.split(" ")
    for n, word in enumerate(words):
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


def _is_range(word: str, dash: re.Match[str]) -> bool:
    """``22:00–23:00``."""
    sides = word[: dash.start()], word[dash.end() :].rstrip(",;")
    return len(dash[0]) == 1 and all(_TIME.fullmatch(side) for side in sides)
