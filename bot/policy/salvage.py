"""Salvages what is sound in a policy whose broken parts are known, so that it is checked too; it is never used."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bot.policy.groups import CalendarShape, DirectoryShape
from bot.policy.rule_shapes import (
    DeniedLatelyShape,
    RequiredStepShape,
    RequireShape,
    RuleShape,
    TicketShape,
    TicketSystemShape,
)
from bot.policy.schema import (
    BreakGlassShape,
    PolicyShape,
    RoleShape,
    SinkShape,
    StepShape,
    SystemShape,
    TemplateShape,
    WorkspaceShape,
)
from bot.policy.yaml_source import Path

_CHANNEL = "C000000"
_ROLE: dict[str, Any] = {"max": "366d", "may_ask": ["-"]}
_SYSTEM = {"title": "-", "provider": "-", "channel": _CHANNEL, "approvers": ["-"], "roles": {"0": _ROLE}}
_WORKSPACE = {"audit_channel": _CHANNEL}
_STAND_INS: dict[type[BaseModel], dict[str, Any]] = {
    PolicyShape: {"version": 1, "workspace": _WORKSPACE, "groups": {}, "systems": {"0": _SYSTEM}},
    WorkspaceShape: _WORKSPACE,
    SystemShape: _SYSTEM,
    RoleShape: _ROLE,
    StepShape: {"any_of": ["-"]},
    BreakGlassShape: {"who": ["-"], "at_most": "5s"},
    SinkShape: {"kind": "-"},
    DirectoryShape: {"kind": "-"},
    CalendarShape: {"ical": "file:-"},
    RuleShape: {"then": {"deny": "---"}},
    RequireShape: {"steps": [{"any_of": ["-"]}]},
    RequiredStepShape: {"any_of": ["-"]},
    DeniedLatelyShape: {"within": "5s"},
    TicketShape: {"check": "-"},
    TicketSystemShape: {"url": "https://0/{ticket}", "secret": "env:_"},
    TemplateShape: {"title": "-", "roles": ["-"], "durations": ["5s"]},
}
"""What stands in for a key that must be there. What is said of a stand-in is never shown."""
_ITEMS = {"durations": "5s", "people": "a@a"}
"""The same for one entry of a list."""
_ROUNDS = 5


def remains(data: dict[str, Any], broken: Iterable[Path]) -> tuple[PolicyShape, set[Path]] | None:
    """The shape of what is sound, and the places of the stand-ins in it; None when too little is sound."""
    data, places = copy.deepcopy(data), list(broken)
    replaced: set[Path] = set()
    for _ in range(_ROUNDS):
        replaced |= {_replace(data, place) for place in places}
        try:
            return PolicyShape.model_validate(data), replaced
        except ValidationError as error:
            places = [place_of(found["loc"]) for found in error.errors(include_url=False, include_input=False)]
    return None


def place_of(loc: tuple[int | str, ...]) -> Path:
    """Where pydantic found a flaw; it marks a bad key by one more part."""
    return loc[:-1] if loc and loc[-1] == "[key]" else loc


def fields_at(path: Path) -> list[str]:
    """The keys that the shape at a path has."""
    shape: Any = PolicyShape
    for part in path:
        field = _field(shape, part) if _is_shape(shape) else None
        shape = _inner(field.annotation) if field else _inner(shape)
    return [field.alias or name for name, field in shape.model_fields.items()] if _is_shape(shape) else []


def _field(shape: type[BaseModel], key: Any) -> FieldInfo | None:
    """The field that a key of the file is read into."""
    return next((field for name, field in shape.model_fields.items() if key == (field.alias or name)), None)


def _replace(data: dict[str, Any], place: Path) -> Path:
    """Takes out the smallest part around a place that can be missed, or puts a stand-in there. Which part that is."""
    path, stand_in = _part(place)
    holder: Any = data
    try:
        for step in path[:-1]:
            holder = holder[step]
        if stand_in is not None:
            holder[path[-1]] = copy.deepcopy(stand_in)
        elif path:
            del holder[path[-1]]
    except (KeyError, IndexError, TypeError):
        pass  # a larger part is gone already
    return path


def _part(place: Path) -> tuple[Path, Any]:
    """The innermost key of a shape or entry of a mapping on the way to a place, and what stands in for it."""
    found, stand_in = 0, None
    shape: type[BaseModel] | None = PolicyShape
    entry: Any = None
    for index, part in enumerate(place, start=1):
        if shape is None:  # within a mapping or a list of shapes
            if isinstance(part, str):
                found, stand_in = index, None
            shape = entry
            continue
        found, stand_in = index, _STAND_INS.get(shape, {}).get(str(part))
        field = shape.model_fields.get(str(part))
        entry = _inner(field.annotation) if field else None
        if field is None or not _is_shape(entry):
            if len(place) == index + 1 and isinstance(place[-1], int):
                found, stand_in = index + 1, _ITEMS.get(str(part), "-")
            break
        shape = entry if _is_shape(field.annotation) else None
    return place[:found], stand_in


def _inner(annotation: Any) -> Any:
    """The shape within ``dict[…, Shape]``, ``tuple[Shape, …]`` or ``Shape | None``."""
    if _is_shape(annotation):
        return annotation
    return next((found for arg in get_args(annotation) if _is_shape(found := _inner(arg))), annotation)


def _is_shape(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
