"""The policy file → systems, roles, templates; every mistake at once, each with its place and how to mend it.

Pure: it takes text and gives a `Catalog`, or raises `PolicyMistakes`. Nothing in a file with a mistake is used.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from pydantic import BaseModel, ValidationError

from bot.core import durations
from bot.core.model import Frozen
from bot.core.shapes import (
    NOT_YET,
    GroupShape,
    PolicyShape,
    ReasonShape,
    RoleShape,
    Sensitivity,
    SystemShape,
    TemplateShape,
    WorkspaceShape,
)
from bot.core.yaml_source import Document, Flaw, Mark, Path, Source, read

EVERYONE = "everyone"


class Step(Frozen):
    """So many different people out of any of the groups."""

    any_of: tuple[str, ...]
    count: int = 1


class Role(Frozen):
    """A level of access on a system. ``max`` in seconds; ``digest`` changes with what it grants."""

    title: str | None
    grants: Mapping[str, Any]
    sensitivity: Sensitivity
    max: int
    may_ask: tuple[str, ...]
    steps: tuple[Step, ...]
    digest: str


class System(Frozen):
    """A thing that is protected, served by one provider. ``config`` holds references, never secrets."""

    title: str
    provider: str
    config: Mapping[str, Any]
    channel: str
    approvers: tuple[str, ...]
    roles: Mapping[str, Role]


class RoleRef(Frozen):
    """A role by its system."""

    system: str
    role: str


class Choice(Frozen):
    """What can be asked for: a template, or a role by itself (``system/role``). Durations in seconds."""

    name: str
    title: str
    roles: tuple[RoleRef, ...]
    durations: tuple[int, ...]
    cap: int
    reason: ReasonShape


class Catalog(Frozen):
    """The policy of one workspace. ``generation`` names its content, whatever its comments and layout."""

    workspace: WorkspaceShape
    groups: Mapping[str, GroupShape]
    systems: Mapping[str, System]
    templates: Mapping[str, Choice]
    generation: str

    def role(self, system: str, role: str) -> Role | None:
        """A role, or None when the policy has none of that name."""
        owner = self.systems.get(system)
        return owner.roles.get(role) if owner else None

    def find(self, what: str) -> Choice | None:
        """A template by its name, or a role as ``system/role``."""
        if what in self.templates:
            return self.templates[what]
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
        return _like(what, [choice.name for choice in self.choices()])

    def _alone(self, system: str, name: str, role: Role) -> Choice:
        return Choice(
            name=f"{system}/{name}",
            title=f"{self.systems[system].title}: {role.title or name}",
            roles=(RoleRef(system=system, role=name),),
            durations=(),
            cap=role.max,
            reason=ReasonShape(),
        )


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to mend: where, what, and a hint."""

    mark: Mark
    path: str
    sentence: str
    hint: str = ""

    def __str__(self) -> str:
        """As a compiler says it."""
        where = f"{self.mark.file}:{self.mark.line}:{self.mark.column}"
        about = f"{self.path}: " if self.path else ""
        return f"{where}: {about}{self.sentence}{f'; {self.hint}' if self.hint else ''}"


class PolicyMistakes(ValueError):
    """Every mistake of a policy file, in order of place."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Keep them sorted."""
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class ProviderFacts(Protocol):
    """What the file is checked against for one provider; flaws are (path below, sentence)."""

    def config_flaws(self, config: Mapping[str, Any]) -> Sequence[tuple[Path, str]]:
        """What is wrong with a system's ``config``."""

    def params_flaws(self, grants: Mapping[str, Any]) -> Sequence[tuple[Path, str]]:
        """What is wrong with a role's ``grants``."""


FindProvider = Callable[[str], ProviderFacts | None]


def parse(sources: Sequence[Source], find: FindProvider, providers: Sequence[str]) -> Catalog:
    """The catalog of one or more files. Raises `PolicyMistakes`. ``providers`` are the names that ``find`` knows."""
    document = _merged([read(source) for source in sources], sources)
    checker = _Checker(document, find, providers)
    checker.flaws()
    shape = checker.shape()
    if shape is not None:
        checker.check(shape)
    if checker.mistakes or shape is None:
        raise PolicyMistakes(checker.mistakes)
    return _catalog(shape)


def _merged(documents: list[Document], sources: Sequence[Source]) -> Document:
    """Several files as one: each section may be spread over them, each entry stands in one."""
    if len(documents) == 1:
        return documents[0]
    whole = Document(data={})
    whole.marks[()] = Mark(sources[0].file if sources else "", 1, 1)
    for document in documents:
        whole.flaws += document.flaws
        if document.data is None:
            continue
        if not isinstance(document.data, dict):
            whole.data = document.data
            continue
        for key, value in document.data.items():
            _merge(whole, document, key, value)
        whole.marks = {**document.marks, **whole.marks}
        whole.keys = {**document.keys, **whole.keys}
    return whole


