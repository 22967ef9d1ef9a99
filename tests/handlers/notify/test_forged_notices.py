"""Rows, places and events that somebody else wrote: nothing is posted, moved or removed by them, and no alarm kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.events import Approved
from bot.core.notifications import CARD
from bot.core.request import Request
from bot.store.audit_stream import AuditStream
from bot.store.indexes.recent_decisions import Acknowledged, RecentDecisions
from bot.store.outbox import OnItsWay, Outbox, PostedMessage, Row
from bot.store.store import Store
from bot.store.types import CommitOutcome
from tests.house import House


@pytest.fixture
async def house(store: Store) -> House:
    return await House(store).open()


async def asked(store: Store, *names: str) -> list[str]:
    """Which of all rows are to be given, after these were put beside them."""
    for name in names:
        await store.redis.hset(store.keys.rows, name, "0")
        await store.redis.zadd(store.keys.outbox, {name: 0})
    rows, _, _ = await Outbox(store).ready(100)
    return sorted(row.name for row in rows)


async def alarms(store: Store) -> list[str]:
    return [
        json.loads(entry.event)["alarm"] for entry in await AuditStream(store).tail(0, 1000) if entry.kind == "alarm"
    ]


async def number(store: Store, kind: str) -> int:
    """Of the last event of that kind."""
    return [entry.seq for entry in await AuditStream(store).tail(0, 1000) if entry.kind == kind][-1]


FORGED = (
    "{id}|approver:UEVIL0001",
    "{id}|copy:C0AUDIT01 1700000000.000100",
    "C0ELSE001|crowd",
    "{id}|tampered",
    "{id}|tampered:{seq}",
    "{id}|alarm:{seq}",
    "record|record:{seq}",
    "audit|lockdown:{seq}",
    "C0ELSE001|lockdown:{seq}",
    "J-2222|thread:{seq}",
    "no request|card",
    "digest-2026-11-24|digest:{seq}",
    "x",
    "",
    "|",
    "{id}|thread:99999999999999999999",
    "{id}|thread:²",
)


@pytest.mark.parametrize("row", FORGED)
async def test_a_row_that_no_event_of_ours_asks_for_is_removed_and_told_once(house: House, row: str) -> None:
    request = await house.ask()
    before = await asked(house.store)
    name = row.format(id=request.id, seq=await number(house.store, "submitted"))
    assert await asked(house.store, name) == before
    await asked(house.store, name)
    assert await alarms(house.store) == ["outbox_foreign"]
    assert await house.store.redis.hget(house.store.keys.rows, name) is None


async def test_a_row_of_an_event_that_is_not_there_is_not_told(house: House) -> None:
    request = await house.ask()
    before = await asked(house.store)
    assert await asked(house.store, f"{request.id}|rolled_back:77") == before
    assert await Outbox(house.store).dead() == [f"{request.id}|rolled_back:77|its audit event is gone"]
    await house.store.redis.lpush(house.store.keys.dead, "J-2222|card|call this number")
    assert len(await Outbox(house.store).dead()) == 1


async def test_a_notice_that_was_told_is_not_told_again_under_another_number(house: House) -> None:
    store, outbox = house.store, Outbox(house.store)
    await store.alarm("tampered", "J-2222")
    [told], _, _ = await outbox.ready(10)
    await outbox.done(told, 0)
    entries: Any = await store.redis.xrange(store.keys.audit)
    seq = await store.redis.incr(store.keys.seq)
    await store.redis.xadd(store.keys.audit, entries[-1][1], f"{seq}-0")
    name = f"J-2222|tampered:{seq}"
    await store.redis.hset(store.keys.rows, name, "0")
    await store.redis.zadd(store.keys.outbox, {name: 0})
    rows, _, _ = await outbox.ready(10)
    assert [row.name for row in rows] == []


@pytest.mark.parametrize("how", ["deleted", "written over", "as if on its way"])
async def test_the_place_of_a_message_is_known_by_who_posted_it_whatever_becomes_of_it_in_redis(
    house: House, how: str
) -> None:
    request, store, outbox = await house.ask(), house.store, Outbox(house.store)
    card = Row(request.id, CARD, 1)
    await outbox.posting(card, 5)
    await outbox.posted(card, "C0VAULT01", "1.000001")
    if how == "deleted":
        await store.redis.delete(store.keys.posts(request.id))
    else:
        place = "posting 99999999999" if how == "as if on its way" else "C0EVIL001 2.000002"
        await store.redis.hset(store.keys.posts(request.id), CARD, place)
    assert (await outbox.posts(request.id))[CARD] == PostedMessage("C0VAULT01", "1.000001")
    await outbox.not_posted(card)
    assert CARD not in await outbox.posts(request.id)


async def test_a_place_that_is_removed_while_it_is_read_is_not_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the message would be edited once more each time that anything changes."""
    request, outbox = await house.ask(), Outbox(house.store)
    card = Row(request.id, CARD, 1)
    await outbox.posting(card, 5)
    await outbox.posted(card, "C0VAULT01", "1.000001")
    read = house.store.redis.hgetall

    async def meanwhile(name: str) -> Any:
        found = await read(name)
        await outbox.not_posted(card)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(house.store.redis, "hgetall", meanwhile)
        assert CARD not in await outbox.posts(request.id)
    assert CARD not in await outbox.posts(request.id)


