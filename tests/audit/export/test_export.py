"""Exports for other eyes: OCSF with all that its classes require, CSV that starts nothing; in constant memory."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bot import terminal
from bot.audit.archive.archive import Archive
from bot.audit.export.export import export
from bot.audit.export.ocsf import ocsf
from bot.audit.verify import Part, verify
from bot.core.audit_chain import AuditEntry, Seal, Signer
from bot.core.events import ClosedManually, Event, Revealed
from tests.audit.stories import entries, keep, life, note

W = "T000001"

# What OCSF 1.8.0 requires, out of its published schema, without the profiles that are not used here.
BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
REQUIRED = {3001: BASE | {"user"}, 3004: BASE | {"entity"}, 3005: BASE | {"user", "privileges"}}
ACTIVITIES = {3001: {*range(13), 99}, 3004: {*range(14), 99}, 3005: {0, 1, 2, 99}}
ONE_OF = {
    "user": {"account", "name", "uid"},
    "entity": {"name", "uid", "device", "group", "org", "policy", "user"},
    "actor": {"process", "user", "invoked_by", "session", "app_name", "app_uid"},
    "product": {"name", "uid"},
}


def valid(event: Mapping[str, Any]) -> None:
    """Raise where a required attribute is missing, or one has no value of its kind."""
    uid = event["class_uid"]
    assert set(event) >= REQUIRED[uid]
    assert event["activity_id"] in ACTIVITIES[uid]
    assert event["type_uid"] == uid * 100 + event["activity_id"]
    assert event["category_uid"] == 3
    assert isinstance(event["time"], int)
    assert event["severity_id"] in {0, 1, 2, 3, 4, 5, 6, 99}
    assert {"product", "version"} <= set(event["metadata"])
    for name, some in ONE_OF.items():
        found = event["metadata"].get(name) or event.get(name)
        assert found is None or some & set(found), name


def story() -> list[AuditEntry]:
    events: list[Event] = life("J-2222", "mia")
    events.insert(4, Revealed(at=1e9 + 90))
    events[-1] = ClosedManually(at=1e9 + 9000, by="cli:pat@host", reason="gone")
    found = list(entries(events, "J-2222", 1))
    hostile = [note(8, 1e9, "refused", "["), note(9, 1e9, "alarm", "[1]"), note(10, 1e300, "x", "null")]
    return [*found, *hostile, AuditEntry(11, 1e9, "J-9999", 4, "granted", "{}")]


def test_every_event_is_valid_ocsf_with_its_class(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, story())
    told = [json.loads(line) for line in export(archive, W, Part(1, 11), "ocsf")]
    for event in told:
        valid(event)
    assert [(e["metadata"]["sequence"], e["class_uid"], e["activity_name"]) for e in told] == [
        (1, 3004, "Create"),
        (2, 3004, "Update"),
        (3, 3004, "Update"),
        (4, 3005, "Assign Privileges"),
        (5, 3001, "Password Reset"),
        (6, 3004, "Update"),
        (7, 3005, "Revoke Privileges"),
        (8, 3004, "Update"),
        (9, 3004, "Update"),
        (10, 3004, "Update"),
        (11, 3004, "Update"),
    ]
    assert told[3]["user"]["name"] == "mia@example.com"
    assert told[3]["privileges"] == ["vault/read-only"]
    assert told[3]["metadata"]["version"] == "1.8.0"
    assert told[6]["actor"] == {"user": {"uid": "cli:pat@host"}}


def test_csv_cells_start_no_formula(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, [note(1, 5.0, "=SUM(A1)", "@x")])
    assert list(export(archive, W, Part(1, 1), "csv"))[1] == "1,1970-01-01T00:00:05.000Z,'=SUM(A1),,,,,'@x\r\n"


@pytest.mark.parametrize("kind", ["revoked", "granted", "revealed"])
def test_what_belongs_to_nobody_known_is_still_valid(kind: str) -> None:
    valid(ocsf(note(1, 5.0, kind, "{}"), None, W))


def many(signer: Signer, count: int) -> Iterator[AuditEntry | Seal]:
    """Seals of a hundred small events, never all in memory."""
    last = None
    for at in range(1, count, 100):
        some = [note(n, float(n)) for n in range(at, at + 100)]
        yield from some
        last = signer.seal(W, last, some, float(at))
        yield last


def test_verifying_takes_the_same_memory_for_ten_times_the_events(signer: Signer) -> None:
    peaks = []
    for count in (2_000, 20_000):
        tracemalloc.start()
        assert verify(many(signer, count)).events == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


def test_exporting_takes_the_same_memory_for_five_times_the_events(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, [note(n, float(n)) for n in range(1, 10_001)], most=100)
    sum(1 for _ in export(archive, W, Part(1, 10_000), "jsonl"))  # what is made once is made
    peaks = []
    for last in (2_000, 10_000):
        tracemalloc.start()
        assert sum(1 for _ in export(archive, W, Part(1, last), "jsonl")) > last
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


def test_progress_is_counted_in_place_on_a_terminal_and_in_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for pause in ("_BLINK", "_LONG", "_LINES"):
        monkeypatch.setattr(terminal, pause, -1.0)
    for stderr, said in (
        (Terminal(), "\r\x1b[K1 lines\r\x1b[K2 lines\r\x1b[K3 lines\r\x1b[K3 lines\n"),
        (io.StringIO(), "1 lines …\n2 lines …\n3 lines …\n"),
    ):
        monkeypatch.setattr(sys, "stderr", stderr)
        assert list(terminal.counted("abc", "lines")) == ["a", "b", "c"]
        assert stderr.getvalue() == said
