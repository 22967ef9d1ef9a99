"""The work of a date is claimed once with all that it tells, at the documented moment, and what was missed is said."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.errors import BadDay, NotAllowed
from bot.policy.catalog import Catalog
from bot.policy.schema import DigestShape
from bot.reports.digest.editions import MARGIN, last_slot
from bot.reports.digest.schedule import Digesting, DigestReader, ask
from bot.store.audit_stream import AuditStream
from bot.store.indexes.daily_claim import DailyClaims
from bot.store.outbox import Outbox
from bot.store.store import Store
from tests.audit.stories import keep, note
from tests.house import POLICY, House, catalog
from tests.reports.digest import days

BERLIN = DigestShape(at="02:30", timezone="Europe/Berlin")
TOLD = POLICY.replace(
    "workspace:\n", 'workspace:\n  digest: {at: "09:00", timezone: Europe/Berlin}\n  auditors: [security]\n'
)
NINE = days.at(24 + 9)
"""When the busy day is told."""


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def facts(tmp_path: Path, workspace: str) -> DigestReader:
    """An archive in which something happened on the busy day."""
    archive = Archive.open("", tmp_path, create=True)
    keep(archive, days.SIGNER, workspace, [note(1, days.at(-40 * 24)), note(2, days.at(9))])
    archive.close()
    return DigestReader(workspace, tmp_path)


def digesting(store: Store, facts: DigestReader, policy: Catalog | None = None) -> Digesting:
    known = policy or catalog(TOLD)
    return Digesting(store, facts, lambda: known, lambda: True)


async def events(store: Store, kind: str) -> list[dict[str, object]]:
    reading = await AuditStream(store).read(0, 1000)
    return [json.loads(entry.event) for entry in reading.entries if entry.kind == kind]


# when


@pytest.mark.parametrize(
    ("now", "day", "due"),
    [
        ("2026-03-29T00:29:59", "2026-03-27", "2026-03-28T01:30:00"),  # 02:30 does not exist on the 29th
        ("2026-03-29T01:29:59", "2026-03-27", "2026-03-28T01:30:00"),  # it would be 02:30, and is 03:29:59
        ("2026-03-29T01:30:00", "2026-03-28", "2026-03-29T01:30:00"),  # 03:30, as if the clock had not been put forward
        ("2026-03-30T00:29:59", "2026-03-28", "2026-03-29T01:30:00"),
        ("2026-03-30T00:30:00", "2026-03-29", "2026-03-30T00:30:00"),
        ("2026-10-25T00:29:59", "2026-10-23", "2026-10-24T00:30:00"),
        ("2026-10-25T00:30:00", "2026-10-24", "2026-10-25T00:30:00"),  # the first 02:30 of that day
        ("2026-10-25T01:30:00", "2026-10-24", "2026-10-25T00:30:00"),  # its second is no time of its own
        ("2026-10-26T01:29:59", "2026-10-24", "2026-10-25T00:30:00"),
        ("2026-10-26T01:30:00", "2026-10-25", "2026-10-26T01:30:00"),
    ],
)
def test_the_time_of_a_digest_on_the_days_on_which_the_clocks_change(now: str, day: str, due: str) -> None:
    slot = last_slot(BERLIN, utc(now))
    assert (slot.day, slot.at) == (date.fromisoformat(day), utc(due))


def test_at_midnight_what_is_on_its_way_is_waited_for() -> None:
    shape = DigestShape(at="00:00", timezone="UTC")
    midnight = utc("2026-11-25T00:00:00")
    assert last_slot(shape, midnight + MARGIN - 0.1).day == date(2026, 11, 23)
    assert last_slot(shape, midnight + MARGIN).day == date(2026, 11, 24)


@pytest.mark.parametrize("change", ["2026-03-28", "2026-10-24"])
async def test_over_a_change_of_the_clocks_each_day_is_claimed_once(
    store: Store, facts: DigestReader, change: str
) -> None:
    archive = Archive.open("", facts.home)
    last = archive.last(store.workspace)
    archive.append(days.SIGNER.seal(store.workspace, last, [note(3, utc("2026-01-01T00:00:00"))], 1.0), [])
    with archive.begun() as db:
        db.exec_driver_sql("UPDATE jit_events SET at = ? WHERE seq = 1", (utc("2026-01-01T00:00:00"),))
    archive.close()
    part = digesting(store, facts, catalog(TOLD.replace("09:00", "02:30")))
    start = utc(f"{change}T00:00:00")
    for quarter in range(4 * 24 * 3):
        await part.check(start + quarter * 900)
    told = [event["day"] for event in await events(store, "digest")]
    assert len(told) == len(set(told))
    first = date.fromisoformat(change).toordinal()
    assert told == [date.fromordinal(first + n).isoformat() for n in range(-2, 2)]


# once


async def test_of_many_who_come_at_once_one_claims_it_with_its_event_and_its_rows(
    store: Store, facts: DigestReader
) -> None:
    parts = [digesting(store, facts) for _ in range(8)]
    claims = await asyncio.gather(*(part.check(NINE) for part in parts))
    assert sorted(claims) == [False] * 7 + [True]
    [event] = await events(store, "digest")
    assert (event["day"], event["timezone"], event["late"], event["missed"]) == (
        "2026-11-24",
        "Europe/Berlin",
        False,
        [],
    )
    rows, _, _ = await Outbox(store).ready(10)
    assert [row.name for row in rows] == [f"digest-2026-11-24|{part}:1" for part in ("details", "digest", "picture")]


async def test_a_key_that_is_not_what_it_should_be_keeps_nothing_from_being_claimed(store: Store) -> None:
    for key in (store.keys.rows, store.keys.outbox, store.keys.audit, store.keys.seq):
        await store.redis.set(key, "not what it should be")
    assert await DailyClaims(store).claim("2026-11-24", {}, ["a|digest:#"])
    assert not await DailyClaims(store).claim("2026-11-24", {}, ["a|digest:#"])
    [row], _, _ = await Outbox(store).ready(10)
    assert row.name == "a|digest:1"


async def test_a_claim_that_somebody_else_wrote_keeps_no_digest_from_being_told(store: Store) -> None:
    await store.redis.set(store.keys.digest("2026-11-24"), "1")
    assert await DailyClaims(store).claimed(["2026-11-24"]) == []
    assert await DailyClaims(store).claim("2026-11-24", {}, ["a|digest:#"])
    assert await DailyClaims(store).claimed(["2026-11-24"]) == ["2026-11-24"]


async def test_before_its_time_nothing_is_claimed_for_the_day(store: Store, facts: DigestReader) -> None:
    part = digesting(store, facts)
    await part.check(NINE - 1)
    assert [event["day"] for event in await events(store, "digest")] == ["2026-11-23"]
    await part.check(NINE)
    assert [event["day"] for event in await events(store, "digest")] == ["2026-11-23", "2026-11-24"]


async def test_a_time_that_was_missed_is_made_up_for_the_last_day_and_the_others_are_named(
    store: Store, facts: DigestReader
) -> None:
    await digesting(store, facts).check(NINE)
    late = NINE + 4 * 86_400 + 5 * 3_600
    assert await digesting(store, facts).check(late)
    assert not await digesting(store, facts).check(late + 60)
    event = (await events(store, "digest"))[-1]
    assert (event["day"], event["late"]) == ("2026-11-28", True)
    assert event["missed"] == ["2026-11-25", "2026-11-26", "2026-11-27"]


async def test_after_a_very_long_time_only_a_week_is_named(store: Store, facts: DigestReader) -> None:
    await digesting(store, facts).check(NINE)
    await digesting(store, facts).check(NINE + 20 * 86_400)
    assert len((await events(store, "digest"))[-1]["missed"]) == 7  # type: ignore[arg-type]  # JSON


async def test_a_bot_that_was_not_there_on_that_day_tells_nothing_of_it(store: Store, tmp_path: Path) -> None:
    archive = Archive.open("", tmp_path, create=True)
    keep(archive, days.SIGNER, store.workspace, [note(1, days.at(24 + 5))])
    archive.close()
    assert not await digesting(store, DigestReader(store.workspace, tmp_path)).check(NINE)
    assert await digesting(store, DigestReader(store.workspace, tmp_path)).check(NINE + 86_400)


async def test_without_a_time_in_the_policy_none_is_told(store: Store, facts: DigestReader) -> None:
    assert not await digesting(store, facts, catalog()).check(NINE)


async def test_an_archive_that_is_away_is_looked_for_again(
    store: Store, facts: DigestReader, caplog: pytest.LogCaptureFixture
) -> None:
    away = DigestReader(store.workspace, facts.home / "nowhere")
    part = digesting(store, away)
    await part.tick()
    assert "no digest can be made now" in caplog.text
    part.facts = facts
    assert await part.check(NINE)


async def test_the_claim_is_forgotten_long_after_it_could_be_made_up(store: Store, facts: DigestReader) -> None:
    await digesting(store, facts).check(NINE)
    assert 39 * 86_400 < await store.redis.ttl(store.keys.digest("2026-11-24")) <= 40 * 86_400


# for somebody


async def test_an_auditor_has_it_sent_and_that_is_in_the_record(store: Store) -> None:
    house = await House(store, catalog(TOLD)).open()
    span = await ask(house.context, house.actor("sam"), "yesterday", draws=True)
    [event] = await events(store, "read")
    assert (event["by"], event["read"], event["day"]) == ("USAM", "digest", span.last.isoformat())
    rows, _, _ = await Outbox(store).ready(10)
    assert [row.audience.partition(":")[0] for row in rows] == ["details", "picture", "told"]
    assert {row.request for row in rows} == {"USAM"}
    await ask(house.context, house.actor("sam"), "yesterday", draws=True)
    assert len(await events(store, "read")) == 1, "pressed twice is asked once"


async def test_nobody_else_may_and_that_is_in_the_record_too(store: Store) -> None:
    house = await House(store, catalog(TOLD)).open()
    with pytest.raises(NotAllowed):
        await ask(house.context, house.actor("pat"), "", draws=True)
    assert [event["verb"] for event in await events(store, "refused")] == ["digest"]
    assert await Outbox(store).waiting() == 0


@pytest.mark.parametrize("words", ["someday", "2999-01-01", "1999-12-31", "2026-02-30", "2026-11", "x" * 5000])
async def test_a_day_that_is_none_is_refused(store: Store, words: str) -> None:
    house = await House(store, catalog(TOLD)).open()
    with pytest.raises(BadDay):
        await ask(house.context, house.actor("sam"), words, draws=False)


# the policy's generations


async def test_a_change_of_the_policy_is_an_event_and_the_same_again_is_none(store: Store) -> None:
    a, b = "a" * 16, "b" * 16
    for generation in (a, a, b, b, a):
        await store.policy.adopt(generation)
    found = await events(store, "policy")
    assert [(each["was"], each["now"], each["by"]) for each in found] == [(a, b, "policy"), (b, a, "policy")]
    assert await store.redis.hlen(store.keys.rows) == 2, "each is told"


@pytest.mark.parametrize("left", ['x","by":"nobody', "ZWD00097Z", "A" * 16, "a" * 17])
async def test_what_an_intruder_left_there_is_not_carried_into_the_record(store: Store, left: str) -> None:
    await store.redis.set(store.keys.policy, left)
    await store.policy.adopt("b" * 16)
    [found] = await events(store, "policy")
    assert (found["was"], found["now"], found["by"]) == ("", "b" * 16, "policy")
