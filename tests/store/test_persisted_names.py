"""Names that are kept outlive the version that wrote them: a change of one comes with a migration, or not at all.

The file has every name that Redis, the archive, a sink, a dashboard or a person's own files keep. To add a name, run
`python -m tests.store.test_persisted_names` and commit the difference. A name that goes or changes breaks what is
kept already: write the migration first, and say in it what becomes of the old name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bot.audit.archive.tables import METADATA
from bot.core.events import EVENT
from bot.core.request import ExtensionState, LegState, Request, State
from bot.metrics import Metrics
from bot.policy.groups import CalendarShape, DirectoryShape, GroupShape
from bot.policy.inputs import InputShape
from bot.policy.schema import PolicyShape, RoleShape, SystemShape, TemplateShape
from bot.settings import Settings
from bot.store.key_types import KINDS

POLICY: dict[str, type[BaseModel]] = {
    "": PolicyShape,
    "groups.*": GroupShape,
    "directories.*": DirectoryShape,
    "calendars.*": CalendarShape,
    "systems.*": SystemShape,
    "systems.*.roles.*": RoleShape,
    "systems.*.roles.*.asks.*": InputShape,
    "templates.*": TemplateShape,
}
"""Where each shape of the policy file stands in it; these are read one by one, so that one mistake hides no other."""
FILE = Path(__file__).parent / "golden" / "persisted_names.txt"


def names() -> str:
    """Each kind of name, one a line."""
    request = Request.model_json_schema()
    events = EVENT.json_schema()
    metrics = [family.name for family in Metrics(lambda: 0).registry.collect()]
    lines = [f"redis key {name}: {kind}" for name, kind in KINDS.items()]
    lines += [f"{kind.__name__} {each.value}" for kind in (State, LegState, ExtensionState) for each in kind]
    lines += [f"event {name}: {fields}" for name, fields in _events(events)]
    lines += [f"record {path}" for path in sorted(_paths(request, request))]
    for prefix, shape in POLICY.items():
        schema = shape.model_json_schema()
        lines += [f"policy {path}" for path in sorted(_paths(schema, schema, prefix)) if path]
    lines += [f"archive {table}: {', '.join(table.columns.keys())}" for table in METADATA.sorted_tables]
    lines += [f"metric {name}" for name in metrics]
    lines += [f"setting {field.alias or name}" for name, field in Settings.model_fields.items()]
    return "\n".join(sorted(lines)) + "\n"


def _paths(node: Any, schema: dict[str, Any], path: str = "") -> set[str]:
    """The way to each key of a JSON schema; ``*`` stands for a name of the writer's own, ``[]`` for an item."""
    if isinstance(node, list):
        return set[str]().union(*(_paths(each, schema, path) for each in node))
    if not isinstance(node, dict):
        return set()
    if ref := node.get("$ref"):
        return _paths(schema["$defs"][ref.rpartition("/")[2]], schema, path)
    found = {path} if path else set[str]()
    for name, shape in node.get("properties", {}).items():
        found |= _paths(shape, schema, f"{path}.{name}" if path else name)
    found |= _paths(node.get("additionalProperties"), schema, f"{path}.*")
    found |= _paths(node.get("items"), schema, f"{path}[]") | _paths(node.get("prefixItems"), schema, f"{path}[]")
    return found | _paths(node.get("anyOf"), schema, path) | _paths(node.get("allOf"), schema, path)


def _events(schema: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = [shape for shape in schema["$defs"].values() if "const" in shape.get("properties", {}).get("kind", {})]
    return [(shape["properties"]["kind"]["const"], ", ".join(shape["properties"])) for shape in kinds]


def test_no_name_that_is_kept_goes_or_changes_unnoticed() -> None:
    assert names() == FILE.read_text(encoding="utf-8"), "read this file's docstring before `python -m` it"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(names(), encoding="utf-8")
