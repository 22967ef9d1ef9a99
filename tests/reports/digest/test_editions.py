"""Each edition covers the days that its time says, is claimed once whatever dies, and has what only shows over time."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core import start_times
from bot.playground.block_tree import texts
from bot.policy import loader
from bot.policy.schema import DigestShape
from bot.reports.digest import facts as digest
from bot.reports.digest import text as digest_words
from bot.reports.digest.editions import Edition, Span, last_slot, last_slots
from bot.reports.digest.facts import Digest
from bot.reports.digest.schedule import DigestReader, ask
from bot.store.outbox import Outbox
from bot.store.store import Store
from handlers.views.digest import announcement, details
from tests.audit.stories import keep, note
from tests.cli.test_main import jit
from tests.house import POLICY, House, catalog
from tests.reports.digest import days
from tests.reports.digest.days import HOUR, TZ, W
from tests.reports.digest.test_schedule import digesting, events, utc

ALL = DigestShape(at="09:00", weekly="monday 09:00", monthly="1 09:00", timezone="UTC")
POSTED = POLICY.replace(
    "workspace:\n",
    'workspace:\n  digest: {at: "09:00", weekly: monday 09:00, monthly: 1 09:00, timezone: UTC}\n'
    "  auditors: [security]\n",
)
MONDAY = utc("2026-11-30T09:00:00")
WEEK = Span(Edition.WEEKLY, date(2026, 11, 29))


# when


@pytest.mark.parametrize(
    ("edition", "now", "first", "last"),
    [
        ("weekly", "2026-11-30T08:59:59", "2026-11-16", "2026-11-22"),
        ("weekly", "2026-11-30T09:00:00", "2026-11-23", "2026-11-29"),
        ("weekly", "2026-12-06T23:59:59", "2026-11-23", "2026-11-29"),
        ("monthly", "2026-12-01T08:59:59", "2026-10-01", "2026-10-31"),
        ("monthly", "2026-12-01T09:00:00", "2026-11-01", "2026-11-30"),
        ("monthly", "2026-03-01T09:00:00", "2026-02-01", "2026-02-28"),
        ("monthly", "2027-01-31T00:00:00", "2026-12-01", "2026-12-31"),
        ("daily", "2026-11-30T09:00:00", "2026-11-29", "2026-11-29"),
    ],
)
def test_an_edition_covers_the_days_before_its_time(edition: str, now: str, first: str, last: str) -> None:
    span = last_slot(ALL, utc(now), Edition(edition)).span
    assert (span.first.isoformat(), span.last.isoformat()) == (first, last)


def test_only_what_the_policy_names_is_due() -> None:
    assert [slot.span.edition for slot in last_slots(ALL, MONDAY)] == list(Edition)
    [only] = last_slots(DigestShape(weekly="friday 17:00"), MONDAY)
    assert only.span == Span(Edition.WEEKLY, date(2026, 11, 26))


@pytest.mark.parametrize("day", [1, 15, 28])
def test_the_months_follow_each_other_without_a_gap(day: int) -> None:
    shape = DigestShape(monthly=f"{day} 09:00")
    span = last_slot(shape, utc("2028-06-30T00:00:00"), Edition.MONTHLY).span
    for _ in range(40):
        before = span.before()
        assert before.last + timedelta(days=1) == span.first
        assert span.first.day == day
        span = before


@pytest.mark.parametrize(
    "span", [WEEK, Span(Edition.DAILY, date(2026, 1, 2)), Span(Edition.MONTHLY, date(2026, 2, 28))]
)
def test_a_claim_names_its_edition_and_its_days(span: Span) -> None:
    assert Span.named(span.name) == span
    assert re.fullmatch(r"[a-z0-9-]{1,32}", span.name)


def test_a_week_in_which_the_clocks_change_is_whole() -> None:
    since, until = Span(Edition.WEEKLY, date(2026, 10, 25)).moments(TZ)
    assert until - since == (7 * 24 + 1) * HOUR


# once


@pytest.fixture
def facts(tmp_path: Path, workspace: str) -> DigestReader:
    archive = Archive.open("", tmp_path, create=True)
    keep(archive, days.SIGNER, workspace, [note(1, utc("2026-07-01T00:00:00")), note(2, utc("2026-12-31T00:00:00"))])
    archive.close()
    return DigestReader(workspace, tmp_path)


async def claimed(store: Store) -> list[tuple[object, object]]:
    return [(event["edition"], event["day"]) for event in await events(store, "digest")]


async def test_of_many_workers_one_claims_each_edition_with_its_thread(store: Store, facts: DigestReader) -> None:
    parts = [digesting(store, facts, catalog(POSTED)) for _ in range(6)]
    await asyncio.gather(*(part.check(MONDAY) for part in parts))
    await asyncio.gather(*(digesting(store, facts, catalog(POSTED)).check(MONDAY + n * 3600) for n in range(6)))
    assert sorted(await claimed(store)) == [
        ("daily", "2026-11-29"),
        ("monthly", "2026-10-31"),
        ("weekly", "2026-11-29"),
    ]
    rows, _, _ = await Outbox(store).ready(20)
    assert sorted(row.name.partition(":")[0] for row in rows if "weekly" in row.name) == [
        f"digest-weekly-2026-11-29|{part}" for part in ("details", "digest", "picture")
    ]
    assert len(rows) == 9


async def test_over_a_quarter_each_edition_comes_once(store: Store, facts: DigestReader) -> None:
    part = digesting(store, facts, catalog(POSTED))
    for half_day in range(2 * 92):
        await part.check(utc("2026-09-01T09:30:00") + half_day * 43_200)
    found = await claimed(store)
    assert len(found) == len(set(found))
    assert [day for edition, day in found if edition == "monthly"] == [
        "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-30",
    ]  # fmt: skip
    weeks = [str(day) for edition, day in found if edition == "weekly"]
    assert weeks == [(date(2026, 8, 30) + timedelta(days=7 * n)).isoformat() for n in range(len(weeks))]
    assert len(weeks) == 14


async def test_a_week_that_was_missed_is_made_up_and_the_ones_before_are_named(
    store: Store, facts: DigestReader
) -> None:
    weekly = catalog(POSTED.replace('at: "09:00", weekly: monday 09:00, monthly: 1 09:00', "weekly: monday 09:00"))
    await digesting(store, facts, weekly).check(MONDAY)
    await digesting(store, facts, weekly).check(MONDAY + 22 * 86_400)
    first, made_up = await events(store, "digest")
    assert (first["late"], first["missed"]) == (False, [])
    assert (made_up["day"], made_up["late"]) == ("2026-12-20", True)
    assert made_up["missed"] == ["weekly-2026-12-06", "weekly-2026-12-13"]


async def test_an_edition_that_is_new_in_the_policy_is_not_called_late(store: Store, facts: DigestReader) -> None:
    await digesting(store, facts, catalog(POSTED)).check(MONDAY + 3 * 86_400)
    assert {(event["edition"], event["late"]) for event in await events(store, "digest")} == {
        ("daily", False),
        ("weekly", False),
        ("monthly", False),
    }


@pytest.mark.parametrize(
    ("words", "edition"), [("last week", "weekly"), ("Week", "weekly"), ("last  month", "monthly")]
)
async def test_an_auditor_has_the_last_one_sent(store: Store, words: str, edition: str) -> None:
    house = await House(store, catalog(POSTED)).open()
    span = await ask(house.context, house.actor("sam"), words, draws=False)
    today = start_times.today("UTC", await store.now())
    assert span.edition == edition
    assert today - timedelta(days=32) < span.last < today
    assert (span.last + timedelta(days=1)).weekday() == 0 or (span.last + timedelta(days=1)).day == 1
    [event] = await events(store, "read")
    assert (event["edition"], event["day"]) == (edition, span.last.isoformat())


# what only shows over time


def weekly(archive: Archive, span: Span = days.WEEK) -> Digest:
    return days.made_of(days.kept_weeks(archive), span)


def test_a_week_is_held_against_the_week_before(archive: Archive) -> None:
    found = weekly(archive)
    assert [(number.name, number.count, number.usual) for number in found.numbers[:2]] == [
        ("requested", 13, 1.0),
        ("granted", 12, 0.0),
    ]
    assert digest_words.usual(found.numbers[0], Edition.WEEKLY) == "1 the week before"


def test_it_says_who_uses_it_which_roles_nobody_requested_and_who_approves_without_reading(archive: Archive) -> None:
    found = weekly(archive)
    assert digest_words.adoption(found) == [
        "3 people requested access (1 the week before), 1 approver decided, a rule approved 1 of 13 requests.",
        "2 roles that nobody requested this week: vault/admin, vault/shared.",
    ]
    [stamp] = found.stamps
    assert stamp.sentence.startswith("dan@example.com approved within 10 s 12 times, of 12 decisions")


def test_a_rubber_stamp_that_somebody_snoozed_is_left_out(archive: Archive) -> None:
    [stamp] = weekly(archive).stamps
    number = len(days.busy_weeks()) + 1
    facts = {"by": "UADA", "key": stamp.key, "until": days.at(30 * 24)}
    keep(archive, days.SIGNER, W, [note(number, days.at(50), "snoozed", json.dumps(facts))])
    assert days.made_of(archive, days.WEEK).stamps == ()


def test_a_day_has_none_of_it(archive: Archive) -> None:
    found = weekly(archive, Span(Edition.DAILY, days.DAY))
    assert (found.adoption, found.stamps, digest_words.adoption(found)) == (None, (), [])


def test_without_an_archived_policy_no_role_is_called_unused(archive: Archive) -> None:
    keep(archive, days.SIGNER, W, days.busy_weeks())
    found = digest.make(archive, W, Span(Edition.WEEKLY, days.DAY), TZ, days.at(200), loader.of_text)
    assert found.adoption is not None
    assert found.adoption.unused is None
    assert len(digest_words.adoption(found)) == 1


def test_the_same_code_says_it_in_slack_and_at_the_terminal(archive: Archive) -> None:
    found = weekly(archive)
    body = announcement(found)
    said = " ".join(texts(body.blocks))
    assert body.text.endswith("Weekly digest for Saturday 21 to Friday 27 November 2026.")
    for part in ("13", "1 the week before", "3 people requested access", "dan@example.com approved within"):
        assert part in said
    text = digest_words.text(found)
    assert text.startswith("Weekly digest for Saturday 21 to Friday 27 November 2026: Quiet week: 13 requests")
    assert "vault/admin, vault/shared" in text
    assert "2026-11-21..2026-11-27 Europe/Berlin" in " ".join(texts(details(found).blocks))


def test_the_command_makes_each_edition_and_its_figures_are_found_by_its_commands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    archive = Archive.open("", home, create=True)
    weekly(archive)
    archive.close()
    words = ("--date", "2026-11-27", "--edition", "weekly", "--timezone", TZ, "--format", "json")
    done = jit("digest", *words, cwd=tmp_path, JIT_HOME=str(home))
    found = json.loads(done.stdout)
    assert (found["edition"], found["first_day"], found["day"]) == ("weekly", "2026-11-21", "2026-11-27")
    [asked] = [figure for figure in found["figures"] if figure["name"] == "asked"]
    when = re.search(r'--when "([^"]+)"', asked["look"])
    assert when
    search = jit(
        "audit", "search", "--when", when[1], "--kind", "submitted", "--json", cwd=tmp_path, JIT_HOME=str(home)
    )
    assert len(search.stdout.splitlines()) == asked["count"] == 12
