"""What can be asked for: systems, roles, templates, as the policy has them; what was not checked never gets here.

Pure values. How text becomes a catalog is in policy_text.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from bot.core.errors import CannotCombine
from bot.core.frozen import Frozen
from bot.core.proof import ProofUse
from bot.core.role_snapshot import RoleSnapshot
from bot.policy import bindings
from bot.policy.field_types import Sensitivity
from bot.policy.groups import CalendarShape, DirectoryShape, GroupShape
from bot.policy.inputs import Asks, first_of_each
from bot.policy.limits import UsageLimitsShape
from bot.policy.problems import like
from bot.policy.rule import Rule, rule_of
from bot.policy.rule_shapes import TicketSystemShape
from bot.policy.schema import (
    MOST_INPUTS,
    BreakGlassShape,
    PolicyShape,
    ReasonShape,
    RoleShape,
    StepShape,
    SystemShape,
    TemplateShape,
    WorkspaceShape,
)
from bot.policy.vocabulary import LONGEST_TOGETHER, MOST_TOGETHER, TOGETHER, Vocabulary, together, vocabulary

EVERYONE = "everyone"
"""In ``may_ask``: each full member of the workspace."""


class EscalateTo(Frozen):
    """The groups that may fill a step as well, ``after`` so many seconds."""

    after: int
    to: tuple[str, ...]


class Step(Frozen):
    """So many different people out of any of the groups. ``owner``: these are the owners of the system.

    It is not needed where the requester is surely in a group of ``skip_if_requester_in``.
    """

    any_of: tuple[str, ...]
    count: int = 1
    owner: bool = False
    skip_if_requester_in: tuple[str, ...] = ()
    escalate: EscalateTo | None = None


class Notify(Frozen):
    """How approvers are reached: ``mention`` on the card, ``dm`` by a direct message."""

    mention: Literal["on-call", "group", "none"]
    dm: Literal["on-call", "all", "none"]


class Role(Frozen):
    """A level of access on a system. ``max`` in seconds; ``digest`` changes with what it grants."""

    title: str | None
    grants: Mapping[str, Any]
    sensitivity: Sensitivity
    max: int
    may_ask: tuple[str, ...]
    may_ask_for: tuple[str, ...]
    steps: tuple[Step, ...]
    notify: Notify
    digest: str
    ordered: bool = False
    """Whether a step opens only once the one before it is filled."""
    asks: Asks = Field(default_factory=dict)
    """What the requester gives; `grants` name each input as ``{ask: NAME}``."""
    limits: UsageLimitsShape | None = None
    break_glass: BreakGlassShape | None = None
    mfa: frozenset[ProofUse] = frozenset()
    """What a second factor is required for, beyond what the workspace says (see mfa.py)."""

    @property
    def samples(self) -> tuple[dict[str, Any], ...]:
        """What it may grant, for each value that can be chosen and one of each other input."""
        return tuple(bindings.bound(self.grants, values) for _, _, values in bindings.samples(self.asks))

    def grants_still(self, asked: RoleSnapshot) -> bool:
        """Whether it would grant the same today for the inputs that were given then."""
        given = {each.name: each.value for each in asked.inputs}
        takes = given.keys() == self.asks.keys() and all(self.asks[name].takes(given[name]) for name in given)
        return self.digest == asked.digest and takes


class System(Frozen):
    """A thing that is protected, served by one provider. ``config`` holds references, never secrets."""

    title: str
    provider: str
    config: Mapping[str, Any]
    channel: str
    approvers: tuple[str, ...]
    on_call: str | None
    roles: Mapping[str, Role]
    limits: UsageLimitsShape | None = None


class RoleRef(Frozen):
    """A role by its system."""

    system: str
    role: str


class Choice(Frozen):
    """What can be asked for: a template, a role by itself (``system/role``) or several. Durations in seconds."""

    name: str
    title: str
    roles: tuple[RoleRef, ...]
    durations: tuple[int, ...]
    cap: int
    reason: ReasonShape
    inputs: Asks = Field(default_factory=dict)
    """What all of its roles ask for; one of a name is asked for once."""


class Catalog(Frozen):
    """The policy of one workspace. ``policy_hash`` names its content, whatever its comments and layout."""

    workspace: WorkspaceShape
    groups: Mapping[str, GroupShape]
    directories: Mapping[str, DirectoryShape] = Field(default_factory=dict)
    calendars: Mapping[str, CalendarShape] = Field(default_factory=dict)
    shifts: frozenset[str] = frozenset()
    """The groups whose people come and go by the clock: to be out of one is no loss of a right."""
    systems: Mapping[str, System]
    templates: Mapping[str, Choice]
    rules: tuple[Rule, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    """Pairs of roles or systems that nobody holds at the same time."""
    tickets: Mapping[str, TicketSystemShape] = Field(default_factory=dict)
    """The systems that know which tickets exist, by name."""
    factors: tuple[str, ...] = ()
    """The kinds of factors that will do: those that the policy names, or all, of those that are installed."""
    policy_hash: str

    @property
    def calendar_names(self) -> tuple[str, ...]:
        """The calendars that rules look at."""
        shapes = (shape for rule in self.rules for shape in (rule.when, rule.unless))
        return tuple(dict.fromkeys(name for shape in shapes for name in shape.frozen or ()))

    def role(self, system: str, role: str) -> Role | None:
        """A role, or None when the policy has none of that name."""
        owner = self.systems.get(system)
        return owner.roles.get(role) if owner else None

    def rests_on_groups(self, role: Role) -> bool:
        """Whether somebody who is outside all groups that may ask for it has lost a right.

        Nobody has by the end of a shift: what was granted while they were on call ends at its own time.
        """
        return EVERYONE not in role.may_ask and self.shifts.isdisjoint(role.may_ask)

    def find(self, what: str) -> Choice | None:
        """A template by its name, a role as ``system/role``, or several of them: ``system/role + system/role``."""
        if what in self.templates:
            return self.templates[what]
        if "+" in what:
            return self._together(what)
        system, slash, role = what.partition("/")
        found = self.role(system, role) if slash else None
        return None if found is None else self._alone(system, role, found)

    def choices(self) -> list[Choice]:
        """All that can be asked for, templates first."""
        alone = [
            self._alone(system, name, role)
            for system, owner in self.systems.items()
            for name, role in owner.roles.items()
        ]
        return [*self.templates.values(), *alone]

    def nearest(self, what: str) -> list[str]:
        """The names most like a word that is none."""
        return like(what, [choice.name for choice in self.choices()])

    def risk(self, choice: Choice) -> Sensitivity:
        """The highest of its roles."""
        ranks = tuple(Sensitivity)
        found = (self.systems[ref.system].roles[ref.role].sensitivity for ref in choice.roles)
        return max(found, key=ranks.index)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The phrases by which people name what it offers."""
        return vocabulary(self)

    @cached_property
    def counted_scopes(self) -> frozenset[str]:
        """The roles (``system/role``) and systems whose use is counted: the limited ones, and each role for rules."""
        asked = any(rule.counts_live or rule.counts_denials for rule in self.rules)
        roles = (f"{name}/{role}" for name, system in self.systems.items() if asked for role in system.roles)
        return self.limited.union(roles)

    @cached_property
    def limited(self) -> frozenset[str]:
        """Those with limits, and sides of conflicts: nothing new is allowed while they are not counted."""
        found = {name for name, system in self.systems.items() if system.limits}
        roles = ((f"{name}/{role}", its) for name, system in self.systems.items() for role, its in system.roles.items())
        return frozenset(found.union((name for name, its in roles if its.limits), *self.conflicts))

    def parts(self, what: str) -> list[Choice]:
        """The roles that are named together, each once, in order; none where one of them is no role."""
        names = list(dict.fromkeys(part.strip() for part in what.split("+")))
        found = [self.find(each) for each in names if each not in self.templates]
        roles = [choice for choice in found if choice]
        return roles if len(roles) == len(names) else []

    def _together(self, what: str) -> Choice | None:
        """Several roles in one request, granted in this order; None where they cannot be one."""
        roles = self.parts(what)
        if not roles or cannot_combine(roles):
            return None
        return Choice(
            name=TOGETHER.join(choice.name for choice in roles),
            title=TOGETHER.join(choice.title for choice in roles),
            roles=tuple(ref for choice in roles for ref in choice.roles),
            durations=(),
            cap=min(choice.cap for choice in roles),
            reason=ReasonShape(),
            inputs=first_of_each(choice.inputs for choice in roles),
        )

    def _alone(self, system: str, name: str, role: Role) -> Choice:
        return Choice(
            name=f"{system}/{name}",
            title=f"{self.systems[system].title}: {role.title or name}",
            roles=(RoleRef(system=system, role=name),),
            durations=(),
            cap=role.max,
            reason=ReasonShape(),
            inputs=role.asks,
        )


