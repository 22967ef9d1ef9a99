"""How a typed line gives an input of a role: ``database=app``, in quotes if the value has blanks; it checks no value.

An SSH key needs no quotes: its type, its base64 and its comment are read as one value. A dash within a value belongs to
the value; without quotes it may also have been meant to begin the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from bot.core import reason_dash, ssh_keys

_GIVEN = re.compile(r"([A-Za-z0-9][\w-]{0,39})=(.*)", re.ASCII)
_WITHIN = re.compile(r"(?<![\w?&/.-])([A-Za-z0-9][\w-]{0,39})=", re.ASCII)
"""An input within other words; a parameter after the "?" of a URL is none."""
_COMMENT = re.compile(r"[^\s<@]+@[^\s@]+")
"""The comment that `ssh-keygen` writes after a key: ``mia@laptop``."""
_QUOTES = "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
_AFTER = ",;"


def read_input(words: Sequence[str], at: int, names: Collection[str]) -> tuple[int, str, str] | None:
    """The input that begins at word ``at``, if it has one of the names: its word count, name and value as typed."""
    found = _GIVEN.fullmatch(words[at])
    name = _known(found[1], names) if found else ""
    if not found or not name:
        return None
    if found[2][:1] and found[2][0] in _QUOTES:
        count, value = _quoted([found[2], *words[at + 1 :]])
    elif found[2] in ssh_keys.KINDS and "".join(words[at + 1 : at + 2])[:1].isalnum():
        count = 3 if _COMMENT.fullmatch(" ".join(words[at + 2 : at + 3])) else 2
        value = " ".join([found[2], *words[at + 1 : at + count]]).rstrip(_AFTER)
    else:
        count, value = 1, found[2].rstrip(_AFTER)
    return (count, name, value) if value else None


def _known(typed: str, names: Collection[str]) -> str:
    """The name as the policy spells it, in any letter case if that is unambiguous; empty if there is none."""
    near = [name for name in names if name.casefold() == typed.casefold()]
    return typed if typed in near else near[0] if len(near) == 1 else ""


def looks_like_input(word: str) -> bool:
    """Whether a word has the form of an input, with any name."""
    return bool(_GIVEN.fullmatch(word))


def named_in(text: str, names: Collection[str]) -> bool:
    """Whether a text gives a value to one of the names."""
    folded = {name.casefold() for name in names}
    return any(found[1].casefold() in folded for found in _WITHIN.finditer(text))


def may_begin_reason(word: str) -> bool:
    """Whether a word is an input without quotes whose value has a dash that could also begin the reason."""
    found = _GIVEN.fullmatch(word)
    return found is not None and found[2][:1] not in _QUOTES and reason_dash.begins_in(found[2])


def _quoted(words: Sequence[str]) -> tuple[int, str]:
    """The words up to a closing quote, without the quotes; '' where none closes."""
    for count, word in enumerate(words, start=1):
        end = word.rstrip(_AFTER)
        if end[-1:] and end[-1] in _QUOTES and (count > 1 or len(end) > 1):
            return count, " ".join([*words[: count - 1], end])[1:-1].strip()
    return 1, ""
