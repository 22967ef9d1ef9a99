"""Who is disabled in a directory may do nothing new at once, and loses what they have once that was seen twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bot.app import App
from bot.core.request import State
from bot.playground import LocalSlack
from bot.store.indexes.directory_snapshots import DirectorySnapshots, InactivePerson
from bot.worker.offboarding import Offboarding
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.providers.okta import TOKEN, OktaServer
from tests.servers import RedisServer


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]  # one of the two


@pytest.fixture
async def okta(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OktaServer]:
    monkeypatch.setenv("A_TOKEN_OF_OKTA", TOKEN)
    server = OktaServer()
    for name in ("mia", "dan", "eve", "kim"):
        server.hire(f"{name}@example.com")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def town(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode, okta: OktaServer
) -> AsyncIterator[Town]:
    directory = f"{{kind: okta, config: {{token: env:A_TOKEN_OF_OKTA, url: '{okta.url}', timeout: 2}}}}"
    text = POLICY.replace("groups:\n", f"directories:\n  sso: {directory}\ngroups:\n", 1)
    async with running(settings_for(slack, redis, mode, tmp_path, text)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        async with asyncio.timeout(20):
            while not app.directories.leads(app.catalog):  # noqa: ASYNC110  # another task's work
                await asyncio.sleep(0.02)
        yield Town(slack, app)


def become(okta: OktaServer, name: str, status: str) -> None:
    for each in okta.others:
        if each["profile"]["email"] == f"{name}@example.com":
            each["status"] = status


async def looked(app: App) -> Mapping[str, InactivePerson]:
    """As a minute later."""
    assert await app.directories.leader.elected()
    assert await app.directory_people.run_once() is None
    return (await DirectorySnapshots(app.store).inactive(app.catalog)).people["sso"].people


async def a_minute_passes(app: App) -> None:
    """Whoever was found inactive was so a minute before, too."""
    snapshots = DirectorySnapshots(app.store)
    listed = (await snapshots.inactive(app.catalog)).people["sso"]
    people = {who: one.model_copy(update={"since": one.since - 60}) for who, one in listed.people.items()}
    await snapshots.write(listed.model_copy(update={"people": people}))


async def test_somebody_disabled_requests_nothing_and_loses_what_they_have(town: Town, okta: OktaServer) -> None:
    app = town.app
    card = await town.asked(line="request vault/read-only 30m -- INC-1 to look at the vault")
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    become(okta, "mia", "SUSPENDED")
    assert set(await looked(app)) == {"mia@example.com"}
    reply = await town.mia.command("/jit", "request vault/shared 30m -- INC-2 the hall", CHANNEL)
    assert "Your account in the directory sso is disabled or no longer there" in reply.text
    offboarding = Offboarding(app.context, app.people.accounts, app.people.groups)
    await offboarding.poll()
    assert (await app.context.find_by_id(town.id_of(card))).request.state is State.ACTIVE
    await a_minute_passes(app)
    await offboarding.poll()
    ended = await town.card(town.id_of(card), ":lock: ended")
    assert "Ended early by the policy: their account in the directory sso was disabled" in ended.said()
    said = "their account in the directory sso was disabled. Revoking it."
    await town.slack.sees(CHANNEL, lambda m: said in m.text, thread=ended.ts)
    become(okta, "mia", "ACTIVE")
    assert not await looked(app)
    await town.asked(line="request vault/shared 30m -- INC-2 the hall")


async def test_an_approver_who_is_disabled_approves_nothing_and_their_word_counts_no_more(
    town: Town, okta: OktaServer
) -> None:
    card = await town.asked(line="request vault/read-only 30m -- INC-1 to look at the vault")
    become(okta, "dan", "DEPROVISIONED")
    await town.app.people.person("UDAN")
    assert set(await looked(town.app)) == {"dan@example.com"}
    await town.dan.click(card, "approve")
    await town.dan.sees_ephemeral(lambda m: "Your account in the directory sso" in m.text)
    found = await town.app.store.load(town.id_of(card))
    assert found
    assert not found.request.reviews
    roster = await town.app.people.roster()
    assert {"UDAN", "dan@example.com"} <= roster["dba"].nobody
    assert "dan@example.com" not in roster["dba"].people


async def test_an_answer_of_slack_brings_nobody_back_who_is_disabled_in_a_directory(
    town: Town, okta: OktaServer
) -> None:
    okta.hire("sam@example.com", "SUSPENDED")
    await town.app.people.person("USAM")
    assert set(await looked(town.app)) == {"sam@example.com"}
    actor = await town.app.people.look_up_now("UKIM", ["USAM"], ["security"])
    assert actor.roster["security"].people == {"kim@example.com"}


async def test_a_critical_role_does_not_count_the_word_of_somebody_disabled_since(town: Town, okta: OktaServer) -> None:
    reply = await town.eve.command("/jit", "request vault/admin 30m -- INC-1 the safe", CHANNEL)
    card = await town.card(reply.text.split(" (")[1][:6])
    await town.dan.click(card, "approve")
    card = await town.card(town.id_of(card), "Dan")
    become(okta, "dan", "DEPROVISIONED")
    assert set(await looked(town.app)) == {"dan@example.com"}
    await town.sam.click(card, "approve")
    async with asyncio.timeout(20):
        while True:
            found = await town.app.store.load(town.id_of(card))
            assert found
            if len(found.request.reviews) == 2:
                break
            await asyncio.sleep(0.05)
    assert found.request.state is State.PENDING
