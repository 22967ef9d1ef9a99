"""The time in a line that names a stand-in: ``until monday``, ``for 3 days``, ``until 2026-12-24 18:00``."""

from __future__ import annotations

from bot.core import time_phrases
from bot.core.time_phrases import Clock

_WEEKS = frozenset({"w", "week", "weeks"})
_UNTIL = frozenset({"until", "till", "til"})
_COUNTS = {"a": "1", "one": "1", "two": "2", "three": "3", "four": "4"}


def end_of(typed: str, clock: Clock) -> float | None:
    """Until when, in Unix seconds; None where the whole line does not say one thing.

    A day without a time is meant up to its beginning: ``until monday`` ends as Monday begins.
    """
    words = _weeks_as_days(typed.lower().replace(",", " ").split())
    if words[:1] == ["for"]:
        words = words[1:]
    if len(words) == 2 and words[0] in _UNTIL and (day := time_phrases.begins(words, 1, clock)) is not None:
        return day if day > clock.now else None
    phrase = time_phrases.read(words, 0, clock)
    if phrase is None or phrase.words != len(words):
        return None
    return phrase.until if phrase.seconds is None else clock.now + phrase.seconds


def _weeks_as_days(words: list[str]) -> list[str]:
    """``2 weeks``, ``2w`` → ``14 days``."""
    found: list[str] = []
    for word in words:
        count = _COUNTS.get(found[-1], found[-1]) if found else ""
        if word in _WEEKS and count.isdecimal() and len(count) < 3:
            found[-1:] = [str(int(count) * 7), "days"]
        elif word.endswith("w") and word[:-1].isdecimal() and len(word) < 4:
            found += [str(int(word[:-1]) * 7), "days"]
        else:
            found.append(word)
    return found
