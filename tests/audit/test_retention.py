"""What Redis keeps of the audit stays the same size, however many days go by; and the archive is of either kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.audit.archive.archive import Archive, NoArchive, NumbersTaken
from bot.audit.archive.tables import HOLDINGS, LIVES, MENTIONS, PEOPLE, WORDS
from bot.audit.archive.timeline import EventQuery, Timeline
from bot.audit.verify import verify
from bot.core.audit_chain import Signer
from bot.store.audit_stream import KEPT
from bot.store.encoding import script
from bot.store.store import Store
from tests.archives import MakeSealer
from tests.audit.stories import entries, keep, life, note

_DAYS = 30
_DAY = KEPT // 10
"""Events a day, a tenth of a busy workspace's, over a window that is as much smaller."""


async def test_thirty_days_leave_the_window_as_large_as_one(store: Store, sealer: MakeSealer) -> None:
    part = sealer(kept=_DAY)
    sizes = []
    note = script(store.redis, "note")
    for day in range(_DAYS):
        async with store.redis.pipeline(transaction=False) as pipe:
            for n in range(_DAY):
                event = f'{{"by":"U{n % 50:06d}","verb":"ask","about":"vault/read-only","why":"day {day:02d}"}}'
                k = store.keys
                said = store.event_args("refused", event, 1e9 + n)
                await note(keys=[*store.event_keys, k.seen("")], args=[0, "", "", k.wake, *said], client=pipe)
            await pipe.execute()
        await part.once()
        sizes.append(int(await store.redis.memory_usage(store.keys.audit, samples=0) or 0))
    await part.close()
    assert max(sizes) <= sizes[0] * 1.05
    assert min(sizes) >= sizes[0] * 0.95
    assert await store.redis.xlen(store.keys.audit) == _DAY
    opened = Archive.open("", part.home)
    assert [entry.seq for entry in opened.entries(store.workspace)] == list(range(1, _DAYS * _DAY + 1))
    opened.close()


def test_an_archive_gives_back_what_was_put_in(url: str, tmp_path: Path, signer: Signer) -> None:
    told = [*entries(life("J-2222", "mia"), "J-2222", 1), note(7, 1e9 + 0.123456), note(8, 0.0, event="ünï\ncode")]
    one = Archive.open(url, tmp_path, create=True)
    seals = keep(one, signer, "T000001", told, most=3)
    keep(one, signer, "T000002", [note(1, 5.0)])
    one.close()
    again = Archive.open(url, tmp_path)
    assert again.id == one.id
    assert list(again.entries("T000001")) == told
    assert list(again.seals("T000001")) == seals
    assert again.last("T000001") == seals[-1]
    assert again.seal_over("T000001", 5) == seals[1]
    assert [type(item).__name__ for item in again.sealed("T000001", 3, 4)] == [
        "AuditEntry",
        "Seal",
        "AuditEntry",
        "Seal",
    ]
    assert sorted(again.workspaces()) == ["T000001", "T000002"]
    again.keep_policy("T000001", "g1", "one", 1.0)
    again.keep_policy("T000001", "g1", "another", 2.0)
    assert again.policy("T000001", "g1") == "one"
    again.close()


def test_only_the_owner_can_read_the_default_archive(tmp_path: Path) -> None:
    Archive.open("", tmp_path / "home", create=True).close()
    assert (tmp_path / "home" / "archive.db").stat().st_mode & 0o077 == 0


def test_numbers_that_are_taken_are_refused_and_nothing_is_half_written(
    url: str, tmp_path: Path, signer: Signer
) -> None:
    one, two = (Archive.open(url, tmp_path, create=True) for _ in range(2))
    told = list(entries(life("J-2222", "mia"), "J-2222", 1))
    keep(one, signer, "T000001", told[:3])
    with pytest.raises(NumbersTaken):
        two.append(signer.seal("T000001", None, told[2:4], 5.0), told[2:4])
    before = two.last("T000001")
    with pytest.raises(NumbersTaken):
        two.append(signer.seal("T000001", before, told[2:4], 5.0), told[2:4])
    assert list(one.entries("T000001")) == told[:3]
    keep(two, signer, "T000001", told[3:])
    assert list(one.entries("T000001")) == told
    one.close()
    two.close()


def test_a_seal_whose_index_cannot_be_written_is_not_written(
    archive: Archive, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(archive.index, "_write_people", broken)
        with pytest.raises(RuntimeError):
            keep(archive, signer, "T000001", [note(1, 5.0)])
    assert archive.last("T000001") is None
    assert list(archive.entries("T000001")) == []
    keep(archive, signer, "T000001", [note(1, 5.0)])
    assert Timeline("T000001", archive).search(EventQuery(person="UMIA")).entries == [note(1, 5.0)]


def _index(archive: Archive) -> list[list[tuple[Any, ...]]]:
    """All that is indexed; words by their names."""
    mentions = sa.select(WORDS.c.word, MENTIONS.c.at, MENTIONS.c.seq).join(MENTIONS, WORDS.c.n == MENTIONS.c.word)
    with archive.begun() as db:
        found = [db.execute(query).all() for query in (mentions, *map(sa.select, (PEOPLE, LIVES, HOLDINGS)))]
    return [sorted(tuple(row) for row in rows) for rows in found]


def test_an_index_that_was_tampered_with_is_made_again_from_the_events(
    url: str, tmp_path: Path, signer: Signer
) -> None:
    archive = Archive.open(url, tmp_path, create=True)
    told = [*entries(life("J-2222", "mia"), "J-2222", 1), *entries(life("J-3333", "eve"), "J-3333", 7)]
    keep(archive, signer, "T000001", told, most=5)
    keep(archive, signer, "T000002", told, most=5)
    before = _index(archive)
    with archive.begun() as db:
        db.execute(MENTIONS.delete().where(MENTIONS.c.seq == 4))
        db.execute(HOLDINGS.delete().where(HOLDINGS.c.workspace == "T000001"))
        db.execute(PEOPLE.delete().where(PEOPLE.c.workspace == "T000001"))
    assert _index(archive) != before
    assert list(archive.index_again("T000001"))[-1] == 12
    list(archive.index_again("T000002"))
    assert _index(archive) == before
    archive.close()


def test_what_is_sealed_while_it_is_read_does_not_look_like_tampering(url: str, tmp_path: Path, signer: Signer) -> None:
    archive = Archive.open(url, tmp_path, create=True)
    keep(archive, signer, "T000001", [note(n, 5.0) for n in range(1, 11)], most=2)
    items = archive.sealed("T000001")
    begun = next(items)
    keep(archive, signer, "T000001", [note(n, 5.0) for n in range(11, 21)], most=2)
    report = verify([begun, *items])
    assert (report.flaw, report.last) == (None, 10)
    assert verify(archive.sealed("T000001")).last == 20
    archive.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://jit:s3cret@127.0.0.1:port/audit", "port is no number"),
        ("postgresql://jit:s3cret@127.0.0.1:1/audit", "cannot be used"),
        ("mysql://jit:s3cret@127.0.0.1/audit", "neither"),
        ("sqlite:////dev/null/no.db", "cannot be used"),
        ("s3cret", "cannot be used"),
    ],
)
def test_an_address_that_does_not_do_is_said_without_its_password(address: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(NoArchive, match=said) as raised:
        Archive.open(address, tmp_path, create=True)
    assert "s3cret" not in str(raised.value)
