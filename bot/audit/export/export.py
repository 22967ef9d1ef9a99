"""Audit events as a file: JSON lines that can be verified, CSV for people, OCSF for a SIEM; it changes nothing.

A JSON-lines export opens with what it holds, carries the seals after their events, and closes with what it held, so
that a file that was cut short is seen. It is made and read a line at a time.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import heapq
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bot.audit.archive import projection
from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.audit.export.ocsf import ocsf
from bot.audit.verify import Part
from bot.core import human_times
from bot.core.audit_chain import AuditEntry, Seal
from bot.core.request import Request

T = TypeVar("T")
Format = Literal["jsonl", "csv", "ocsf"]
FORMAT = "jit audit export 1"
COLUMNS = ("number", "time", "kind", "request", "by", "requester", "roles", "event")
_FORMULA = frozenset("=+-@\t\r")
_REMEMBERED = 2_000
_LONGEST_LINE = 16_000_000
"""Characters: a seal over a thousand events has some 64,000."""


class NotAnExport(ValueError):
    """A file that is no export, or not one that can be verified; the sentence says which line and why."""


@dataclass(frozen=True)
class Sample:
    """Some requests out of all that were submitted in the range: the same ones for the same seed, on any machine."""

    size: int
    seed: int
    population: int
    ids: tuple[str, ...]
    numbers: tuple[int, ...]


class NothingThere(ValueError):
    """No sealed event is in the range."""


def part_of(archive: Archive, workspace: str, first: int | None, last: int | None, when: human_times.When) -> Part:
    """The numbers of a range or of a time, all of which are sealed. Raises `NothingThere`."""
    end = archive.last(workspace)
    if when.at is not None or ((when.since is not None or when.until is not None) and (first or last)):
        raise NothingThere("an export has a range of numbers (--from, --to) or of time (--when), and no moment")
    if end is None:
        raise NothingThere("nothing is sealed yet")
    low, high = first or 1, last or end.last
    if when != human_times.When():
        found = archive_search.span(archive, workspace, when.since, when.until)
        if found is None:
            raise NothingThere("nothing happened in that time")
        low, high = found
    if not low <= high <= end.last:
        raise NothingThere(f"from {low} to {high} is no range of what is sealed, which ends at {end.last}")
    return Part(low, high)


def description(part: Part, sample: Sample | None) -> str:
    """What an export holds, in a sentence."""
    if sample is None:
        return f"Complete from number {part.first} to {part.last}."
    drawn = (
        f"{len(sample.ids)} of the {sample.population} requests that were submitted from {part.first} to {part.last}"
    )
    return (
        f"A sample, not complete: {drawn}, drawn with seed {sample.seed}, each with all its events up to {part.last}."
    )


def export(
    archive: Archive, workspace: str, part: Part, form: Format, sample: Sample | None = None, now: float = 0.0
) -> Iterator[str]:
    """The lines of an export, each with its end; the numbers of ``part`` must be sealed."""
    if sample:
        part = Part(part.first, part.last, sample.numbers)
    asked = request_lookup(archive, workspace)
    items = _chosen(archive.sealed(workspace, part.first, part.last), part)
    if form == "jsonl":
        yield from _json_lines(items, _opening(workspace, part, sample, now))
    elif form == "csv":
        yield _row(COLUMNS)
        yield from (_row(_cells(item, asked(item))) for item in items if isinstance(item, AuditEntry))
    else:
        yield from (_line(ocsf(item, asked(item), workspace)) for item in items if isinstance(item, AuditEntry))


def amount(archive: Archive, workspace: str, part: Part, sample: Sample | None) -> int:
    """How many events an export has."""
    return len(sample.numbers) if sample else archive_search.amount(archive, workspace, part.first, part.last)


def draw(archive: Archive, workspace: str, part: Part, size: int, seed: int) -> Sample:
    """Draw requests out of those that were submitted from one number to another, by hash, in constant memory."""
    population = 0

    def drawn() -> Iterator[tuple[str, int, str]]:
        nonlocal population
        for seq, id_ in archive_search.submitted(archive, workspace, part.first, part.last):
            population += 1
            yield hashlib.sha256(f"{seed}|{workspace}|{seq}|{id_}".encode()).hexdigest(), seq, id_

    chosen = sorted((seq, id_) for _, seq, id_ in heapq.nsmallest(size, drawn()))
    numbers = sorted({n for seq, id_ in chosen for n in _numbered(archive, workspace, id_, seq, part.last)})
    return Sample(size, seed, population, tuple(id_ for _, id_ in chosen), tuple(numbers))


def read(lines: Iterable[str]) -> tuple[Part, str, Iterator[AuditEntry | Seal]]:
    """The numbers, the workspace and the items of a JSON-lines export. Raises `NotAnExport`, also while it is read."""
    numbered = enumerate(lines, start=1)
    opening = _parsed(*next(numbered, (1, "")))
    if opening.get("jit") != FORMAT:
        raise NotAnExport("line 1: this is no export in JSON lines, which alone can be verified (--format jsonl)")
    part = _read(1, lambda: Part(int(opening["first"]), int(opening["last"]), _numbers(opening)))
    return part, str(opening.get("workspace", "")), _items(numbered)


def _items(numbered: Iterator[tuple[int, str]]) -> Iterator[AuditEntry | Seal]:
    number, over = 1, False
    for number, line in numbered:  # the last one is named when the end is missing
        if over:
            raise NotAnExport(f"line {number}: it comes after the end")
        fields = _parsed(number, line)
        if "end" in fields:
            over = True
        elif "seal" in fields:
            yield _read(number, lambda: sealed_from(fields))  # noqa: B023  # called before the next line is read
        else:
            yield _read(number, lambda: AuditEntry(**fields))  # noqa: B023
    if not over:
        raise NotAnExport(f"line {number}: the file was cut short, its last line does not say that it is the end")


def request_lookup(archive: Archive, workspace: str) -> Callable[[AuditEntry], Request | None]:
    """Who requested what, by an event of the request; the latest few thousand requests are remembered."""

    @functools.lru_cache(maxsize=_REMEMBERED)
    def lives(id_: str) -> list[tuple[int, Request]]:
        return archive_search.lives(archive, workspace, id_)

    def asked(entry: AuditEntry) -> Request | None:
        return next((request for born, request in lives(entry.id) if born <= entry.seq), None) if entry.id else None

    return asked


def _numbered(archive: Archive, workspace: str, id_: str, born: int, last: int) -> list[int]:
    return [entry.seq for entry in archive_search.history(archive, workspace, id_, born, last)]


def _chosen(items: Iterator[AuditEntry | Seal], part: Part) -> Iterator[AuditEntry | Seal]:
    if part.some is None:
        yield from items
        return
    wanted = frozenset(part.some)
    for item in items:
        if not isinstance(item, AuditEntry) or item.seq in wanted:
            yield item


def _json_lines(items: Iterator[AuditEntry | Seal], opening: dict[str, Any]) -> Iterator[str]:
    events = 0
    yield _line(opening)
    for item in items:
        if isinstance(item, AuditEntry):
            events += 1
            yield _line(item._asdict())
        else:
            yield _line(spelled(item))
    yield _line({"end": True, "first": opening["first"], "last": opening["last"], "events": events})


def _opening(workspace: str, part: Part, sample: Sample | None, now: float) -> dict[str, Any]:
    said: dict[str, Any] = {"jit": FORMAT, "workspace": workspace, "first": part.first, "last": part.last, "made": now}
    if sample:
        said |= {"complete": False, "sample": sample.size, "seed": sample.seed, "population": sample.population}
        said |= {"requests": sample.ids, "numbers": sample.numbers}
    else:
        said["complete"] = True
    return said


def spelled(seal: Seal) -> dict[str, Any]:
    """A seal in plain JSON; bytes are hexadecimal."""
    return {
        "seal": seal.n,
        "workspace": seal.workspace,
        "first": seal.first,
        "last": seal.last,
        "at": seal.at,
        "previous": seal.previous,
        "digests": seal.digests.hex(),
        "key": seal.key.hex(),
        "signature": seal.signature.hex(),
        "head": str(seal.head),
    }


def sealed_from(fields: Mapping[str, Any]) -> Seal:
    """A seal out of its JSON. Raises `KeyError`, `TypeError`, `ValueError`."""
    return Seal(
        str(fields["workspace"]),
        int(fields["seal"]),
        int(fields["first"]),
        int(fields["last"]),
        float(fields["at"]),
        str(fields["previous"]),
        bytes.fromhex(fields["digests"]),
        bytes.fromhex(fields["key"]),
        bytes.fromhex(fields["signature"]),
    )


def _numbers(opening: dict[str, Any]) -> tuple[int, ...] | None:
    return None if "numbers" not in opening else tuple(sorted(int(n) for n in opening["numbers"]))


def _parsed(number: int, line: str) -> dict[str, Any]:
    def found() -> dict[str, Any]:
        fields = json.loads(line)
        if not isinstance(fields, dict) or len(line) > _LONGEST_LINE:
            raise ValueError("no object")
        return fields

    return _read(number, found)


def _read(number: int, how: Callable[[], T]) -> T:
    try:
        return how()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotAnExport(f"line {number}: it is not what an export has there ({type(error).__name__})") from None


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def _cells(entry: AuditEntry, request: Request | None) -> tuple[object, ...]:
    requester = request.requester.email if request else ""
    roles = " ".join(leg.role.name for leg in request.legs) if request else ""
    return (
        entry.seq,
        human_times.spelled(entry.at),
        entry.kind,
        entry.id,
        projection.by(entry),
        requester,
        roles,
        entry.event,
    )


def _row(cells: Iterable[object]) -> str:
    """One row; a cell that a spreadsheet would take for a formula is kept from being one (OWASP, CSV injection)."""
    text = io.StringIO()
    csv.writer(text).writerow([f"'{cell}" if str(cell)[:1] in _FORMULA else cell for cell in cells])
    return text.getvalue()
