"""By its URL the bot finds a server, the master of the sentinels, the node of its slot; and finds them again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from bot import tasks
from bot.access import own_request
from bot.core.errors import StoreAway
from bot.core.request import Request, State
from bot.store.encoding import away
from bot.store.keys import Keys
from bot.store.wakeups import Wakeups
from providers.systems.sandbox import SandboxConfig
from tests.house import House
from tests.process import Counted, linked, reached, started
from tests.servers import (
    RedisServer,
    Sentinel,
    free_port,
    redis_binary,
    redis_cluster,
    redis_server,
    replica_of,
    sentinels,
    start_redis,
)

KEY = Keys("T000001").due


@pytest.fixture
def doors() -> Counted:
    """The real system."""
    return Counted(SandboxConfig())


@pytest.fixture
def master() -> Iterator[RedisServer]:
    """A server of its own."""
    with redis_server() as server:
        yield server


async def again(house: House) -> Request:
    """Ask until the store is back."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(StoreAway):
                return await house.ask("eve")
            await asyncio.sleep(0.05)


class Heard(Wakeups):
    """Counts what it hears."""

    count = 0

    def wake(self) -> None:
        self.count += 1
        super().wake()

    async def more(self, than: int) -> None:
        """Wait until it has heard more."""
        wait = self.waiter()
        async with asyncio.timeout(30):
            while self.count <= than:
                await wait(1.0)


# sentinels


