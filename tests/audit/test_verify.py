"""Whoever changes, removes, adds or reorders a sealed event is found out, and the first such event is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.audit.archive.archive import Archive
from bot.audit.archive.tables import EVENTS, SEALS
from bot.audit.export.export import NotAnExport, draw, export, read
from bot.audit.verify import Part, Report, What, verify
from bot.core.audit_chain import PURPOSE, AuditEntry, Head, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import entries, keep, life, note

W = "T000001"


@pytest.fixture
def told(archive: Archive, signer: Signer) -> list[AuditEntry]:
    """Thirty events under seals of seven."""
    found: list[AuditEntry] = []
    for n, id_ in enumerate(("J-2222", "J-3333", "J-4444", "J-5555", "J-6666")):
        found += entries(life(id_, f"p{n}", at=1e9 + n * 1000), id_, n * 6 + 1)
    keep(archive, signer, W, found, most=7)
    return found


def look(archive: Archive, *heads: Head, trusted: Signer | None = None) -> Report:
    return verify(archive.sealed(W), heads, trusted.trusted if trusted else None)


def flawed(report: Report) -> tuple[What, int]:
    assert report.flaw is not None
    return report.flaw.what, report.flaw.seq


def test_an_untouched_archive_is_whole(archive: Archive, signer: Signer, told: list[AuditEntry]) -> None:
    last = archive.last(W)
    assert last is not None
    report = look(archive, last.head, trusted=signer)
    assert report.flaw is None
    assert (report.first, report.last, report.events, report.heads, report.trusted) == (1, 30, 30, 1, True)


# in the archive


def changing(column: str, value: object, seq: int = 17) -> Callable[[sa.Connection], object]:
    return lambda db: db.execute(EVENTS.update().where(EVENTS.c.seq == seq).values({column: value}))


def swap(db: sa.Connection) -> None:
    """17 and 18 change places: all but their numbers."""
    columns = list(EVENTS.c)[2:]
    rows = {n: db.execute(sa.select(*columns).where(EVENTS.c.seq == n)).one()._asdict() for n in (17, 18)}
    db.execute(EVENTS.update().where(EVENTS.c.seq == 17).values(rows[18]))
    db.execute(EVENTS.update().where(EVENTS.c.seq == 18).values(rows[17]))


def sealing(**values: object) -> Callable[[sa.Connection], object]:
    return lambda db: db.execute(SEALS.update().where(SEALS.c.n == 3).values(values))


def twice(db: sa.Connection) -> None:
    changing("event", "x", 25)(db)
    changing("event", "y", 4)(db)


def add(db: sa.Connection) -> None:
    db.execute(EVENTS.insert(), [{"workspace": W, **note(31, 1e9)._asdict()}])


def dropping(table: sa.Table, column: str, value: int) -> Callable[[sa.Connection], object]:
    return lambda db: db.execute(table.delete().where(table.c[column] == value))


TAMPERINGS: dict[str, tuple[Callable[[sa.Connection], object], What, int]] = {
    "its text": (changing("event", "{}"), What.CHANGED, 17),
    "its kind": (changing("kind", "denied"), What.CHANGED, 17),
    "its request": (changing("id", "J-9999"), What.CHANGED, 17),
    "its time": (changing("at", 5.0), What.CHANGED, 17),
    "its version": (changing("version", 77), What.CHANGED, 17),
    "two, the later one first": (twice, What.CHANGED, 4),
    "taken out": (dropping(EVENTS, "seq", 17), What.REMOVED, 17),
    "the last one taken out": (dropping(EVENTS, "seq", 30), What.REMOVED, 30),
    "a number moved": (changing("seq", 99), What.REMOVED, 17),
    "put in": (add, What.ADDED, 31),
    "two swapped": (swap, What.REORDERED, 17),
    "a seal taken out": (dropping(SEALS, "n", 3), What.REMOVED, 15),
    "the first seal taken out": (dropping(SEALS, "n", 1), What.REMOVED, 1),
    "a seal's hashes": (sealing(digests=b"x" * 224), What.UNSIGNED, 15),
    "a seal's signature": (sealing(signature=b"x" * 64), What.UNSIGNED, 15),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_in_the_archive_is_named_by_its_first_event(
    archive: Archive, signer: Signer, told: list[AuditEntry], name: str
) -> None:
    tamper, what, seq = TAMPERINGS[name]
    with archive.engine.begin() as db:
        tamper(db)
    assert flawed(look(archive, trusted=signer)) == (what, seq)
    assert flawed(look(archive)) == (what, seq)


def test_an_end_that_was_cut_off_with_its_seals_is_found_by_a_known_head(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    last = archive.last(W)
    assert last is not None
    with archive.engine.begin() as db:
        db.execute(EVENTS.delete().where(EVENTS.c.seq > 21))
        db.execute(SEALS.delete().where(SEALS.c.first > 21))
    assert look(archive, trusted=signer).flaw is None
    report = look(archive, last.head)
    assert flawed(report) == (What.REMOVED, 22)
    assert "22 to 30" in str(report.flaw)


def rewritten(archive: Archive, signer: Signer, told: list[AuditEntry], upto: int = 30) -> None:
    """Everything is put away and sealed again, with event 17 changed."""
    with archive.engine.begin() as db:
        for table in reversed(EVENTS.metadata.sorted_tables):
            if table.name != "jit_meta":
                db.execute(table.delete())
    archive.index.forget()
    keep(archive, signer, W, [e._replace(event="{}") if e.seq == 17 else e for e in told][:upto], most=7)


def test_who_has_the_key_and_signs_all_again_is_found_by_a_pasted_head(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    heads = [seal.head for seal in archive.seals(W)]
    rewritten(archive, signer, told)
    assert look(archive, trusted=signer).flaw is None, "without a known head it cannot be told"
    for pasted in heads[2:]:
        assert flawed(look(archive, pasted, trusted=signer)) == (What.REWRITTEN, 1)
    report = look(archive, heads[1], heads[2], trusted=signer)
    assert flawed(report) == (What.REWRITTEN, 15), "an older head that still fits narrows it down"
    assert "15 to 21" in str(report.flaw)
    assert look(archive, heads[0], trusted=signer).flaw is None, "what lies before the change is as it was"


def test_a_head_that_is_no_end_of_a_seal_any_more_is_a_rewritten_chain(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    assert flawed(look(archive, Head(20, "a" * 64), trusted=signer)) == (What.REWRITTEN, 1)


def test_who_signs_again_with_another_key_is_found_by_the_key_ring(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    stranger = Signer(KeyRing.generate().subkeys(PURPOSE))
    rewritten(archive, stranger, told)
    assert flawed(look(archive, trusted=signer)) == (What.UNSIGNED, 1)
    assert not look(archive).trusted, "who believes the keys that it brings is told so"


def test_an_end_that_a_stranger_sealed_is_named_from_where_it_begins(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    rewritten(archive, signer, told, upto=14)
    keep(archive, Signer(KeyRing.generate().subkeys(PURPOSE)), W, told[14:], most=7)
    assert flawed(look(archive, trusted=signer)) == (What.UNSIGNED, 15)


def test_heads_of_a_key_that_was_rotated_away_are_vouched_for_by_the_next(archive: Archive) -> None:
    old, new = KeyRing({"k1": b"1" * 32}), KeyRing({"k2": b"2" * 32})
    keep(archive, Signer(old.subkeys(PURPOSE)), W, [note(1, 5.0), note(2, 6.0)])
    keep(archive, Signer(new.subkeys(PURPOSE)), W, [note(3, 7.0)])
    report = look(archive, trusted=Signer(new.subkeys(PURPOSE)))
    assert (report.flaw, report.trusted, len(report.keys)) == (None, True, 2)


def test_a_ring_that_still_has_the_old_key_trusts_its_heads_before_the_new_one_signs(archive: Archive) -> None:
    keep(archive, Signer(KeyRing({"k1": b"1" * 32}).subkeys(PURPOSE)), W, [note(1, 5.0)])
    rotated = KeyRing({"k2": b"2" * 32, "k1": b"1" * 32})
    assert look(archive, trusted=Signer(rotated.subkeys(PURPOSE))).flaw is None


def test_a_recorded_loss_is_told_and_is_no_flaw(archive: Archive, signer: Signer) -> None:
    [seal] = keep(archive, signer, W, [note(1, 5.0)])
    loss = signer.loss(W, seal, 2, 9, 6.0)
    archive.append(loss, [])
    keep(archive, signer, W, [note(10, 7.0)])
    report = look(archive, trusted=signer)
    assert (report.flaw, report.lost, report.events) == (None, [(2, 9)], 2)
    with archive.engine.begin() as db:
        db.execute(EVENTS.insert(), [{"workspace": W, **note(5, 6.0)._asdict()}])
    assert flawed(look(archive, trusted=signer)) == (What.ADDED, 5)


# in an export


def exported(archive: Archive, first: int = 1, last: int = 30) -> list[str]:
    return list(export(archive, W, Part(first, last), "jsonl"))


def check(lines: list[str], *heads: Head, trusted: Signer | None = None) -> Report:
    part, _, items = read(lines)
    return verify(items, heads, trusted.trusted if trusted else None, part)


def at(lines: list[str], seq: int) -> int:
    """Which line an event stands on."""
    return next(n for n, line in enumerate(lines) if json.loads(line).get("seq") == seq)


@pytest.mark.parametrize(("first", "last"), [(1, 30), (4, 4), (10, 25), (8, 14)])
def test_an_export_of_any_range_verifies_by_itself(
    archive: Archive, signer: Signer, told: list[AuditEntry], first: int, last: int
) -> None:
    report = check(exported(archive, first, last), trusted=signer)
    assert (report.flaw, report.first, report.last, report.events) == (None, first, last, last - first + 1)


def _changed(lines: list[str]) -> None:
    n = at(lines, 17)
    lines[n] = lines[n].replace("on fire", "out") if "on fire" in lines[n] else lines[n].replace('"at":', '"at":1')


def _moved(lines: list[str]) -> None:
    lines.insert(at(lines, 20), lines.pop(at(lines, 17)))


EDITS: dict[str, tuple[Callable[[list[str]], object], What, int]] = {
    "changed": (_changed, What.CHANGED, 17),
    "removed": (lambda lines: lines.pop(at(lines, 17)), What.REMOVED, 17),
    "removed at the end": (lambda lines: lines.pop(at(lines, 25)), What.REMOVED, 25),
    "added a second time": (lambda lines: lines.insert(at(lines, 19), lines[at(lines, 17)]), What.ADDED, 17),
    "added as new": (lambda lines: lines.insert(at(lines, 17), json.dumps(note(99, 1.0)._asdict())), What.ADDED, 99),
    "reordered": (_moved, What.REORDERED, 17),
    "moved over a seal": (lambda lines: lines.insert(at(lines, 25), lines.pop(at(lines, 17))), What.REMOVED, 17),
    "a seal removed": (lambda lines: lines.pop(at(lines, 22) - 1), What.REMOVED, 15),
}


@pytest.mark.parametrize("name", EDITS)
def test_tampering_in_an_export_is_named_by_its_first_event(
    archive: Archive, signer: Signer, told: list[AuditEntry], name: str
) -> None:
    lines = exported(archive, 10, 25)
    edit, what, seq = EDITS[name]
    edit(lines)
    assert flawed(check(lines, trusted=signer)) == (what, seq)


def test_an_export_that_was_signed_again_by_the_keys_holder_is_found_by_a_pasted_head(
    archive: Archive, signer: Signer, told: list[AuditEntry]
) -> None:
    heads = [seal.head for seal in archive.seals(W)]
    rewritten(archive, signer, told)
    lines = exported(archive)
    assert check(lines, trusted=signer).flaw is None
    assert flawed(check(lines, heads[-1], trusted=signer)) == (What.REWRITTEN, 1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1"),
        (["number,time"], "line 1"),
        (['{"jit":"jit audit export 1","first":"x","last":2}'], "line 1"),
        (['{"jit":"jit audit export 1","first":1,"last":2}', "{"], "line 2"),
        (['{"jit":"jit audit export 1","first":1,"last":2}', '{"seal":1}'], "line 2"),
        (['{"jit":"jit audit export 1","first":1,"last":2}', '{"seq":1}'], "line 2"),
        (['{"jit":"jit audit export 1","first":1,"last":2}'], "cut short"),
        (['{"jit":"jit audit export 1","first":1,"last":0}', '{"end":true}', "{}"], "after the end"),
    ],
)
def test_what_is_no_export_is_refused_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(NotAnExport, match=said):
        check(lines)


def test_a_file_that_was_cut_short_is_no_whole_export(archive: Archive, told: list[AuditEntry]) -> None:
    with pytest.raises(NotAnExport, match="cut short"):
        check(exported(archive)[:-1])


def test_a_sample_verifies_and_is_the_same_for_the_same_seed(
    archive: Archive, signer: Signer, told: list[AuditEntry], tmp_path: Path
) -> None:
    one, again, other = (draw(archive, W, Part(1, 30), 2, seed) for seed in (7, 7, 8))
    assert one == again
    assert (one.population, len(one.ids), len(one.numbers)) == (5, 2, 12)
    assert {draw(archive, W, Part(1, 30), 2, seed).ids for seed in range(20)} != {other.ids}
    lines = list(export(archive, W, Part(1, 30), "jsonl", one))
    opening = json.loads(lines[0])
    assert (opening["complete"], opening["population"], opening["requests"]) == (False, 5, list(one.ids))
    report = check(lines, trusted=signer)
    assert (report.flaw, report.events) == (None, 12)
    gone = lines.pop(at(lines, one.numbers[3]))
    assert flawed(check(lines, trusted=signer)) == (What.REMOVED, json.loads(gone)["seq"])


def test_a_seal_counts_only_for_its_own_workspace(signer: Signer) -> None:
    seal = signer.seal(W, None, [note(1, 5.0)], 6.0)
    other = replace(seal, workspace="T000002")
    assert seal.signed()
    assert not other.signed()
