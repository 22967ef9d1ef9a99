"""What is wrong with what a policy says of a second factor: an unknown kind, a weaker role, none at all.

Each flaw has its whole path, and a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bot.core.proof import ProofUse
from bot.policy.field_types import Sensitivity
from bot.policy.mfa import RECOVERY, kinds_that_do
from bot.policy.problems import did_you_mean
from bot.policy.schema import PolicyShape, RoleShape
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]
"""Where, what, and a hint."""
_MFA: Path = ("workspace", "mfa")
_ONLY_RECOVERY = "recovery codes are no second factor by themselves: they stand in for one that was lost"
_NONE = "a second factor is required here{}, and none is installed that would do"
_WEAKER = "`workspace` requires a second factor for this, and a role can only be stricter"


def of_second_factors(
    shape: PolicyShape, installed: Sequence[str], like_: Callable[[str, Sequence[str]], list[str]], *, whole: bool
) -> Iterator[Flaw]:
    """All of them. ``installed``: kinds of factors; ``whole``: whether `systems` are as they are written."""
    yield from _of_kinds(shape, installed, like_)
    mfa = shape.workspace.mfa
    roles = [
        (("systems", system, "roles", name), role)
        for system, owner in shape.systems.items()
        for name, role in owner.roles.items()
    ]
    if whole and mfa.fresh_for and not any(role.sensitivity is Sensitivity.LOW for _, role in roles):
        hint = "leave it out: every other role needs a proof each time"
        yield (*_MFA, "fresh_for"), "this is for `low` roles alone, and there is none", hint
    for path, role in roles:
        yield from _of_role(shape, path, role)
    if not set(kinds_that_do(mfa.factors, installed)) - {RECOVERY} and not _names_unknown(shape, installed):
        yield from _impossible(shape, roles)


def _names_unknown(shape: PolicyShape, installed: Sequence[str]) -> bool:
    """Whether it names a kind that is none, or only recovery codes: that is told, and the rest follows from it."""
    named = shape.workspace.mfa.factors
    return named is not None and (set(named) == {RECOVERY} or not set(named) <= set(installed))


def _of_kinds(
    shape: PolicyShape, installed: Sequence[str], like_: Callable[[str, Sequence[str]], list[str]]
) -> Iterator[Flaw]:
    where, named = (*_MFA, "factors"), shape.workspace.mfa.factors or ()
    for index, kind in enumerate(named):
        if kind not in installed:
            near = did_you_mean(like_(kind, installed)) or f"there are {', '.join(installed) or 'none'}"
            yield (*where, index), f"there is no kind of factor `{kind[:60]}`", near
    if len(set(named)) < len(named):
        yield where, "a kind of factor is here twice", ""
    if set(named) == {RECOVERY}:
        others = [kind for kind in installed if kind != RECOVERY]
        yield where, _ONLY_RECOVERY, f"name another one: {', '.join(others)}" if others else ""


def _of_role(shape: PolicyShape, path: Path, role: RoleShape) -> Iterator[Flaw]:
    for use in ProofUse:
        said = getattr(role.mfa, use.value)
        if said == "off" and use in shape.workspace.mfa.required:
            hint = (
                f"leave it out, or write `mfa: {{{use.value}: off}}` in `workspace` and `required` on the other roles"
            )
            yield (*path, "mfa", use.value), _WEAKER, hint
    if ProofUse.BREAK_GLASS in role.mfa.required and role.break_glass is None:
        yield (*path, "mfa", "break_glass"), "this role has no `break_glass`", "leave it out, or say who may use it"


def _impossible(shape: PolicyShape, roles: Sequence[tuple[Path, RoleShape]]) -> Iterator[Flaw]:
    """Where a second factor is required that nobody can have."""
    mfa = shape.workspace.mfa
    glass = any(role.break_glass for _, role in roles)
    for use in (use for use in ProofUse if use in mfa.required and (glass or use is not ProofUse.BREAK_GLASS)):
        default = "" if use.value in mfa.model_fields_set else " (it is the default)"
        hint = f"say `mfa: {{{use.value}: off}}` to do without, knowingly"
        yield (*_MFA, use.value), _NONE.format(default), hint
    for path, role in roles:
        for use in sorted(role.mfa.required):
            yield (*path, "mfa", use.value), _NONE.format(""), "leave it out, knowingly"
    for n, rule in enumerate(shape.rules):
        if rule.then.require and rule.then.require.mfa:
            yield ("rules", n, "then", "require", "mfa"), _NONE.format(""), "leave it out, knowingly"
