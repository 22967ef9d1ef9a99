"""Whether the tests that a table names are there: `path::name` below `tests`, or a path whose tests all count."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent


def absent(places: Iterable[str]) -> list[str]:
    """Those that are not there; a table without a test has an empty cell, which is one."""
    named = list(places)
    return [place for place in named if not _is_there(place)] if named else ["no test at all"]


def _is_there(place: str) -> bool:
    path, _, name = place.partition("::")
    tests = _tests_in(path)
    return name in tests if name else bool(tests)


@cache
def _tests_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    found = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in found if name.startswith("test_"))
