"""Request ids, and the bounds of what people type as a reason."""

from __future__ import annotations

import re
import secrets

from bot.core import typed
from bot.core.errors import BadReason, NotFound
from bot.core.request import ID_ALPHABET, REASON_LIMIT

_ID = re.compile(rf"^(?:J-?)?([{ID_ALPHABET}]{{4,8}})$")


def spelled(id_: str) -> str:
    """The stored form of an id as a person may type it (``j-7k3q``, ``7K3Q``). Raises `NotFound`."""
    found = _ID.match(id_.strip().upper())
    if not found:
        raise NotFound(id_[:20])
    return f"J-{found[1]}"


def is_id(word: str) -> bool:
    """Whether it can only be meant as an id: with its ``J-``, or with a digit as names have none."""
    typed_id = word.upper()
    return typed_id.startswith("J-") or (_ID.match(typed_id) is not None and any(sign.isdigit() for sign in word))


def may_be_id(word: str) -> bool:
    """Whether it is spelled like an id, which a short name may be too."""
    return is_id(word) or _ID.match(word.upper()) is not None


def new_id() -> str:
    """Four random letters and digits that read well aloud; the commit refuses one that is taken."""
    return "J-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(4))


def bounded(text: str, least: int, hint: str) -> str:
    """Text with something to read in it, within the limit: "." is no reason. Raises `BadReason`."""
    text = typed.line(text)
    if len(text) > REASON_LIMIT:
        raise BadReason("long", hint, REASON_LIMIT)
    if not typed.says_something(text):
        raise BadReason("missing", hint)
    if len(text) < least:
        raise BadReason("short", hint, least)
    return text
