"""What a policy test says that the policy does not have, or that does not go together, with a hint for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot.policy.case_shapes import CaseShape, CasesShape
from bot.policy.catalog import Catalog, Choice
from bot.policy.problems import did_you_mean, like
from bot.policy.vocabulary import LONGEST_TOGETHER, MOST_TOGETHER
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]
"""Where in the file, what is wrong, and a hint."""
_OF_OTHERS = {"accepted": "for", "break_glass_used": "break_glass", "review_overdue": "break_glass"}
"""The keys that say nothing without another one."""


def flaws(shape: CasesShape, catalog: Catalog) -> Iterator[Flaw]:
    """Those of the whole file."""
    yield from _groups(shape, catalog)
    for index, case in enumerate(shape.cases):
        for path, sentence, hint in _case(case, catalog):
            yield ("cases", index, *path), sentence, hint


def _groups(shape: CasesShape, catalog: Catalog) -> Iterator[Flaw]:
    listed = [name for name, group in catalog.groups.items() if not group.is_listed]
    for name in shape.groups:
        if name in catalog.groups and name not in listed:
            hint = "leave it out: only Slack user groups and groups of directories are said here"
            yield ("groups", name), f"the policy lists who is in `{name}`", hint
        elif name not in catalog.groups:
            yield _unknown(("groups", name), name, listed)
    for name in listed:
        if name not in shape.groups:
            hint = f"write `groups: {{{name}: [somebody@example.com]}}`"
            yield ("groups",), f"who is in {_told_by(catalog, name)} is not said here", hint


def _case(case: CaseShape, catalog: Catalog) -> Iterator[Flaw]:
    choice = catalog.find(case.what)
    if choice is None:
        yield ("what",), *_no_choice(catalog, case.what)
    else:
        yield from _unasked(case, choice)
    for n in case.rules or ():
        if not 1 <= n <= len(catalog.rules):
            yield ("rules",), f"the policy has no rule {n}", f"it has {len(catalog.rules)}, numbered from 1"
    for name in case.frozen:
        if name not in catalog.calendar_names:
            yield ("frozen",), f"no rule names a calendar `{name[:60]}`", "leave it out"
    for n, name in enumerate(case.holds):
        if catalog.role(*name.partition("/")[::2]) is None:
            hint = did_you_mean(like(name, list(_roles(catalog)))) or "write it like `prod-db/admin`"
            yield ("holds", n), f"there is no role `{name[:80]}` in the policy", hint
    yield from _unknown_groups(case, catalog)
    yield from _alone(case)


def _unknown_groups(case: CaseShape, catalog: Catalog) -> Iterator[Flaw]:
    for name in case.who.groups:
        if name not in catalog.groups:
            yield _unknown(("as", "groups"), name, list(catalog.groups))
    for groups, _ in case.expect.steps or ():
        for name in sorted(groups - set(catalog.groups)):
            yield _unknown(("expect",), name, list(catalog.groups))


def _alone(case: CaseShape) -> Iterator[Flaw]:
    """What says nothing by itself, or together with something else."""
    given = {CaseShape.model_fields[name].alias or name for name in case.model_fields_set}
    for name, other in _OF_OTHERS.items():
        if name in given and other not in given:
            yield (name,), f"it says nothing without `{other}`", f"add `{other}`, or leave it out"
    if case.requested_for and case.requested_for == case.who.person:
        yield ("for",), "this person requests it themself", "leave it out, or name somebody else"
    if case.break_glass:
        for name in ("for", "start"):
            if name in given:
                yield (name,), f"`break_glass` has no `{name}`: who takes access has it at once", "leave it out"
    elif case.review_within:
        yield ("review_within",), "only break-glass access is reviewed", "add `break_glass: true`, or leave it out"


def _roles(catalog: Catalog) -> Iterable[str]:
    return (f"{name}/{role}" for name, system in catalog.systems.items() for role in system.roles)


def _told_by(catalog: Catalog, name: str) -> str:
    return f"the {'directory' if catalog.groups[name].directory else 'Slack user'} group `{name}`"


def _no_choice(catalog: Catalog, what: str) -> tuple[str, str]:
    """Why this cannot be requested, and a hint."""
    for part in (part.strip() for part in what.split("+")):
        if catalog.find(part) is None:
            return f"there is nothing called `{part[:80]}` to request", did_you_mean(catalog.nearest(part))
    hint = f"combine up to {MOST_TOGETHER} roles, no templates, which define an input of the same name alike"
    return f"`{what[:LONGEST_TOGETHER]}` is not one request", hint


def _unasked(case: CaseShape, choice: Choice) -> Iterator[Flaw]:
    """What is given and not asked for; whether a value will do is the case's own question."""
    for name in case.inputs:
        if name not in choice.inputs:
            hint = did_you_mean(like(name, list(choice.inputs))) or _asked(choice)
            yield ("inputs", name), f"`{choice.name}` does not ask for `{name[:60]}`", hint


def _asked(choice: Choice) -> str:
    return f"it asks for {', '.join(choice.inputs)}" if choice.inputs else "leave it out: it asks for nothing"


def _unknown(path: Path, name: str, names: Sequence[str]) -> Flaw:
    return path, f"there is no group `{name[:60]}` in the policy", did_you_mean(like(name, names))
