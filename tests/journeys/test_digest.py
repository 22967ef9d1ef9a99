"""The digest through the local Slack: at its time, once, after downtime too, whatever Slack does; with its picture."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.app import App
from bot.audit.archive.archive import NoArchive
from bot.core import start_times
from bot.playground import LocalSlack, Message
from bot.playground.faults import How
from bot.playground.server import UPLOAD
from bot.reports.digest import chart as digest_picture
from bot.reports.digest.schedule import Digesting, DigestReader
from bot.settings import Settings
from bot.store.audit_stream import AuditStream
from bot.store.indexes.daily_claim import DailyClaims
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.audit.stories import commit, life
from tests.house import POLICY
from tests.journeys.conftest import running, settings_for
from tests.journeys.test_announcing import until
from tests.servers import RedisServer

AUDIT = "C0AUDIT01"
PATIENCE = 90.0
"""Seconds for a picture on a machine that is busy with other tests."""
COMPLETE = "files.completeUploadExternal"


def due(hours_ago: float) -> tuple[str, str]:
    """A time of the policy that was so many hours ago, in a zone in which that is shortly after nine in the morning."""
    ago = datetime.now(UTC) - timedelta(hours=hours_ago)
    offset = (9 - ago.hour + 12) % 24 - 12
    zone = f"Etc/GMT{'-' if offset >= 0 else '+'}{abs(offset)}"
    return f"09:{ago.minute:02}", zone


@pytest.fixture
def zone() -> str:
    return due(1)[1]


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> str:
    """A digest that was due an hour ago; as ``param`` says, of each day, of each week, or of each month."""
    at, zone = due(1)
    today = start_times.today(zone, datetime.now(UTC).timestamp())
    time = {"daily": f'at: "{at}"', "weekly": f"weekly: {today:%A} {at}", "monthly": f"monthly: {today.day} {at}"}
    edition = getattr(request, "param", "daily")
    lines = f"workspace:\n  digest: {{{time[edition]}, timezone: {zone}}}\n  auditors: [security]\n"
    return POLICY.replace("workspace:\n", lines)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawing library's cache of fonts, which is made once."""
    return tmp_path_factory.mktemp("fonts")


@pytest.fixture
def settings(slack: LocalSlack, redis: RedisServer, tmp_path: Path, policy: str, fonts: Path) -> Settings:
    slack.limits.on = False
    (tmp_path / "matplotlib").symlink_to(fonts)
    return settings_for(slack, redis, "http", tmp_path, policy)


@contextlib.asynccontextmanager
async def bots(slack: LocalSlack, settings: Settings, *, ticks: bool = True) -> AsyncIterator[App]:
    """The bot; without ``ticks`` it looks at no clock of its own."""
    with pytest.MonkeyPatch.context() as patch:
        if not ticks:

            async def nothing(_: Digesting) -> None:
                """It is told the time by the test."""

            patch.setattr(Digesting, "tick", nothing)
        async with running(settings) as app:
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
            app.announcer.poster.unknown_for = 1.0
            yield app


def yesterday(zone: str) -> tuple[str, float]:
    """The day that is told, and its first moment."""
    day = start_times.today(zone, datetime.now(UTC).timestamp()) - timedelta(days=1)
    return day.isoformat(), start_times.span(day, zone)[0]


async def happened(slack: LocalSlack, settings: Settings, zone: str, days_ago: int = 0) -> None:
    """Somebody had access on the day that is told, or before it; the bot is not there yet."""
    assert settings.keys is not None
    assert settings.redis_url is not None
    at = yesterday(zone)[1] - days_ago * 86_400 + 9 * 3_600
    async with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
        store = Store(redis, slack.team, KeyRing.parse(settings.keys.get_secret_value()))
        await commit(store, life("J-2222", "mia", at=at, workspace=slack.team))


async def sealed(app: App) -> None:
    """Wait until all that happened is in the archive."""

    async def all_of_it() -> bool:
        reading = await AuditStream(app.store).read(0, 1)
        with contextlib.suppress(NoArchive):  # the sealer makes it at this moment
            return await app.digesting.facts.sealed(reading.seq)
        return False

    await until(all_of_it, "the seal", PATIENCE)


async def given(app: App) -> None:
    """Wait until there is nothing left to tell."""

    async def nothing() -> bool:
        return await app.announcer.outbox.waiting() == 0

    await until(nothing, "an empty outbox", PATIENCE)


def digests(slack: LocalSlack) -> list[Message]:
    return [message for message in slack.messages(AUDIT) if is_digest(message)]


def is_digest(message: Message) -> bool:
    return "igest for" in message.text and not message.text.startswith("Details")


def details(slack: LocalSlack, under: Message) -> list[Message]:
    return [message for message in slack.messages(under.channel, under.ts) if message.text.startswith("Details")]


