"""What the doctor finds of the store, its keys and its records; it believes nobody who writes there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.access import own_request
from bot.cli.doctor.checks import CheckVerdict, gathered
from bot.cli.doctor.store import StoreDoctor
from bot.redaction import Secrets
from bot.settings import load
from bot.store.keyring import KeyRing
from bot.store.outbox import Outbox, Row
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.cli.doctor.examining import KEYS, Env, Found, look, made_in, policy
from tests.house import POLICY, House
from tests.servers import RedisServer, free_port, redis_server


@contextlib.contextmanager
def server(*options: str) -> Iterator[RedisServer]:
    with redis_server(*options) as made:
        yield made


@pytest.mark.parametrize(
    ("options", "said", "fix"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "allkeys-lru", "noeviction"),
        (("--appendonly", "no"), "append-only file is off", "appendonly yes"),
        (("--replicaof", "127.0.0.1 1"), "replica of 127.0.0.1:1", "its master"),
    ],
)
async def test_a_redis_that_would_lose_records_is_wrong(
    env: Env, options: tuple[str, ...], said: str, fix: str
) -> None:
    with server(*options) as made:
        found = await look(env, REDIS_URL=made.socket_url)
    assert "store" in found.wrong()
    assert said in found.said("store")
    assert fix in found.said("store")


async def test_what_only_helps_is_a_note(env: Env) -> None:
    with server("--notify-keyspace-events", "", "--appendfsync", "everysec") as made:
        found = await look(env, REDIS_URL=made.socket_url)
    assert found.wrong() == set()
    notes = found.said("store", CheckVerdict.NOTE)
    assert "expired events" in notes
    assert "everysec" in notes


async def test_memory_that_is_nearly_full_is_said(env: Env) -> None:
    with server() as made:
        client = Redis.from_url(made.socket_url)
        used = int((await client.info("memory"))["used_memory"])
        await client.config_set("maxmemory", used * 2)
        assert "% of maxmemory used" in (await look(env, REDIS_URL=made.socket_url)).said("memory", CheckVerdict.GOOD)
        await client.config_set("maxmemory", used)
        found = await look(env, REDIS_URL=made.socket_url)
        await client.config_set("maxmemory", 0)
        await client.aclose()
    assert "when it is full" in found.said("memory")


async def test_a_redis_that_forbids_looking_says_so_and_the_rest_is_looked_at(env: Env) -> None:
    with server() as made:
        client = Redis.from_url(made.socket_url)
        await client.execute_command("ACL SETUSER bot on >longpassword ~* &* +@all -info -config")  # type: ignore[no-untyped-call]
        await client.aclose()
        found = await look(env, REDIS_URL=f"redis://bot:longpassword@127.0.0.1:{made.port}/0")
    assert found.wrong() == {"store"}
    assert "+info" in found.said("store")
    assert found.one("clock").verdict is found.one("records").verdict is CheckVerdict.GOOD
    assert "longpassword" not in repr(found.all)


async def test_a_store_that_does_not_answer_is_wrong_and_slack_is_still_looked_at(env: Env) -> None:
    found = await look(env, REDIS_URL=f"redis://:hunter22@127.0.0.1:{free_port()}/0")
    assert found.wrong() == {"store", "records"}
    assert "does not answer" in found.said("store")
    assert "cannot be read" in found.said("records")
    assert found.one("token").verdict is CheckVerdict.GOOD
    assert "hunter22" not in repr(found.all)


@pytest.mark.parametrize(("ahead", "said"), [(10.0, "10.0 s ahead of"), (-3.5, "3.5 s behind")])
async def test_a_clock_that_is_off_is_wrong(env: Env, ahead: float, said: str) -> None:
    doctor = StoreDoctor(load(env, "doctor"), env, None, None, clock=lambda: time.time() + ahead)
    found = Found(await gathered(doctor.checks(), Secrets()))
    await doctor.stop()
    # A busy machine takes a while to ask; what the doctor is sure of is never more than what it is.
    assert found.one("clock").verdict is CheckVerdict.WRONG
    assert said.split(" s ")[1] in found.one("clock").found


async def test_without_a_store_it_says_which_setting_is_missing(env: Env) -> None:
    found = await look(env, REDIS_URL=None, JIT_KEYS=None)
    assert "REDIS_URL is missing" in found.said("settings")
    assert "there is no REDIS_URL or JIT_STORE" in found.said("store", CheckVerdict.UNCHECKED)
    assert "there is no JIT_KEYS" in found.said("keys", CheckVerdict.UNCHECKED)
    assert found.wrong() == {"settings"}


async def test_an_embedded_store_is_not_started_and_looked_at_while_it_runs(env: Env, tmp_path: Path) -> None:
    from bot.store.redis import embedded

    try:
        embedded.binary()
    except embedded.CannotEmbed as error:
        pytest.skip(str(error))
    alone = {"REDIS_URL": None, "JIT_KEYS": None, "JIT_STORE": "embedded"}
    found = await look(env, "all", **alone)
    assert "does not run" in found.said("store", CheckVerdict.NOTE)
    assert "none yet" in found.said("keys", CheckVerdict.NOTE)
    assert made_in(tmp_path) == {"jit.yaml"}
    home = Path(env["JIT_HOME"])
    running = await asyncio.to_thread(embedded.start, home)
    try:
        KeyRing.load_or_create(home / "keys")
        found = await look(env, "all", **alone)
        assert found.wrong() == set()
        assert found.one("store").verdict is found.one("keys").verdict is CheckVerdict.GOOD
        (home / "keys").chmod(0o644)
        assert "chmod 600" in (await look(env, "all", **alone)).said("keys")
        (home / "keys").chmod(0o600)
        (home / "keys").write_text("k1:damaged")
        assert "backup" in (await look(env, "all", **alone)).said("keys")
    finally:
        await asyncio.to_thread(running.stop)


async def test_a_key_file_that_others_can_read_is_wrong(env: Env, tmp_path: Path) -> None:
    file = tmp_path / "ring"
    file.write_text(KEYS)
    file.chmod(0o640)
    found = await look(env, JIT_KEYS=None, JIT_KEYS_FILE=str(file))
    assert "0640" in found.said("keys")
    file.chmod(0o600)
    assert (await look(env, JIT_KEYS=None, JIT_KEYS_FILE=str(file))).one("keys").verdict is CheckVerdict.GOOD


@pytest.fixture
async def house(store: Store) -> House:
    """Requests in the store that the doctor looks into."""
    systems = {"vault": Sandbox(SandboxConfig(faults=(SandboxFault(verb="revoke", does="unsure"),)))}
    ours = Store(store.redis, store.workspace, KeyRing.parse(KEYS))
    return await House(ours, systems=systems).open()


async def test_what_cannot_be_closed_is_wrong(env: Env, house: House) -> None:
    request = await house.granted()
    assert "1 open" in (await look(env)).one("records").found
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.work()
    found = await look(env)
    assert f"cannot be closed: {request.id}" in found.said("records")
    assert "jit requests stuck" in found.said("records")


async def test_what_is_long_overdue_or_untold_is_wrong(env: Env, house: House) -> None:
    request = await house.ask()
    keys, redis = house.store.keys, house.store.redis
    now = await house.store.now()
    await redis.zadd(keys.due, {request.id: now - 300})
    rows: Any = await redis.zrange(keys.outbox, 0, -1)
    await redis.zadd(keys.outbox, {bytes(row): now - 600 for row in rows})
    await Outbox(house.store).bury(Row("J-2222", "card", 1), "is_archived")
    told = (await look(env)).said("records")
    assert "has been so for 5 min" in told
    assert "the oldest for 10 min" in told
    assert "1 notifications could never be delivered; the last: J-2222|card|is_archived" in told
    assert "worker" in told


async def test_records_that_are_not_ours_or_gone_are_wrong_and_their_alarm_stays_a_note(env: Env, house: House) -> None:
    forged, gone = await house.ask("mia"), await house.ask("eve", "vault/shared")
    await house.store.redis.hset(house.store.keys.record(forged.id), "body", "{}")
    await house.store.redis.delete(house.store.keys.record(gone.id))
    await house.store.alarm("tampered", "J-2345")
    found = await look(env)
    assert f"failed their integrity check: {forged.id}" in found.said("records")
    assert f"are gone: {gone.id}" in found.said("records")
    assert "J-2345 (tampered)" in found.said("records", CheckVerdict.NOTE)
    waiting = found.said("records", CheckVerdict.WRONG)
    assert "notifications wait" not in waiting, "a row that goes before all others has no age"
    assert "{}" not in repr(found.all)


async def test_a_store_in_which_others_write_is_never_called_well(env: Env, house: House) -> None:
    request = await house.ask()
    redis, keys = house.store.redis, house.store.keys
    await redis.xadd(keys.audit, {"kind": "alarm", "event": "no json"})
    assert "(not ours)" in (await look(env)).said("records", CheckVerdict.NOTE)
    await redis.delete(keys.record(request.id))
    await redis.set(keys.record(request.id), "of another type")
    found = await look(env)
    assert found.wrong() == {"records"}
    # What is of another kind is set aside, for a day.
    assert f"records that are gone: {request.id}" in found.said("records")


async def test_records_of_other_keys_are_not_believed(env: Env, house: House) -> None:
    request = await house.ask()
    found = await look(env, JIT_KEYS=KeyRing.generate().spelled())
    assert f"failed their integrity check: {request.id}" in found.said("records")
    assert "JIT_KEYS" in found.said("records")


async def test_a_policy_file_with_mistakes_is_wrong_and_what_the_workspace_goes_on_by_is_a_note(
    env: Env, house: House, tmp_path: Path
) -> None:
    found = await look(env, JIT_POLICY=policy(tmp_path, POLICY.replace("approvers", "aprovers")))
    assert "there is no key `aprovers` here" in found.said("policy")
    assert f"goes on deciding by policy {house.policy.policy_hash}" in found.said("records", CheckVerdict.NOTE)


async def test_another_policy_than_the_workspace_decides_by_is_a_note(env: Env, house: House, tmp_path: Path) -> None:
    changed = POLICY.replace("max: 1h", "max: 2h")
    found = await look(env, JIT_POLICY=policy(tmp_path, changed))
    assert house.policy.policy_hash in found.said("records", CheckVerdict.NOTE)
    assert "restart" in found.said("records", CheckVerdict.NOTE)
