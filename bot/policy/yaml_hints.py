"""What to do about a text that is no YAML: a hint for each thing that people write and YAML reads as something else."""

from __future__ import annotations

import re

import yaml
from yaml.error import Mark

_START = re.compile(r"character '\\?(.)' that cannot start")
_A_VALUE = re.compile(r"\s*(?:- +)?[^\s#:][^:#]*:\s+\S")
"""A key and the beginning of its value."""
_GLUED = re.compile(r"(?:- +)?([\w-]+):(\S.*)")
_QUOTED = "put the text in quotes"


def place(error: yaml.MarkedYAMLError) -> int:
    """Where the trouble is; YAML notices a key without its colon only on the next line."""
    noticed = error.problem_mark or error.context_mark
    begun = error.context_mark if error.problem == "could not find expected ':'" else None
    mark = begun or noticed
    return mark.index if mark else 0


def hint(text: str, error: yaml.MarkedYAMLError) -> str:
    """What was probably meant, or ''."""
    problem, context = error.problem or "", error.context or ""
    line = _line(text, place(error))
    if found := _START.search(problem):
        return _sign(found[1])
    if quote := _open_quote(text, error):
        return quote
    if problem == "could not find expected ':'":
        glued = _GLUED.fullmatch(line.strip())
        return f"write a space behind the colon: `{glued[1]}: …`" if glued else "write it as `key: value`"
    if problem.startswith("mapping values"):
        before = line[: _column(text, place(error))]
        if _A_VALUE.match(before):
            return f"{_QUOTED}: it has a colon and a space in it, which is how a key ends"
        return _line_above(text, place(error)) or _INDENTED
    if "flow" in context and error.context_mark:
        sign = "[" if "sequence" in context else "{"
        return f"the `{sign}` in line {_number(text, error.context_mark)} is not closed, or a comma is missing"
    if "block" in context:
        return _INDENTED
    if "expected a single document" in context:
        return "a file is one document: take the `---` out, or write two files in a folder"
    return ""


_INDENTED = "look at the indentation: the keys of one mapping begin in the same column, and those below it further in"


def _sign(sign: str) -> str:
    match sign:
        case "@":
            return "leave the @ out where it is the name of a group, or put the text in quotes"
        case "\t" | "t":
            return "indent with spaces, not with tabs"
    return f"{_QUOTED}: YAML has a meaning of its own for {sign}"


def _open_quote(text: str, error: yaml.MarkedYAMLError) -> str:
    """A quote that is closed in another line than it was meant to, if at all, makes nonsense of what follows."""
    mark = error.problem_mark or error.context_mark
    end = mark.index if mark else len(text)
    for number, line in enumerate(text[: end + 1].split("\n"), start=1):
        plain = re.sub(r"\\.|'[^']*'|(?:^|\s)#.*", "", line)
        if plain.count('"') % 2 and not line.lstrip().startswith("#"):
            return f'the quote " in line {number} is not closed'
    return ""


def _line_above(text: str, index: int) -> str:
    """What the line above lacks, which begins in the same column and is read as one text with this one."""
    lines = text[:index].split("\n")
    if len(lines) < 2 or _indent(lines[-2]) != _indent(lines[-1]):
        return ""
    if glued := _GLUED.fullmatch(lines[-2].strip()):
        return f"write a space behind the colon in line {len(lines) - 1}: `{glued[1]}: …`"
    return "" if ":" in lines[-2] else f"write line {len(lines) - 1} as `key: value`"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _line(text: str, index: int) -> str:
    start = text.rfind("\n", 0, index) + 1
    end = text.find("\n", index)
    return text[start : end if end >= 0 else len(text)]


def _column(text: str, index: int) -> int:
    return index - text.rfind("\n", 0, index) - 1


def _number(text: str, mark: Mark) -> int:
    return text.count("\n", 0, mark.index) + 1
