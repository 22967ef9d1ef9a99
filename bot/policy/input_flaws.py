"""What does not fit between a role's inputs, its `grants` and its provider; and between the roles of a template.

Each flaw has the path below what was looked at, a sentence, and a hint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from bot.policy import bindings
from bot.policy.field_types import Sensitivity
from bot.policy.problems import ProviderFacts, did_you_mean, dotted, like
from bot.policy.schema import MOST_INPUTS, RoleShape
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]
_HARMLESS = frozenset({Sensitivity.LOW, Sensitivity.MEDIUM})


def of_role(role: RoleShape, facts: ProviderFacts | None, written: Collection[str], *, whole: bool) -> Iterator[Flaw]:
    """What is wrong with its `asks` and `grants`.

    ``written``: every input in the file, also one that has a mistake; ``whole``: `grants` have none that is known.
    """
    named = dict(bindings.references(role.grants))
    for path, name in named.items():
        if name not in written:
            hint = did_you_mean(like(name, [*written])) or "define it in the role's `asks`"
            yield ("grants", *path), f"there is no input `{name[:60]}`", hint
    texts = list(bindings.within_text(role.grants))
    for path in texts:
        hint = "write `{ask: NAME}` without quotes, as all of the value"
        yield ("grants", *path), "nothing is put into a text: an input is a whole value", hint
    for name in role.asks if whole and not texts else ():
        if name not in named.values():
            hint = f"write `{{ask: {name}}}` in place of a value, or leave the input out"
            yield ("asks", name), f"nothing in `grants` uses the input `{name}`", hint
    if facts and role.asks.keys() >= set(named.values()):
        yield from _of_values(role, facts, named)


def _of_values(role: RoleShape, facts: ProviderFacts, named: Mapping[Path, str]) -> Iterator[Flaw]:
    """What the provider says of the grants, with each value that an input may have."""
    said, revealed = set[tuple[Path, str]](), set[str]()
    for about, n, values in bindings.samples(role.asks):
        params = bindings.bound(role.grants, values)
        flaws = facts.params_flaws(params)
        for below, sentence in (flaw for flaw in flaws if flaw not in said):
            name = about or next((name for path, name in named.items() if below[: len(path)] == path), "")
            where = _value(role, name, n) if name else ("grants", *below)
            doubt = f"`{values[name][:60]}` does not fit `grants.{dotted(below)}`: " if name else ""
            yield where, f"{doubt}{sentence}", ""
        said.update(flaws)
        reveals = "" if flaws else facts.reveals(params)
        if reveals and reveals not in revealed and role.sensitivity in _HARMLESS:
            cure = "high or critical, or grant a role that reads the application alone"
            where = _value(role, about, n) if about else ("sensitivity",)
            yield where, f"{reveals}, so it is not {role.sensitivity}", cure
        revealed.add(reveals)


def _value(role: RoleShape, name: str, n: int) -> Path:
    """Where a value of an input is written."""
    shape = role.asks[name]
    return ("asks", name, *(("choice", n) if shape.choice else ("example",) if shape.pattern else ()))


def of_template(roles: Mapping[str, RoleShape]) -> Iterator[tuple[int, str, str]]:
    """What is asked for once for all roles of a template has to mean the same in each; by the place of the role."""
    first: dict[str, str] = {}
    for index, (role_name, role) in enumerate(roles.items()):
        for name, shape in role.asks.items():
            other = first.setdefault(name, role_name)
            if not shape.means_the_same(roles[other].asks[name]):
                sentence = f"the input `{name}` takes other values here than in `{other}`, and it is asked for once"
                yield index, sentence, "define it alike in both, or give one of them another name"
    if len(first) > MOST_INPUTS:
        yield 0, f"its roles ask for {len(first)} inputs, and a form has at most {MOST_INPUTS}", "make two templates"
