"""Who is on call by PagerDuty is told and can approve, over both ways, until the shift is over or nobody knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.app import App
from bot.core.errors import CouldNotCheck
from bot.playground import LocalSlack, Message
from bot.policy import authorization, lost_rights
from bot.startup import CannotStart
from bot.store.indexes.directory_snapshots import DirectorySnapshots
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.providers.calendars import calendar, shift
from tests.providers.pagerduty import TOKEN, PagerDutyServer
from tests.servers import RedisServer

TOKEN_NAME = "A_PAGERDUTY_TOKEN"


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]  # one of the two


@pytest.fixture
async def pagerduty(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PagerDutyServer]:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    server = PagerDutyServer()
    server.on_call(["sam@example.com"])
    await server.start()
    yield server
    await server.stop()


def policy(pagerduty: PagerDutyServer, notify: str = "{mention: on-call}") -> str:
    """Whoever is on call approves, and so do the dbas."""
    directory = f"{{kind: pagerduty, config: {{token: env:{TOKEN_NAME}, url: '{pagerduty.url}', timeout: 2}}}}"
    sections = f"directories:\n  pd: {directory}\ngroups:\n  oncall: {{directory: pd, group: PSCHED1}}\n"
    text = POLICY.replace("groups:\n", sections, 1)
    text = text.replace("approvers: [dba]", "on_call: oncall\n    approvers: [oncall, dba]", 1)
    return text.replace("        sensitivity: low", f"        notify: {notify}\n        sensitivity: low", 1)


@asynccontextmanager
async def on_call(slack: LocalSlack, redis: RedisServer, home: Path, text: str, mode: Mode) -> AsyncIterator[Town]:
    async with running(settings_for(slack, redis, mode, home, text)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        await known(app)
        yield Town(slack, app)


async def known(app: App) -> None:
    """The worker has read the directories."""
    async with asyncio.timeout(20):
        while not (await app.people.roster())["oncall"].known:  # noqa: ASYNC110  # another task's work
            await asyncio.sleep(0.02)


async def looked(app: App) -> None:
    """As a minute later."""
    assert await app.directories.leader.elected()
    await app.directories.read_all(app.catalog)


async def aged(app: App, seconds: float = 300) -> None:
    """As so many seconds later, without an answer since; after five minutes, what was known is too old."""
    snapshots = DirectorySnapshots(app.store)
    known_ = (await snapshots.groups(app.catalog)).directories["pd"]
    groups = {name: group.model_copy(update={"at": group.at - seconds}) for name, group in known_.groups.items()}
    await snapshots.write(known_.model_copy(update={"groups": groups}))


async def settled(town: Town) -> None:
    async with asyncio.timeout(30):
        while await town.app.announcer.outbox.waiting():  # noqa: ASYNC110  # a task of the app's
            await asyncio.sleep(0.02)


def wrote_to(slack: LocalSlack) -> set[str]:
    """Who got a direct message to decide."""
    sent = {call.args["channel"] for call in slack.calls if call.method == "chat.postMessage"}
    return {name for name in ("sam", "kim", "dan", "eve") if slack.world.dm(f"U{name.upper()}").id in sent}


async def approvers(town: Town, card: Message) -> set[str]:
    """Whose approvals the record has."""
    found = await town.app.store.load(town.id_of(card))
    assert found
    return {review.by.name.split()[0] for review in found.request.reviews}


async def asked(town: Town) -> Message:
    card = await town.asked(line="request vault/read-only 30m -- to look at the vault")
    await settled(town)
    return card


async def test_who_is_on_call_is_told_and_approves(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        card = await asked(town)
        assert "<@USAM> (on call) or `oncall` or `dba`" in card.said()
        assert wrote_to(slack) == {"sam"}
        await town.sam.click(card, "approve")
        assert await approvers(town, card) == {"Sam"}


async def test_when_the_shift_changes_it_is_the_next_who_approves(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        card = await asked(town)
        pagerduty.oncalls.clear()
        pagerduty.on_call(["kim@example.com"])
        await looked(town.app)
        await town.sam.click(card, "approve")
        await town.sam.sees_ephemeral(lambda m: "Only `oncall` or `dba` can approve this." in m.text)
        await town.kim.click(card, "approve")
        assert await approvers(town, card) == {"Kim"}


async def test_while_nobody_knows_who_is_on_call_all_approvers_are_told_and_nobody_is_on_call(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        await pagerduty.stop()
        await looked(town.app)
        assert (await town.app.people.roster())["oncall"].known, "an outage of a minute changes nothing"
        await aged(town.app)
        card = await asked(town)
        assert "Who is on call is not known right now, so all approvers are notified." in card.said()
        assert "<!subteam^S0DBA0001>" in card.said()
        assert wrote_to(slack) == {"dan", "eve"}, "a guest and somebody deactivated of the group are no approvers"
        await town.sam.click(card, "approve")
        assert await approvers(town, card) == set()
        await town.dan.click(card, "approve")
        assert await approvers(town, card) == {"Dan"}


async def test_who_was_on_call_keeps_what_was_granted_when_the_shift_ends(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    text = policy(pagerduty).replace("may_ask: [everyone]", "may_ask: [oncall]", 1)
    async with on_call(slack, redis, tmp_path, text, mode) as town:
        reply = await town.mia.command("/jit", "request vault/read-only 30m -- to look", CHANNEL)
        assert "You requested" not in reply.text
        card = await town.asked("sam", "request vault/read-only 30m -- to look at the vault")
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        pagerduty.oncalls.clear()
        await looked(town.app)
        roster = await town.app.people.groups()
        assert roster
        assert roster["oncall"].known
        request = (await town.app.store.load(town.id_of(card))).request  # type: ignore[union-attr]
        assert lost_rights.lost(town.app.catalog, roster, request) == ()
        assert not authorization.may_still_request(town.app.catalog, roster, request, time.time()).allowed


async def test_a_calendar_says_who_is_on_call_and_when_it_is_frozen(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    now = time.time()
    (tmp_path / "rota.ics").write_bytes(calendar([shift(now - 60, now + 3600, ["sam@example.com"])]))
    (tmp_path / "freeze.ics").write_bytes(calendar([shift(now - 60, now + 3600, [])]))
    sections = f"""\
