"""How the archive is looked through: by an index that fits the question, so that a million events cost no more."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bot.audit.archive.archive import Archive
from bot.audit.archive.timeline import EventQuery, Timeline
from bot.core.audit_chain import Signer
from tests.audit.stories import entries, keep, life, note

W = "T000001"


def plans(archive: Archive) -> list[tuple[str, str]]:
    """Each step of each plan that SQLite makes from here on, with its statement."""
    found: list[tuple[str, str]] = []

    def explain(db: Any, _: object, statement: str, words: Any, __: object, many: bool) -> None:
        if statement.startswith("SELECT"):
            cursor = db.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", words)
            found.extend((row[3], statement) for row in cursor.fetchall())
            cursor.close()

    sa.event.listen(archive.engine, "before_cursor_execute", explain)
    return found


def test_adding_looks_requests_up_by_their_ids(archive: Archive, signer: Signer) -> None:
    first, second = (list(entries(life(id_, "mia"), id_, n)) for id_, n in (("J-2222", 1), ("J-3333", 4)))
    keep(archive, signer, W, first[:3])
    steps = plans(archive)
    keep(archive, signer, W, [*second[:3], *(e._replace(seq=e.seq + 3) for e in first[3:])])
    looked = [step for step, _ in steps if "jit_lives" in step or "jit_holdings" in step]
    assert looked
    assert all("(workspace=? AND id=?)" in step for step in looked)
    assert [step for step, _ in steps if "SCAN" in step] == []


def test_searching_scans_no_table(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, [*entries(life("J-2222", "mia"), "J-2222", 1), note(7, 2e9)])
    steps = plans(archive)
    trail = Timeline(W, archive)
    wanted = {"person": "mia@example.com", "system": "vault", "kind": "granted", "since": 1.0, "until": 3e9}
    assert len(trail.search(EventQuery(**wanted)).entries) == 1  # type: ignore[arg-type]
    assert len(trail.search(EventQuery(before=7)).entries) == 6
    assert len(trail.holders(1e9 + 100, EventQuery())) == 1
    assert trail.request("J-2222") is not None
    assert len(trail.search(EventQuery(request="J-2222", person="UMIA", kind="granted")).entries) == 1
    assert len(trail.search(EventQuery(request="J-2222", before=6)).entries) == 5
    assert [step for step, _ in steps if "SCAN jit_" in step] == []


def test_reading_the_chain_sorts_nothing_since_a_seal_is_large(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, [note(n, 5.0) for n in range(1, 9)], most=2)
    steps = plans(archive)
    assert len(list(archive.sealed(W, 3, 6))) == 6
    assert len(list(archive.sealed(W))) == 12
    assert [step for step, _ in steps if "B-TREE" in step or "SCAN" in step] == []