def cannot_combine(roles: Sequence[Choice]) -> CannotCombine | None:
    """Why these roles cannot be one request: too many, or what each of them asks for does not fit together."""
    if sum(len(choice.roles) for choice in roles) > MOST_TOGETHER:
        return CannotCombine("many", most=MOST_TOGETHER)
    if together(choice.name for choice in roles) is None:
        return CannotCombine("long", most=LONGEST_TOGETHER)
    inputs = first_of_each(choice.inputs for choice in roles)
    if len(inputs) > MOST_INPUTS:
        return CannotCombine("inputs", most=MOST_INPUTS)
    asked = ((name, shape) for choice in roles for name, shape in choice.inputs.items())
    differs = next((name for name, shape in asked if not inputs[name].means_the_same(shape)), None)
    return CannotCombine("differs", name=differs) if differs else None


def catalog_of(shape: PolicyShape, shifts: frozenset[str] = frozenset(), factors: tuple[str, ...] = ()) -> Catalog:
    """The catalog of a shape that was checked. ``shifts``: the groups whose people come and go by the clock.

    ``factors``: the kinds of factors that will do.
    """
    systems = {name: _system_of(system) for name, system in shape.systems.items()}
    canonical = json.dumps(shape.model_dump(mode="json"), sort_keys=True)
    return Catalog(
        workspace=shape.workspace,
        groups=shape.groups,
        directories=shape.directories,
        calendars=shape.calendars,
        shifts=shifts,
        systems=systems,
        templates={name: _template_of(name, template, systems) for name, template in shape.templates.items()},
        rules=tuple(rule_of(n, rule) for n, rule in enumerate(shape.rules, start=1)),
        conflicts=shape.conflicts,
        tickets=shape.tickets,
        factors=factors,
        policy_hash=hashlib.sha256(canonical.encode()).hexdigest()[:16],
    )


