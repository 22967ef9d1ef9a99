"""When a second factor is asked for, as the policy writes it: of the workspace, and what a role asks beyond that."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bot.core import durations
from bot.core.proof import ProofUse
from bot.policy.field_types import MfaWord, Name, Shape

LONGEST_FRESH = 900
"""Seconds for which one proof can be enough, whatever the policy says: who walks away from a desk is gone longer."""


def _fresh(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    if not isinstance(value, str):
        raise ValueError("write it like 5m, or 0 where each request needs a proof of its own")
    return durations.parse(value)


def _at_most(value: int) -> int:
    if value > LONGEST_FRESH:
        raise ValueError("one proof is enough for 15 minutes at most: write `15m` or less")
    return value


FreshProof = Annotated[
    int,
    BeforeValidator(_fresh),
    AfterValidator(_at_most),
    WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": durations.PATTERN, "examples": ["5m"]}]}),
]
"""A duration of 15 minutes at most, or ``0`` for none."""


class RoleMfaShape(Shape):
    """What a role asks for beyond the workspace; it can only be stricter."""

    request: MfaWord | None = None
    approve: MfaWord | None = None
    break_glass: MfaWord | None = None

    @property
    def required(self) -> frozenset[ProofUse]:
        """What a second factor is required for."""
        return frozenset(use for use in ProofUse if getattr(self, use.value) == "required")


class MfaShape(RoleMfaShape):
    """When a second factor is required, and which."""

    request: MfaWord = "required"
    approve: MfaWord = "off"
    break_glass: MfaWord = "required"
    factors: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=20)] | None = None
    """The kinds that will do, like `totp`; each that is installed where it is left out. Recovery codes always do."""
    fresh_for: FreshProof = 0
    """For so long after a proof, 15 minutes at most, requests for `low` roles need no other one."""
