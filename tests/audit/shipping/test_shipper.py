"""Each sink gets every sealed event at least once and in order, over outages, kills and bad records."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from bot.audit.archive.archive import FILE, Archive
from bot.audit.archive.tables import METADATA
from bot.audit.sealer import Sealer
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor
from bot.audit.shipping.shipper import Shipping, built
from bot.audit.shipping.sink_loop import MOST_REFUSED
from bot.core.audit_chain import GENESIS, Head, Signer
from bot.policy.schema import SinkShape
from bot.store.audit_stream import ArchiveHead, AuditStream
from bot.store.store import Store
from providers.secret_refs import Misconfigured
from providers.sinks.base import (
    Frozen,
    Health,
    NotDelivered,
    ReceiverGone,
    Record,
    RecordRefused,
    Sink,
    SinkCapabilities,
)
from tests.archives import MakeSealer
from tests.audit.stories import keep, note, notes

INTERVAL = 0.02


class Nothing(Frozen):
    """No config."""


@dataclass
class Shelf:
    """A sink of this process. ``judge`` may raise before a batch is put down."""

    judge: Callable[[Sequence[Record]], None] = lambda _: None
    took: list[int] = field(default_factory=list)
    sent: int = 0
    hangs: bool = False
    Config: ClassVar[type[Frozen]] = Nothing
    settles_within: float = 1000.0

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        return SinkCapabilities(most=10, answer="")

    async def send(self, batch: Sequence[Record]) -> None:
        self.sent += 1
        if self.hangs:
            await asyncio.Event().wait()
        self.judge(batch)
        self.took += [record.number for record in batch]

    async def check(self) -> Health:
        return Health(target="shelf")

    async def close(self) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open("", tmp_path, create=True)
    yield opened
    opened.close()


@dataclass
class Dock:
    """A store, an archive, and the running part over them."""

    store: Store
    archive: Archive
    signer: Signer
    home: Path
    sealed: int = 0

    def seal(self, count: int, at: float = 1e9) -> None:
        """So many more events."""
        told = [note(n, at) for n in range(self.sealed + 1, self.sealed + count + 1)]
        keep(self.archive, self.signer, self.store.workspace, told, most=7)
        self.sealed += count

    @contextlib.asynccontextmanager
    async def shipping(self, **sinks: Sink | tuple[Sink, dict[str, Any]]) -> AsyncIterator[Shipping]:
        """Ship to them, until the end of the block."""
        named = {name: sink if isinstance(sink, tuple) else (sink, {}) for name, sink in sinks.items()}
        shapes = {name: (SinkShape.model_validate({"kind": "shelf", **more}), s) for name, (s, more) in named.items()}
        part = Shipping(
            self.store,
            lambda: Archive.open("", self.home),
            shapes,
            interval=INTERVAL,
            longest=INTERVAL,
            lease=1.0,
            grace=0.2,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(part.run(stop))
        try:
            yield part
        finally:
            stop.set()
            await task

    def cursor(self, sink: str = "siem") -> Cursor | None:
        return cursors.cursors(self.archive, self.store.workspace).get(sink)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # a task of the running part's changes it
                await asyncio.sleep(0.01)

    async def shipped(self, sink: str = "siem", number: int | None = None) -> None:
        """Wait until a cursor is at the end."""
        last = self.sealed if number is None else number
        await self.until(lambda: (found := self.cursor(sink)) and found.number == last, f"{sink} to be at {last}")

    async def alarms(self) -> list[dict[str, Any]]:
        found = await AuditStream(self.store).read(0, 10_000)
        events = [json.loads(entry.event) for entry in found.entries if entry.kind in {"alarm", "sink_back"}]
        return [event for event in events if "sink" in event]


@pytest.fixture
def dock(store: Store, archive: Archive, signer: Signer, tmp_path: Path) -> Dock:
    return Dock(store, archive, signer, tmp_path)


def more_than(shelf: Shelf, count: int) -> bool:
    return shelf.sent > count


def once(numbers: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


async def test_other_sinks_are_shipped_to_without_a_restart_and_one_that_stays_goes_on(dock: Dock) -> None:
    siem, late, shape = Shelf(), Shelf(), SinkShape.model_validate({"kind": "shelf"})
    dock.seal(10)
    async with dock.shipping(siem=siem) as part:
        await dock.shipped()
        part.use({"siem": (shape, siem), "lake": (shape, late)})
        dock.seal(5)
        await dock.shipped("lake")
        await dock.shipped()
        assert (siem.took, late.took) == ([*range(1, 16)], [*range(1, 16)])
        part.use({})
        await dock.until(lambda: not part.shipping, "it to stop")
        assert part.lag() == {}
        dock.seal(3)
        part.use({"lake": (shape, late)})
        await dock.shipped("lake")
    assert (len(siem.took), late.took) == (15, [*range(1, 19)])


async def test_what_is_sealed_is_shipped_in_order_and_a_restart_goes_on(dock: Dock) -> None:
    shelf = Shelf()
    dock.seal(25)
    async with dock.shipping(siem=shelf):
        await dock.shipped()
        dock.seal(5)
        await dock.shipped()
    dock.seal(12)
    async with dock.shipping(siem=shelf):
        await dock.shipped()
    assert shelf.took == list(range(1, 43))


async def test_a_new_sink_may_begin_with_what_comes(dock: Dock) -> None:
    shelf, late = Shelf(), Shelf()
    dock.seal(5)
    async with dock.shipping(siem=shelf, late=(late, {"from": "now"})):
        await dock.shipped()
        await dock.shipped("late")
        dock.seal(3)
        await dock.shipped("late")
    assert late.took == [6, 7, 8]


async def test_a_sink_that_is_down_or_hangs_holds_up_no_other_and_gets_everything_in_the_end(dock: Dock) -> None:
    down = True

    def judge(batch: Sequence[Record]) -> None:
        if down:
            raise NotDelivered("it is down")

    dead, hung, well = Shelf(judge), Shelf(hangs=True), Shelf()
    dock.seal(20)
    async with dock.shipping(dead=dead, hung=hung, well=well) as part:
        await dock.shipped("well")
        await dock.until(lambda: dead.sent > 2, "it to be tried again")
        await dock.until(lambda: part.lag().get("dead", (0, 0))[0] == 20, "the lag to be known")
        await dock.until(lambda: part.lag().get("well") == (0, 0.0), "the others' lag to be known")
        assert part.lag()["dead"].seconds > 0
        down = False
        await dock.shipped("dead")
        dock.seal(1)
        await dock.shipped("well")
        await dock.shipped("dead")
    assert dead.took == well.took == list(range(1, 22))
    assert hung.took == []


async def test_what_was_taken_before_a_break_is_not_sent_again(dock: Dock) -> None:
    broken = iter([True, False])
    shelf = Shelf()

    def judge(batch: Sequence[Record]) -> None:
        if next(broken, False):
            shelf.took += [record.number for record in batch[:4]]
            raise NotDelivered("it broke", taken=4)

    shelf.judge = judge
    dock.seal(10)
    async with dock.shipping(siem=shelf):
        await dock.shipped()
    assert shelf.took == list(range(1, 11))


@pytest.mark.parametrize("bad", [{1}, {10}, {4, 5}, {3, 17, 30}])
async def test_a_record_that_can_never_be_taken_is_set_aside_told_and_holds_up_no_other(
    dock: Dock, bad: set[int]
) -> None:
    def judge(batch: Sequence[Record]) -> None:
        if any(record.number in bad for record in batch):
            raise RecordRefused("too large for it")

    shelf = Shelf(judge)
    dock.seal(30)
    async with dock.shipping(siem=shelf):
        await dock.shipped()
    assert shelf.took == [n for n in range(1, 31) if n not in bad]
    assert cursors.refusals(dock.archive, dock.store.workspace) == {"siem": sorted(bad)}
    told = await dock.alarms()
    assert [(each["alarm"], each["number"]) for each in told] == [("sink_refused", n) for n in sorted(bad)]
    assert "too large for it" in told[0]["said"]
    assert await dock.store.redis.hlen(dock.store.keys.rows) == len(bad), "each is told in the audit channel"


async def test_a_sink_that_refuses_everything_loses_no_more_than_a_few(dock: Dock) -> None:
    refusing = True

    def judge(batch: Sequence[Record]) -> None:
        if refusing:
            raise RecordRefused("no")

    shelf = Shelf(judge)
    dock.seal(30)
    async with dock.shipping(siem=shelf) as part:
        await dock.until(lambda: "every record" in part.trouble("siem"), "it to stop")
        sent = shelf.sent
        await dock.until(lambda: shelf.sent > sent + 2, "it to be tried again")
        assert cursors.refusals(dock.archive, dock.store.workspace) == {"siem": list(range(1, MOST_REFUSED + 1))}
        refusing = False
        await dock.shipped()
    assert shelf.took == list(range(MOST_REFUSED + 1, 31))


async def test_a_sink_that_wants_no_more_is_stopped_told_and_goes_on_by_a_persons_word(dock: Dock) -> None:
    gone = True

    def judge(batch: Sequence[Record]) -> None:
        if gone:
            raise ReceiverGone("it wants no more")

    shelf = Shelf(judge)
    dock.seal(5)
    async with dock.shipping(siem=shelf):
        await dock.until(lambda: (found := dock.cursor()) and found.stopped, "it to be stopped")
    gone = False
    async with dock.shipping(siem=shelf, other=Shelf()):
        await dock.shipped("other")
        assert shelf.sent == 1, "a restart alone changes nothing"
        found = dock.cursor()
        assert found
        cursors.resume(dock.archive, found)
        await dock.shipped()
    assert shelf.took == [1, 2, 3, 4, 5]
    [told] = await dock.alarms()
    assert told["alarm"] == "sink_stopped"
    assert "jit sinks --resume siem" in told["said"]


async def test_what_breaks_in_a_sink_is_tried_again(dock: Dock, caplog: pytest.LogCaptureFixture) -> None:
    broken = iter([True, True])

    def judge(batch: Sequence[Record]) -> None:
        if next(broken, False):
            raise RuntimeError("a bug of theirs")

    shelf = Shelf(judge)
    dock.seal(3)
    async with dock.shipping(siem=shelf):
        await dock.shipped()
    assert shelf.took == [1, 2, 3]
    assert "sink siem broke" in caplog.text


async def test_one_of_two_processes_ships_and_the_other_takes_over(dock: Dock) -> None:
    one, two = Shelf(), Shelf()
    dock.seal(5)
    async with dock.shipping(siem=one):
        await dock.shipped()
        async with dock.shipping(siem=two) as standby:
            await dock.until(lambda: "siem" in standby.lag(), "the other to look")
            dock.seal(5)
            await dock.shipped()
            assert two.sent == 0
    async with dock.shipping(siem=two):
        dock.seal(5)
        await dock.shipped()
    assert (one.took, two.took) == (list(range(1, 11)), [11, 12, 13, 14, 15])


async def test_who_lost_the_lease_stops_shipping(dock: Dock) -> None:
    shelf = Shelf()
    async with dock.shipping(siem=shelf) as part:
        await dock.until(lambda: part.shipping, "it to ship")
        await dock.store.redis.delete(dock.store.keys.shipper)
        while not await dock.store.lease(dock.store.keys.shipper, "another", 60):
            await dock.store.redis.delete(dock.store.keys.shipper)
        await dock.until(lambda: not part.shipping, "it to stand by")
        dock.seal(3)
        await dock.until(lambda: (lag := part.lag().get("siem")) and lag.events == 3, "the lag to be known")
        assert shelf.sent == 0


async def test_an_archive_that_is_not_the_events_own_ships_nothing_and_keeps_nobody_from_it(dock: Dock) -> None:
    shelf = Shelf()
    dock.seal(3)
    await AuditStream(dock.store).write_checkpoint(ArchiveHead("another", Head(3, GENESIS)))
    async with dock.shipping(siem=shelf) as part:
        await dock.until(lambda: part.loop.complaint, "it to complain")
        assert "another archive" in part.loop.complaint
        assert not await dock.store.redis.exists(dock.store.keys.shipper)
        await AuditStream(dock.store).write_checkpoint(ArchiveHead(dock.archive.id, Head(3, GENESIS)))
        await dock.shipped()
    assert shelf.took == [1, 2, 3]


async def test_that_a_sink_falls_behind_is_told_once_and_that_it_is_back(dock: Dock) -> None:
    down, now = True, await dock.store.now()

    def judge(batch: Sequence[Record]) -> None:
        if down:
            raise NotDelivered("nobody listens there")

    shelf = Shelf(judge)
    # There for an hour already, as every sink is after its first hour.
    cursors.begin(dock.archive, dock.store.workspace, "siem", "", now=now - 4000, all_of_it=True)
    dock.seal(3, at=now - 3600)
    for _ in range(2):  # and not again by whoever goes on
        async with dock.shipping(siem=(shelf, {"behind": "30m"})) as part:
            await dock.until(lambda: (found := dock.cursor()) and found.behind, "it to be told")
            await dock.until(lambda: part.lag().get("siem"), "the lag to be known")
            await dock.until(partial(more_than, shelf, shelf.sent + 2), "more looks")
            assert part.lag()["siem"].events == 3
        # As after an hour, from when on the record itself would take it again.
        await dock.store.redis.delete(dock.store.keys.seen("sink_behind siem "))
    [told] = await dock.alarms()
    assert told["alarm"] == "sink_behind"
    assert "3 events behind" in told["said"]
    assert "1 h" in told["said"]
    down = False
    async with dock.shipping(siem=(shelf, {"behind": "30m"})):
        await dock.until(lambda: (found := dock.cursor()) and found.behind is None, "it to be back")
    back = (await dock.alarms())[-1]
    assert back["well"]
    assert "caught up" in back["said"]


@pytest.mark.parametrize("made", [False, True], ids=["no archive yet", "tables without an id yet"])
async def test_events_go_from_redis_over_the_archive_to_a_file_whatever_of_it_is_there_at_first(
    store: Store, sealer: MakeSealer, tmp_path: Path, made: bool
) -> None:
    part: Sealer = sealer()
    path = tmp_path / "audit.jsonl"
    if made:
        part.home.mkdir(exist_ok=True)
        half = sa.create_engine(f"sqlite:///{part.home / FILE}")
        METADATA.create_all(half)
        half.dispose()
    shape = SinkShape.model_validate({"kind": "file", "config": {"path": str(path)}})
    shipping = Shipping(store, lambda: Archive.open("", part.home), built({"disk": shape}, {}), interval=INTERVAL)
    stop = asyncio.Event()
    task = asyncio.create_task(shipping.run(stop))
    await notes(store, 25)
    async with asyncio.timeout(30):
        while not shipping.loop.complaint:  # noqa: ASYNC110  # it has looked
            await asyncio.sleep(0.02)
        await part.once()
        while not path.exists() or len(path.read_text().splitlines()) < 25:  # noqa: ASYNC110  # the pump's
            await asyncio.sleep(0.02)
    stop.set()
    await task
    await part.close()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["seq"] for each in told] == list(range(1, 26))
    assert {each["workspace"] for each in told} == {store.workspace}


def test_what_is_wrong_with_sinks_is_said_at_once() -> None:
    shapes = {
        "siem": SinkShape(kind="splunk", config={"url": "https://s.example.com", "token": "env:SPLUNK"}),
        "hook": SinkShape(kind="webhook", config={"url": "https://h.example.com", "secret": "env:HOOK"}),
    }
    with pytest.raises(Misconfigured) as told:
        built(shapes, {"HOOK": "hunter2hunter2"})
    assert "sink siem: token: the environment variable SPLUNK is not set" in str(told.value)
    assert "sink hook: the config of sink 'webhook' is wrong: secret:" in str(told.value)
    assert "hunter2" not in str(told.value)


async def test_what_was_changed_in_the_archive_is_shipped_with_the_sealed_digest_and_told(dock: Dock) -> None:
    shelf = Shelf()
    dock.seal(3)
    with dock.archive.begun() as db:
        db.exec_driver_sql("UPDATE jit_events SET kind = 'granted' WHERE seq = 2")
    async with dock.shipping(siem=shelf):
        await dock.shipped()
    assert shelf.took == [1, 2, 3]
    [told] = await dock.alarms()
    assert (told["alarm"], told["number"]) == ("archive_changed", 2)
