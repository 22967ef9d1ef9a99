"""Before a provider is called, the record of it is in the store that the bot began with, and outlives its server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from bot.access import own_request
from bot.core.errors import StoreAway
from bot.core.events import GrantAttempted
from bot.core.lifecycle import advance
from bot.core.request import LegState, Request, State
from bot.store.redis import embedded
from bot.store.store import Store
from bot.store.types import Change, Unreplicated
from providers.systems.sandbox import SandboxConfig
from tests.house import House
from tests.process import RING, WORKSPACE, Counted, linked, started
from tests.servers import RedisServer, need, redis_server, replica_of, valkey_binary


@pytest.fixture
def doors() -> Counted:
    """The real system, which outlives every process."""
    return Counted(SandboxConfig())


@pytest.fixture
def master() -> Iterator[RedisServer]:
    """A server of its own, since its replicas are its own."""
    with redis_server() as server:
        yield server


@pytest.fixture
def replica(master: RedisServer) -> Iterator[RedisServer]:
    """Its one replica."""
    with replica_of(master) as server:
        yield server


@contextlib.contextmanager
def cut(replica: RedisServer) -> Iterator[None]:
    """The replica hears nothing for a while; the master still thinks it there."""
    os.kill(replica.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(replica.process.pid, signal.SIGCONT)


async def approved(house: House) -> Request:
    """Asked for and approved: the worker is to open it."""
    request = await house.ask()
    return await house.approve("dan", request.id)


async def refused(house: House) -> Request:
    """Approved, tried, and not opened."""
    request = await approved(house)
    await house.work()
    return await house.now(request.id)


def why(request: Request) -> str:
    """What the record says of the last try."""
    [leg] = request.legs
    assert leg.state is LegState.GRANTING
    return leg.error


# replicas


async def test_with_a_replica_that_follows_access_is_opened(
    master: RedisServer, replica: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        assert (await house.granted()).state is State.ACTIVE
    assert doors.grants == 1


async def test_while_the_replica_hears_nothing_no_provider_is_called_and_the_record_says_why(
    master: RedisServer, replica: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        with cut(replica):
            request = await refused(house)
            assert request.state is State.GRANTING
            assert "replicas must have the record first, 0 had it" in why(request)
            assert "JIT_REPLICAS=0" in why(request)
            assert doors.grants == 0
            assert not await house.store.redis.hexists(house.store.keys.record(request.id), "lease")  # given back
        assert (await house.until(request.id, State.ACTIVE)).legs[0].attempts > 1
    assert doors.grants == 1


async def test_a_master_that_was_replaced_and_does_not_know_it_opens_nothing(
    master: RedisServer, replica: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        pending = await house.ask()
        await promote(replica, house.store.keys.record(pending.id))
        await house.approve("dan", pending.id)
        await house.work()
        assert "0 had it" in why(await house.now(pending.id))
        master.process.kill()
        master.process.wait()
    assert doors.grants == 0
    async with started(replica.url, doors, replicas=0) as house:
        request = await house.now(pending.id)
        assert (request.state, request.legs[0].attempts) == (State.PENDING, 0)
        await house.approve("dan", pending.id)
        assert (await house.attempted(pending.id)).state is State.ACTIVE
    assert doors.grants == 1


async def promote(replica: RedisServer, key: str) -> None:
    """Make a master of it, once it has the key."""
    async with Redis.from_url(replica.url) as client, asyncio.timeout(30):
        while not await client.exists(key):
            await client.ping()
        await client.replicaof("NO", "ONE")


async def test_what_was_open_is_closed_while_no_replica_follows(
    master: RedisServer, replica: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        request = await house.granted()
        with cut(replica):
            await own_request.release(house.context, house.actor("mia"), request.id)
            await house.work()
            assert (await house.now(request.id)).state is State.ENDED
    assert await doors.list_access() == []


async def test_a_master_that_lost_its_replicas_promises_no_less_not_even_to_a_new_process(
    master: RedisServer, doors: Counted
) -> None:
    with replica_of(master):
        async with started(master.url, doors):
            pass
    async with started(master.url, doors) as house:
        assert "0 had it" in why(await refused(house))
    assert doors.grants == 0


async def test_a_replica_that_comes_later_is_waited_for_from_then_on(master: RedisServer, doors: Counted) -> None:
    async with started(master.url, doors) as house:
        assert (await house.granted("eve")).state is State.ACTIVE
        with replica_of(master) as replica, cut(replica):
            assert "0 had it" in why(await refused(house))
    assert doors.grants == 1


async def test_the_operator_may_ask_for_more_replicas_or_loudly_for_none(
    master: RedisServer, replica: RedisServer, doors: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(master.url, doors):
        pass
    async with started(master.url, doors, replicas=2) as house:
        assert "2 of Redis' replicas must have the record first, 1 had it" in why(await refused(house))
    assert doors.grants == 0
    with cut(replica):
        async with started(master.url, doors, replicas=0) as house:
            assert (await house.granted("eve")).state is State.ACTIVE
    assert "access may be granted that a failover forgets" in caplog.text
    assert doors.grants == 1


async def test_a_server_that_does_not_know_the_script_learns_it(
    master: RedisServer, replica: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        request = await approved(house)
        await house.store.redis.script_flush()
        await house.work()
        assert (await house.now(request.id)).state is State.ACTIVE
    assert doors.grants == 1


@pytest.mark.parametrize("server", ["redis", "valkey"])
async def test_a_commit_that_is_sent_again_waits_for_the_replicas_again(server: str, doors: Counted) -> None:
    binary = valkey_binary() if server == "valkey" else need("redis-server", "apt-get install redis-server")
    with redis_server(binary=binary) as master, replica_of(master, binary=binary) as replica:
        async with started(master.url, doors) as house:
            request = await approved(house)
            event = attempt(request)
            change = Change(request, advance(request, event), event)
            with cut(replica):
                for _ in range(2):  # its answer was lost, and it comes again on a connection that has written nothing
                    with pytest.raises(Unreplicated):
                        await house.store.commit(change)
                    await house.store.redis.connection_pool.disconnect()
            await house.store.commit(change)
            assert (await house.now(request.id)).version == change.after.version


def attempt(request: Request) -> GrantAttempted:
    """What a worker records before it calls."""
    return GrantAttempted(
        at=request.created_at + 1,
        leg=0,
        subject={"name": "mia"},
        target="t",
        prior={},
        entitlements=(),
        in_flight_until=0,
    )


async def test_a_redis_that_does_not_tell_of_its_replicas_needs_the_operators_word(
    master: RedisServer, doors: Counted
) -> None:
    async with Redis.from_url(master.url) as admin:
        await admin.acl_setuser(
            "bot", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-info"]
        )
    url = f"redis://bot:x@127.0.0.1:{master.port}/0"
    async with started(url, doors) as house:
        assert "set JIT_REPLICAS" in why(await refused(house))
    assert doors.grants == 0
    async with started(url, doors, replicas=0) as house:
        assert (await house.granted("eve")).state is State.ACTIVE


async def test_where_redis_wants_its_replicas_first_nothing_is_half_written(
    master: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        request = await approved(house)
        await house.store.redis.config_set("min-replicas-to-write", 1)
        with pytest.raises(StoreAway, match="NOREPLICAS"):
            await house.work()
        assert (await house.now(request.id)).version == request.version
    assert doors.grants == 0


# the same store


async def test_a_store_that_was_emptied_opens_nothing_until_the_process_is_started_again(
    master: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as house:
        await house.granted()
        await house.store.redis.flushall()
        await house.open()
        request = await refused(house)
        assert "another store than the one that the bot began with" in why(request)
        assert doors.grants == 1
    async with started(master.url, doors) as house:
        assert (await house.until(request.id, State.ACTIVE)).state is State.ACTIVE
    assert doors.grants == 2


async def test_while_one_process_accepted_the_new_store_another_that_runs_on_still_opens_nothing(
    master: RedisServer, doors: Counted
) -> None:
    async with started(master.url, doors) as old:
        await old.store.redis.flushall()
        async with started(master.url, doors) as new:
            assert "another store" in why(await refused(old))
            assert doors.grants == 0
            assert (await new.granted("eve")).state is State.ACTIVE


async def test_in_another_store_asking_and_closing_go_on(master: RedisServer, doors: Counted) -> None:
    async with started(master.url, doors) as house:
        request = await house.granted()
        await house.store.redis.set(house.store.keys.store, "another")
        await own_request.release(house.context, house.actor("mia"), request.id)
        await house.work()
        assert (await house.now(request.id)).state is State.ENDED
        assert (await house.ask("eve")).state is State.PENDING


async def test_a_promoted_replica_is_the_same_store(master: RedisServer, replica: RedisServer, doors: Counted) -> None:
    async with started(master.url, doors):
        pass
    async with Redis.from_url(replica.url) as heir, Redis.from_url(master.url) as old:
        same = await old.get(f"jit:{{{WORKSPACE}}}:store")
        assert same is not None
        async with asyncio.timeout(30):
            while await heir.get(f"jit:{{{WORKSPACE}}}:store") != same:
                await old.wait(1, 100)


async def test_the_embedded_store_has_an_id_that_outlives_its_server(
    tmp_path_factory: pytest.TempPathFactory, doors: Counted
) -> None:
    valkey_binary()
    home = tmp_path_factory.mktemp("e")
    ids = []
    for _ in range(2):
        server = embedded.start(home)
        try:
            async with linked(server.url) as link:
                ids.append(await Store(link.commands("x"), WORKSPACE, RING).recognise())
        finally:
            server.stop()
    assert ids[0]
    assert ids[0] == ids[1]
