"""The terms of what can be requested: what it grants, for how long, who may request it and who approves; no verdict."""

from __future__ import annotations

from collections import Counter

from bot.core.frozen import Frozen
from bot.core.proof import ProofUse
from bot.policy import bindings, loader
from bot.policy.catalog import Catalog, Choice, Role, Step
from bot.policy.mfa import asks_proof
from bot.policy.rules import Finding
from bot.policy.steps import groups_of_step


class RoleTerms(Frozen):
    """What a role allows, who may request it, or for others, and who approves. ``cap``: the longest, in seconds."""

    name: str
    title: str
    consequence: str
    sensitivity: str
    cap: int
    requester_groups: tuple[str, ...]
    for_others_groups: tuple[str, ...]
    steps: tuple[Step, ...]
    ordered: bool = False


class Terms(Frozen):
    """The terms of a choice. ``decide_within``: seconds that approvers have.

    ``may_request``: whether this person may request it; ``rules``: what each rule would make of it now.
    """

    choice: Choice
    roles: tuple[RoleTerms, ...]
    decide_within: int
    may_request: bool
    rules: tuple[Finding, ...] = ()
    proofs: tuple[ProofUse, ...] = ()
    """What the policy asks a second factor for, whatever its rules say."""

    @property
    def ordered(self) -> bool:
        """Whether some role has its steps in order."""
        return any(role.ordered and len(role.steps) > 1 for role in self.roles)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all its roles, equal ones merged with their counts added: an approval counts for one role."""
        people = Counter[Step]()
        for step in (step for role in self.roles for step in role.steps):
            people[step.model_copy(update={"count": 1})] += step.count
        return tuple(step.model_copy(update={"count": count}) for step, count in people.items())

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that its steps name."""
        return tuple(
            dict.fromkeys(group for role in self.roles for step in role.steps for group in groups_of_step(step))
        )


def terms(catalog: Catalog, choice: Choice, *, may_request: bool = True, found: tuple[Finding, ...] = ()) -> Terms:
    """The terms of a choice, for any reader."""
    roles = [(f"{ref.system}/{ref.role}", catalog.role(ref.system, ref.role)) for ref in choice.roles]
    return Terms(
        choice=choice,
        roles=tuple(_role(catalog, name, role) for name, role in roles if role),
        decide_within=catalog.workspace.pending,
        may_request=may_request,
        rules=found,
        proofs=tuple(use for use in ProofUse if asks_proof(catalog, choice.roles, use)),
    )


def _role(catalog: Catalog, name: str, role: Role) -> RoleTerms:
    system, _, short = name.partition("/")
    owner = catalog.systems[system]
    return RoleTerms(
        name=name,
        title=f"{owner.title}: {role.title or short}",
        consequence=_allows(owner.provider, role),
        sensitivity=role.sensitivity,
        cap=role.max,
        requester_groups=role.may_ask,
        for_others_groups=role.may_ask_for,
        steps=role.steps,
        ordered=role.ordered,
    )


def _allows(provider: str, role: Role) -> str:
    """What the role allows, before its inputs are known: the text has their names in place of values."""
    if not role.asks:
        return loader.consequence(provider, role.grants)
    named = bindings.bound(role.grants, bindings.placeholders(role.asks))
    if loader.params_flaws(provider, named):  # its provider takes no such value there
        return f"for example, {loader.consequence(provider, role.samples[0])}"
    return loader.consequence(provider, named)
