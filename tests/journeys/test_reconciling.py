"""What stands without a record is closed at the start and told in the audit channel; an operator looks by hand."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bot.playground import LocalSlack
from bot.store.keyring import KeyRing
from bot.store.keys import home
from bot.store.store import Store
from handlers.views import drift
from providers.systems.base import Order, Prior
from providers.systems.conformance.bench import new_order
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY, House, catalog
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import RedisServer, free_port

ROOT = str(Path(__file__).parents[2])
AUDIT = "C0AUDIT01"


def policy(doors: Path) -> str:
    """The vault's doors in a directory, which outlives its processes."""
    config = f"{{path: '{doors}', settles_within: 0.2}}"
    return POLICY.replace("provider: sandbox", f"provider: sandbox\n    config: {config}")


def vault(doors: Path) -> Sandbox:
    return Sandbox(SandboxConfig(path=str(doors), settles_within=0.2))


async def orphaned(doors: Path) -> Order:
    """Access of ours that no record tells of."""
    system = vault(doors)
    order = await new_order(system, {"door": "vault"})
    await system.grant(order, Prior(present=False))
    return order


async def test_at_the_start_an_orphan_is_closed_and_the_audit_channel_is_told(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    doors = tmp_path / "doors"
    order = await orphaned(doors)
    settings = settings_for(slack, redis, "http", tmp_path, policy(doors))
    async with running(settings, "worker"):
        told = await slack.sees(AUDIT, lambda m: order.subject.native in m.said(), patience=15)
    assert "vault does not match our records: 1 orphaned and revoked: no request accounts for it" in told.said()
    assert await vault(doors).list_access() == []


async def test_what_is_gone_is_told_in_its_thread_and_in_the_audit_channel(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    doors = tmp_path / "doors"
    async with running(settings_for(slack, redis, "http", tmp_path, policy(doors))) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        for file in doors.glob("doors/vault/*.json"):
            file.unlink()
        # The next tick comes now, and not in ten minutes.
        app.scheduler.get_job("reconcile").modify(next_run_time=datetime.now(UTC))
        await slack.sees(CHANNEL, lambda m: "is gone from vault" in m.said(), thread=card.ts)
        told = await slack.sees(AUDIT, lambda m: "is gone from vault" in m.said())
    assert "1 active in our records but gone from the system" in told.said()


async def test_a_circuit_that_is_open_is_a_metric(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(slack, redis, "http", tmp_path, policy(tmp_path / "doors"))
    settings = settings.model_copy(update={"ops_port": free_port()})
    async with running(settings, "worker") as app, aiohttp.ClientSession() as session:

        async def numbers() -> str:
            async with session.get(f"http://127.0.0.1:{app.ops_port}/metrics") as answer:
                return await answer.text()

        assert 'jit_circuit_open{system="vault"} 0.0' in await numbers()
        circuit = app.gateways["vault"].circuit
        # The look at the start may be answered just then, which closes a circuit.
        monkeypatch.setattr(circuit, "answered", lambda: False)
        for _ in range(5):
            circuit.failed()
        assert 'jit_circuit_open{system="vault"} 1.0' in await numbers()


def test_one_message_sums_up_all_that_is_new_and_what_vendors_say_is_harmless() -> None:
    said = [f"<!channel> *jit-{n}* & more" for n in range(5)]
    message = drift.summary({"system": "vault", "found": {"closed": 52, "unseen": 1}, "said": said, "mass": True})
    told = str(message.blocks)
    assert "52 orphaned and revoked" in message.text
    assert "<!channel>" not in told
    assert "&lt;!channel&gt;" in told
    assert "and 47 more, each in the audit log" in told
    assert "our records are an older copy" in told
    few = drift.summary({"system": "vault", "found": {"gone": 1}, "said": ["one"], "mass": False})
    assert "more" not in str(few.blocks)
    assert "older copy" not in str(few.blocks)


# by hand


@pytest.fixture
async def context(redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """A house with doors that outlive it, and the environment of an operator."""
    ring, client = KeyRing.generate(), Redis.from_url(redis.socket_url)
    text = policy(tmp_path / "doors")
    store = Store(client, workspace, ring)
    house = await House(store, policy=catalog(text), systems={"vault": vault(tmp_path / "doors")}).open()
    await client.set(home("xoxb-1"), f'{{"home": "{workspace}"}}')
    (tmp_path / "jit.yaml").write_text(text)
    env = {"SLACK_BOT_TOKEN": "xoxb-1", "REDIS_URL": redis.socket_url, "JIT_KEYS": ring.spelled(), "PYTHONPATH": ROOT}
    yield house, {**env, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "JIT_POLICY": str(tmp_path / "jit.yaml")}
    await client.aclose()


async def jit(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Type it: what it exits with, says and complains of."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "reconcile", *words, env=env, stdout=PIPE, stderr=PIPE
    )
    said, complained = await child.communicate()
    return child.returncode or 0, said.decode(), complained.decode()


async def test_an_operator_looks_first_and_then_has_it_closed(
    context: tuple[House, dict[str, str]], tmp_path: Path
) -> None:
    house, env = context
    known = await house.granted()
    assert (await jit(env))[:2] == (0, "vault: 1 grants, 1 of them ours\n")
    order = await orphaned(tmp_path / "doors")
    code, said, _ = await jit(env, "--dry-run", "vault")
    assert code == 1
    assert f"  orphan   {order.subject.native} is in vault, and no request of ours has it\n" in said
    assert len(await house.sandbox.list_access()) == 2
    code, said, _ = await jit(env, "vault")
    assert code == 1
    assert f"  closed   {order.subject.native} is in vault, and no request of ours has it; it was revoked\n" in said
    assert [each.order for each in await house.sandbox.list_access()] == [known.order_id(0)]
    code, said, _ = await jit(env, "--json")
    assert (code, json.loads(said)) == (
        0,
        {"system": "vault", "whole": True, "grants": 1, "ours": 1, "findings": []},
    )
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    [summary] = [entry for _, entry in entries if entry[b"kind"] == b"reconciled"]
    assert b'"by":"cli:' in summary[b"event"]


async def test_an_operator_is_told_what_is_wrong_in_a_sentence(context: tuple[House, dict[str, str]]) -> None:
    house, env = context
    assert "the policy has no system safe: there are vault" in (await jit(env, "safe"))[2]
    assert "the policy has no system valt: did you mean `vault`?" in (await jit(env, "valt"))[2]
    await house.store.lease(house.store.keys.reconciling("vault"), "another", 60)
    code, _, complained = await jit(env)
    assert code == 2
    assert "vault is compared by a worker just now" in complained
    away = await jit({**env, "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert away[0] == 2
    assert "Storage isn't responding" in away[2]
    assert "Traceback" not in away[2] + complained


async def test_a_system_in_the_memory_of_another_process_is_not_compared_and_says_so(
    context: tuple[House, dict[str, str]], tmp_path: Path
) -> None:
    house, env = context
    await house.granted()
    (tmp_path / "jit.yaml").write_text(POLICY)
    code, said, complained = await jit(env)
    assert (code, said) == (0, "")
    why = "vault cannot be compared from here: its doors are in the memory of the process that opened them"
    assert why in complained
    assert (await jit(env, "vault"))[0] == 2, "it was asked for, and nobody could look"
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    assert [entry for _, entry in entries if entry[b"kind"] == b"reconciled"] == []
