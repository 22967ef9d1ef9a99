"""How long a pattern may take: bounds the ways in which it can fit a text; it judges no pattern's meaning.

Python's matcher tries, at worst, every way to share out a text among the repetitions, and holds up the whole
process meanwhile. So a pattern from the policy file may say only what can be counted here.
"""

from __future__ import annotations

import re
import warnings

LONGEST = 200
_TEXT = 500
"""The characters of the longest text; also the places where a search may begin."""
_OPEN = _TEXT // 2
"""The ways of ``*`` on average: the more one repetition takes, the less is left for the next."""
_MOST_WAYS = 2 * _TEXT * _OPEN**2 + 1
"""A second or two: a search, two open repetitions, and one choice besides."""
_REPEAT = re.compile(r"([*+?]|\{(?:\d+(?:,\d*)?|,\d*)\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_FLAGS = re.compile(r"\(\?[ims]+\)")


class CostlyPattern(ValueError):
    """A pattern that is none, or could take for ever; its message says why."""


def check(pattern: str) -> None:
    """Nothing, for a pattern that is surely quick. Raises `CostlyPattern`."""
    if len(pattern) > LONGEST:
        raise CostlyPattern(f"a pattern has at most {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what will mean something else in a later Python is none either
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise CostlyPattern(f"this is no regular expression: {error}") from error
    flags = _FLAGS.match(pattern)
    ways, _ = _alternatives(pattern, flags.end() if flags else 0)
    if ways * _TEXT > _MOST_WAYS:
        raise CostlyPattern("this has too many repetitions or choices, and could take for ever; use fewer")


def _alternatives(pattern: str, at: int) -> tuple[int, int]:
    """The ways of ``a|b|…`` up to its end or closing bracket, and the place of that."""
    total = 0
    while True:
        ways, at = _sequence(pattern, at)
        total += ways
        if pattern[at : at + 1] != "|":
            return total, at
        at += 1


def _sequence(pattern: str, at: int) -> tuple[int, int]:
    total = 1
    while at < len(pattern) and pattern[at] not in "|)":
        ways, at = _atom(pattern, at)
        repeat = _REPEAT.match(pattern, at)
        if repeat:
            ways, at = _repeated(ways, repeat[1]), repeat.end()
        total = min(total * ways, _MOST_WAYS + 1)
    return total, at


def _atom(pattern: str, at: int) -> tuple[int, int]:
    """One character, class, escape or group."""
    sign = pattern[at]
    if sign == "[" and (found := _CLASS.match(pattern, at)):
        return 1, found.end()
    if sign == "(":
        return _group(pattern, at + 1)
    if sign == "\\":
        if pattern[at + 1] in "123456789N":
            raise CostlyPattern("a pattern has no back-references and no \\N here")
        return 1, at + 2
    return 1, at + 1


def _group(pattern: str, at: int) -> tuple[int, int]:
    if pattern.startswith("?", at):
        if not pattern.startswith("?:", at):
            raise CostlyPattern("of the groups that begin with (?, only (?:…) is read here, and (?i) at the start")
        at += 2
    ways, at = _alternatives(pattern, at)
    return ways, at + 1


def _repeated(ways: int, sign: str) -> int:
    """The ways of a repetition: how often, times the ways of each."""
    least, most = _bounds(sign)
    if ways == 1:
        return most - least + 1
    if most > 10:
        raise CostlyPattern("a repetition of a repetition or of alternatives could take for ever")
    return min(int(ways**most) * (most - least + 1), _MOST_WAYS + 1)


def _bounds(sign: str) -> tuple[int, int]:
    if not sign.startswith("{"):
        return {"*": (0, _OPEN), "+": (1, _OPEN), "?": (0, 1)}[sign]
    least, comma, most = sign[1:-1].partition(",")
    low = min(int(least or 0), _TEXT)
    if not comma:
        return low, low
    return low, max(low, min(int(most or _TEXT), _TEXT))
