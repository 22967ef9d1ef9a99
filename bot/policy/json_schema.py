"""The policy file as JSON Schema, for editors: made from the shapes that the file is read by; it checks nothing.

What hangs together (a group that nobody has defined, a duration beyond a role's `max`) only `jit policy check` finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bot.core import durations
from bot.policy.insight_thresholds import Rules, Thresholds
from bot.policy.key_descriptions import DESCRIPTIONS
from bot.policy.rule_shapes import NEEDED, SENTENCES, RequireShape, RuleShape, ThenShape, WhenShape
from bot.policy.schema import PolicyShape

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLE = "JIT Access policy"
_BY_NAME = frozenset({"properties", "patternProperties", "$defs"})
_SWITCHED = frozenset({Rules.__name__, *(shape.__name__ for shape in Thresholds.__subclasses__())})
"""What can be written as a word instead, which YAML 1.1 reads as false or true."""


def text() -> str:
    """The document as `policy.schema.json` has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The whole document."""
    found = PolicyShape.model_json_schema(by_alias=True)
    for part in [*_parts(found)]:
        _tidy(part)
    parts: dict[str, Any] = found.pop("$defs")
    for shape_name, keys in DESCRIPTIONS.items():
        fields = (found if shape_name == PolicyShape.__name__ else parts[shape_name])["properties"]
        for key, said in keys.items():
            fields[key].setdefault("description", said)
    for shape in (RuleShape, WhenShape):
        for key, field in parts[shape.__name__]["properties"].items():
            field["description"] = f"{SENTENCES[key][:1].upper()}{SENTENCES[key][1:]}."
    require = parts[RequireShape.__name__]
    require["minProperties"] = 1
    del require["properties"]["steps"]["default"]  # where it is written, one step has to be in it
    parts[ThenShape.__name__] = _outcomes(parts[ThenShape.__name__])
    parts[RuleShape.__name__] |= {
        "if": {"properties": {"then": {"const": "approve"}}, "required": ["then"]},
        "then": {"required": ["when", "budget"], "properties": {"when": {"required": [*NEEDED]}}},
        "else": {"not": {"required": ["budget"]}},
    }
    for name in _SWITCHED & set(parts):
        words = ["off", False] if name == Rules.__name__ else ["off", "on", False, True]
        parts[name] = {"anyOf": [{"enum": words}, parts[name]]}
    return {"$schema": DIALECT, **found, "title": _TITLE, "$defs": parts}


def _outcomes(then: dict[str, Any]) -> dict[str, Any]:
    """The word `approve`, or a mapping with one of the others."""
    others = {key: field for key, field in then["properties"].items() if key != "approve"}
    mapping = {**then, "properties": others, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"const": "approve"}, mapping]}


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema. A mapping from names to schemas is none: a key of ours may be called `default`."""
    if isinstance(part, dict):
        yield part
        for key, inner in part.items():
            for each in inner.values() if key in _BY_NAME else (inner,):
                yield from _parts(each)
    elif isinstance(part, list):
        for inner in part:
            yield from _parts(inner)


def _tidy(part: dict[str, Any]) -> None:
    """Names are strict, defaults are written as people write them, and a shape is called what it is."""
    if "patternProperties" in part:
        part["additionalProperties"] = False
    default = part.get("default")
    if isinstance(default, dict):
        del part["default"]  # each of its keys has its own
    elif isinstance(default, int) and not isinstance(default, bool) and _is_text(part):
        part["default"] = durations.short(default)
    if isinstance(title := part.get("title"), str) and title.endswith("Shape"):
        part["title"] = title.removesuffix("Shape")


def _is_text(part: dict[str, Any]) -> bool:
    return "string" in {each.get("type") for each in (part, *part.get("anyOf", ()))}
