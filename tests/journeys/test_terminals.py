"""A terminal counts as the person who says in Slack that it is theirs, once; a name in its environment is nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot import local_account
from bot.playground import Human, LocalSlack
from bot.settings import Settings
from bot.store.indexes.identity_bindings import Bindings
from tests.journeys.conftest import CHANNEL, Town, at_terminal, running, settings_for
from tests.journeys.test_everyday import types
from tests.journeys.test_stopping import RULES
from tests.servers import RedisServer

AUDIT = "C0AUDIT01"
HERE: Mapping[str, str] = {"SUDO_UID": "20001"} if os.getuid() == 0 else {}
"""Root types for somebody; anybody else is who they are."""
THERE: Mapping[str, str] = {"SUDO_UID": "20002"}
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be two accounts")
certain = pytest.mark.skipif(
    bool(local_account.account(HERE).doubt), reason="this machine does not tell for certain who types"
)
pytestmark = certain
BY = local_account.account(HERE).by


class Terminals(Town):
    """Pat and Kim are operators, and each has a terminal."""

    settings: Settings

    async def jit(self, *words: str, env: Mapping[str, str] = HERE) -> subprocess.CompletedProcess[str]:
        return await at_terminal(self.settings, *words, **env)

    async def code(self, env: Mapping[str, str] = HERE) -> str:
        """What `jit people bind-cli` prints."""
        done = await self.jit("people", "bind-cli", env=env)
        found = re.search(r"/jit terminal (\w{4}-\w{4})", done.stdout)
        assert found, done.stderr
        return found[1]

    async def bound(self, human: Human, env: Mapping[str, str] = HERE) -> str:
        return await types(human, f"terminal {(await self.code(env)).lower()}")

    async def locked(self) -> None:
        done = await self.jit("lockdown", "--reason", "INC-9 a key leaked")
        assert "locked down everything" in done.stdout, done.stderr

    async def audited(self, kind: str) -> list[str]:
        trail: Any = await self.app.store.redis.xrange(self.app.store.keys.audit)
        return [entry[b"event"].decode() for _, entry in trail if entry[b"kind"].decode() == kind]


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Terminals]:
    settings = settings_for(slack, redis, "http", tmp_path, RULES)
    slack.add_channel("C0SHED001", "shed", list(slack.world.people))
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Terminals(slack, app)
        town.settings = settings
        yield town


async def test_a_terminal_and_another_human_lift_it(town: Terminals) -> None:
    said = await town.bound(town.pat)
    assert f"`{BY}` counts as you until" in said
    told = await town.slack.sees(AUDIT, lambda m: "counts as Pat" in m.text)
    assert BY in told.text
    assert "pat@example.com" in told.text
    assert f"{BY} counts as pat@example.com" in (await town.jit("people", "bind-cli")).stdout
    await town.locked()
    assert "1 of 2" in (await town.jit("lockdown", "lift")).stdout
    await town.slack.sees(AUDIT, lambda m: f"Pat ({BY}) voted to lift the lockdown of everything (1 of 2)" in m.text)
    assert "already voted" in await types(town.pat, "lockdown lift")
    assert "lifted the lockdown" in await types(town.kim, "lockdown lift")
    assert "nothing to lift" in (await town.jit("lockdown", "lift")).stderr
    assert len(await town.audited("terminal_bound")) == 1


async def test_the_same_human_in_slack_and_at_a_terminal_counts_once(town: Terminals) -> None:
    await town.bound(town.pat)
    await town.locked()
    await types(town.pat, "lockdown lift")
    assert "already voted" in (await town.jit("lockdown", "lift")).stdout
    assert (await town.app.store.lockdowns.read()).locks


@as_root
async def test_two_terminals_of_one_human_count_once(town: Terminals) -> None:
    for env in (HERE, THERE):
        await town.bound(town.pat, env)
    await town.locked()
    assert "1 of 2" in (await town.jit("lockdown", "lift", env=HERE)).stdout
    assert "already voted" in (await town.jit("lockdown", "lift", env=THERE)).stdout
    assert (await town.app.store.lockdowns.read()).locks


@as_root
async def test_two_terminals_of_two_humans_lift_it(town: Terminals) -> None:
    await town.bound(town.pat, HERE)
    await town.bound(town.kim, THERE)
    await town.locked()
    await town.jit("lockdown", "lift", env=HERE)
    assert "lifted the lockdown" in (await town.jit("lockdown", "lift", env=THERE)).stdout


@pytest.mark.parametrize("name", ["LOGNAME", "USER"])
async def test_a_name_in_the_environment_is_nobodys(town: Terminals, name: str) -> None:
    await town.locked()
    done = await town.jit("lockdown", "lift", env={**HERE, name: "pat"})
    assert f"{BY} does not count as an operator" in done.stderr
    revoked = await town.jit("lockdown", "vault", "--reason", "INC-9 again", env={**HERE, name: "kim"})
    assert f"{BY} locked down" in revoked.stdout


@as_root
async def test_root_that_is_nobody_else_cannot_be_bound(town: Terminals) -> None:
    done = await town.jit("people", "bind-cli", env={})
    assert "this is root, who could be anybody" in done.stderr
    assert done.returncode == 1


async def test_nobody_binds_a_terminal_alone(town: Terminals) -> None:
    """Not by the code without Slack, not by somebody who is no operator, not by a code that was used."""
    code = await town.code()
    assert "only an operator of this workspace" in await types(town.mia, f"terminal {code}")
    assert "No terminal is waiting with" in await types(town.kim, "terminal 2222-2222")
    await town.locked()
    assert "does not count as an operator" in (await town.jit("lockdown", "lift")).stderr
    assert "counts as you" in await types(town.kim, f"terminal {code}")
    assert "No terminal is waiting with" in await types(town.pat, f"terminal {code}")


async def test_who_says_so_is_an_operator_at_that_moment(town: Terminals) -> None:
    code = await town.code()
    assert "Nothing is open" in await types(town.pat, "list")
    town.slack.world.people["UPAT"].kind = "deactivated"  # and no event told of it
    assert "This account is deactivated" in await types(town.pat, f"terminal {code}")
    assert "counts as you" in await types(town.kim, f"terminal {code}")


async def test_a_code_is_gone_in_time(town: Terminals) -> None:
    await town.code()
    [key] = await town.app.store.redis.keys(f"jit:{{{town.app.store.workspace}}}:terminal_code:*")
    assert 0 < await town.app.store.redis.ttl(key) <= 600


@pytest.mark.parametrize("where", ["slack", "terminal"])
async def test_a_terminal_that_was_unbound_counts_as_nobody(town: Terminals, where: str) -> None:
    await town.bound(town.pat)
    if where == "slack":
        assert "No terminal is waiting with" in await types(town.kim, "terminal remove cli:nobody@nowhere")
        assert "no longer counts as anybody" in await types(town.kim, f"terminal remove {BY}")
    else:
        assert "it counted as pat@example.com" in (await town.jit("people", "unbind-cli")).stdout
    await town.slack.sees(AUDIT, lambda m: f"{BY} is no longer bound to an operator" in m.text)
    assert "counts as nobody already" in (await town.jit("people", "unbind-cli")).stdout
    await town.locked()
    assert "does not count as an operator" in (await town.jit("lockdown", "lift")).stderr


async def test_a_binding_made_up_in_the_store_or_moved_to_another_account_is_none(town: Terminals) -> None:
    await town.bound(town.pat)
    keys, client = town.app.store.keys, town.app.store.redis
    bound: Any = await client.get(keys.terminal(BY))
    await client.set(keys.terminal("cli:mallory@host"), bound)
    await client.set(keys.terminal(BY), b'{"x":1}|k1:00')
    from bot.store.indexes.terminal_bindings import Terminals as Kept

    assert await Kept(town.app.store).of("cli:mallory@host") is None
    await town.locked()
    assert "does not count as an operator" in (await town.jit("lockdown", "lift")).stderr


async def test_a_terminal_of_somebody_who_was_deactivated_does_not_count(town: Terminals) -> None:
    await town.bound(town.pat)
    await town.locked()
    await town.slack.deactivate("UPAT")
    done = await town.jit("lockdown", "lift")
    assert "only an operator of this workspace" in done.stderr, done.stdout


async def test_a_terminal_of_somebody_whose_address_a_directory_gave_away_does_not_count(town: Terminals) -> None:
    await town.bound(town.pat)
    await town.locked()
    for id_ in ("guid-1", "guid-2"):
        await Bindings(town.app.store).bind_directory("pat@example.com", "ad", id_)
    done = await town.jit("lockdown", "lift")
    assert "the directory ad says that pat@example.com is another person's" in done.stderr, done.stdout


async def test_a_word_said_at_a_terminal_counts_for_nothing_once_its_person_is_gone(town: Terminals) -> None:
    await town.bound(town.pat)
    await town.locked()
    assert "1 of 2" in (await town.jit("lockdown", "lift")).stdout
    town.slack.world.people["UPAT"].kind = "deactivated"  # and no event told of it
    assert "1 of 2" in await types(town.kim, "lockdown lift")


async def test_it_is_an_operator_by_the_policy_of_today_and_a_user_group_is_known_in_slack_alone(
    town: Terminals,
) -> None:
    await town.bound(town.pat)
    await town.locked()
    policy = town.settings.policy.read_text(encoding="utf-8")
    town.settings.policy.write_text(policy.replace("operators: [platform]", "operators: [dba]"), encoding="utf-8")
    done = await town.jit("lockdown", "lift")
    assert "who is in dba can only be looked up in Slack" in done.stderr
    town.settings.policy.write_text(policy.replace("operators: [platform]", "operators: [security]"), encoding="utf-8")
    assert "only an operator of this workspace" in (await town.jit("lockdown", "lift")).stderr


async def test_whatever_is_done_at_a_terminal_is_done_by_the_account_that_the_kernel_names(town: Terminals) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    env = {**HERE, "LOGNAME": "pat", "USER": "pat", "USERNAME": "pat"}
    done = await town.jit("requests", "revoke", id_, "--reason", "INC-5 leaked", env=env)
    assert f"{id_} was ended by {BY}" in done.stdout, done.stderr
    assert BY in (await town.audited("ended_early"))[0]
    await town.slack.sees(CHANNEL, lambda m: id_ in m.said() and ":lock: ended" in m.said())