def _system_of(system: SystemShape) -> System:
    return System(
        title=system.title,
        provider=system.provider,
        config=system.config,
        channel=system.channel,
        approvers=system.approvers,
        on_call=system.on_call,
        roles={name: _role_of(system, role) for name, role in system.roles.items()},
        limits=system.limits,
    )


def _role_of(system: SystemShape, role: RoleShape) -> Role:
    steps = role.approval.steps or (StepShape(any_of=system.approvers),)
    # Not of `mfa`: who asked for it proved what was to be proved then, and another digest would take it from them.
    granted = [system.provider, system.config, role.grants, role.max, role.sensitivity]
    return Role(
        title=role.title,
        grants=role.grants,
        sensitivity=role.sensitivity,
        max=role.max,
        may_ask=role.may_ask,
        may_ask_for=role.may_ask_for,
        steps=tuple(_step_of(system, step) for step in steps),
        ordered=role.approval.ordered,
        notify=Notify(mention=role.notify.mention, dm=role.notify.dm or ("on-call" if system.on_call else "none")),
        digest=hashlib.sha256(json.dumps(granted, sort_keys=True, default=str).encode()).hexdigest()[:16],
        asks=role.asks,
        limits=role.limits,
        break_glass=role.break_glass,
        mfa=role.mfa.required,
    )


def _step_of(system: SystemShape, step: StepShape) -> Step:
    return Step(
        any_of=system.approvers if step.any_of is None else step.any_of,
        count=step.count,
        owner=step.owner,
        skip_if_requester_in=step.skip_if_requester_in or (),
        escalate=EscalateTo(after=step.escalate.after, to=step.escalate.to) if step.escalate else None,
    )


def _template_of(name: str, template: TemplateShape, systems: Mapping[str, System]) -> Choice:
    refs = [RoleRef(system=s, role=r) for s, _, r in (role.partition("/") for role in template.roles)]
    return Choice(
        name=name,
        title=template.title,
        roles=tuple(refs),
        durations=template.durations,
        cap=min(systems[ref.system].roles[ref.role].max for ref in refs),
        reason=template.reason,
        inputs=first_of_each(systems[ref.system].roles[ref.role].asks for ref in refs),
    )
