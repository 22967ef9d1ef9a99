"""What another policy changes: rights of people, the size of groups, roles, templates, rules; pure, it judges nobody.

Who gains and who loses is `permission_diff`. Here is also what changes no right: how long, how sensitive, by whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.core import durations
from bot.core.identity import identity_of
from bot.core.proof import ProofUse
from bot.policy.catalog import EVERYONE, Catalog, Choice, Role, Step
from bot.policy.groups import GroupShape
from bot.policy.inputs import InputShape
from bot.policy.limits import in_words
from bot.policy.mfa_shapes import MfaShape
from bot.policy.permission_diff import Shift, shift
from bot.policy.rule_words import conditions, outcome

Kind = Literal["group", "role", "template", "rule", "directory", "calendar", "workspace"]
_UNKNOWN = "size unknown here"


@dataclass(frozen=True)
class Detail:
    """One term of something, as it was and as it is."""

    name: str
    was: str
    now: str


@dataclass(frozen=True)
class TermChange:
    """Something that was added, removed, or has other terms now; of the first two, the terms are all that it has."""

    kind: Kind
    name: str
    how: Literal["added", "removed", "changed"]
    details: tuple[Detail, ...]


@dataclass(frozen=True)
class PolicyDiff:
    """All of it. ``same``: they are one policy, whatever their layout; rules in another order are another one."""

    rights: Shift
    changes: tuple[TermChange, ...]
    same: bool


def compare(before: Catalog, after: Catalog) -> PolicyDiff:
    """From one policy to the other."""
    changes = (change for kind, terms in _TERMS.items() for change in _changes(kind, terms, before, after))
    return PolicyDiff(shift(before, after), tuple(changes), before.policy_hash == after.policy_hash)


def _sized(catalog: Catalog, group: str) -> str:
    """A group with how many people are in it, as far as the policy says."""
    found = catalog.groups.get(group)
    return group if group == EVERYONE or found is None else f"{group} ({_size(found)})"


def _named(_: Catalog, group: str) -> str:
    """The name alone: what changes in a group is told of the group, and not again of all that names it."""
    return group


def _size(group: GroupShape) -> str:
    """How many people a group has, where the policy says who is in it."""
    if not group.is_listed:
        return _UNKNOWN
    count = len({identity_of(address) for address in group.people})
    return f"{count} {'person' if count == 1 else 'people'}"


TermsByLabel = Mapping[str, str]
Say = Callable[[Catalog, str], str]
"""How a group is said."""
Collect = Callable[[Catalog, Say], Mapping[str, TermsByLabel]]
"""All of a kind in a policy, by name."""


def _changes(kind: Kind, collect: Collect, before: Catalog, after: Catalog) -> Iterator[TermChange]:
    was, now = collect(before, _named), collect(after, _named)
    shown_was, shown_now = collect(before, _sized), collect(after, _sized)
    for name in [*was, *(name for name in now if name not in was)]:
        one, other = was.get(name, {}), now.get(name, {})
        details = tuple(
            Detail(term, shown_was.get(name, {}).get(term, ""), shown_now.get(name, {}).get(term, ""))
            for term in [*one, *(term for term in other if term not in one)]
            if one.get(term, "") != other.get(term, "")
        )
        if name not in was or name not in now:
            yield TermChange(kind, name, "removed" if name in was else "added", details)
        elif details:
            yield TermChange(kind, name, "changed", details)


def _roles(catalog: Catalog, say: Say) -> dict[str, TermsByLabel]:
    return {
        f"{system}/{name}": _role(catalog, say, system, role)
        for system, owner in catalog.systems.items()
        for name, role in owner.roles.items()
    }


def _role(catalog: Catalog, say: Say, system: str, role: Role) -> TermsByLabel:
    owner = catalog.systems[system]
    return {
        "sensitivity": role.sensitivity.value,
        "max": durations.short(role.max),
        "may request": _any_of(catalog, say, role.may_ask),
        "may request for others": _any_of(catalog, say, role.may_ask_for),
        "approvers": _steps(catalog, say, role),
        "break-glass": _break_glass(catalog, say, role),
        "second factor": ", ".join(use.value.replace("_", "-") for use in ProofUse if use in role.mfa),
        "may end it": _any_of(catalog, say, owner.approvers),
        "grants": _plain(role.grants),
        "provider": owner.provider,
        "config": _plain(owner.config),
        "channel": owner.channel,
        "limits": in_words(role.limits) if role.limits else "",
        "limits of its system": in_words(owner.limits) if owner.limits else "",
        "notify": f"mention {role.notify.mention}, dm {role.notify.dm}",
        "on call": _any_of(catalog, say, [owner.on_call]) if owner.on_call else "",
        "title": f"{owner.title}: {role.title or ''}".removesuffix(": "),
        **{f"input {name}": _plain(_input(shape)) for name, shape in role.asks.items()},
    }


def _break_glass(catalog: Catalog, say: Say, role: Role) -> str:
    glass = role.break_glass
    if glass is None:
        return ""
    within = durations.short(glass.review_within)
    return f"{_any_of(catalog, say, glass.who)}, up to {durations.short(glass.at_most)}, reviewed within {within}"


def _input(shape: InputShape) -> dict[str, object]:
    """As the policy has it; what was left out is left out."""
    return shape.model_dump(mode="json", exclude_defaults=True)


def _templates(catalog: Catalog, _: Say) -> dict[str, TermsByLabel]:
    return {name: _template(choice) for name, choice in catalog.templates.items()}


def _template(choice: Choice) -> TermsByLabel:
    reason = choice.reason
    expected = f"{reason.expected or 'anything'}{f' ({reason.pattern})' if reason.pattern else ''}"
    return {
        "roles": ", ".join(f"{ref.system}/{ref.role}" for ref in choice.roles),
        "durations": ", ".join(map(durations.short, choice.durations)),
        "reason": f"{expected}, at least {reason.min_length}" if reason.required else "not required",
        "title": choice.title,
    }


def _rules(catalog: Catalog, _: Say) -> dict[str, TermsByLabel]:
    """By their conditions: a rule that only moved is the same one."""
    found: dict[str, dict[str, str]] = {}
    for rule in catalog.rules:
        terms = found.setdefault(", ".join(conditions(rule)), {})
        name = "budget" if rule.approves else rule.then.outcome
        terms[name] = f"{rule.budget}/day" if rule.approves else outcome(rule)
    return dict(found)


def _groups(catalog: Catalog, _: Say) -> dict[str, TermsByLabel]:
    return {name: _group(group) for name, group in catalog.groups.items()}


def _group(group: GroupShape) -> TermsByLabel:
    if group.directory:
        who = group.told_by
    elif group.slack_usergroup:
        who = f"{group.told_by}{f' of {group.slack_team}' if group.slack_team else ''}"
    else:
        who = ", ".join(sorted(map(identity_of, group.people)))
    return {"size": _size(group), "who": who, "may stand in": " or ".join(group.may_stand_in)}


def _directories(catalog: Catalog, _: Say) -> dict[str, TermsByLabel]:
    return {name: {"kind": each.kind, "config": _plain(each.config)} for name, each in catalog.directories.items()}


def _calendars(catalog: Catalog, _: Say) -> dict[str, TermsByLabel]:
    return {name: {"ical": each.ical, "timezone": each.timezone or ""} for name, each in catalog.calendars.items()}


def _workspace(catalog: Catalog, say: Say) -> dict[str, TermsByLabel]:
    shape = catalog.workspace
    terms = {name: _plain(value) for name, value in shape.model_dump(mode="json", by_alias=True).items()}
    terms |= {name: _any_of(catalog, say, names) for name, names in _entitled(catalog).items()}
    terms |= {"mfa": "", **_mfa(shape.mfa)}
    times = ("pending", "consent", "remind", "warn", "start_grace", "grant_budget", "retention", "fresh_member")
    terms |= {name: durations.short(seconds) for name in times if (seconds := getattr(shape, name))}
    terms["conflicts"] = ", ".join(sorted(" and ".join(sorted(pair)) for pair in catalog.conflicts))
    terms |= {"delegation": durations.short(shape.delegation.at_most)}
    return {"workspace": terms}


def _mfa(mfa: MfaShape) -> TermsByLabel:
    """When a second factor is asked for, and which; a term a key, so that each change is told by itself."""
    return {
        **{f"mfa {use.value.replace('_', '-')}": getattr(mfa, use.value) for use in ProofUse},
        "mfa factors": ", ".join(mfa.factors or ()) or "all that are installed",
        "mfa fresh for": durations.short(mfa.fresh_for) if mfa.fresh_for else "",
    }


def _entitled(catalog: Catalog) -> Mapping[str, Sequence[str]]:
    return {"operators": catalog.workspace.operators, "auditors": catalog.workspace.auditors}


def _any_of(catalog: Catalog, say: Say, groups: Sequence[str]) -> str:
    return " or ".join(say(catalog, group) for group in groups)


def _steps(catalog: Catalog, say: Say, role: Role) -> str:
    """``one of dba, and 2 of security``; ``first …, then …`` where they are in order."""
    steps = [_step(catalog, say, step) for step in role.steps]
    return f"first {', then '.join(steps)}" if role.ordered and len(steps) > 1 else ", and ".join(steps)


def _step(catalog: Catalog, say: Say, step: Step) -> str:
    said = [f"{'one' if step.count == 1 else step.count} of {_any_of(catalog, say, step.any_of)}"]
    said += ["owners"] if step.owner else []
    if step.skip_if_requester_in:
        said.append(f"not if the requester is in {_any_of(catalog, say, step.skip_if_requester_in)}")
    if step.escalate:
        to = _any_of(catalog, say, step.escalate.to)
        said.append(f"after {durations.short(step.escalate.after)} also {to}")
    return said[0] if len(said) == 1 else f"{said[0]} ({', '.join(said[1:])})"


def _plain(value: object) -> str:
    """A value in one line; references are in it, and no secret."""
    if value is None or value in ({}, [], ()):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


_TERMS: Mapping[Kind, Collect] = {
    "role": _roles,
    "template": _templates,
    "rule": _rules,
    "group": _groups,
    "directory": _directories,
    "calendar": _calendars,
    "workspace": _workspace,
}
