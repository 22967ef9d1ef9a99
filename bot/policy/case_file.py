"""A file of policy tests: who requests what, and what the policy should make of it; it judges none of them.

Each mistake has its place, as in a policy file. Who is in a Slack user group is said here, so that CI asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from bot.core.identity import identity_of
from bot.policy.catalog import Catalog, Choice
from bot.policy.field_types import Duration, Name, Names, Shape
from bot.policy.problems import Mistake, PolicyMistakes, did_you_mean, dotted, like
from bot.policy.pydantic_words import in_words
from bot.policy.vocabulary import LONGEST_TOGETHER, MOST_TOGETHER
from bot.policy.yaml_source import Document, Path, Source, SourcePlace, read

Verdict = Literal["refused", "approved-by-rule", "approved", "asks"]
"""What can become of a request: nobody is asked, a rule approves, people did, or people are still to."""
_FORMS = "refused, approved-by-rule, approved, asks, or {asks: [dba, 2 of platform or security]}"
_MOMENT = 'write a day, a time and a zone in quotes, like "2026-12-04 17:00+01:00"'
_STEP = re.compile(r"(?:(?P<count>[1-9]|10) of )?(?P<groups>[a-z0-9-]+(?: or [a-z0-9-]+)*)")


def _who(value: Any) -> Any:
    return {"person": value} if isinstance(value, str) else value


def _expected(value: Any) -> Any:
    if isinstance(value, str):
        return {"verdict": value}
    if isinstance(value, dict) and set(value) == {"asks"}:
        return {"verdict": "asks", "asks": value["asks"]}
    raise ValueError(f"write {_FORMS}")


def _step(value: str) -> str:
    if not _STEP.fullmatch(value):
        raise ValueError("write a group, `2 of dba`, or `dba or security`")
    return value


def _some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("list at least one")
    return value


def _address(value: str) -> str:
    return identity_of(value)


def moment(value: Any) -> float:
    """A day, a time and a zone in Unix seconds. Raises `ValueError`."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(_MOMENT) from error
    if found.tzinfo is None:
        raise ValueError(_MOMENT)
    return found.timestamp()


Address = Annotated[str, AfterValidator(_address)]
People = Annotated[tuple[Address, ...], Field(strict=False)]


class WhoShape(Shape):
    """A person by address, or somebody who is in these groups."""

    person: Address | None = None
    groups: Names = ()


class ExpectShape(Shape):
    """What should become of it. ``asks``: each step that is still open, as `2 of dba or security`."""

    verdict: Verdict
    asks: (
        Annotated[tuple[Annotated[str, AfterValidator(_step)], ...], Field(strict=False), AfterValidator(_some)] | None
    ) = None

    @property
    def steps(self) -> tuple[tuple[frozenset[str], int], ...] | None:
        """The groups of each step and how many of their people it needs; None where any will do."""
        return None if self.asks is None else tuple(_parsed(each) for each in self.asks)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.verdict} {', '.join(self.asks)}" if self.asks else self.verdict


class CaseShape(Shape):
    """One request that is tried out. Durations in seconds."""

    who: Annotated[WhoShape, BeforeValidator(_who), Field(alias="as")]
    what: str
    duration: Duration | None = None
    start: Duration | None = None
    """How long from now access is to start."""
    reason: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    """What is given for the inputs of its roles, by name."""
    at: Annotated[float, BeforeValidator(moment)] | None = None
    """When it is requested, Unix seconds; now where it is not said."""
    frozen: Names = ()
    """The calendars that have an event when access would start; the others have none."""
    tickets: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The tickets that exist; others do not."""
    denied: int = Field(default=0, ge=0, le=1000)
    """How often this person was denied each of its roles just before."""
    live: int = Field(default=0, ge=0, le=1000)
    """How many grants of each of its roles are live."""
    used: int = Field(default=0, ge=0, le=1000)
    """How many requests of this person each rule has approved within 24 hours."""
    approved_by: People = ()
    """Who has approved it so far, in that order."""
    expect: Annotated[ExpectShape, BeforeValidator(_expected)]
    sentence: str = ""
    """A part of what the requester reads."""
    rules: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """The rules that should have an effect, by their places in the policy; None where any may."""
    lasts: Duration | None = None
    """How long access should last."""


class CasesShape(Shape):
    """The whole file."""

    policy: str | None = None
    """The policy file or folder, from where this file is."""
    groups: dict[Name, People] = Field(default_factory=dict)
    """Who is in each Slack user group, and each group of a directory, of the policy."""
    cases: Annotated[tuple[CaseShape, ...], Field(strict=False), AfterValidator(_some)]


@dataclass(frozen=True)
class CaseFile:
    """What was read, and the place of each case."""

    shape: CasesShape
    document: Document

    def place(self, index: int) -> SourcePlace:
        """Where a case begins."""
        return self.document.at(("cases", index))


def parse(source: Source) -> CaseFile:
    """The file as it is written. Raises `PolicyMistakes`."""
    document = read(source)
    if document.flaws:
        raise PolicyMistakes(Mistake(flaw.mark, dotted(flaw.path), flaw.sentence, flaw.hint) for flaw in document.flaws)
    if not isinstance(document.data, dict):
        raise PolicyMistakes([Mistake(document.at(()), "", "a file of policy tests is a mapping with `cases:`")])
    try:
        return CaseFile(CasesShape.model_validate(document.data), document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        meant = {_meant(each["loc"]) for each in found if each["type"] == "extra_forbidden"}
        told = [each for each in found if each["loc"] not in meant]
        raise PolicyMistakes(_mistake(document, each["loc"], each["type"], each["msg"]) for each in told) from error


def against(file: CaseFile, catalog: Catalog) -> None:
    """Whether each name is one of the policy's, and each user group has its people. Raises `PolicyMistakes`."""
    if found := list(_strangers(file, catalog)):
        raise PolicyMistakes(found)


