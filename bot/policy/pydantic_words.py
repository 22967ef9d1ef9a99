"""What pydantic says of a value, in the words of this product."""

from __future__ import annotations

import re

_WORDS = {
    "missing": "this is missing",
    "string_type": "this should be text",
    "int_type": "this should be a whole number",
    "bool_type": "this should be true or false",
    "tuple_type": "this should be a list",
    "dict_type": "this should be a mapping",
    "model_type": "this should be a mapping",
    "mapping_type": "this should be a mapping",
    "is_instance_of": "this should be a mapping",
}
_SIZE = re.compile(r"\w+ should have at (least|most) (\d+) items? after validation, not (\w+)")


def in_words(kind: str, message: str) -> str:
    """Pydantic's message, shorter, without its own names for things."""
    said = _WORDS.get(kind) or message.removeprefix("Value error, ")
    said = _SIZE.sub(r"there should be at \1 \2 here, not \3", said)
    said = re.sub(r"^(Input|String) should", "this should", said)
    return said[:1].lower() + said[1:]
