"""Who reads the record is on the record: at a terminal with Redis, without it, and where nothing can be written."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import bot
from bot.audit import read_log
from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.archive.tables import READS
from bot.audit.archive.timeline import EventQuery, Timeline
from bot.audit.read_log import Read
from bot.store import lockdowns
from bot.store.audit_stream import AuditStream
from bot.store.store import Store
from tests.archives import MakeSealer
from tests.audit.stories import commit, life
from tests.cli.test_main import jit
from tests.servers import RedisServer


async def noted(store: Store) -> list[dict[str, Any]]:
    """The reads that are on the record."""
    entries = await AuditStream(store).tail(0, 1000)
    return [json.loads(entry.event) for entry in entries if entry.kind == "read"]


@pytest.fixture
async def home(store: Store, sealer: MakeSealer) -> Path:
    """A host whose archive has one request."""
    part = sealer()
    await commit(store, life("J-2222", "mia", workspace=store.workspace))
    await part.once()
    await part.close()
    return part.home


def kept(home: Path) -> list[str]:
    """What waits in the archive."""
    opened = Archive.open("", home)
    with opened.begun() as db:
        found = [str(row.event) for row in db.execute(READS.select())]
    opened.close()
    return found


async def test_a_search_with_redis_is_on_the_record_with_who_what_and_how_many(
    home: Path, store: Store, redis: RedisServer, tmp_path: Path
) -> None:
    env = {"JIT_HOME": str(home), "REDIS_URL": redis.url, "JIT_KEYS": store.ring.spelled()}
    words = ("audit", "search", "--person", "mia@example.com", "--workspace", store.workspace)
    for _ in range(2):
        done = jit(*words, cwd=tmp_path, **env)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    [read] = await noted(store)
    assert read["by"].startswith("cli:")
    assert (read["read"], read["asked"]) == ("search", {"person": "mia@example.com"})
    assert (read["rows"], read["first"], read["last"]) == (6, 1, 6)
    assert kept(home) == []


async def test_without_redis_it_is_kept_in_the_archive_until_a_worker_seals_it(
    home: Path, store: Store, sealer: MakeSealer, tmp_path: Path
) -> None:
    for words in (
        ("search", "--when", "at 2001-09-09T02:00Z"),
        ("export", "--from", "2", "--to", "4", "--output", "x.jsonl"),
        ("search", "--request", "j-2222", "--kind", "granted"),
    ):
        assert jit("audit", *words, cwd=tmp_path, JIT_HOME=str(home)).returncode == 0
    assert len(kept(home)) == 3
    part = sealer()
    assert await part.once() == 3
    found = {read["read"]: read for read in await noted(store)}
    assert (found["held"]["rows"], found["held"]["asked"]) == (1, {"when": "at 2001-09-09T02:00Z"})
    assert (found["export"]["first"], found["export"]["last"], found["export"]["rows"]) == (2, 4, 3)
    assert found["search"]["asked"] == {"request": "J-2222", "kind": "granted"}
    assert kept(home) == []
    await part.once()
    assert len(await noted(store)) == 3
    await part.close()
    archive = part.archive()
    assert (last := archive.last(store.workspace))
    assert last.last == 9
    archive.close()


async def test_evidence_that_was_read_is_found_by_its_request_and_by_whose_it_was(
    store: Store, archive: Archive
) -> None:
    await commit(store, life("J-2222", "mia", workspace=store.workspace))
    await read_log.record(store, Read(at=1.0, by="UADA", read="evidence", about="J-2222", rows=6, first=1, last=6))
    trail = Timeline(store.workspace, archive, await AuditStream(store).tail(0, 100))
    for wanted in (
        EventQuery(request="J-2222", kind="read"),
        EventQuery(person="mia@example.com", kind="read"),
        EventQuery(person="UADA"),
    ):
        assert [entry.seq for entry in trail.search(wanted).entries] == [7]
    assert len(trail.search(EventQuery(request="J-2222")).entries) == 7


async def test_where_nothing_can_be_written_the_terminal_says_that_it_is_not_on_the_record(
    home: Path, tmp_path: Path
) -> None:
    opened = Archive.open("", home)
    with opened.begun() as db:
        db.execute(sa.text("DROP TABLE jit_reads"))  # as in the archive of an older version
    opened.close()
    done = jit("audit", "search", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 6
    assert "this read is not on the record" in done.stderr


async def test_what_a_stranger_left_in_the_archive_is_nobody_elses_read(
    store: Store, archive: Archive, tmp_path: Path
) -> None:
    with archive.begun() as db:
        for text in (
            Read(at=2.0, by="UMIA", read="search").event_json(),
            "{",
            "x" * 100_000,
            '{"by":"cli:a@b","rows":"\\u0000"}',
        ):
            db.execute(READS.insert(), [{"workspace": store.workspace, "event": text}])
    assert await read_log.record_queued(store, archive) == 4
    found = await noted(store)
    assert {read["by"] for read in found} == {"cli:?"}
    assert {read["read"] for read in found} == {"search", "unreadable"}
    assert await read_log.record_queued(store, archive) == 0


async def test_one_that_was_carried_and_not_forgotten_is_not_written_twice(store: Store, archive: Archive) -> None:
    read = Read(at=time.time(), by="cli:ada@host", read="search", asked={"kind": "granted"})
    for _ in range(2):
        read_log.queue(archive, store.workspace, read)
        await read_log.record_queued(store, archive)
    assert len(await noted(store)) == 1
    read_log.queue(archive, store.workspace, read.model_copy(update={"at": read.at + 60}))
    await read_log.record_queued(store, archive)
    assert len(await noted(store)) == 2


def test_every_kind_of_event_can_be_asked_for() -> None:
    found = set()
    for path in Path(bot.__file__).parent.rglob("*"):
        if path.suffix == ".py":
            found |= set(re.findall(r"(?:\.audit_event|\bevent_args)\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
    found |= {lockdowns.DECLARED, lockdowns.VOTED, lockdowns.LIFTED, lockdowns.UNCERTAIN}
    assert len(found) > 12
    assert found <= projection.KINDS
