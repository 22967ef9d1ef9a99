"""The policy file → systems, roles, templates; every mistake at once, each with its place and how to mend it.

Pure: it takes text and gives a `Catalog`, or raises `PolicyMistakes`. Nothing in a file with a mistake is used.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from bot.core import durations
from bot.core.model import Frozen
from bot.core.remains import fields_at, place_of, remains
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
    in_words,
)
from bot.core.yaml_source import Document, Flaw, Mark, Path, Source, read

EVERYONE = "everyone"
MOST_MISTAKES = 200
"""How many are told; who has more will not read them all."""
_NO_MAPPING = "a policy file is a mapping that begins with `version: 1`"


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
        said = f"{where}: {about}{self.sentence}{f'; {self.hint}' if self.hint else ''}"
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in said)


class PolicyMistakes(ValueError):
    """Every mistake of a policy file, in order of place; of very many the first `MOST_MISTAKES`."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Keep them sorted."""
        found = sorted(set(mistakes))
        self.mistakes = tuple(found[:MOST_MISTAKES])
        more = [f"… and {len(found) - MOST_MISTAKES} more"] if len(found) > MOST_MISTAKES else []
        super().__init__("\n".join([*map(str, self.mistakes), *more]))


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
    sound = shape or checker.sound()
    if sound is not None:
        checker.check(sound)
    if checker.mistakes or shape is None:
        raise PolicyMistakes(checker.mistakes)
    return _catalog(shape)


def _merged(documents: list[Document], sources: Sequence[Source]) -> Document:
    """Several files as one: each section may be spread over them, each entry stands in one."""
    whole = Document(data={})
    whole.marks[()] = Mark(sources[0].file if sources else "", 1, 1)
    for document in documents:
        if not isinstance(document.data, dict):
            document.flaws = document.flaws or [Flaw(document.at(()), (), _NO_MAPPING)]
            whole.flaws += document.flaws
            continue
        whole.flaws += document.flaws
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
            known.setdefault(name, entry)
    elif not (key == "version" and known == value):
        _twice(whole, part, (key,))


def _twice(whole: Document, part: Document, path: Path) -> None:
    first = whole.keys.get(path) or whole.at(path)
    mark = part.keys.get(path) or part.at(path)
    sentence = f"this stands in {first.file} already (line {first.line})"
    whole.flaws.append(Flaw(mark, path, sentence, spoils=False))