@pytest.mark.parametrize("kind", ["another tag", "another audience", "no tag"])
async def test_a_message_stands_only_where_the_bot_has_noted_it(house: House, kind: str) -> None:
    request, store, outbox = await house.ask(), house.store, Outbox(house.store)
    await outbox.posted(Row(request.id, "received", 1), "C0EVIL001", "1.000001")
    stolen: Any = await store.redis.hget(store.keys.posts(request.id), "received")
    value = {
        "another tag": b"C0EVIL001 1.000002 " + stolen.split(b" ")[2],
        "another audience": stolen,
        "no tag": b"C0EVIL001 1.000002",
    }[kind]
    await store.redis.hset(store.keys.posts(request.id), CARD, value)
    assert CARD not in await outbox.posts(request.id)
    card = Row(request.id, CARD, 1)
    await outbox.posting(card, 5)
    await outbox.posted(card, "C0VAULT01", "2.000001")
    assert (await outbox.posts(request.id))[CARD].channel == "C0VAULT01"


async def test_a_message_is_not_waited_for_longer_than_anybody_waits(house: House) -> None:
    request, store, outbox = await house.ask(), house.store, Outbox(house.store)
    await store.redis.hset(store.keys.posts(request.id), CARD, "posting 99999999999")
    with pytest.raises(OnItsWay) as waits:
        await outbox.posting(Row(request.id, CARD, 1), 5)
    assert waits.value.seconds <= 5


async def test_no_alarm_is_kept_by_a_mark_that_it_was_given(store: Store) -> None:
    once = store.keys.seen("tampered J-2222")
    await store.alarm("tampered", "J-3333")
    stolen: Any = await store.redis.get(store.keys.seen("tampered J-3333"))
    for mark in ("1", stolen, "9999999999.000000 k1:00"):
        await store.redis.set(once, mark)
        before = len(await alarms(store))
        await store.alarm("tampered", "J-2222")
        assert len(await alarms(store)) == before + 1
        await store.alarm("tampered", "J-2222")
        assert len(await alarms(store)) == before + 1, "and once is once"


async def test_an_event_that_comes_under_the_number_of_another_is_not_told_in_its_place(house: House) -> None:
    """Whoever puts the stream back has numbers given twice: both events are ours, and of different requests."""
    one, other = await house.ask("mia"), await house.ask("eve")
    store, outbox = house.store, Outbox(house.store)
    await house.approve("dan", one.id)
    await store.alarm("tampered", "J-2222")
    entries: Any = await store.redis.xrange(store.keys.audit)
    rows = {row.name.partition(":")[0]: row for row in (await outbox.ready(100))[0] if row.seq}
    line, alarm = rows[f"{one.id}|thread"], rows["J-2222|tampered"]
    assert isinstance(await outbox.event(line), Approved)
    assert await outbox.audit_event(alarm) is not None
    await store.redis.delete(store.keys.audit)
    for id_, entry in entries:
        seq = int(id_.partition(b"-")[0])
        taken = entries[1][1] if seq in {line.seq, alarm.seq} else entry
        await store.redis.xadd(store.keys.audit, taken, id_)
    assert entries[1][1][b"id"] == other.id.encode()
    assert await outbox.event(line) is None
    assert await outbox.audit_event(alarm) is None


async def test_no_word_of_a_forged_event_is_read_anywhere(house: House) -> None:
    await house.ask()
    store = house.store
    entries: Any = await store.redis.xrange(store.keys.audit)
    forged = {**entries[0][1], b"event": entries[0][1][b"event"].replace(b"on fire", b"a trap1")}
    seq = await store.redis.incr(store.keys.seq)
    await store.redis.xadd(store.keys.audit, forged, f"{seq}-0")
    for row in (Row("J-2222", f"thread:{seq}", 1), Row("record", f"record:{seq}", 0)):
        assert await Outbox(store).event(row) is None
        assert await Outbox(store).audit_event(row) is None
    assert [entry.seq for entry in await AuditStream(store).tail(0, 100)] == list(range(1, seq))


async def test_a_forged_event_hides_no_decision_that_was_lost(house: House) -> None:
    heard: list[CommitOutcome] = []
    remembered = Acknowledged()
    house.store.watch = heard.append
    request: Request = await house.ask()
    remembered.heard(heard[0])
    store = house.store
    entries: Any = await store.redis.xrange(store.keys.audit)
    bare = {name: value for name, value in entries[-1][1].items() if name != b"mac"}
    await store.redis.delete(store.keys.audit, store.keys.record(request.id))
    await store.redis.xadd(store.keys.audit, bare)
    assert [lost.request for lost in await RecentDecisions(store).lack(remembered.latest())] == [request.id]


async def test_a_row_that_is_delivered_between_two_reads_is_no_alarm(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await house.ask()
    store, outbox = house.store, Outbox(house.store)
    await store.redis.zadd(store.keys.outbox, {f"{request.id}|approver:UEVE": 1.0})
    reads = store.redis.hmget

    async def delivered_meanwhile(*asked: Any) -> Any:
        await store.redis.delete(store.keys.outbox, store.keys.rows)
        return await reads(*asked)

    monkeypatch.setattr(store.redis, "hmget", delivered_meanwhile)
    assert "approver:UEVE" not in [row.audience for row in (await outbox.ready(100))[0]]
    entries: Any = await store.redis.xrange(store.keys.audit)
    assert [entry[b"kind"] for _, entry in entries] == [b"submitted"]
