"""What was given for the inputs of a role, put into its `grants` in place of ``{ask: NAME}``: whole values, never text.

A reference is the whole of a value, at any depth; nothing is looked for within a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.policy.inputs import Asks
from bot.policy.yaml_source import Path

REFERENCE = "ask"
_WITHIN = re.compile(r"\{\s*ask\s*:")


def reference(value: Any) -> str | None:
    """The input that a value of `grants` stands for; None for a value that is one itself."""
    if isinstance(value, Mapping) and set(value) == {REFERENCE} and isinstance(value[REFERENCE], str):
        return str(value[REFERENCE])
    return None


def references(grants: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Each place where an input is named, and which."""
    if path and (name := reference(grants)) is not None:
        yield path, name
    elif isinstance(grants, Mapping):
        for key, value in grants.items():
            yield from references(value, (*path, str(key)))
    elif isinstance(grants, list | tuple):
        for index, value in enumerate(grants):
            yield from references(value, (*path, index))


def within_text(grants: Any, path: Path = ()) -> Iterator[Path]:
    """Each text that has a reference within it, which nothing is put into."""
    if isinstance(grants, str):
        if _WITHIN.search(grants):
            yield path
    elif isinstance(grants, Mapping | list | tuple):
        parts = grants.items() if isinstance(grants, Mapping) else enumerate(grants)
        for key, value in parts:
            yield from within_text(value, (*path, key if isinstance(key, int) else str(key)))


def bound(grants: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The grants with each input's value in its places. Raises `KeyError` for one that has none."""
    return {key: _bound(value, values) for key, value in grants.items()}


def _bound(value: Any, values: Mapping[str, str]) -> Any:
    if (name := reference(value)) is not None:
        return values[name]
    if isinstance(value, Mapping):
        return {key: _bound(each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bound(each, values) for each in value]
    return value


def samples(asks: Asks) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Values for all inputs to check a role with: the first of each, then every other one in turn.

    With which input it is about and the number of its value; for the first of all, '' and 0.
    """
    first = {name: shape.samples[0] for name, shape in asks.items()}
    yield "", 0, first
    for name, shape in asks.items():
        for n, value in enumerate(shape.samples[1:], start=1):
            yield name, n, {**first, name: value}


def placeholders(asks: Asks) -> dict[str, str]:
    """What stands for the values before they are given: ``<database>``."""
    return {name: f"<{name}>" for name in asks}
