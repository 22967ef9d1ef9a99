"""Who may ask for what and decide about what by a policy, and what another one changes of that; pure, it judges nobody.

People are named as the policy names them: by address, as everyone, or as a Slack user group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.core import durations
from bot.core.identity import identity_of
from bot.policy.catalog import EVERYONE, Catalog, Role
from bot.policy.rule_words import terms


@dataclass(frozen=True, order=True)
class Right:
    """What somebody may do.

    ``verb`` is ``request``, ``request for others``, ``approve``, ``use break-glass for``, ``operate``, ``read`` or, by
    a rule, ``get … of``.
    Where a step escalates it is ``approve after 30m`` as well, where one is skipped ``skip the approval of … for``.

    ``role`` is ``system/role``, what of the workspace somebody may ``operate`` or ``read``, or the group whose people
    they may ``stand in for``.
    """

    who: str
    verb: str
    role: str


@dataclass(frozen=True)
class Shift:
    """What one policy allows and another did not, and the other way round."""

    gained: tuple[Right, ...]
    lost: tuple[Right, ...]


def shift(before: Catalog, after: Catalog) -> Shift:
    """What changed."""
    was, now = _rights(before), _rights(after)
    return Shift(tuple(sorted(now - was)), tuple(sorted(was - now)))


def _rights(catalog: Catalog) -> frozenset[Right]:
    return frozenset(
        Right(who, verb, f"{name}/{short}")
        for name, system in catalog.systems.items()
        for short, role in system.roles.items()
        for verb, groups in (
            ("request", role.may_ask),
            ("request for others", role.may_ask_for),
            ("approve", tuple(group for step in role.steps for group in step.any_of)),
            *_of_steps(role),
            ("use break-glass for", role.break_glass.who if role.break_glass else ()),
        )
        for who in _people(catalog, groups)
    ) | frozenset((*_by_rules(catalog), *_of_workspace(catalog), *_stand_ins(catalog)))


def _stand_ins(catalog: Catalog) -> Iterable[Right]:
    """Who may be named to approve in the place of a group's people."""
    for name, group in catalog.groups.items():
        for who in _people(catalog, group.may_stand_in):
            yield Right(who, "stand in for an approver in", name)


def _of_steps(role: Role) -> Iterable[tuple[str, tuple[str, ...]]]:
    for step in role.steps:
        if step.escalate:
            yield f"approve after {durations.short(step.escalate.after)}", step.escalate.to
        if step.skip_if_requester_in:
            whose = f"{' or '.join(step.any_of[:3])}{'…' if len(step.any_of) > 3 else ''}"
            yield f"skip the approval of {whose} for", step.skip_if_requester_in


def _of_workspace(catalog: Catalog) -> Iterable[Right]:
    """Operators may end any access and stop everything, auditors may read what everybody did."""
    for who in _people(catalog, catalog.workspace.operators):
        yield Right(who, "operate", "workspace")
    for who in _people(catalog, catalog.workspace.auditors):
        yield Right(who, "read", "audit log")


def _by_rules(catalog: Catalog) -> Iterable[Right]:
    """What needs nobody's answer: whoever is named here still has to be one who may ask."""
    for rule in (rule for rule in catalog.rules if rule.approves):
        what, more = rule.when.what or (), list(terms(rule))
        within = {f"{r.system}/{r.role}" for name in what if (t := catalog.templates.get(name)) for r in t.roles}
        most = durations.short(rule.when.at_most or 0)
        said = f" ({', '.join(more)})" if more else ""
        verb = f"get by rule, up to {most} and {rule.budget} a day{said} of"
        for name, system in catalog.systems.items():
            for short, role in system.roles.items():
                named = not what or {name, f"{name}/{short}"} & {*what, *within}
                if named and role.sensitivity in rule.covers:
                    for who in _people(catalog, rule.when.requester_in or role.may_ask):
                        yield Right(who, verb, f"{name}/{short}")


def _people(catalog: Catalog, groups: Iterable[str]) -> Iterable[str]:
    for name in groups:
        group = catalog.groups.get(name)
        if name == EVERYONE:
            yield EVERYONE
        elif group and not group.is_listed:
            yield group.told_by
        elif group:
            yield from (identity_of(address) for address in group.people)
