"""A file of policy tests: who requests what, and what the policy should make of it; it judges none of them.

Each mistake has its place, as in a policy file. Who is in a Slack user group is said here, so that CI asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from bot.policy import case_flaws
from bot.policy.case_shapes import (
    FORMS,
    CaseApprovalShape,
    CaseShape,
    CasesShape,
    ExpectShape,
    LatelyShape,
    PersonLatelyShape,
    Verdict,
    WhoShape,
    moment,
)
from bot.policy.catalog import Catalog
from bot.policy.field_types import Shape
from bot.policy.problems import Mistake, PolicyMistakes, did_you_mean, dotted, like
from bot.policy.pydantic_words import in_words
from bot.policy.yaml_source import Document, Path, Source, SourcePlace, read

__all__ = ["CaseShape", "ExpectShape", "Verdict", "moment"]
"""What is imported above and asked for here too."""


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
    found = [_flaw(file.document, *flaw) for flaw in case_flaws.flaws(file.shape, catalog)]
    if found:
        raise PolicyMistakes(found)


def _flaw(document: Document, path: Path, sentence: str, hint: str) -> Mistake:
    mapping = path[-2:-1] == ("inputs",)  # of what is not asked for, the name is wrong and not the value
    return Mistake(_key(document, path) if mapping else document.at(path), dotted(path), sentence, hint)


def _mistake(document: Document, loc: tuple[int | str, ...], kind: str, message: str) -> Mistake:
    path = tuple(part for part in loc if part != "[key]")
    if kind == "extra_forbidden":
        name, known = str(path[-1]), _fields(path[:-1])
        near = did_you_mean(like(name, known)) or (f"there are {', '.join(known)}" if known else "")
        return Mistake(_key(document, path), dotted(path), f"there is no key `{name[:60]}` here", near)
    if kind == "missing":
        return Mistake(_key(document, path[:-1]), dotted(path[:-1]), f"`{path[-1]}` is missing here")
    if kind == "literal_error":
        return Mistake(_nearest(document, path), dotted(path[:-1]), f"write {FORMS}")
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
    shape = _SHAPES.get(tuple(part for part in path if not isinstance(part, int)))
    if shape is None:
        return []
    names = [field.alias or name for name, field in shape.model_fields.items()]
    return [name for name in names if name != "person"]


_SHAPES: Mapping[Path, type[Shape]] = {
    (): CasesShape,
    ("cases",): CaseShape,
    ("cases", "as"): WhoShape,
    ("cases", "approved_by"): CaseApprovalShape,
    ("cases", "approved_lately"): LatelyShape,
    ("cases", "approved_lately", "per_person"): PersonLatelyShape,
}