def _strangers(file: CaseFile, catalog: Catalog) -> Iterator[Mistake]:
    shape, listed = file.shape, [name for name, group in catalog.groups.items() if not group.is_listed]
    for name in shape.groups:
        if name in catalog.groups and name not in listed:
            said = f"the policy lists who is in `{name}`"
            yield _said(
                file,
                ("groups", name),
                said,
                "leave it out: only Slack user groups and groups of directories are said here",
            )
        elif name not in catalog.groups:
            yield _unknown(file, ("groups", name), name, listed)
    for name in listed:
        if name not in shape.groups:
            hint = f"write `groups: {{{name}: [somebody@example.com]}}`"
            yield _said(file, ("groups",), f"who is in {_told_by(catalog, name)} is not said here", hint)
    for index, case in enumerate(shape.cases):
        where: Path = ("cases", index)
        choice = catalog.find(case.what)
        if choice is None:
            yield _said(file, (*where, "what"), *_no_choice(catalog, case.what))
        else:
            yield from _unasked(file, where, case, choice)
        for n in case.rules or ():
            if not 1 <= n <= len(catalog.rules):
                said = f"the policy has no rule {n}"
                yield _said(file, (*where, "rules"), said, f"it has {len(catalog.rules)}, numbered from 1")
        for name in case.frozen:
            if name not in catalog.calendar_names:
                yield _said(file, (*where, "frozen"), f"no rule names a calendar `{name[:60]}`", "leave it out")
        for name in case.who.groups:
            if name not in catalog.groups:
                yield _unknown(file, (*where, "as", "groups"), name, list(catalog.groups))
        for groups, _ in case.expect.steps or ():
            for name in sorted(groups - set(catalog.groups)):
                yield _unknown(file, (*where, "expect"), name, list(catalog.groups))


def _told_by(catalog: Catalog, name: str) -> str:
    return f"the {'directory' if catalog.groups[name].directory else 'Slack user'} group `{name}`"


def _no_choice(catalog: Catalog, what: str) -> tuple[str, str]:
    """Why this cannot be requested, and a hint."""
    for part in (part.strip() for part in what.split("+")):
        if catalog.find(part) is None:
            return f"there is nothing called `{part[:80]}` to request", did_you_mean(catalog.nearest(part))
    hint = f"combine up to {MOST_TOGETHER} roles, no templates, which define an input of the same name alike"
    return f"`{what[:LONGEST_TOGETHER]}` is not one request", hint


def _unasked(file: CaseFile, where: Path, case: CaseShape, choice: Choice) -> Iterator[Mistake]:
    """What is given and not asked for; whether a value will do is the case's own question."""
    for name in case.inputs:
        if name not in choice.inputs:
            path = (*where, "inputs", name)
            hint = did_you_mean(like(name, list(choice.inputs))) or _asked(choice)
            said = f"`{choice.name}` does not ask for `{name[:60]}`"
            yield Mistake(_key(file.document, path), dotted(path), said, hint)


def _asked(choice: Choice) -> str:
    return f"it asks for {', '.join(choice.inputs)}" if choice.inputs else "leave it out: it asks for nothing"


def _unknown(file: CaseFile, path: Path, name: str, names: Sequence[str]) -> Mistake:
    return _said(file, path, f"there is no group `{name[:60]}` in the policy", did_you_mean(like(name, names)))


def _said(file: CaseFile, path: Path, sentence: str, hint: str) -> Mistake:
    return Mistake(file.document.at(path), dotted(path), sentence, hint)


def _mistake(document: Document, loc: tuple[int | str, ...], kind: str, message: str) -> Mistake:
    path = tuple(part for part in loc if part != "[key]")
    if kind == "extra_forbidden":
        name, known = str(path[-1]), _fields(path[:-1])
        near = did_you_mean(like(name, known)) or (f"there are {', '.join(known)}" if known else "")
        return Mistake(_key(document, path), dotted(path), f"there is no key `{name[:60]}` here", near)
    if kind == "missing":
        return Mistake(_key(document, path[:-1]), dotted(path[:-1]), f"`{path[-1]}` is missing here")
    if kind == "literal_error":
        return Mistake(_nearest(document, path), dotted(path[:-1]), f"write {_FORMS}")
    return Mistake(_nearest(document, path), dotted(path), in_words(kind, message))


def _nearest(document: Document, path: Path) -> SourcePlace:
    """The value at a path; a word that stands for a mapping has no parts of its own."""
    while path and path not in document.marks:
        path = path[:-1]
    return document.at(path)


def _meant(path: Path) -> Path:
    """The key that a key which is not known was probably meant to be: that one is not missing as well."""
    return (*path[:-1], *like(str(path[-1]), _fields(path[:-1]))[:1])


def _key(document: Document, path: Path) -> SourcePlace:
    return document.keys.get(path) or document.at(path)


def _fields(path: Path) -> list[str]:
    """The keys that are known at a path."""
    shapes: Mapping[int, type[Shape]] = {0: CasesShape, 2: CaseShape}
    shape = WhoShape if path[-1:] == ("as",) else shapes.get(len(path))
    if shape is None:
        return []
    names = [field.alias or name for name, field in shape.model_fields.items()]
    return [name for name in names if name != "person"]


def _parsed(step: str) -> tuple[frozenset[str], int]:
    found = _STEP.fullmatch(step)
    if found is None:
        raise ValueError(f"{step!r} is no step")  # the shape has refused it
    return frozenset(found["groups"].split(" or ")), int(found["count"] or 1)
