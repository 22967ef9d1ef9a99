"""Whether the policy asks for a second factor, and which will do; it judges the policy alone, and no code.

What weakens or strengthens these terms later changes no request that was made before: whether it was proved is decided
as it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.frozen import Frozen
from bot.core.proof import ProofUse
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.field_types import Sensitivity


class ProofTerms(Frozen):
    """What a proof has to be. ``factors``: the kinds that will do, recovery codes among them.

    ``fresh_for``: how many seconds ago it may have been; 0 where it has to be a new one. ``critical``: whether the
    factor has to be trusted for critical roles, which a new one or one that was reset is not.
    """

    factors: tuple[str, ...]
    fresh_for: int = 0
    critical: bool = False


def asks_proof(
    catalog: Catalog, roles: Iterable[RoleRef], use: ProofUse, *, by_rule: bool = False
) -> ProofTerms | None:
    """What a proof has to be for this use of the roles; None where the policy asks for none.

    One role that asks is enough. An earlier proof counts for requests alone: each approval, and each use of
    break-glass, needs a new one. ``by_rule``: whether a rule asks for it (see `Ruling.requires_proof`); that needs a
    new one each time. A role that the policy does not have is requested and approved by nobody; it counts as critical.
    """
    found = [catalog.role(ref.system, ref.role) for ref in roles]
    asked = by_rule or use in catalog.workspace.mfa.required or any(role and use in role.mfa for role in found)
    if not asked:
        return None
    waived = use is ProofUse.REQUEST and not by_rule
    risks = {Sensitivity.CRITICAL if role is None else role.sensitivity for role in found}
    return ProofTerms(
        factors=catalog.factors,
        fresh_for=catalog.workspace.mfa.fresh_for if waived and risks == {Sensitivity.LOW} else 0,
        critical=Sensitivity.CRITICAL in risks,
    )


def kinds_that_do(named: Sequence[str] | None, installed: Sequence[str]) -> tuple[str, ...]:
    """The kinds of factors that prove anything: those that the policy names or else all, of those that are installed.

    Recovery codes are always among them where they are installed: they are for who has lost what the policy names.
    """
    allowed = installed if named is None else (*named, RECOVERY)
    return tuple(kind for kind in installed if kind in allowed)


RECOVERY = "recovery"
"""The kind of recovery codes. By itself it is no second factor: they stand in for one that was lost."""
