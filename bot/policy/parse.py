"""The policy file's text → a catalog; every mistake at once, each with its place and how to fix it.

Pure: it takes text and gives a `Catalog`, or raises `PolicyMistakes`. Nothing in a file with a mistake is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.policy.catalog import Catalog, catalog_of
from bot.policy.mfa import kinds_that_do
from bot.policy.problems import FindProvider, InstalledKinds, PolicyMistakes
from bot.policy.schema import PolicyShape
from bot.policy.validation import NO_MAPPING, Checker
from bot.policy.yaml_source import Document, Path, Source, SourcePlace, YamlFlaw, read

_NOTHING = InstalledKinds()
_SECTIONS = frozenset({"directories", "calendars", "groups", "systems", "templates"})
"""Those that may be spread over several files."""


def parse(
    sources: Sequence[Source], find: FindProvider, providers: Sequence[str], installed: InstalledKinds = _NOTHING
) -> Catalog:
    """The catalog of one or more files. Raises `PolicyMistakes`. ``providers`` are the names that ``find`` knows."""
    document = _merged([read(source) for source in sources], sources)
    checker = Checker(document, find, providers, installed)
    checker.flaws()
    shape = checker.shape()
    sound = checker.sound(shape)
    if sound is not None:
        checker.check(sound)
    if checker.mistakes or shape is None:
        raise PolicyMistakes(checker.mistakes)
    factors = kinds_that_do(shape.workspace.mfa.factors, installed.factors.names)
    return catalog_of(shape, _by_shifts(shape, installed), factors)


def _by_shifts(shape: PolicyShape, installed: InstalledKinds) -> frozenset[str]:
    """The groups whose people come and go by the clock."""
    facts = {name: installed.directories.find(each.kind) for name, each in shape.directories.items()}
    return frozenset(
        name
        for name, group in shape.groups.items()
        if group.directory and (found := facts.get(group.directory)) and found.shifts
    )


def _merged(documents: list[Document], sources: Sequence[Source]) -> Document:
    """Several files as one: each section may be spread over them, each entry stands in one."""
    whole = Document(data={})
    whole.marks[()] = SourcePlace(sources[0].file if sources else "", 1, 1)
    for document in documents:
        if not isinstance(document.data, dict):
            document.flaws = document.flaws or [YamlFlaw(document.at(()), (), NO_MAPPING)]
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
    elif key in _SECTIONS and isinstance(known, dict) and isinstance(value, dict):
        for name, entry in value.items():
            if name in known:
                _twice(whole, part, (key, name))
            known.setdefault(name, entry)
    elif not (key == "version" and known == value):
        _twice(whole, part, (key,))


def _twice(whole: Document, part: Document, path: Path) -> None:
    first = whole.keys.get(path) or whole.at(path)
    mark = part.keys.get(path) or part.at(path)
    sentence = f"this is in {first.file} already (line {first.line})"
    whole.flaws.append(YamlFlaw(mark, path, sentence, spoils=False))
