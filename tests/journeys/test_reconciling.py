"""What stands without a record is closed at the start and told in the audit channel; an operator looks by hand."""

from __future__ import annotations

import asyncio
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

from bot.keyring import KeyRing
from bot.playground import LocalSlack
from bot.store.keys import home
from bot.store.store import Store
from handlers.views import finds
from providers.systems.base import Order, Prior
from providers.systems.conformance_bench import new_order
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
    assert "vault and the books differ: 1 closed, since no request accounts for it" in told.said()
    assert await vault(doors).standing() == []


async def test_what_is_gone_is_told_in_its_thread_and_in_the_audit_channel(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    doors = tmp_path / "doors"
    async with running(settings_for(slack, redis, "http", tmp_path, policy(doors))) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "open until")
        for file in doors.glob("doors/vault/*.json"):
            file.unlink()
        # The next tick comes now, and not in ten minutes.
        app._scheduler.get_job("reconcile").modify(next_run_time=datetime.now(UTC))
        await slack.sees(CHANNEL, lambda m: "is gone from vault" in m.said(), thread=card.ts)
        told = await slack.sees(AUDIT, lambda m: "is gone from vault" in m.said())
    assert "1 open by the books and gone there" in told.said()


async def test_a_circuit_that_is_open_is_a_metric(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> None:
    settings = settings_for(slack, redis, "http", tmp_path, policy(tmp_path / "doors"))
    settings = settings.model_copy(update={"ops_port": free_port()})
    async with running(settings, "worker") as app, aiohttp.ClientSession() as session:

        async def numbers() -> str:
            async with session.get(f"http://127.0.0.1:{app.ops_port}/metrics") as answer:
                return await answer.text()

        assert 'jit_circuit_open{system="vault"} 0.0' in await numbers()
        for _ in range(5):
            app.posts["vault"].circuit.failed()
        assert 'jit_circuit_open{system="vault"} 1.0' in await numbers()


def test_one_message_sums_up_all_that_is_new_and_what_vendors_say_is_harmless() -> None:
    said = [f"<!channel> *jit-{n}* & more" for n in range(5)]
    message = finds.summary({"system": "vault", "found": {"closed": 52, "unseen": 1}, "said": said, "mass": True})
    told = str(message.blocks)
    assert "52 closed" in message.text
    assert "<!channel>" not in told
    assert "&lt;!channel&gt;" in told
    assert "and 47 more, each in the audit trail" in told
    assert "the books may be an older copy" in told
    few = finds.summary({"system": "vault", "found": {"gone": 1}, "said": ["one"], "mass": False})
    assert "more" not in str(few.blocks)
    assert "older copy" not in str(few.blocks)


# by hand


@pytest.fixture
async def desk(redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
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
    desk: tuple[House, dict[str, str]], tmp_path: Path
) -> None:
    house, env = desk
    known = await house.granted()
    assert await jit(env) == (0, "vault: 1 stand, 1 of them ours\n", "")
    order = await orphaned(tmp_path / "doors")
    code, said, _ = await jit(env, "--dry-run", "vault")
    assert code == 1
    assert f"  orphan   {order.subject.native} stands in vault, and no request of ours has it\n" in said
    assert len(await house.sandbox.standing()) == 2
    code, said, _ = await jit(env, "vault")
    assert code == 1
    assert f"  closed   {order.subject.native} stands in vault, and no request of ours has it; it is closed\n" in said
    assert [each.order for each in await house.sandbox.standing()] == [known.order_id(0)]
    assert (await jit(env))[0] == 0
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    [summary] = [entry for _, entry in entries if entry[b"kind"] == b"reconciled"]
    assert b'"by":"cli:' in summary[b"event"]


async def test_an_operator_is_told_what_is_wrong_in_a_sentence(desk: tuple[House, dict[str, str]]) -> None:
    house, env = desk
    assert "the policy has no system safe: there are vault" in (await jit(env, "safe"))[2]
    await house.store.lease(house.store.keys.reconciling("vault"), "another", 60)
    code, _, complained = await jit(env)
    assert code == 1
    assert "vault is compared by a worker just now" in complained
    away = await jit({**env, "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert "store does not answer" in away[2]
    assert "Traceback" not in away[2] + complained