def _merge(whole: Document, part: Document, key: str, value: Any) -> None:
    known = whole.data.get(key)
    if known is None:
        whole.data[key] = dict(value) if isinstance(value, dict) else value
    elif key in {"groups", "systems", "templates"} and isinstance(known, dict) and isinstance(value, dict):
        for name, entry in value.items():
            if name in known:
                _twice(whole, part, (key, name))
            known[name] = entry
    elif not (key == "version" and known == value):
        _twice(whole, part, (key,))


def _twice(whole: Document, part: Document, path: Path) -> None:
    first = whole.keys.get(path) or whole.at(path)
    mark = part.keys.get(path) or part.at(path)
    whole.flaws.append(Flaw(mark, path, f"this stands in {first.file} already (line {first.line})"))


class _Checker:
    """Gathers mistakes; never stops at the first."""

    def __init__(self, document: Document, find: FindProvider, providers: Sequence[str]) -> None:
        self.mistakes: list[Mistake] = []
        self._document, self._find, self._providers = document, find, providers

    def say(self, path: Path, sentence: str, hint: str = "", *, key: bool = False) -> None:
        mark = self._document.keys.get(path) if key else None
        self.mistakes.append(Mistake(mark or self._document.at(path), _dotted(path), sentence, hint))

    def flaws(self) -> None:
        for flaw in self._document.flaws:
            self.mistakes.append(Mistake(flaw.mark, _dotted(flaw.path), flaw.sentence))

    def shape(self) -> PolicyShape | None:
        data = self._document.data
        if not isinstance(data, dict):
            if not self._document.flaws:
                self.say((), "a policy file is a mapping that begins with `version: 1`")
            return None
        try:
            return PolicyShape.model_validate(data)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self._shape_mistake(found["loc"], found["type"], found["msg"])
            return None

    def _shape_mistake(self, loc: tuple[int | str, ...], kind: str, message: str) -> None:
        path = tuple(part for part in loc if part != "[key]")
        if kind == "extra_forbidden":
            self._unknown_key(path)
        elif kind == "missing":
            self.say(path[:-1], f"`{path[-1]}` is missing here", key=True)
        elif "[key]" in loc:
            self.say(path, f"`{path[-1]}` is no name", "small letters, digits and dashes, at most 40", key=True)
        elif kind in {"enum", "literal_error"}:
            self.say(path, message.replace("Input should be", "this should be"))
        else:
            self.say(path, _in_words(kind, message))

    def _unknown_key(self, path: Path) -> None:
        name = str(path[-1])
        if name in NOT_YET:
            self.say(path, f"`{name}` ({NOT_YET[name]}) is not part of this version", "leave it out", key=True)
            return
        near = _like(name, _fields_at(path[:-1]))
        self.say(path, f"there is no key `{name[:60]}` here", _did_you_mean(near), key=True)

    def check(self, shape: PolicyShape) -> None:
        self._workspace(shape)
        for name, group in shape.groups.items():
            if bool(group.people) == bool(group.slack_usergroup):
                self.say(("groups", name), "a group has either `people` or `slack_usergroup`, and not both")
        for name, system in shape.systems.items():
            self._system(shape, ("systems", name), system)
        for name, template in shape.templates.items():
            self._template(shape, ("templates", name), template)
            if name in shape.systems:
                self.say(("templates", name), f"a system has the name `{name}` already", key=True)

    def _workspace(self, shape: PolicyShape) -> None:
        self._groups(shape, ("workspace", "operators"), shape.workspace.operators)
        if shape.workspace.mfa.request == "required":
            self._no_factor(("workspace", "mfa", "request"))

    def _no_factor(self, path: Path) -> None:
        sentence = "a second factor is required here (it is the default), and this version has none built in"
        self.say(path, sentence, "say `mfa: {request: off}` to do without, knowingly")

    def _system(self, shape: PolicyShape, path: Path, system: SystemShape) -> None:
        self._groups(shape, (*path, "approvers"), system.approvers)
        facts = self._find(system.provider) if system.provider in self._providers else None
        if system.provider not in self._providers:
            near = _did_you_mean(_like(system.provider, self._providers)) or f"there are {', '.join(self._providers)}"
            self.say((*path, "provider"), f"there is no provider `{system.provider[:60]}`", near)
        elif facts is None:
            extra = f"pip install 'jit-access[{system.provider}]'"
            self.say((*path, "provider"), f"the provider `{system.provider}` is not installed here", extra)
        for below, sentence in facts.config_flaws(system.config) if facts else ():
            self.say((*path, "config", *below), sentence)
        for name, role in system.roles.items():
            self._role(shape, (*path, "roles", name), role, facts)
            self._steps(shape, (*path, "roles", name), system, role)

    def _role(self, shape: PolicyShape, path: Path, role: RoleShape, facts: ProviderFacts | None) -> None:
        self._groups(shape, (*path, "may_ask"), role.may_ask, EVERYONE)
        if role.approval.mfa == "required":
            sentence = "a second factor is required here, and this version has none built in"
            self.say((*path, "approval", "mfa"), sentence, "leave it out, knowingly")
        for below, sentence in facts.params_flaws(role.grants) if facts else ():
            self.say((*path, "grants", *below), sentence)

    def _steps(self, shape: PolicyShape, path: Path, system: SystemShape, role: RoleShape) -> None:
        for index, step in enumerate(role.approval.steps or ()):
            where = (*path, "approval", "steps", index)
            self._groups(shape, (*where, "any_of"), step.any_of)
            self._size(shape, where, step.any_of, step.count)
        if role.approval.steps is None:
            self._size(shape, path, system.approvers, 1)

    def _size(self, shape: PolicyShape, path: Path, names: Sequence[str], count: int) -> None:
        groups = [shape.groups[name] for name in names if name in shape.groups]
        if len(groups) != len(names) or any(group.slack_usergroup for group in groups):
            return
        people = {address.casefold() for group in groups for address in group.people}
        if len(people) < count:
            self.say(path, f"{count} answers are needed, and the groups have {len(people)} people together")

    def _groups(self, shape: PolicyShape, path: Path, names: Sequence[str], *also: str) -> None:
        for index, name in enumerate(names):
            if name not in shape.groups and name not in also:
                hint = _did_you_mean(_like(name, [*shape.groups, *also]))
                self.say((*path, index), f"there is no group `{name[:60]}`", hint)

    def _template(self, shape: PolicyShape, path: Path, template: TemplateShape) -> None:
        known = {f"{s}/{r}": role for s, system in shape.systems.items() for r, role in system.roles.items()}
        for index, name in enumerate(template.roles):
            if name not in known:
                hint = _did_you_mean(_like(name, list(known))) or "write it as `system/role`"
                self.say((*path, "roles", index), f"there is no role `{name[:80]}`", hint)
        if len(set(template.roles)) < len(template.roles):
            self.say((*path, "roles"), "a role stands here twice")
        caps = {name: known[name].max for name in template.roles if name in known}
        for index, seconds in enumerate(template.durations):
            for name in [name for name, cap in caps.items() if seconds > cap]:
                over = f"{durations.short(seconds)} is longer than `{name}` may be open"
                self.say((*path, "durations", index), over, f"its `max` is {durations.short(caps[name])}")


