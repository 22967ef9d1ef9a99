"""A group that holds only deactivated people, guests or bots is nobody; what Slack does not tell makes nobody that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.playground import LocalSlack
from handlers.slack.account_checks import AccountChecks
from tests.journeys.conftest import LOOKS, Town, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

NOBODY = "not enough other active people could approve `vault/read-only`"
ASK = "request debug 30m -- INC-1 the vault is stuck"


class Checked(Town):
    """A bot whose accounts are looked at when the test says so."""

    async def looked_at(self, *whom: str) -> None:
        """A whole round."""
        checks = AccountChecks(self.app.people)
        seen = [await checks.look() for _ in range(12)]
        assert set(whom) <= set(seen)

    async def lists(self, *users: str) -> None:
        """Who is in the user group, as Slack tells when it is asked."""
        self.slack.world.usergroups["S0DBA0001"].users = list(users)
        await self.app.people.refresh()


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Checked]:
    """The process that answers people: none of its parts looks at accounts by itself."""
    slack.limits.on = False
    async with running(settings_for(slack, redis, "http", tmp_path), "web") as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Checked(slack, app)


async def test_what_only_nobodies_could_approve_cannot_be_asked_for(town: Checked) -> None:
    await town.lists("UGUEST", "UGONE", "U0JITBOT1")
    await town.looked_at("UGUEST", "UGONE", "U0JITBOT1")
    assert NOBODY in await types(town.mia, ASK)
    await town.lists("UGUEST", "UGONE", "UDAN")
    await town.looked_at("UDAN")
    assert "You requested" in await types(town.mia, ASK)


@pytest.mark.parametrize("how", ["error_500", "ratelimited", "refuse", "drop_before"])
async def test_what_slack_does_not_tell_makes_nobody_a_nobody(town: Checked, how: str) -> None:
    await town.lists("UGUEST", "UGONE")
    for method in ("users.info", "users.lookupByEmail"):
        town.slack.faults.add(method, how, None)  # type: ignore[arg-type]  # one of those that are listed above
    checks = AccountChecks(town.app.people)
    for _ in range(8):
        await checks.look()
    assert (await town.app.people.changes.read()).gone == {}
    town.slack.faults.clear()
    await town.looked_at("UGUEST")
    assert NOBODY in await types(town.mia, ASK)


async def test_without_the_scope_for_addresses_nobody_is_a_nobody(town: Checked) -> None:
    await town.lists("UDAN", "UEVE")
    town.slack.scopes = [scope for scope in town.slack.scopes if scope != "users:read.email"]
    await town.looked_at("UDAN", "UEVE")
    assert (await town.app.people.changes.read()).gone == {}


async def test_who_becomes_somebody_again_counts(town: Checked) -> None:
    await town.lists("UGONE")
    await town.looked_at("UGONE")
    assert NOBODY in await types(town.mia, ASK)
    await town.slack.set_kind("UGONE", "member")
    await town.looked_at("UGONE")
    assert "You requested" in await types(town.mia, ASK)


async def test_an_address_that_no_active_account_has_is_nobody_until_somebody_has_it(town: Checked) -> None:
    town.slack.world.people["UPAT"].kind = "deactivated"
    await town.looked_at("pat@example.com", "sam@example.com")
    assert set((await town.app.people.changes.read()).gone) >= {"pat@example.com"}
    town.slack.add_person("UPAT2", "Pat", "pat@example.com")
    town.slack.world.channels["C0VAULT01"].members.add("UPAT2")
    assert "Nothing is open" in await types(town.pat2, "list")
    assert "pat@example.com" not in (await town.app.people.changes.read()).gone


async def test_one_process_of_a_workspace_looks_at_a_time_in_the_background(town: Checked) -> None:
    stop = asyncio.Event()
    idle, busy = AccountChecks(town.app.people, 0.01), AccountChecks(town.app.people, 0.01)
    busy.leader.holder = LOOKS
    running_ = [asyncio.create_task(one.run(stop)) for one in (idle, busy)]
    await town.slack.was_called("users.info", lambda call: call.args.get("user") == "UGONE")
    stop.set()
    await asyncio.gather(*running_)
    assert (idle.after, bool(busy.after)) == ("", True)