def pictures(slack: LocalSlack, under: Message) -> list[Message]:
    return [message for message in slack.messages(under.channel, under.ts) if message.files]


async def posted(slack: LocalSlack, wanted: Callable[[Message], bool] = bool) -> Message:
    return await slack.sees(AUDIT, lambda m: is_digest(m) and wanted(m), patience=PATIENCE)


async def test_it_is_posted_at_its_time_and_once_with_its_picture_beneath(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        now = await app.store.now()
        assert not await app.digesting.check(now - 3 * 3_600), "the time before it is of a day before anything began"
        assert digests(slack) == []
        assert await app.digesting.check(now)
        assert not await app.digesting.check(now + 60)
        digest = await posted(slack)
        picture = await slack.sees(AUDIT, lambda m: bool(m.files), thread=digest.ts, patience=PATIENCE)
        await given(app)
    day = yesterday(zone)[0]
    assert digest.text.startswith("Quiet: 1 request, all ended on time. Digest for ")
    assert "jit " not in digest.said()
    [thread] = details(slack, digest)
    for part in ("numbers 1 to 6", "jit audit verify --head ", f'--when "{day} {zone}"', "--kind submitted", "J-2222"):
        assert part in thread.said(), part
    file = slack.world.files[picture.files[0]]
    assert file.content is not None
    assert file.content.startswith(b"\x89PNG")
    [shown] = [block for block in digests(slack)[0].blocks if block["type"] == "image"]
    assert shown["slack_file"] == {"id": picture.files[0]}
    assert shown["alt_text"] == file.alt
    assert "vault: 1 requested, 1 granted, 1 revoked" in file.alt
    assert (len(digests(slack)), len(details(slack, digest)), len(pictures(slack, digest))) == (1, 1, 1)


async def test_a_bot_that_was_down_at_the_time_makes_it_up_once_and_names_the_days_before(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    await happened(slack, settings, zone, days_ago=5)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        assert await app.digesting.check(await app.store.now() - 4 * 86_400)
        await posted(slack)
        await given(app)
    day = datetime.fromisoformat(yesterday(zone)[0])
    async with bots(slack, settings) as app:
        made_up = await posted(slack, lambda m: f"{day:%A} {day.day} " in m.text)
        await given(app)
        [thread] = details(slack, made_up)
    async with bots(slack, settings) as app:
        await given(app)
    assert len(digests(slack)) == 2
    for n in (1, 2, 3):
        before = day - timedelta(days=n)
        assert f"{before:%A} {before.day} {before:%B}" in made_up.said()
        assert f"jit digest --date {before.date()}" in thread.said()
    assert f"jit digest --date {(day - timedelta(days=4)).date()}" not in thread.said()


async def test_of_two_workers_one_posts_it(slack: LocalSlack, settings: Settings, zone: str, tmp_path: Path) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
    async with bots(slack, settings) as one, bots(slack, settings) as other:
        digest = await posted(slack)
        await slack.sees(AUDIT, lambda m: bool(m.files), thread=digest.ts, patience=PATIENCE)
        now = await one.store.now()
        await asyncio.gather(*(app.digesting.check(now) for app in (one, other) for _ in range(5)))
        await given(one)
    assert (len(digests(slack)), len(pictures(slack, digest))) == (1, 1)


@pytest.mark.parametrize("policy", ["daily", "weekly"], indirect=True)
async def test_one_that_was_claimed_before_a_crash_is_posted_by_the_next(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        app.announcer._stopping = True  # from here on it is as good as dead
        assert await app.digesting.check(await app.store.now())
    assert digests(slack) == []
    async with bots(slack, settings) as app:
        digest = await posted(slack)
        await given(app)
    assert (len(digests(slack)), len(details(slack, digest)), len(pictures(slack, digest))) == (1, 1, 1)


@pytest.mark.parametrize("how", ["error_500", "drop_before", "drop_after", "ratelimited"])
@pytest.mark.parametrize("method", ["chat.postMessage", COMPLETE, "files.getUploadURLExternal"])
async def test_whatever_slack_does_both_come_once(
    slack: LocalSlack, settings: Settings, zone: str, how: How, method: str
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        slack.faults.add(method, how, 2)
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await slack.sees(AUDIT, lambda m: bool(m.files), thread=digest.ts, patience=PATIENCE)
        await given(app)
        assert await app.announcer.outbox.dead() == []
    assert (len(digests(slack)), len(pictures(slack, digest))) == (1, 1)


@pytest.mark.parametrize("how", ["error_500", "drop_after"])
async def test_bytes_that_did_not_arrive_are_sent_again(
    slack: LocalSlack, settings: Settings, zone: str, how: How
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        slack.faults.add(UPLOAD, how)
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await slack.sees(AUDIT, lambda m: bool(m.files), thread=digest.ts, patience=PATIENCE)
        await given(app)
    assert len(pictures(slack, digest)) == 1


async def test_without_the_scope_for_files_the_digest_comes_and_nothing_waits_for_its_picture(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    slack.scopes = [scope for scope in slack.scopes if scope != "files:write"]
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await given(app)
        [dead] = await app.announcer.outbox.dead()
    assert "files:write" in dead
    assert pictures(slack, digest) == []


async def test_without_matplotlib_it_comes_without_and_the_log_says_how_to_have_one(
    slack: LocalSlack, settings: Settings, zone: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(digest_picture, "available", lambda: False)
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await given(app)
    assert "jit-access[picture]" in caplog.text
    assert pictures(slack, digest) == []
    assert "matplotlib" not in digest.said()


async def test_an_archive_that_lags_is_waited_for_and_then_that_is_said(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        assert app.announcer.router.digest_deliveries is not None
        lagging = True
        really = app.announcer.router.digest_deliveries.reads.sealed

        async def lags(number: int) -> bool:
            return not lagging and await really(number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app.announcer.router.digest_deliveries.reads, "sealed", lags)
            await app.digesting.check(await app.store.now())
            await asyncio.sleep(1.5)
            assert digests(slack) == []
            lagging = False
            digest = await posted(slack)
            assert "INCOMPLETE" not in digest.said()
            lagging, app.announcer.router.digest_deliveries.patience = True, 0.0
            claim = {"at": 0, "by": "clock", "day": yesterday(zone)[0], "timezone": zone, "late": False, "missed": []}
            await DailyClaims(app.store).enqueue_once(
                "again", {**claim, "day": start_times.today(zone, await app.store.now()).isoformat()}, ["x|digest:#"]
            )
            assert "INCOMPLETE" in (await posted(slack, lambda m: "INCOMPLETE" in m.said())).said()


async def test_an_archive_that_is_away_loses_no_digest(
    slack: LocalSlack, settings: Settings, zone: str, caplog: pytest.LogCaptureFixture
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        assert app.announcer.router.digest_deliveries is not None
        there = app.announcer.router.digest_deliveries.reads
        app.announcer.router.digest_deliveries.reads = DigestReader(app.store.workspace, settings.home / "nowhere")
        await app.digesting.check(await app.store.now())
        await until(
            lambda: re.search(r"digest:\d+ waits: there is no archive", caplog.text) is not None,
            "its absence to be logged",
            PATIENCE,
        )
        app.announcer.router.digest_deliveries.reads = there
        await posted(slack)
        await given(app)
    assert len(digests(slack)) == 1


async def test_where_slack_refuses_the_chart_in_the_body_the_thread_has_it(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        await given(app)
        slack.faults.add("chat.update", "refuse", code="invalid_blocks")
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await given(app)
        assert await app.announcer.outbox.dead() == []
    assert len(pictures(slack, digest)) == 1
    assert "image" not in [block["type"] for block in digests(slack)[0].blocks]


async def test_where_slack_refuses_the_table_its_lines_come_and_once(
    slack: LocalSlack, settings: Settings, zone: str
) -> None:
    slack.unknown_blocks = frozenset({"table"})
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        await app.digesting.check(await app.store.now())
        digest = await posted(slack)
        await given(app)
        assert await app.announcer.outbox.dead() == []
    [thread] = details(slack, digest)
    assert "• 1 · requested · `jit audit search --when" in thread.said()


# for an auditor


async def test_an_auditor_has_it_sent_with_its_picture(slack: LocalSlack, settings: Settings, zone: str) -> None:
    await happened(slack, settings, zone)
    async with bots(slack, settings, ticks=False) as app:
        await sealed(app)
        sam = slack.person("USAM")
        reply = await sam.command("/jit", "digest yesterday", "C0GENERAL")
        assert "will arrive in your direct messages" in reply.text
        letter = await sam.sees_dm(is_digest, patience=PATIENCE)
        await slack.sees(letter.channel, lambda m: bool(m.files), thread=letter.ts, patience=PATIENCE)
        await given(app)
        kinds = [entry.kind for entry in (await AuditStream(app.store).read(0, 100)).entries]
    assert kinds.count("read") == 1
    assert digests(slack) == []


async def test_nobody_else_is_told_anything(slack: LocalSlack, settings: Settings) -> None:
    async with bots(slack, settings, ticks=False) as app:
        for who in ("UPAT", "UMIA"):
            reply = await slack.person(who).command("/jit", "digest", "C0GENERAL")
            assert reply.text == "You cannot do this: only `security` can read the audit log."
        reply = await slack.person("USAM").command("/jit", "digest someday", "C0GENERAL")
        assert "I don't understand the day" in reply.text
        kinds = [entry.kind for entry in (await AuditStream(app.store).read(0, 100)).entries]
        assert kinds.count("refused") == 2
        assert await app.announcer.outbox.waiting() == 0