directories:
  rota: {{kind: ical, config: {{file: {tmp_path}/rota.ics}}}}
calendars:
  freeze: {{ical: "file:{tmp_path}/freeze.ics"}}
groups:
  oncall: {{directory: rota}}
"""
    text = POLICY.replace("groups:\n", sections, 1).replace("approvers: [dba]", "approvers: [oncall]", 1)
    async with on_call(slack, redis, tmp_path, text, mode) as town:
        card = await asked(town)
        await town.sam.click(card, "approve")
        assert await approvers(town, card) == {"Sam"}
        async with asyncio.timeout(20):
            snapshots = DirectorySnapshots(town.app.store)
            while (await snapshots.calendars(town.app.catalog)).frozen("freeze", now + 60) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        known_ = await snapshots.calendars(town.app.catalog)
        assert (known_.frozen("freeze", now + 60), known_.frozen("freeze", now + 7200)) == (True, False)


async def test_web_answers_by_what_the_worker_read_and_has_no_token(
    slack: LocalSlack,
    redis: RedisServer,
    tmp_path: Path,
    mode: Mode,
    pagerduty: PagerDutyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_for(slack, redis, mode, tmp_path, policy(pagerduty))
    async with running(settings, "worker") as worker:
        await known(worker)
        monkeypatch.delenv(TOKEN_NAME)
        async with running(settings, "web") as web:
            if mode == "http":
                slack.deliver_to(f"http://127.0.0.1:{web.port}/slack/events")
            await (slack.connected() if mode == "socket" else asyncio.sleep(0))
            town = Town(slack, web)
            card = await asked(town)
            calls = len(pagerduty.calls)
            await town.sam.click(card, "approve")
            assert await approvers(town, card) == {"Sam"}
            assert len(pagerduty.calls) == calls, "a click asks no directory"


async def test_for_what_is_critical_the_worker_asks_who_is_on_call_now(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        people = town.app.people
        pagerduty.oncalls.clear()
        pagerduty.on_call(["kim@example.com"])
        await aged(town.app, 10)
        assert (await people.roster())["oncall"].people == {"sam@example.com"}
        assert (await people.look_up_now("USAM", (), ["oncall"])).roster["oncall"].people == {"kim@example.com"}
        calls = len(pagerduty.calls)
        for _ in range(5):
            assert (await people.look_up_now("USAM", (), ["oncall"])).roster["oncall"].known
        assert len(pagerduty.calls) == calls, "what was read for a click does for those after it"


async def test_where_nobody_says_within_a_second_nothing_critical_is_decided(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        people = town.app.people
        await aged(town.app, 10)
        assert await town.app.directories.leader.elected()
        pagerduty.hangs = True
        began = time.monotonic()
        with pytest.raises(CouldNotCheck):
            await people.look_up_now("USAM", (), ["oncall"])
        assert time.monotonic() - began < 2
        assert (await people.look_up_now("USAM", (), ["dba"])).roster["dba"].known, "others are asked about as ever"
        assert (await people.roster())["oncall"].known, "what is not critical goes on"


async def test_a_policy_whose_directory_cannot_be_built_changes_nothing(
    slack: LocalSlack,
    redis: RedisServer,
    tmp_path: Path,
    mode: Mode,
    pagerduty: PagerDutyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = policy(pagerduty)
    async with on_call(slack, redis, tmp_path, text, mode) as town:
        before = town.app.catalog.policy_hash
        (tmp_path / "jit.yaml").write_text(text.replace(TOKEN_NAME, "ANOTHER_TOKEN"), encoding="utf-8")
        town.app.rereading.set()
        async with asyncio.timeout(20):
            while not town.app.policy_trouble:  # noqa: ASYNC110  # another task's work
                await asyncio.sleep(0.02)
        assert "directory pd: token: the environment variable ANOTHER_TOKEN is not set" in town.app.policy_trouble
        await looked(town.app)
        assert (town.app.catalog.policy_hash, (await town.app.people.roster())["oncall"].known) == (before, True)
    monkeypatch.delenv(TOKEN_NAME)
    with pytest.raises(CannotStart, match=f"directory pd: token: the environment variable {TOKEN_NAME} is not set"):
        async with on_call(slack, redis, tmp_path, text, mode):
            pass


async def test_somebody_on_call_who_is_nobody_here_is_named_and_marked_up_as_nothing(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    pagerduty.oncalls.clear()
    pagerduty.on_call(["*a&b*@example.com", "gone@example.com"])
    async with on_call(slack, redis, tmp_path, policy(pagerduty), mode) as town:
        card = await asked(town)
        assert "a&amp;b" in card.said()
        assert wrote_to(slack) == set()
        assert "gone@example.com" in card.said()


async def test_another_policy_has_another_schedule_read_at_once(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, pagerduty: PagerDutyServer
) -> None:
    pagerduty.schedules.add("PSCHED2")
    pagerduty.on_call(["kim@example.com"], schedule="PSCHED2")
    text = policy(pagerduty)
    async with on_call(slack, redis, tmp_path, text, mode) as town:
        (tmp_path / "jit.yaml").write_text(text.replace("PSCHED1", "PSCHED2"), encoding="utf-8")
        town.app.rereading.set()
        async with asyncio.timeout(20):
            while (await town.app.people.roster())["oncall"].identities != {"kim@example.com"}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        card = await asked(town)
        await town.kim.click(card, "approve")
        assert await approvers(town, card) == {"Kim"}
