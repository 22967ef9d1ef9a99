"""A million archived events: whether adding stays flat, and how long it takes to find, to tell, to verify, to export.

The events are whole lives of requests, spread over a year, sealed a thousand at a time, on SQLite as it is by default.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bot.audit.archive.archive import Archive
from bot.audit.archive.queries import between
from bot.audit.archive.timeline import EventQuery, Timeline
from bot.audit.export.export import export
from bot.audit.verify import Part, verify
from bot.core.audit_chain import MOST, PURPOSE, AuditEntry, Signer
from bot.core.events import EVENT
from bot.core.request import ID_ALPHABET
from bot.policy.loader import of_text
from bot.reports.insights import findings as insights
from bot.reports.insights.cases import KINDS
from bot.store.keyring import KeyRing
from tests.audit.stories import entries, life
from tests.house import catalog

T = TypeVar("T")
_W = "TBENCH"
_YEAR = 31_536_000
_START = 1.7e9
_PEOPLE, _SYSTEMS = 500, 40
_WEEK = 604_800


def measure(count: int) -> list[tuple[str, str, str]]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as home:
        archive = Archive.open("", Path(home), create=True)
        rows = [*_adding(archive, count), *_digesting(Path(home)), *_asking(archive, count)]
        size = sum(file.stat().st_size for file in Path(home).iterdir())
        archive.close()
    return [*rows, ("archive, bytes an event", f"{size / count:,.0f}", "")]


def _adding(archive: Archive, count: int) -> list[tuple[str, str, str]]:
    signer = Signer(KeyRing.generate().subkeys(PURPOSE))
    last, batch = None, []
    taken: list[tuple[float, float]] = []
    for entry in _told(count):
        batch.append(entry)
        if len(batch) == MOST:
            started, spent = time.perf_counter(), time.process_time()
            last = signer.seal(_W, last, batch, batch[-1].at)
            archive.append(last, batch)
            taken.append((time.perf_counter() - started, time.process_time() - spent))
            batch = []
    tenth = max(1, len(taken) // 10)
    (first, first_cpu), (end, end_cpu) = (map(sum, zip(*some, strict=True)) for some in (taken[:tenth], taken[-tenth:]))
    events = MOST * tenth
    return [
        ("sealed and archived, first tenth", f"{events / first:,.0f} events/s", ""),
        ("sealed and archived, last tenth", f"{events / end:,.0f} events/s", ""),
        ("ratio of the two, of processor time", f"{first_cpu / end_cpu:.2f}", "flat"),
    ]


def _asking(archive: Archive, count: int) -> list[tuple[str, str, str]]:
    trail, middle = Timeline(_W, archive), _START + _YEAR / 2
    week = {"since": middle, "until": middle + _WEEK, "most": 10_000}
    person = _best(lambda: trail.search(EventQuery(person="p7@example.com", **week)))  # type: ignore[arg-type]
    system = _best(lambda: trail.search(EventQuery(system="s7", **week)))  # type: ignore[arg-type]
    held = _best(lambda: trail.holders(middle, EventQuery()))
    month = _START + _YEAR - 30 * 86_400
    read = _best(lambda: sum(1 for _ in between(archive, _W, month, _START + _YEAR, KINDS)))
    looked = _best(lambda: insights.look(archive, _W, catalog(), _START + _YEAR, of_text))
    started, spent = time.perf_counter(), time.process_time()
    report = verify(archive.sealed(_W))
    verified, spent = time.perf_counter() - started, time.process_time() - spent
    if report.flaw:
        raise report.flaw
    before, started = _resident(), time.perf_counter()
    lines = sum(1 for _ in export(archive, _W, Part(1, report.last), "jsonl"))
    exported = time.perf_counter() - started
    return [
        (f"a person's week ({len(person[1].entries)} events)", f"{person[0] * 1000:.0f} ms", "200 ms"),
        (f"a system's week ({len(system[1].entries)} events)", f"{system[0] * 1000:.0f} ms", "200 ms"),
        (f"who held what at a moment ({len(held[1])})", f"{held[0] * 1000:.0f} ms", "1,000 ms"),
        (f"what stands out in 30 days ({read[1]} events counted)", f"{looked[0]:.1f} s", "a few seconds"),
        ("ratio to reading these events alone", f"{looked[0] / read[0]:.1f}", ""),
        ("verified", f"{report.events / verified:,.0f} events/s", "50,000 events/s"),
        ("verified, of processor time", f"{report.events / spent:,.0f} events/s", ""),
        (f"exported, {lines:,} lines", f"{lines / exported:,.0f} lines/s", ""),
        ("memory that the export added", f"{_resident() - before:,} KiB", "constant"),
    ]


def _digesting(home: Path) -> list[tuple[str, str, str]]:
    """A day in the middle, in a process of its own: its memory is nobody else's, and its start is not counted."""
    code = f"""
import resource, time
from datetime import date
from pathlib import Path
from bot.policy import loader
from bot.reports.digest import editions, facts as digest
from bot.audit.archive.archive import Archive
taken = []
for _ in range(3):
    started, spent = time.perf_counter(), time.process_time()
    archive = Archive.open("", Path({str(home)!r}))
    day = date.fromtimestamp({_START + _YEAR / 2})
    found = digest.make(archive, {_W!r}, editions.day(day), "Europe/Berlin", 2e9, loader.of_text)
    taken.append((time.perf_counter() - started, time.process_time() - spent))
    archive.close()
print(found.events, found.count("asked"), *min(taken), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    events, asked, took, spent, resident = done.stdout.split()
    return [
        (f"a day's digest ({events} events, {asked} asked)", f"{float(took) * 1000:.0f} ms", "2,000 ms"),
        ("a day's digest, of processor time", f"{float(spent) * 1000:.0f} ms", ""),
        ("a day's digest, all memory of its process", f"{int(resident) / 1024:.0f} MiB", "200 MB"),
    ]


def _told(count: int) -> Iterator[AuditEntry]:
    """Requests that follow each other evenly over the year."""
    requests = count // 6
    shape = [event.model_dump_json() for event in life("J-2222", "WHO", "SYS", 1e9, _W)]
    for n in range(requests):
        at, id_ = _START + n * _YEAR / requests, _id(n)
        moved = _moved(shape, id_, f"p{n % _PEOPLE}", f"s{n % _SYSTEMS}", at)
        yield from entries((EVENT.validate_json(text) for text in moved), id_, n * 6 + 1)


def _moved(shape: list[str], id_: str, who: str, system: str, at: float) -> list[str]:
    """The life of a request with other names, and at another time."""
    found = []
    for text in shape:
        renamed = text.replace("J-2222", id_).replace("j-2222", id_.lower()).replace("SYS", system)
        renamed = renamed.replace("UWHO", f"U{who.upper()}").replace("WHO", who)
        for offset in (0, 60, 61, 62, 70, 3600, 3662, 3663):
            renamed = renamed.replace(f"{1e9 + offset:.1f}", f"{at + offset:.6f}")
        found.append(renamed)
    return found


def _id(n: int) -> str:
    letters = ""
    for _ in range(6):
        n, rest = divmod(n, len(ID_ALPHABET))
        letters += ID_ALPHABET[rest]
    return f"J-{letters}"


def _best(ask: Callable[[], T]) -> tuple[float, T]:
    """The quickest of three, in seconds: the machine is shared."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        answer = ask()
        taken.append(time.perf_counter() - started)
    return min(taken), answer


def _resident() -> int:
    """The most memory that this process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
