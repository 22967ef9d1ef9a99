"""Separation of duties: two roles or systems that nobody holds at the same time. It judges, and looks nothing up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from bot.core.usage import Conflict, names

if TYPE_CHECKING:
    from bot.policy.schema import PolicyShape

Side = Annotated[str, Field(min_length=1, max_length=81)]
"""A role as ``system/role``, or a system: any of its roles."""


def _pair(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(isinstance(each, str) for each in value):
        raise ValueError("write two names in brackets, like [prod-db/admin, billing/approve]")
    return value


ConflictShape = Annotated[tuple[Side, Side], BeforeValidator(_pair), Field(strict=False)]
"""Nobody holds both."""
Flaw = tuple[tuple[int | str, ...], str, str]
"""Where in the policy, what is wrong, and a hint."""


Pairs = Iterable[tuple[str, str]]
"""The conflicts of a policy."""


def opposite(pairs: Pairs, held: Collection[str]) -> tuple[tuple[str, str], ...]:
    """For each conflict with one of the names on a side: that side, and the other one."""
    found = ((a, b) for one, two in pairs for a, b in ((one, two), (two, one)) if a in held)
    return tuple(dict.fromkeys(found))


def within(pairs: Pairs, held: Collection[str]) -> Conflict | None:
    """The first conflict between the roles of one request. ``held``: the names of its roles and their systems."""
    return next((Conflict(mine=a, other=b) for a, b in opposite(pairs, held) if b in held), None)


def sides(shape: PolicyShape) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each side, and where it is written."""
    for n, pair in enumerate(shape.conflicts):
        for side, name in enumerate(pair):
            yield ("conflicts", n, side), name


def flaws(shape: PolicyShape) -> Iterator[Flaw]:
    """What contradicts itself in the conflicts of a policy, or in a template that asks for both sides."""
    seen: dict[frozenset[str], int] = {}
    for n, (one, other) in enumerate(shape.conflicts):
        both, path = frozenset((one, other)), ("conflicts", n)
        for side, name in enumerate((one, other)):
            if name in shape.templates:
                yield (*path, side), f"`{name}` is a template", "name its roles, as `system/role`, or systems"
        if one == other:
            yield path, "both sides are the same", "name two different roles or systems"
        elif both in seen:
            yield path, f"this conflict is entry {seen[both] + 1} already", "leave one of them out"
        elif one.partition("/")[0] == other or other.partition("/")[0] == one:
            hint = "name two roles of the system, or another system"
            yield path, f"`{one}` and `{other}` overlap: one role is on both sides", hint
        else:
            yield from _templates(shape, one, other)
        seen.setdefault(both, n)


def _templates(shape: PolicyShape, one: str, other: str) -> Iterator[Flaw]:
    for name, template in shape.templates.items():
        held = {each for role in template.roles for each in names(*role.partition("/")[::2])}
        if one in held and other in held:
            sentence = f"it asks for both `{one}` and `{other}`, which nobody may hold together"
            yield ("templates", name, "roles"), sentence, "take one of them out, or change `conflicts`"
