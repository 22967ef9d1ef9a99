"""What was typed for the inputs of a choice → values that its providers take; nothing else is ever granted.

A choice, a template (several roles under one name) or a role that can be requested.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.policy import bindings, inputs, loader
from bot.policy.catalog import Catalog, Choice, RoleRef
from bot.policy.field_types import Sensitivity
from bot.policy.problems import dotted

_HARMLESS = frozenset({Sensitivity.LOW, Sensitivity.MEDIUM})


def check_inputs(catalog: Catalog, choice: Choice, given: Mapping[str, str]) -> dict[str, str]:
    """The value of each input of the choice. Raises `BadInput` for the first that will not do."""
    values = inputs.checked(choice.inputs, choice.name, given)
    for ref in choice.roles:
        _require_taken(catalog, ref, values)
    return values


def _require_taken(catalog: Catalog, ref: RoleRef, values: Mapping[str, str]) -> None:
    """Raises `BadInput` where the provider does not take these values; the policy checked only samples of a pattern."""
    owner = catalog.systems[ref.system]
    role = owner.roles[ref.role]
    if not role.asks:
        return
    params = bindings.bound(role.grants, values)
    for below, sentence in loader.params_flaws(owner.provider, params):
        at = (name for path, name in bindings.references(role.grants) if path[: len(below)] == below[: len(path)])
        name = next(at, next(iter(role.asks)))
        raise role.asks[name].refused(name, "refused", values[name], f"{dotted(below)}: {sentence}")
    reveals = loader.capabilities(owner.provider, params).reveals
    if reveals and role.sensitivity in _HARMLESS:
        name = next(iter(role.asks))
        raise role.asks[name].refused(name, "refused", values[name], f"{reveals}, and the role is {role.sensitivity}")