def by(found: list[Sentinel], *more: int) -> str:
    """The URL of a service named jit."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in (*more, *(sentinel.port for sentinel in found)))
    return f"redis+sentinel://{hosts}/jit/0"


async def test_when_the_master_dies_the_process_goes_on_with_the_one_that_the_sentinels_agree_on(
    master: RedisServer, doors: Counted
) -> None:
    with (
        replica_of(master) as one,
        replica_of(master) as other,
        sentinels("jit", master, one, other, count=3) as watching,
    ):
        async with started(by(watching), doors) as house, linked(by(watching)) as link:
            hints = Heard(link.blocking(KEY), house.store.keys.wake)
            hushed = asyncio.Event()
            listening = asyncio.create_task(hints.listen(hushed))
            await hints.more(than=0)
            before = await house.granted()
            master.process.kill()
            with pytest.raises(StoreAway):
                await house.ask("kim")
            request = await again(house)
            assert [found.request.id for found in await house.store.open_of("UEVE")] == [request.id]
            assert await house.store.open_of("UKIM") == []
            heard = hints.count
            await house.approve("dan", request.id)
            await hints.more(than=heard)  # it listens to the new master: to this commit, or it has just begun
            hushed.set()
            await listening
            await house.until(request.id, State.ACTIVE)
            await own_request.release(house.context, house.actor("mia"), before.id)
            await house.until(before.id, State.ENDED)
            assert doors.grants == 2
            assert [list_access.order for list_access in await doors.list_access()] == [f"{request.id}.0"]


async def test_a_sentinel_that_is_gone_and_one_that_hangs_keep_nobody_from_the_others(master: RedisServer) -> None:
    with sentinels("jit", master, count=1) as watching, socket.create_server(("127.0.0.1", 0)) as mute:
        async with linked(by(watching, free_port(), mute.getsockname()[1])) as link:
            client = link.commands(KEY)
            assert len(await asyncio.gather(*(client.ping() for _ in range(64)))) == 64


async def test_where_no_sentinel_knows_a_master_the_store_is_away(master: RedisServer) -> None:
    said = "no sentinel answers and knows a master named jit that is up"
    with sentinels("other", master, count=1) as watching, pytest.raises(StoreAway, match=said):
        await reached(by(watching))
    with pytest.raises(StoreAway, match=said):
        await reached(by(watching))


# one server


async def test_a_name_that_comes_to_mean_another_server_is_followed_when_the_old_one_takes_no_more_writes(
    master: RedisServer,
) -> None:
    async with linked(master.url) as link, Redis.from_url(master.url) as old:
        client = link.commands(KEY)
        await client.set("a", "1")
        with replica_of(master) as heir:
            async with Redis.from_url(heir.url) as new:
                await old.config_set("port", free_port())
                await new.replicaof("NO", "ONE")
                await new.config_set("port", master.port)
                await old.replicaof("127.0.0.1", master.port)
                await client.set("a", "2")
                assert await new.get("a") == b"2"


async def test_a_server_that_became_a_replica_is_told_as_such_and_is_written_to_when_it_leads_again(
    master: RedisServer,
) -> None:
    async with linked(master.url) as link, Redis.from_url(master.url) as admin:
        client = link.commands(KEY)
        await client.set("a", "1")
        await admin.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreAway, match="it is a replica"):
            await away(client.set("a", "2"))
        await admin.replicaof("NO", "ONE")
        await client.set("a", "3")
        assert await client.get("a") == b"3"


async def test_a_server_that_is_away_is_told_as_such_and_found_again(master: RedisServer, doors: Counted) -> None:
    async with started(master.url, doors) as house:
        master.process.kill()
        master.process.wait()
        with pytest.raises(StoreAway):
            await house.ask()
        process = start_redis(redis_binary(), master.directory, master.port)
        try:
            assert await house.store.open_of("UMIA") == []
            assert (await house.granted()).state is State.ACTIVE
        finally:
            process.kill()
            process.wait()


async def test_a_socket_will_do(redis: RedisServer, doors: Counted) -> None:
    async with started(redis.socket_url, doors, workspace="TUNIX") as house:
        assert (await house.granted()).state is State.ACTIVE


# a cluster


@pytest.fixture
def nodes() -> Iterator[list[RedisServer]]:
    """Two nodes, each with half of the slots."""
    with redis_cluster(2) as cluster:
        yield cluster


def workspaces() -> tuple[str, str]:
    """One whose slot is in the first half, and one whose slot is in the second."""
    names = [f"T{n}" for n in range(100)]
    first = next(name for name in names if key_slot(Keys(name).due.encode()) < 8192)
    second = next(name for name in names if key_slot(Keys(name).due.encode()) >= 8192)
    return first, second


async def test_in_a_cluster_each_workspace_is_on_the_node_of_its_slot(nodes: list[RedisServer], doors: Counted) -> None:
    url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{nodes[0].port}"
    for node, workspace in zip(nodes, workspaces(), strict=True):
        async with started(url, doors, workspace=workspace) as house, Redis.from_url(node.url) as there:
            request = await house.until((await house.granted()).id, State.ACTIVE)
            assert await there.exists(house.store.keys.record(request.id))
    assert doors.grants == 2


async def test_hints_are_heard_in_a_cluster(nodes: list[RedisServer], doors: Counted) -> None:
    url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
    _, workspace = workspaces()
    async with started(url, doors, workspace=workspace) as house, linked(url) as link:
        pubsub = link.blocking(house.store.keys.due).pubsub()
        await pubsub.subscribe(house.store.keys.wake)
        assert (await pubsub.get_message(timeout=30))["type"] == "subscribe"
        request = await house.ask()
        assert (await pubsub.get_message(timeout=30))["data"] == request.id.encode()
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py


async def test_where_no_node_of_a_cluster_answers_the_store_is_away() -> None:
    with pytest.raises(StoreAway, match="no node of the cluster answers and knows who serves slot"):
        await reached(f"redis+cluster://127.0.0.1:{free_port()}")


async def test_a_slot_that_moves_to_another_node_is_followed(nodes: list[RedisServer]) -> None:
    workspace, _ = workspaces()
    key = Keys(workspace).due
    async with (
        linked(f"redis+cluster://127.0.0.1:{nodes[0].port}") as link,
        Redis.from_url(nodes[0].url) as old,
        Redis.from_url(nodes[1].url) as new,
    ):
        client = link.commands(key)
        assert await client.get(key) is None
        heir = await new.execute_command("CLUSTER MYID")  # type: ignore[no-untyped-call]  # redis-py
        for node in (new, old):
            await node.execute_command("CLUSTER SETSLOT", key_slot(key.encode()), "NODE", heir)  # type: ignore[no-untyped-call]  # redis-py
        await client.set(key, "1")
        assert await new.get(key) == b"1"


async def test_a_time_limit_around_calls_holds_at_whatever_moment_it_passes(redis: RedisServer) -> None:
    async def asks_for_ever(client: Redis) -> None:
        while True:
            await client.delete("nothing")

    async with linked(redis.url) as link:
        client = link.commands(KEY)
        await client.ping()
        for turns in range(80):
            task = asyncio.create_task(asks_for_ever(client))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            _, deaf = await asyncio.wait({task}, timeout=10)
            await tasks.end([task])
            assert not deaf, f"a cancellation after {turns} turns was lost"
        assert await client.ping()


async def test_a_server_that_takes_nothing_more_is_given_up_in_time() -> None:
    """Its buffers are full: what is sent next waits, and is not waited for without an end."""
    held: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        while (line := await reader.readline()) and b"SETINFO" not in line and b"big" not in line:
            pass
        await asyncio.Event().wait()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, linked(f"redis://127.0.0.1:{port}/0?lib_name=&lib_version=") as link:
        with pytest.raises(StoreAway):
            await away(link.commands(KEY).set("big", b"x" * 50_000_000))
        for writer in held:
            writer.transport.abort()
