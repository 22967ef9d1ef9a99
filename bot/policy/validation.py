"""What refers to nothing or cannot be in a policy file; one mistake hides or brings no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bot.core import durations
from bot.core.identity import identity_of
from bot.policy import break_glass_flaws, conflicts, directory_flaws, input_flaws, near_misses, rule_flaws, step_flaws
from bot.policy.catalog import EVERYONE
from bot.policy.mfa_flaws import of_second_factors
from bot.policy.problems import (
    MOST_MISTAKES,
    FindProvider,
    InstalledKinds,
    Mistake,
    ProviderFacts,
    did_you_mean,
    dotted,
    like,
)
from bot.policy.pydantic_words import in_words
from bot.policy.rule_shapes import SENTENCES, RuleShape
from bot.policy.salvage import fields_at, place_of, remains
from bot.policy.schema import PolicyShape, RoleShape, SystemShape, TemplateShape
from bot.policy.yaml_source import Document, Path

_NAMED = "small letters, digits and dashes"
NO_MAPPING = "a policy file is a mapping that begins with `version: 1`"


class Checker:
    """Gathers mistakes; never stops at the first."""

    def __init__(
        self, document: Document, find: FindProvider, providers: Sequence[str], installed: InstalledKinds
    ) -> None:
        self.mistakes: list[Mistake] = []
        self._document, self._find, self._providers, self._installed = document, find, providers, installed
        self._data: dict[str, Any] = document.data
        self._broken: set[Path] = set()
        self._around: set[Path] = set()
        """What holds a broken part."""

    def say(self, path: Path, sentence: str, hint: str = "", *, key: bool = False) -> None:
        """Notes what is wrong, unless that follows from something which is told already."""
        if not self._is_touched(path):
            mark = self._document.keys.get(path) if key else None
            self.mistakes.append(Mistake(mark or self._document.at(path), dotted(path), sentence, hint))

    def _is_touched(self, path: Path) -> bool:
        return path in self._around or self._is_broken(path)

    def _is_broken(self, path: Path) -> bool:
        return any(path[:length] in self._broken for length in range(len(path) + 1))

    def _break(self, path: Path) -> None:
        self._broken.add(path)
        self._around.update(path[:length] for length in range(len(path)))

    def flaws(self) -> None:
        for flaw in self._document.flaws:
            self.mistakes.append(Mistake(flaw.mark, dotted(flaw.path), flaw.sentence, flaw.hint))
            if flaw.spoils:
                self._broken.add(flaw.path)
        for path, instead in near_misses.variables(self._data):
            self.say(path, "nothing is filled in here for `${…}`", instead)
            self._broken.add(path)

    def shape(self) -> PolicyShape | None:
        shape, found = None, []
        try:
            shape = PolicyShape.model_validate(self._data)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        # Only of as many as are told: likeness is slow to judge.
        unknown = [each["loc"] for each in found if each["type"] == "extra_forbidden"][:MOST_MISTAKES]
        misspelt = {place for loc in unknown for place in self._meant(loc)}
        for each in found:
            if not (each["type"] == "missing" and each["loc"] in misspelt):
                self._shape_mistake(each["loc"], each["type"], each["msg"])
        for place in [*self._broken, *(place_of(each["loc"]) for each in found)]:
            self._break(place)
        return shape

    def sound(self, shape: PolicyShape | None) -> PolicyShape | None:
        """The shape, or what is sound in it; whatever is said of a stand-in is not told."""
        if shape is not None or () in self._broken:
            return shape
        found = remains(self._data, self._broken)
        if found is None:
            return None
        sound, stand_ins = found
        self._broken |= stand_ins
        return sound

    def _meant(self, loc: tuple[int | str, ...]) -> list[tuple[int | str, ...]]:
        """The key that a key which is not known was probably meant to be."""
        return [(*loc[:-1], name) for name in self._like(str(loc[-1]), fields_at(loc[:-1]))[:1]]

    def _is_misnamed(self, name: str, *where: str) -> bool:
        """Whether a name stands in the file, written as no name may be."""
        return any((*where, key) in self._broken and near_misses.plain(key) == name for key in self._entries(*where))

    def _shape_mistake(self, loc: tuple[int | str, ...], kind: str, message: str) -> None:
        path = place_of(loc)
        if kind == "extra_forbidden":
            self._unknown_key(path)
        elif kind == "missing":
            why = SENTENCES.get(str(path[-1]), "") if path[0] == "rules" and len(path) == 3 else ""
            self.say(path[:-1], f"`{path[-1]}` is missing here", f"a rule says it: {why}" if why else "", key=True)
        elif path != loc:
            name = str(path[-1])[:60]
            near = near_misses.plain(name)
            signs = "letters, digits, dashes and underscores" if path[-2:-1] == ("asks",) else _NAMED
            rule = f"a name has {signs}, at most 40"
            meant = f"did you mean `{near}`? " if near and near != name else ""
            self.say(path, f"`{name}` is no name", f"{meant}{rule}", key=True)
        else:
            hint = near_misses.value(path, kind, message, self._value(path))
            self.say(path, in_words(kind, message), hint)

    def _value(self, path: Path) -> Any:
        found: Any = self._data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def _unknown_key(self, path: Path) -> None:
        name = str(path[-1])
        near = near_misses.instead(path) or did_you_mean(self._like(name, fields_at(path[:-1])))
        self.say(path, f"there is no key `{name[:60]}` here", near, key=True)

    def check(self, shape: PolicyShape) -> None:
        self._workspace(shape)
        for below, sentence, hint in directory_flaws.of_kinds(shape, self._installed, self._like):
            self.say(below, sentence, hint)
        for name, group in shape.groups.items():
            directory = None if self._is_broken(("directories",)) else shape.directories.get(group.directory or "")
            facts = self._installed.directories.find(directory.kind) if directory else None
            for below, sentence, hint in directory_flaws.of_group(name, group, self._entries("directories"), facts):
                self.say(("groups", name, *below), sentence, hint, key=not below)
            self._groups(shape, ("groups", name, "may_stand_in"), group.may_stand_in)
        for name, system in shape.systems.items():
            self._system(shape, ("systems", name), system)
        for name, template in shape.templates.items():
            self._template(shape, ("templates", name), template)
            if name in shape.systems:
                self.say(("templates", name), f"a system has the name `{name}` already", key=True)
        for index, rule in enumerate(shape.rules):
            self._rule(shape, ("rules", index), rule)
        for path, name in conflicts.sides(shape):
            self._named(shape, path, name)
        for flaw in conflicts.flaws(shape):
            self.say(*flaw)

    def _workspace(self, shape: PolicyShape) -> None:
        self._groups(shape, ("workspace", "operators"), shape.workspace.operators)
        self._groups(shape, ("workspace", "auditors"), shape.workspace.auditors)
        digest = shape.workspace.digest
        if digest and not (digest.at or digest.weekly or digest.monthly):
            hint = 'say `at: "09:00"` for each day, `weekly: monday 09:00` or `monthly: 1 09:00`'
            self.say(("workspace", "digest"), "a digest needs a time", hint, key=True)
        whole = not self._is_touched(("systems",))
        for flaw in of_second_factors(shape, self._installed.factors.names, self._like, whole=whole):
            self.say(*flaw)

    def _system(self, shape: PolicyShape, path: Path, system: SystemShape) -> None:
        self._groups(shape, (*path, "approvers"), system.approvers)
        if system.on_call is not None:
            self._group(shape, (*path, "on_call"), system.on_call)
        if path[-1] == "lift":
            self.say(path, "`/jit lockdown lift` lifts a lockdown, so no system has that name", key=True)
        facts = self._find(system.provider) if system.provider in self._providers else None
        if system.provider not in self._providers:
            known = f"there are {', '.join(self._providers)}"
            near = did_you_mean(self._like(system.provider, self._providers)) or known
            self.say((*path, "provider"), f"there is no provider `{system.provider[:60]}`", near)
        elif facts is None:
            extra = f"pip install 'jit-access[{system.provider}]'"
            self.say((*path, "provider"), f"the provider `{system.provider}` is not installed here", extra)
        for below, sentence in facts.config_flaws(system.config) if facts else ():
            self.say((*path, "config", *below), sentence)
        for name, role in system.roles.items():
            self._role(shape, (*path, "roles", name), role, facts)
            self._steps(shape, (*path, "roles", name), system, role)
            self._notify(shape, (*path, "roles", name), system, role)
            self._break_glass(shape, (*path, "roles", name, "break_glass"), system, role)

    def _break_glass(self, shape: PolicyShape, path: Path, system: SystemShape, role: RoleShape) -> None:
        who = role.break_glass.who if role.break_glass else ()
        self._groups(shape, (*path, "who"), who)
        reviewers = self._people(shape, [*system.approvers, *shape.workspace.operators])
        for below, sentence, hint in break_glass_flaws.of_role(shape, role, self._people(shape, who), reviewers):
            self.say((*path, *below), sentence, hint, key=not below)

    def _role(self, shape: PolicyShape, path: Path, role: RoleShape, facts: ProviderFacts | None) -> None:
        self._groups(shape, (*path, "may_ask"), role.may_ask, EVERYONE)
        self._groups(shape, (*path, "may_ask_for"), role.may_ask_for)
        asks = self._entries(*map(str, path), "asks")
        misnamed = {near_misses.plain(name) for name in asks if self._is_broken((*path, "asks", name))}
        whole = not self._is_touched((*path, "grants"))
        for below, sentence, hint in input_flaws.of_role(role, facts, {*asks, *misnamed}, whole=whole):
            self.say((*path, *below), sentence, hint)

    def _steps(self, shape: PolicyShape, path: Path, system: SystemShape, role: RoleShape) -> None:
        steps, where = role.approval.steps, (*path, "approval", "steps")
        requesters = self._people(shape, role.may_ask)
        for index, step in enumerate(steps or ()):
            self._groups(shape, (*where, index, "any_of"), step.any_of or ())
            self._enough(shape, (*where, index), step.any_of or system.approvers, step.count, requesters)
            self._groups(shape, (*where, index, "skip_if_requester_in"), step.skip_if_requester_in or ())
            self._groups(shape, (*where, index, "escalate", "to"), step.escalate.to if step.escalate else ())
        if steps is None:
            self._enough(shape, path, system.approvers, 1, requesters)
        pending = None if self._is_touched(("workspace", "pending")) else shape.workspace.pending
        for below, sentence, hint in step_flaws.of_role(system, role, pending):
            self.say((*path, "approval", *below), sentence, hint)

    def _notify(self, shape: PolicyShape, path: Path, system: SystemShape, role: RoleShape) -> None:
        """Whoever is to be reached on call is somebody, and can decide."""
        for key, value in (("mention", role.notify.mention), ("dm", role.notify.dm)):
            where = (*path, "notify", key)
            if value == "on-call" and system.on_call is None:
                sentence = f"nobody is known to be on call for `{path[1]}`"
                self.say(where, sentence, "name a group of those who are as its `on_call`, or reach the group")
        steps = [step.any_of or system.approvers for step in role.approval.steps or ()] or [system.approvers]
        deciders = self._people(shape, [name for names in steps for name in names])
        calls = self._people(shape, [system.on_call]) if system.on_call else None
        if calls and deciders and not calls & deciders and system.on_call:
            name = f"`{path[1]}/{path[3]}`"
            sentence = f"nobody in `{system.on_call}`, who are on call, can decide about {name}"
            self.say((*path[:2], "on_call"), sentence)

    def _enough(
        self, shape: PolicyShape, path: Path, names: Sequence[str], count: int, requesters: frozenset[str] | None
    ) -> None:
        """Whether enough people can answer; who asks does not count, so one less where only they may ask."""
        people = self._people(shape, names)
        if people is None:
            return
        if len(people) < count:
            sentence = f"{count} different people are needed, and there are {len(people)} in its groups"
            self.say(path, sentence, key=True)
        elif requesters is not None and requesters <= people and len(people) == count:
            sentence = (
                f"{count} people besides the requester are needed, and all who may ask are among the {len(people)}"
            )
            self.say(path, f"{sentence} in its groups: nobody could ever be given it", key=True)

    def _people(self, shape: PolicyShape, names: Sequence[str]) -> frozenset[str] | None:
        """The people of some groups; None when who they are is known later, or a mistake is told already."""
        groups = [shape.groups.get(name) for name in names if not self._is_touched(("groups", name))]
        if len(groups) != len(names) or not all(group and group.people and group.is_listed for group in groups):
            return None
        return frozenset(identity_of(address) for group in groups if group for address in group.people)

    def _groups(self, shape: PolicyShape, path: Path, names: Sequence[str], *also: str) -> None:
        for index, name in enumerate(names):
            self._group(shape, (*path, index), name, *also)

    def _group(self, shape: PolicyShape, path: Path, name: str, *also: str) -> None:
        if name in self._entries("groups") or name in also or self._is_broken(("groups",)):
            return
        if not self._is_misnamed(name, "groups"):
            hint = did_you_mean(self._like(name, [*shape.groups, *also]))
            if near_misses.is_everyone(name):
                only = f"name a group: `{EVERYONE}` is for `may_ask` alone"
                hint = did_you_mean([EVERYONE]) if EVERYONE in also else hint or only
            self.say(path, f"there is no group `{name[:60]}`", hint)

    def _template(self, shape: PolicyShape, path: Path, template: TemplateShape) -> None:
        known = {f"{s}/{r}": role for s, system in shape.systems.items() for r, role in system.roles.items()}
        for index, name in enumerate(template.roles):
            if name not in known and not self._may_be_a_role(name):
                hint = did_you_mean(self._like(name, list(known))) or "write it as `system/role`"
                self.say((*path, "roles", index), f"there is no role `{name[:80]}`", hint)
        if len(set(template.roles)) < len(template.roles):
            self.say((*path, "roles"), "a role is here twice")
        if len(set(template.durations)) < len(template.durations):
            self.say((*path, "durations"), "a duration is here twice")
        caps = {name: known[name].max for name in template.roles if name in known}
        for index, sentence, hint in input_flaws.of_template({name: known[name] for name in caps}):
            self.say((*path, "roles", template.roles.index([*caps][index])), sentence, hint)
        for index, seconds in enumerate(template.durations):
            for name in [name for name, cap in caps.items() if seconds > cap]:
                over = f"{durations.short(seconds)} is longer than `{name}` may be open"
                self.say((*path, "durations", index), over, f"its `max` is {durations.short(caps[name])}")

    def _rule(self, shape: PolicyShape, path: Path, rule: RuleShape) -> None:
        for kind, below, name in rule_flaws.names_in(rule):
            if kind == "everyone":
                hint = "leave `requester_in` out where it is for all who may ask"
                self.say((*path, *below), f"`{EVERYONE}` is no group", hint)
            elif kind == "group":
                self._group(shape, (*path, *below), name)
            else:
                self._named(shape, (*path, *below), name)
        for index, step in enumerate(rule.then.require.steps if rule.then.require else ()):
            self._enough(shape, (*path, "then", "require", "steps", index), step.any_of, step.count, None)
        calendars, asked = list(self._entries("calendars")), self._inputs().__contains__
        whole = not self._is_touched((*path, "then"))
        for below, sentence, hint in rule_flaws.of_rule(shape, int(path[1]), calendars, asked, whole=whole):
            self.say((*path, *below), sentence, hint, key=below[-1:] in {(), ("when",)})

    def _inputs(self) -> set[str]:
        """Every input that some role of the file asks for."""
        holders = [("systems", system, "roles") for system in self._entries("systems")]
        roles = ((*holder, role) for holder in holders for role in self._entries(*holder))
        return {name for role in roles for name in self._entries(*role, "asks")}

    def _named(self, shape: PolicyShape, path: Path, name: str) -> None:
        """A template, a system, or a role."""
        roles = [f"{s}/{r}" for s, system in shape.systems.items() for r in system.roles]
        known = [*shape.templates, *shape.systems, *roles]
        stands = any(
            self._is_broken((part,)) or name in self._entries(part) or self._is_misnamed(name, part)
            for part in ("templates", "systems")
        )
        if name not in known and not stands and not self._may_be_a_role(name):
            hint = did_you_mean(self._like(name, known)) or "name a template, a system, or a `system/role`"
            self.say(path, f"there is nothing called `{name[:80]}` to ask for", hint)

    def _may_be_a_role(self, name: str) -> bool:
        """Whether it stands in the file, in a part that is broken."""
        system, slash, role = name.partition("/")
        where = ("systems", system, "roles")
        misnamed = self._is_misnamed(system, "systems") or self._is_misnamed(role, *where)
        return bool(slash) and (misnamed or self._is_broken(where) or role in self._entries(*where))

    def _entries(self, *path: str) -> Mapping[str, Any]:
        found: Any = self._data
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _like(self, name: str, names: Sequence[str]) -> list[str]:
        """Nothing once there is more than anyone reads: likeness is slow to judge."""
        return like(name, names) if len(self.mistakes) < MOST_MISTAKES else []
