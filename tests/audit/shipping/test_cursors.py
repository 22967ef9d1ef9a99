"""A cursor moves behind a confirmation, once, in SQLite and in PostgreSQL; what is shipped can be proved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.export.export import request_lookup
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor, CursorMoved, Refusal
from bot.audit.shipping.payload import shipped
from bot.audit.verify import verify
from bot.core.audit_chain import Signer
from providers.sinks.base import Severity
from tests.audit.stories import entries, keep, life, note

WORKSPACE = "T000001"


@pytest.fixture
def archive(url: str, tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(url, tmp_path, create=True)
    yield opened
    opened.close()


@pytest.fixture
def filled(archive: Archive, signer: Signer) -> Archive:
    """Ten events under seals of four."""
    keep(archive, signer, WORKSPACE, [note(n, 1e9 + n) for n in range(1, 11)], most=4)
    return archive


def begun(archive: Archive, sink: str = "siem", config: str = "c1", *, all_of_it: bool = True) -> Cursor:
    return cursors.begin(archive, WORKSPACE, sink, config, now=2e9, all_of_it=all_of_it)


def kept(archive: Archive, sink: str = "siem") -> Cursor:
    return cursors.cursors(archive, WORKSPACE)[sink]


def test_a_new_sink_begins_with_the_first_event_or_with_the_next(filled: Archive) -> None:
    assert begun(filled).number == 0
    assert begun(filled, "late", all_of_it=False).number == 10
    assert set(cursors.cursors(filled, WORKSPACE)) == {"siem", "late"}
    assert cursors.cursors(filled, "T000002") == {}


def test_a_known_sink_goes_on_where_it_was_whatever_its_config_says_now(filled: Archive) -> None:
    moved = cursors.move(filled, begun(filled), 4, 2e9)
    assert begun(filled) == moved
    cursors.stop(filled, moved, "it wants no more")
    assert begun(filled).stopped == "it wants no more", "a restart is no word of a person"
    again = begun(filled, config="c2", all_of_it=False)
    assert (again.number, again.stopped, again.config) == (4, "", "c2")


def test_who_was_overtaken_moves_nothing_back(filled: Archive) -> None:
    one = begun(filled)
    two = cursors.move(filled, one, 8, 2e9)
    with pytest.raises(CursorMoved):
        cursors.move(filled, one, 4, 2e9)
    with pytest.raises(CursorMoved):
        cursors.stop(filled, one, "x")
    assert kept(filled) == two


def test_a_refusal_is_kept_with_the_step_over_it_or_not_at_all(filled: Archive) -> None:
    one = begun(filled)
    two = cursors.move(filled, one, 1, 2e9, Refusal(1, "too large"))
    assert (two.number, two.refused) == (1, 1)
    with pytest.raises(CursorMoved):
        cursors.move(filled, one, 2, 2e9, Refusal(2, "too large"))
    assert cursors.refusals(filled, WORKSPACE) == {"siem": [1]}
    assert cursors.move(filled, two, 2, 2e9).refused == 0, "what is taken ends the row"


def test_the_lag_is_what_is_sealed_and_not_shipped(filled: Archive) -> None:
    one = cursors.begin(filled, WORKSPACE, "siem", "c1", now=5e8, all_of_it=True)
    assert cursors.lag(filled, one, 1e9 + 100) == (10, 99.0)
    assert cursors.lag(filled, cursors.move(filled, one, 10, 2e9), 1e9 + 100) == (0, 0.0)


def test_what_is_older_than_the_sink_waits_since_the_sink_is_there(filled: Archive) -> None:
    assert cursors.lag(filled, begun(filled), 2e9 + 7) == (10, 7.0)


def test_that_it_is_behind_is_known_wherever_the_cursor_is_by_then(filled: Archive) -> None:
    one = begun(filled)
    cursors.move(filled, one, 4, 2e9)
    cursors.know(filled, one, 3e9)
    assert (kept(filled).behind, kept(filled).number) == (3e9, 4)
    cursors.move(filled, kept(filled), 5, 2e9)
    assert kept(filled).behind == 3e9


def test_events_come_in_order_over_seals_and_in_pieces(filled: Archive) -> None:
    assert [each.entry.seq for each in cursors.after(filled, WORKSPACE, 0, 6)] == [1, 2, 3, 4, 5, 6]
    assert [each.entry.seq for each in cursors.after(filled, WORKSPACE, 6, 6)] == [7, 8, 9, 10]
    assert cursors.after(filled, WORKSPACE, 10, 6) == []


def test_a_recorded_loss_is_stepped_over(archive: Archive, signer: Signer) -> None:
    [first] = keep(archive, signer, WORKSPACE, [note(1, 1e9), note(2, 1e9)])
    lost = signer.loss(WORKSPACE, first, 3, 5, 1e9)
    archive.append(lost, [])
    keep(archive, signer, WORKSPACE, [note(6, 1e9)])
    assert [each.entry.seq for each in cursors.after(archive, WORKSPACE, 0, 9)] == [1, 2, 6]


def test_a_shipped_record_can_be_checked_without_us(filled: Archive, signer: Signer) -> None:
    for each in cursors.after(filled, WORKSPACE, 0, 10):
        told = json.loads(shipped(each, WORKSPACE, "jsonl").text)
        words = f"{told['seq']}|{told['at']:.6f}|{told['version']}|{len(told['id'])}|{len(told['kind'])}|"
        words += f"{told['id']}{told['kind']}{told['event']}"
        assert hashlib.sha256(words.encode()).hexdigest() == told["digest"]
        report = verify(filled.sealed(WORKSPACE), [filled.seal_over(WORKSPACE, told["seq"]).head], signer.trusted)  # type: ignore[union-attr]
        assert report.flaw is None
        assert str(filled.seal_over(WORKSPACE, told["seq"]).head) == told["head"]  # type: ignore[union-attr]


def test_an_event_that_was_changed_since_bears_the_digest_that_was_sealed(filled: Archive) -> None:
    before = cursors.after(filled, WORKSPACE, 2, 1)[0]
    with filled.begun() as db:
        db.exec_driver_sql("UPDATE jit_events SET event = '{}' WHERE seq = 3")
    after = cursors.after(filled, WORKSPACE, 2, 1)[0]
    assert after.digest == before.digest
    assert after.digest != after.entry.digest(), "so a receiver sees it"


def test_a_record_is_one_line_of_ascii_with_its_severity(archive: Archive, signer: Signer) -> None:
    told = [note(1, 1e9, "alarm", '{"said":"ü\\n"}'), note(2, 1e9, "denied"), note(3, 1e9, "granted")]
    keep(archive, signer, WORKSPACE, told)
    found = [shipped(each, WORKSPACE, "jsonl") for each in cursors.after(archive, WORKSPACE, 0, 9)]
    assert all(record.text.isascii() and "\n" not in record.text for record in found)
    assert [record.severity for record in found] == [Severity.CRITICAL, Severity.NOTICE, Severity.INFO]


def test_in_ocsf_a_record_says_whose_access_it_is_and_can_be_checked_too(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, WORKSPACE, list(entries(life("J-7K3Q", "mia"), "J-7K3Q", 1)))
    asked = request_lookup(archive, WORKSPACE)
    sealed = cursors.after(archive, WORKSPACE, 0, 9)
    told = [json.loads(shipped(each, WORKSPACE, "ocsf", asked(each.entry)).text) for each in sealed]
    granted = next(each for each in told if each["status_detail"] == "granted")
    assert granted["user"]["email_addr"] == "mia@example.com"
    assert granted["metadata"]["sequence"] == 4
    assert granted["unmapped"]["digest"] == sealed[3].digest.hex()
    assert granted["unmapped"]["head"] == sealed[3].head
