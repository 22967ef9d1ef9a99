"""Events leave Redis only for the archive and under a seal; whoever dies, whatever is lost, no number is used twice."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.audit.archive.archive import Archive, NumbersTaken
from bot.audit.sealer import Sealer, Unsealable, read_head, signer
from bot.audit.verify import verify
from bot.core.audit_chain import AuditEntry, Seal
from bot.core.errors import StoreAway
from bot.store.audit_stream import AuditStream
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.archives import MakeSealer
from tests.audit.stories import commit, life, notes
from tests.servers import redis_server


@pytest.fixture
async def one(sealer: MakeSealer) -> AsyncIterator[Sealer]:
    part = sealer()
    yield part
    await part.close()


def archived(part: Sealer) -> list[AuditEntry]:
    opened = Archive.open("", part.home)
    try:
        return list(opened.entries(part.workspace))
    finally:
        opened.close()


def chain(part: Sealer) -> list[Seal]:
    opened = Archive.open("", part.home)
    try:
        return list(opened.seals(part.workspace))
    finally:
        opened.close()


def whole(seals: list[Seal]) -> bool:
    """Whether each follows the one before, signed, without a number left out."""
    follows = all(b.previous == a.hash and b.first == a.last + 1 for a, b in itertools.pairwise(seals))
    return follows and all(seal.signed() for seal in seals)


async def kinds(store: Store) -> list[str]:
    found = await AuditStream(store).read(0, 10_000)
    return [entry.kind for entry in found.entries]


async def test_events_are_archived_as_they_were_written_under_a_signed_chain(store: Store, one: Sealer) -> None:
    await commit(store, life("J-2222", "mia", workspace=store.workspace))
    await notes(store, 3)
    written = (await AuditStream(store).read(0, 100)).entries
    assert await one.once() == 9
    await notes(store, 2)
    assert await one.once() == 2
    assert archived(one)[:9] == written
    assert [entry.seq for entry in archived(one)] == list(range(1, 12))
    assert whole(chain(one))
    assert [(seal.first, seal.last) for seal in chain(one)] == [(1, 9), (10, 11)]


async def test_nothing_new_makes_no_seal(store: Store, one: Sealer) -> None:
    await notes(store, 1)
    assert [await one.once(), await one.once()] == [1, 0]
    assert len(chain(one)) == 1


async def test_the_last_head_is_kept_in_jit_home_and_noted_in_redis(store: Store, one: Sealer) -> None:
    await notes(store, 3)
    await one.once()
    head = chain(one)[-1].head
    assert read_head(one.home, store.workspace) == head
    mark = await one.stream.checkpoint()
    assert mark is not None
    assert mark.head == head


async def test_one_process_seals_at_a_time_and_another_takes_over(store: Store, sealer: MakeSealer) -> None:
    first, second = sealer(), sealer()
    await notes(store, 2)
    assert await first.once() == 2
    await notes(store, 2)
    assert await second.once() == 0
    await first.close()
    assert await second.once() == 2
    assert whole(chain(second))
    await second.close()


async def test_two_that_both_think_they_are_elected_cannot_fork_the_chain(store: Store, one: Sealer) -> None:
    await notes(store, 2)
    await one.once()
    [seal] = chain(one)
    entries = archived(one)
    opened = Archive.open("", one.home)
    with pytest.raises(NumbersTaken):
        opened.append(one.signer.seal(store.workspace, None, entries[:1], 5.0), entries[:1])
    opened.close()
    assert chain(one) == [seal]


async def test_the_window_is_trimmed_behind_the_seal_and_never_before(store: Store, sealer: MakeSealer) -> None:
    part = sealer(kept=5)
    await notes(store, 20)
    assert await store.redis.xlen(store.keys.audit) == 20
    await part.once()
    assert await store.redis.xlen(store.keys.audit) == 5
    await notes(store, 20)
    assert await store.redis.xlen(store.keys.audit) == 25
    await part.once()
    assert [e.seq for e in (await part.stream.read(0, 100)).entries] == [36, 37, 38, 39, 40]
    assert [entry.seq for entry in archived(part)] == list(range(1, 41))
    await part.close()


async def test_without_an_archive_nothing_is_trimmed_and_an_alarm_is_noted(store: Store, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    part = Sealer(store, lambda: Archive.open("", blocked / "home", create=True), blocked / "home", kept=1)
    await notes(store, 10)
    await part.loop.once()
    assert part.loop.complaint
    assert await kinds(store) == ["refused"] * 10 + ["alarm"]
    await part.loop.once()
    assert part.loop.complaint
    assert await kinds(store) == ["refused"] * 10 + ["alarm"]
    await part.close()


@pytest.mark.parametrize("line", ["after the archive", "after the head", "after the mark"])
async def test_dying_between_any_two_writes_repeats_harmlessly(
    store: Store, sealer: MakeSealer, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = sealer(kept=3)
    await notes(store, 10)

    def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        if line == "after the archive":
            patched.setattr("bot.audit.sealer.write_head", die)
        elif line == "after the head":
            patched.setattr(part.stream, "write_checkpoint", die)
        else:
            patched.setattr(part.stream, "trim", die)
        with pytest.raises(asyncio.CancelledError):
            await part.once()
    await part.close()
    again = sealer(kept=3)
    await notes(store, 2)
    assert await again.once() == 2
    assert [entry.seq for entry in archived(again)] == list(range(1, 13))
    assert whole(chain(again))
    assert await store.redis.xlen(store.keys.audit) == 3
    await again.close()


async def test_a_redis_behind_the_last_head_yields_a_recorded_loss_and_no_fork(store: Store, one: Sealer) -> None:
    await notes(store, 10)
    await one.once()
    sealed = archived(one)
    await store.redis.delete(store.keys.audit)
    for entry in sealed[:6]:  # the copy that Redis came back from has six events
        fields = {"id": "", "version": "0", "kind": entry.kind, "event": entry.event, "at": f"{entry.at:.6f}"}
        await store.redis.xadd(store.keys.audit, fields, f"{entry.seq}-0")  # type: ignore[arg-type]  # redis-py
    await store.redis.set(store.keys.seq, 6)
    await notes(store, 2, kind="after")  # numbers 7 and 8, which are sealed already
    await one.once()
    assert archived(one)[:10] == sealed
    assert whole(chain(one))
    told = archived(one)[10:]
    assert [(entry.seq, entry.kind) for entry in told] == [(11, "loss"), (12, "after"), (13, "after"), (14, "alarm")]
    loss = json.loads(told[0].event)
    assert (loss["found"], loss["again"], loss["sealed"].split("-")[0]) == (8, 2, "10")
    assert json.loads(told[3].event)["alarm"] == "audit_loss"
    await notes(store, 1)
    assert await one.once() == 1
    assert [entry.kind for entry in archived(one)].count("loss") == 1


async def test_a_redis_that_came_back_and_overtook_the_head_is_found_by_what_differs(store: Store, one: Sealer) -> None:
    await notes(store, 5)
    await one.once()
    sealed = archived(one)
    await store.redis.delete(store.keys.audit, store.keys.seq)
    await notes(store, 8, kind="after")
    await one.once()
    assert archived(one)[:5] == sealed
    found = [entry.kind for entry in archived(one)[5:]]
    assert found == ["after"] * 3 + ["loss"] + ["after"] * 5 + ["alarm"]
    assert whole(chain(one))


async def test_an_emptied_redis_goes_on_behind_the_head(store: Store, one: Sealer) -> None:
    await notes(store, 5)
    await one.once()
    await store.redis.flushdb()
    await one.once()
    assert [(e.seq, e.kind) for e in archived(one)[5:]] == [(6, "loss"), (7, "alarm")]
    await store.audit_event("refused", "{}")
    assert await store.redis.get(store.keys.seq) == b"8"


async def test_events_that_were_taken_out_before_the_seal_are_a_recorded_loss(store: Store, one: Sealer) -> None:
    await notes(store, 5)
    await store.redis.xdel(store.keys.audit, "3-0", "4-0")
    await one.once()
    found = [(seal.first, seal.last, seal.lost) for seal in chain(one)]
    assert found == [(1, 2, False), (3, 4, True), (5, 6, False)]
    assert [e.kind for e in archived(one)] == ["refused"] * 3 + ["alarm"]


async def test_a_counter_that_was_pushed_ahead_is_one_loss_and_fills_no_disk(store: Store, one: Sealer) -> None:
    await notes(store, 1)
    await store.redis.set(store.keys.seq, 10**5)
    await one.once()
    assert [(seal.first, seal.last) for seal in chain(one)] == [(1, 1), (2, 10**5), (10**5 + 1, 10**5 + 1)]


@pytest.mark.parametrize("far", [10**7, 10**12, 2**52, 2**53 + 1, 2**63 - 1])
async def test_a_counter_that_was_pushed_far_ahead_is_not_believed(store: Store, one: Sealer, far: int) -> None:
    await notes(store, 1)
    await store.redis.set(store.keys.seq, far)
    await one.once()
    await notes(store, 2)
    await one.once()
    assert [(seal.first, seal.last) for seal in chain(one)] == [(1, 1), (2, 3)]


@pytest.mark.parametrize("far", [10**7, 10**12, 2**51, 2**53, 2**64 - 1])
async def test_an_event_of_the_future_ends_no_numbering(store: Store, one: Sealer, far: int) -> None:
    await notes(store, 1)
    await one.once()
    await store.redis.xadd(store.keys.audit, {"x": "y"}, f"{far}-0")
    await notes(store, 1)
    await store.redis.xadd(store.keys.audit, {"x": "y"}, f"{far}-0")
    await one.once()
    await notes(store, 1)
    await one.once()
    kinds = [(entry.seq, entry.kind) for entry in archived(one)]
    assert [seq for seq, _ in kinds] == list(range(1, len(kinds) + 1))
    assert [kind for _, kind in kinds].count("refused") == 3
    assert not any(seal.lost for seal in chain(one))


async def test_what_an_intruder_writes_into_the_stream_stops_nobody(store: Store, one: Sealer) -> None:
    await commit(store, life("J-2222", "mia", workspace=store.workspace)[:1])
    event = life("J-3333", "eve", workspace=store.workspace)[0].model_dump_json()
    hostile = [
        {"kind": b"\xff\x00" * 5000, "event": b"\x00", "id": b"J" * 5000, "version": "x"},
        {"id": "J-2222", "version": "9", "kind": "submitted", "event": event},
        {"id": "", "version": "0", "kind": "refused", "event": '{"by":"\\ud800","about":"\\ud800/\\u0000","at":1e999}'},
        {"id": "J-2222", "version": "9", "kind": "granted", "event": '{"kind":"granted","at":1,"leg":77,"receipt":{}}'},
    ]
    for n, fields in enumerate(hostile, start=2):
        await store.redis.xadd(store.keys.audit, fields, f"{n}-0")  # type: ignore[arg-type]
        await store.redis.incr(store.keys.seq)
    await store.redis.xadd(store.keys.audit, {"kind": "x"}, "5-7")
    await one.once()
    assert [entry.seq for entry in archived(one)] == [1, 2, 3, 4, 5, 6, 7]
    assert [entry.kind for entry in archived(one)] == ["submitted", *["set_aside"] * 4, "alarm", "alarm"]
    assert [json.loads(e.event)["alarm"] for e in archived(one)[5:]] == ["audit_foreign", "audit_set_aside"]
    assert not any(word in entry.event for entry in archived(one)[1:] for word in ("eve@", "ud800", "receipt"))
    assert whole(chain(one))


async def test_an_event_that_is_written_again_is_set_aside_each_time_and_told_once(store: Store, one: Sealer) -> None:
    events = life("J-2222", "mia", workspace=store.workspace)
    await commit(store, events)
    await notes(store, 1)
    entries: Any = await store.redis.xrange(store.keys.audit)
    for archived_first in (False, True):
        if archived_first:
            await one.once()
        # Twice, so that two copies are in one look.
        for _, fields in [*entries, *entries]:
            seq = await store.redis.incr(store.keys.seq)
            await store.redis.xadd(store.keys.audit, fields, f"{seq}-0")
    await one.once()
    kinds = [entry.kind for entry in archived(one)]
    assert kinds.count("set_aside") == 4 * len(entries)
    assert [kinds.count(event.kind) for event in events] == [1] * len(events)
    assert kinds.count("refused") == kinds.count("alarm") == 1
    await one.once()
    assert "loss" not in [entry.kind for entry in archived(one)], "what was set aside is no store that came back"


async def test_dying_before_what_was_set_aside_is_removed_is_no_store_that_came_back(
    store: Store, one: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notes(store, 1)
    written: Any = await store.redis.xrange(store.keys.audit)
    fields = written[0][1]
    seq = await store.redis.incr(store.keys.seq)
    await store.redis.xadd(store.keys.audit, fields, f"{seq}-0")

    async def dies(_: Any) -> None:
        raise StoreAway("gone")

    with monkeypatch.context() as patched:
        patched.setattr(one.stream, "remove", dies)
        with pytest.raises(StoreAway):
            await one.once()
    await one.once()
    assert [entry.kind for entry in archived(one)] == ["refused", "set_aside"]


async def test_another_archive_than_before_is_refused_until_an_operator_says_so(
    store: Store, sealer: MakeSealer
) -> None:
    first, second = sealer("one"), sealer("two")
    await notes(store, 3)
    await first.once()
    await first.close()
    await notes(store, 1)
    with pytest.raises(Unsealable, match="another archive"):
        await second.once()
    await second.adopt("the disk of host one is gone", "cli:pat@host")
    await store.redis.xtrim(store.keys.audit, minid="3-0", approximate=False)
    await second.once()
    seals = chain(second)
    assert [(seal.first, seal.last, seal.lost) for seal in seals][:2] == [(1, 2, True), (3, 6, False)]
    assert archived(second)[2].kind == "archive_adopted"
    assert "host one is gone" in archived(second)[2].event
    await second.close()


async def test_an_archive_that_came_back_older_is_refused(store: Store, sealer: MakeSealer) -> None:
    part = sealer()
    await notes(store, 3)
    await part.once()
    await part.close()
    file = part.home / "archive.db"
    copy = file.read_bytes()
    await notes(store, 3)
    await part.once()
    await part.close()
    for path in part.home.glob("archive.db*"):
        path.unlink()
    file.write_bytes(copy)
    with pytest.raises(Unsealable, match="does not have the head"):
        await part.once()
    await part.close()


async def test_a_rotated_key_goes_on_with_the_same_chain(store: Store, sealer: MakeSealer) -> None:
    first = sealer()
    await notes(store, 2)
    await first.once()
    await first.close()
    store.ring = KeyRing({"k2": b"2" * 32})
    second = sealer()
    await notes(store, 2)
    await second.once()
    seals = chain(second)
    assert whole(seals)
    assert len({seal.key for seal in seals}) == 2
    await second.close()


async def test_the_policy_text_is_archived_once_a_generation(store: Store, sealer: MakeSealer) -> None:
    said = {"g1": "text one", "g2": "text two"}
    generation = "g1"
    part = sealer(policy=lambda: generation, text=said.get)
    await part.once()
    generation = "g2"
    await part.once()
    await part.once()
    opened = Archive.open("", part.home)
    assert [opened.policy(store.workspace, g) for g in ("g1", "g2", "g3")] == ["text one", "text two", None]
    opened.close()
    await part.close()


async def test_a_redis_that_is_almost_full_is_an_alarm(tmp_path: Path) -> None:
    with redis_server() as server:
        client = Redis.from_url(server.socket_url)
        store = Store(client, "T000001", KeyRing.generate())
        part = Sealer(store, lambda: Archive.open("", tmp_path, create=True), tmp_path)
        await client.config_set("maxmemory", 400_000_000)
        await client.set("others", b"x" * 34_000_000)
        await part.once()
        assert await kinds(store) == []
        used = int((await client.info("memory"))["used_memory"])
        await client.config_set("maxmemory", int(used * 1.1))
        await part.once()
        await part.once()
        [entry] = (await part.stream.read(0, 10)).entries
        assert json.loads(entry.event)["alarm"] == "memory"
        await part.close()
        await client.aclose()


async def test_a_redis_that_is_full_gives_room_by_what_is_sealed(tmp_path: Path) -> None:
    with redis_server() as server:
        client = Redis.from_url(server.socket_url)
        store = Store(client, "T000001", KeyRing.generate())
        part = Sealer(store, lambda: Archive.open("", tmp_path, create=True), tmp_path)
        await notes(store, 1, kind="x" * 500_000)
        await notes(store, 300)
        await part.once()
        await client.config_set("maxmemory", int((await client.info("memory"))["used_memory"]) - 200_000)
        with pytest.raises(StoreAway, match="OutOfMemory"):
            await store.audit_event("refused", "{}")
        await part.loop.once()
        assert part.loop.complaint
        assert await client.xlen(store.keys.audit) == 100
        await store.audit_event("refused", "{}")
        await part.loop.once()
        assert not part.loop.complaint
        await part.close()
        archive = Archive.open("", tmp_path)
        assert (verify(archive.sealed("T000001")).flaw, archive.last("T000001") is None) == (None, False)
        archive.close()
        await client.aclose()


def test_every_worker_makes_the_same_key_from_the_ring() -> None:
    ring = KeyRing({"k2": b"2" * 32, "k1": b"1" * 32})
    one, other = signer(ring), signer(KeyRing.parse(ring.spelled()))
    assert one.public == other.public
    assert {one.public, signer(KeyRing({"k1": b"1" * 32})).public} == one.trusted
    assert one.public != b"2" * 32


async def test_the_running_part_seals_and_ends_when_told(store: Store, sealer: MakeSealer) -> None:
    part, stop = sealer(interval=0.01), asyncio.Event()
    running = asyncio.create_task(part.run(stop))
    await notes(store, 3)
    async with asyncio.timeout(60):
        while not await store.redis.exists(store.keys.sealed):  # noqa: ASYNC110  # another part sets it
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert [entry.seq for entry in archived(part)] == [1, 2, 3]
    assert not await store.redis.exists(store.keys.sealer)
