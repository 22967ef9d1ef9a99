"""YAML text → plain data and the place of every part of it; it resolves no anchor, no tag and no second key."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from bot.policy import yaml_hints

MOST_CHARACTERS = 1_000_000
_MOST_DEPTH = 20
_SCALARS = ("str", "int", "float", "bool", "null")
_KNOWN = {ScalarNode: _SCALARS, MappingNode: ("map",), SequenceNode: ("seq",)}
_ALIAS = "alias"
_LARGEST = 2**53
"""Beyond this, a number is not the same to every reader of JSON."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")

Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class SourcePlace:
    """A place in a file; both count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """One file's name and text."""

    file: str
    text: str


@dataclass(frozen=True)
class YamlFlaw:
    """What the YAML itself has wrong, and where."""

    mark: SourcePlace
    path: Path
    sentence: str
    spoils: bool = True
    """Whether what stands there was lost by it."""
    hint: str = ""


@dataclass
class Document:
    """Plain data, with the mark of each value, and of each key under its path and ``True``."""

    data: Any = None
    marks: dict[Path, SourcePlace] = field(default_factory=dict)
    keys: dict[Path, SourcePlace] = field(default_factory=dict)
    flaws: list[YamlFlaw] = field(default_factory=list)

    def at(self, path: Path) -> SourcePlace:
        """The mark of a part; of one that is not there, the key of the nearest whole that is."""
        if path in self.marks:
            return self.marks[path]
        while path and path not in self.keys and path not in self.marks:
            path = path[:-1]
        return self.keys.get(path) or self.marks.get(path) or SourcePlace("", 1, 1)


def read(source: Source) -> Document:
    """The document of one file; its flaws, if any, are in it."""
    document, places = Document(), _Places(source)
    start = SourcePlace(source.file, 1, 1)
    document.marks[()] = start
    if len(source.text) > MOST_CHARACTERS:
        document.flaws.append(YamlFlaw(start, (), f"the file has more than {MOST_CHARACTERS:,} characters"))
        return document
    try:
        node = _compose(source.text)
    except yaml.MarkedYAMLError as error:
        mark = places.mark(yaml_hints.place(error))
        document.flaws.append(YamlFlaw(mark, (), _error_words(error), hint=yaml_hints.hint(source.text, error)))
        return document
    except ReaderError as error:
        character = f"the character U+{ord(source.text[error.position]):04X}"
        document.flaws.append(YamlFlaw(places.mark(error.position), (), f"{character} is not read here"))
        return document
    except RecursionError:
        document.flaws.append(YamlFlaw(start, (), f"nested more than {_MOST_DEPTH} deep"))
        return document
    if node is None:
        document.flaws.append(YamlFlaw(start, (), "the file is empty; `jit init` writes one to start from"))
        return document
    document.data = _Reader(places, document).value(node, ())
    return document


class _Loader(yaml.SafeLoader):
    """Leaves each alias where it stands, unresolved."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if not self.check_event(yaml.AliasEvent):
            return super().compose_node(parent, index)
        event: Any = self.get_event()  # type: ignore[no-untyped-call]  # the stubs leave its type out
        return ScalarNode(_ALIAS, f"*{event.anchor}", event.start_mark, event.end_mark)


def _compose(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Places:
    """The line and column of each character, as an editor shows them.

    PyYAML's own line numbers are not used: it also breaks lines at U+0085, U+2028 and U+2029, which editors do not.
    """

    def __init__(self, source: Source) -> None:
        self._file, self._text = source.file, source.text
        self._starts = [0, *(end.end() for end in re.finditer("\n", source.text))]

    def mark(self, index: int) -> SourcePlace:
        line = bisect_right(self._starts, index)
        start = self._starts[line - 1]
        return SourcePlace(self._file, line, index - start - self._text.count("\ufeff", start, index) + 1)


class _Reader:
    """Walks a node tree once."""

    def __init__(self, places: _Places, document: Document) -> None:
        self._places, self._document = places, document

    def value(self, node: Node, path: Path) -> Any:
        self._document.marks[path] = self._mark(node)
        if node.tag == _ALIAS:
            return self._flaw(node, path, "aliases (`*name`) are not read here; write it out, or put text in quotes")
        if len(path) > _MOST_DEPTH:
            return self._flaw(node, path, f"nested more than {_MOST_DEPTH} deep")
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _KNOWN[type(node)]:
            if node.tag.endswith((":timestamp", ":merge")) and isinstance(node, ScalarNode):
                return node.value
            return self._flaw(node, path, f"the tag {node.tag[:40]} is not read here")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, ScalarNode):
                self._flaw(key, path, "a key must be a plain word")
                continue
            name = str(key.value)
            inner = (*path, name)
            if name in found:
                self._flaw(key, inner, f"`{name[:60]}` is here a second time", spoils=False)
                continue
            if _UNPRINTABLE.search(name) or "\n" in name:
                self._flaw(key, inner, "a key has a character that cannot be shown")
            found[name] = self.value(child, inner)
            self._document.keys[inner] = self._mark(key)
        return found

    def _scalar(self, node: Node, path: Path) -> Any:
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            return self._flaw(node, path, "this value cannot be read")
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            return self._flaw(node, path, "this text has a character that cannot be shown")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            return self._flaw(node, path, "this number is too large, or none")
        return value

    def _flaw(self, node: Node, path: Path, sentence: str, *, spoils: bool = True) -> None:
        self._document.flaws.append(YamlFlaw(self._mark(node), path, sentence, spoils))

    def _mark(self, node: Node) -> SourcePlace:
        return self._places.mark(node.start_mark.index)


def _error_words(error: yaml.MarkedYAMLError) -> str:
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return f"this is no YAML: {said[:200]}"