class _Checker:
    """Gathers mistakes; never stops at the first."""

    def __init__(self, document: Document, find: FindProvider, providers: Sequence[str]) -> None:
        self.mistakes: list[Mistake] = []
        self._document, self._find, self._providers = document, find, providers
        self._data: dict[str, Any] = document.data
        self._broken: set[Path] = set()
        self._around: set[Path] = set()
        """What holds a broken part."""

    def say(self, path: Path, sentence: str, hint: str = "", *, key: bool = False) -> None:
        """Notes what is wrong, unless that follows from something which is told already."""
        if not self._is_touched(path):
            mark = self._document.keys.get(path) if key else None
            self.mistakes.append(Mistake(mark or self._document.at(path), _dotted(path), sentence, hint))

    def _is_touched(self, path: Path) -> bool:
        return path in self._around or self._is_broken(path)

    def _is_broken(self, path: Path) -> bool:
        return any(path[:length] in self._broken for length in range(len(path) + 1))

    def _break(self, path: Path) -> None:
        self._broken.add(path)
        self._around.update(path[:length] for length in range(len(path)))

    def flaws(self) -> None:
        for flaw in self._document.flaws:
            self.mistakes.append(Mistake(flaw.mark, _dotted(flaw.path), flaw.sentence))
            if flaw.spoils:
                self._broken.add(flaw.path)

    def shape(self) -> PolicyShape | None:
        shape, found = None, []
        try:
            shape = PolicyShape.model_validate(self._data)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        for each in found:
            self._shape_mistake(each["loc"], each["type"], each["msg"])
        for place in [*self._broken, *(place_of(each["loc"]) for each in found)]:
            self._break(place)
        return shape

    def sound(self) -> PolicyShape | None:
        return None if () in self._broken else remains(self._data, self._broken)

    def _shape_mistake(self, loc: tuple[int | str, ...], kind: str, message: str) -> None:
        path = place_of(loc)
        if kind == "extra_forbidden":
            self._unknown_key(path)
        elif kind == "missing":
            self.say(path[:-1], f"`{path[-1]}` is missing here", key=True)
        elif path != loc:
            name = str(path[-1])[:60]
            self.say(path, f"`{name}` is no name", "small letters, digits and dashes, at most 40", key=True)
        else:
            self.say(path, in_words(kind, message))

    def _unknown_key(self, path: Path) -> None:
        name = str(path[-1])
        if name in NOT_YET:
            self.say(path, f"`{name}` ({NOT_YET[name]}) is not part of this version", "leave it out", key=True)
            return
        near = self._like(name, fields_at(path[:-1]))
        self.say(path, f"there is no key `{name[:60]}` here", _did_you_mean(near), key=True)

    def check(self, shape: PolicyShape) -> None:
        self._workspace(shape)
        for name, group in shape.groups.items():
            if bool(group.people) == bool(group.slack_usergroup):
                self.say(("groups", name), "a group has either `people` or `slack_usergroup`, and not both", key=True)
            if name == EVERYONE:
                self.say(("groups", name), f"`{EVERYONE}` stands for each full member, and is no name", key=True)
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
            near = (
                _did_you_mean(self._like(system.provider, self._providers)) or f"there are {', '.join(self._providers)}"
            )
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
        steps, where = role.approval.steps, (*path, "approval", "steps")
        askers = self._people(shape, role.may_ask)
        for index, step in enumerate(steps or ()):
            self._groups(shape, (*where, index, "any_of"), step.any_of)
            self._enough(shape, (*where, index), step.any_of, step.count, askers)
        if steps is None:
            self._enough(shape, path, system.approvers, 1, askers)

    def _enough(
        self, shape: PolicyShape, path: Path, names: Sequence[str], count: int, askers: frozenset[str] | None
    ) -> None:
        """Whether enough people can answer; who asks does not count, so one less where only they may ask."""
        people = self._people(shape, names)
        if people is None:
            return
        if len(people) < count:
            sentence = f"{count} different people are needed, and there are {len(people)} in its groups"
            self.say(path, sentence, key=True)
        elif askers is not None and askers <= people and len(people) == count:
            sentence = f"{count} people besides the asker are needed, and all who may ask are among the {len(people)}"
            self.say(path, f"{sentence} in its groups: nobody could ever be given it", key=True)

    def _people(self, shape: PolicyShape, names: Sequence[str]) -> frozenset[str] | None:
        """The people of some groups; None when who they are is known later, or a mistake is told already."""
        groups = [shape.groups.get(name) for name in names if not self._is_touched(("groups", name))]
        if len(groups) != len(names) or any(not group or group.slack_usergroup or not group.people for group in groups):
            return None
        return frozenset(address.casefold() for group in groups if group for address in group.people)

    def _groups(self, shape: PolicyShape, path: Path, names: Sequence[str], *also: str) -> None:
        for index, name in enumerate(names):
            if name not in self._entries("groups") and name not in also and not self._is_broken(("groups",)):
                hint = _did_you_mean(self._like(name, [*shape.groups, *also]))
                self.say((*path, index), f"there is no group `{name[:60]}`", hint)

    def _template(self, shape: PolicyShape, path: Path, template: TemplateShape) -> None:
        known = {f"{s}/{r}": role for s, system in shape.systems.items() for r, role in system.roles.items()}
        for index, name in enumerate(template.roles):
            if name not in known and not self._may_be_a_role(name):
                hint = _did_you_mean(self._like(name, list(known))) or "write it as `system/role`"
                self.say((*path, "roles", index), f"there is no role `{name[:80]}`", hint)
        if len(set(template.roles)) < len(template.roles):
            self.say((*path, "roles"), "a role stands here twice")
        if len(set(template.durations)) < len(template.durations):
            self.say((*path, "durations"), "a duration stands here twice")
        caps = {name: known[name].max for name in template.roles if name in known}
        for index, seconds in enumerate(template.durations):
            for name in [name for name, cap in caps.items() if seconds > cap]:
                over = f"{durations.short(seconds)} is longer than `{name}` may be open"
                self.say((*path, "durations", index), over, f"its `max` is {durations.short(caps[name])}")

    def _may_be_a_role(self, name: str) -> bool:
        """Whether it stands in the file, in a part that is broken."""
        system, slash, role = name.partition("/")
        where = ("systems", system, "roles")
        return bool(slash) and (self._is_broken(where) or role in self._entries(*where))

    def _entries(self, *path: str) -> Mapping[str, Any]:
        found: Any = self._data
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _like(self, name: str, names: Sequence[str]) -> list[str]:
        """Nothing once there is more than anyone reads: likeness is slow to judge."""
        return _like(name, names) if len(self.mistakes) < MOST_MISTAKES else []


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


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)[:200]


def _like(name: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name[:80], names, n=3, cutoff=0.6)


def _did_you_mean(names: Sequence[str]) -> str:
    return f"did you mean {' or '.join(f'`{name}`' for name in names[:2])}?" if names else ""