def _catalog(shape: PolicyShape) -> Catalog:
    systems = {name: _system_of(system) for name, system in shape.systems.items()}
    canonical = json.dumps(shape.model_dump(mode="json"), sort_keys=True)
    return Catalog(
        workspace=shape.workspace,
        groups=shape.groups,
        systems=systems,
        templates={name: _template_of(name, template, systems) for name, template in shape.templates.items()},
        generation=hashlib.sha256(canonical.encode()).hexdigest()[:16],
    )


def _system_of(system: SystemShape) -> System:
    return System(
        title=system.title,
        provider=system.provider,
        config=system.config,
        channel=system.channel,
        approvers=system.approvers,
        roles={name: _role_of(system, role) for name, role in system.roles.items()},
    )


def _role_of(system: SystemShape, role: RoleShape) -> Role:
    steps = role.approval.steps
    granted = [system.provider, system.config, role.grants, role.max, role.sensitivity]
    return Role(
        title=role.title,
        grants=role.grants,
        sensitivity=role.sensitivity,
        max=role.max,
        may_ask=role.may_ask,
        steps=tuple(Step(any_of=s.any_of, count=s.count) for s in steps) if steps else (Step(any_of=system.approvers),),
        digest=hashlib.sha256(json.dumps(granted, sort_keys=True, default=str).encode()).hexdigest()[:16],
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
    )


def _fields_at(path: Path) -> list[str]:
    """The keys that the shape at a path has."""
    shape: Any = PolicyShape
    for part in path:
        field = shape.model_fields.get(part) if _is_shape(shape) else None
        shape = _inner(field.annotation) if field else _inner(shape)
    return list(shape.model_fields) if _is_shape(shape) else []


def _inner(annotation: Any) -> Any:
    """The shape within ``dict[…, Shape]``, ``tuple[Shape, …]`` or ``Shape | None``."""
    if _is_shape(annotation):
        return annotation
    return next((found for arg in get_args(annotation) if _is_shape(found := _inner(arg))), annotation)


def _is_shape(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def _in_words(kind: str, message: str) -> str:
    """Pydantic's message, shorter, without its own names for things."""
    words = {
        "string_type": "this should be text",
        "int_type": "this should be a whole number",
        "bool_type": "this should be true or false",
        "tuple_type": "this should be a list",
        "dict_type": "this should be a mapping",
        "model_type": "this should be a mapping",
        "mapping_type": "this should be a mapping",
    }
    said = words.get(kind) or message.removeprefix("Value error, ")
    return said[:1].lower() + said[1:]


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)[:200]


def _like(name: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name[:80], names, n=3, cutoff=0.6)


def _did_you_mean(names: Sequence[str]) -> str:
    return f"did you mean {' or '.join(f'`{name}`' for name in names[:2])}?" if names else ""
