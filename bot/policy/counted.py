"""What has to be counted of a role (``system/role``) or a system, by its limits and the rules of a policy."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.usage import names
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.limits import UsageLimitsShape


def limits_of(catalog: Catalog, scope: str) -> UsageLimitsShape | None:
    """Its limits."""
    system, slash, name = scope.partition("/")
    found = catalog.role(system, name) if slash else catalog.systems.get(system)
    return found.limits if found else None


def approvals_kept(catalog: Catalog, scope: str) -> int:
    """For how many seconds it has to be known what was approved."""
    limits = limits_of(catalog, scope)
    return limits.kept if limits else 0


def denials_kept(catalog: Catalog, scope: str) -> int:
    """For how many seconds it has to be known what was denied."""
    limits = limits_of(catalog, scope)
    for_rules = max((rule.counts_denials for rule in catalog.rules), default=0) if "/" in scope else 0
    return max(for_rules, limits.cooldown or 0 if limits else 0)


def names_of(refs: Iterable[RoleRef]) -> tuple[str, ...]:
    """Under which names roles are counted: their own, and those of their systems."""
    return tuple(dict.fromkeys(name for ref in refs for name in names(ref.system, ref.role)))
