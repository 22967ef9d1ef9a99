"""A Redis or Valkey that restarts, fails over, or loses its ACL file: what is closed, and what is not called so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from bot.access import own_request
from bot.core.request import State
from bot.store.store import Store
from providers.systems.base import Order, Presence, Prior, Receipt, Refused, Secret
from providers.systems.conformance.bench import shut
from providers.systems.conformance.failing import FailingStepConformance
from providers.systems.conformance.suite import OwnConformance
from providers.systems.redis_acl import RedisAcl
from tests.house import House
from tests.providers.redis_bench import ID, AclFileBench, RedisBench
from tests.providers.test_reconciling import policy
from tests.servers import PATIENCE, RedisServer, need, redis_server, replica_of, start_redis, until, valkey_binary


def binary(brand: str) -> str:
    return valkey_binary() if brand == "valkey" else need("redis-server", "apt-get install redis-server")


@contextlib.contextmanager
def with_aclfile(brand: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose ACL file is in its own directory."""
    (tmp_path / "acl").mkdir()
    (tmp_path / "acl" / "users.acl").touch()
    with redis_server("--aclfile", str(tmp_path / "acl" / "users.acl"), binary=binary(brand)) as server:
        yield RedisServer(server.url, server.socket_url, server.port, server.process, tmp_path)


@pytest.fixture(params=["redis", "valkey"])
def brand(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def filed(brand: str, tmp_path: Path) -> Iterator[AclFileBench]:
    """A server with an ACL file."""
    with with_aclfile(brand, tmp_path) as server:
        yield AclFileBench(server)


@contextlib.contextmanager
def restarted(brand: str, server: RedisServer, directory: Path, *options: str) -> Iterator[None]:
    """The server is killed, and another process has its port and its files."""
    server.process.kill()
    server.process.wait(PATIENCE)
    process = start_redis(binary(brand), directory, server.port, *options)
    try:
        yield
    finally:
        process.kill()
        process.wait(PATIENCE)


@dataclass
class Opened:
    """An access that is open."""

    order: Order
    prior: Prior
    receipt: Receipt
    secret: Secret


async def opened(bench: RedisBench, system: RedisAcl) -> Opened:
    order = await bench.order(system)
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    return Opened(order, prior, receipt, await system.reveal(order, receipt))


class TestWithAclFile(OwnConformance, FailingStepConformance):
    """The file that cannot be written keeps nobody in."""

    @pytest.fixture
    def bench(self, filed: AclFileBench) -> AclFileBench:
        """On a server of the test's own."""
        return filed


# restart


async def test_a_restart_with_an_aclfile_changes_nothing_and_all_is_closed_as_ever(
    filed: AclFileBench, brand: str
) -> None:
    system = filed.build()
    assert isinstance(system, RedisAcl)
    it = await opened(filed, system)
    server = filed.running
    with restarted(brand, server, _dir(server), "--aclfile", str(server.directory / "acl" / "users.acl")):
        with redis.Redis.from_url(server.url) as admin:
            admin.set("app:1", "one")
        again = filed.build()
        assert await again.verify(it.order, it.receipt) is Presence.PRESENT
        assert await filed.usable(it.order, it.secret)
        assert await again.grant(it.order, it.prior) != it.receipt, "it is another process"
        await shut(filed, again, it.order, it.prior, it.receipt)
        assert it.order.subject.native not in filed.kept
        await again.close()
    await system.close()


async def test_a_restart_without_an_aclfile_takes_the_user_away_and_that_is_the_end_of_it(brand: str) -> None:
    with redis_server(binary=binary(brand)) as server:
        bench = RedisBench(server)
        system = bench.system()
        it = await opened(bench, system)
        with restarted(brand, server, _dir(server)):
            bench.furnish(server)
            again = bench.system()
            assert await again.verify(it.order, it.receipt) is Presence.ABSENT
            await shut(bench, again, it.order, it.prior, it.receipt)
            await shut(bench, again, it.order, it.prior, None)
            await again.close()
        await system.close()


async def test_a_restart_that_nothing_tells_from_a_failover_is_not_called_closed(brand: str) -> None:
    with redis_server(binary=binary(brand)) as server, replica_of(server, binary=binary(brand)):
        bench = RedisBench(server)
        system = bench.system()
        assert "WARNING: replicas and no aclfile" in (await system.check()).detail
        it = await opened(bench, system)
        with restarted(brand, server, _dir(server)):
            bench.furnish(server)
            again = bench.system()
            with pytest.raises(Refused, match=r"restarted without an aclfile.* may remain on 127\.0\.0\.1"):
                await again.revoke(it.order, it.prior, it.receipt)
            await again.close()
        await system.close()


# failover


async def test_a_promoted_replica_is_told_from_the_server_that_granted(brand: str) -> None:
    with redis_server(binary=binary(brand)) as old, replica_of(old, binary=binary(brand)) as new:
        bench = RedisBench(old)
        system = bench.system()
        it = await opened(bench, system)
        with redis.Redis.from_url(new.socket_url) as admin:
            admin.execute_command("REPLICAOF", "NO", "ONE")
        bench.furnish(new)
        after = bench.system(url=f"redis://jit-bot:{bench.password}@127.0.0.1:{new.port}/0")
        assert (await after.check()).target == ID, "by its name it is the same"
        name, run_id = it.order.subject.native, str(it.receipt.facts["server"]["run_id"])
        for receipt in (it.receipt, None):
            with pytest.raises(Refused) as told:
                await after.revoke(it.order, it.prior, receipt)
            assert f"`ACL DELUSER {name}` there" in str(told.value)
            assert f"may remain on 127.0.0.1:{old.port} (run_id {run_id[:12]})" in str(told.value)
            assert len(str(told.value)) <= 300, "a card shows no more"
        for attempt in (lambda: after.verify(it.order, it.receipt), lambda: after.grant(it.order, it.prior)):
            with pytest.raises(Refused, match="another server answers here now"):
                await attempt()
        assert await bench.usable(it.order, it.secret), "it is open still, where it was granted"
        with redis.Redis.from_url(new.socket_url) as admin:
            assert admin.execute_command("ACL", "GETUSER", name) is None
        await shut(bench, system, it.order, it.prior, it.receipt)
        await system.close()
        await after.close()


async def test_a_replica_that_came_after_the_grant_is_told_from_a_restart(brand: str) -> None:
    with redis_server(binary=binary(brand)) as old:
        bench = RedisBench(old)
        system = bench.system()
        it = await opened(bench, system)
        with replica_of(old, binary=binary(brand)) as new:
            with redis.Redis.from_url(new.socket_url) as admin:
                admin.execute_command("REPLICAOF", "NO", "ONE")
            bench.furnish(new)
            after = bench.system(url=f"redis://jit-bot:{bench.password}@127.0.0.1:{new.port}/0")
            with pytest.raises(Refused, match="may remain on"):
                await after.revoke(it.order, it.prior, it.receipt)
            await after.close()
        await shut(bench, system, it.order, it.prior, it.receipt)
        await system.close()


async def test_a_primary_that_became_a_replica_lets_go_of_what_it_granted(brand: str) -> None:
    with redis_server(binary=binary(brand)) as old, redis_server(binary=binary(brand)) as new:
        bench = RedisBench(old)
        system = bench.system()
        it = await opened(bench, system)
        lives = await bench.enter(it.order, it.secret)
        bench.admin("REPLICAOF", "127.0.0.1", str(new.port))
        with pytest.raises(Refused, match="point the url at the primary"):
            await system.check()
        outcome = await shut(bench, system, it.order, it.prior, it.receipt)
        assert outcome.killed >= 1
        assert not await lives()
        await system.close()


async def test_a_request_whose_server_failed_over_stays_open_in_the_books_and_says_where(
    store: Store, brand: str
) -> None:
    with redis_server(binary=binary(brand)) as old, replica_of(old, binary=binary(brand)) as new:
        bench = RedisBench(old)
        before, away = bench.system(), bench.system(url=bench.config(new.port)["url"])
        house = await House(
            store, policy=policy("redis", bench.params), systems={"vault": before}, timeout_margin=5.0
        ).open()
        request = await house.granted()
        assert request.state is State.ACTIVE
        with redis.Redis.from_url(new.socket_url) as admin:
            admin.execute_command("REPLICAOF", "NO", "ONE")
        bench.furnish(new)
        house.worker.gateways["vault"].system = away
        await own_request.release(house.context, house.actor("mia"), request.id)
        await house.work()
        request = await house.now(request.id)
        assert request.state is State.REVOKING
        assert f"may remain on 127.0.0.1:{old.port}" in request.legs[0].error
        # The old one comes back behind the same address.
        house.worker.gateways["vault"].system = before
        assert (await house.until(request.id, State.ENDED)).legs[0].outcome == {
            "presence": "absent",
            "killed": 0,
            "remains": "",
            "kept": "",
            "detail": "",
        }
        await before.close()
        await away.close()


# the ACL file


async def test_what_the_aclfile_still_has_is_told_and_taken_out_when_it_can_be_written_again(
    filed: AclFileBench, brand: str
) -> None:
    system = filed.build()
    assert isinstance(system, RedisAcl)
    it = await opened(filed, system)
    name, lives = it.order.subject.native, await filed.enter(it.order, it.secret)
    await filed.lose_file()
    for killed in (1, 0):
        with pytest.raises(Refused) as told:
            await system.revoke(it.order, it.prior, it.receipt)
        assert f"the ACL user {name} is deleted ({killed} sessions ended)" in str(told.value)
        assert "ACL SAVE failed" in str(told.value)
        assert len(str(told.value)) <= 300
    assert not await lives()
    assert not await filed.usable(it.order, it.secret)
    await filed.find_file()
    # It comes back, by an administrator's reload, and goes for good.
    filed.admin("ACL", "LOAD")
    assert await filed.usable(it.order, it.secret)
    await system.close()
    again = filed.build()
    await shut(filed, again, it.order, it.prior, it.receipt)
    assert name not in filed.kept
    filed.admin("ACL", "LOAD")
    assert not await filed.usable(it.order, it.secret)
    await again.close()


async def test_what_an_old_aclfile_brings_back_is_an_orphan_of_ours(filed: AclFileBench) -> None:
    system = filed.build()
    assert isinstance(system, RedisAcl)
    it = await opened(filed, system)
    file = filed.running.directory / "acl" / "users.acl"
    old = file.read_text()
    await shut(filed, system, it.order, it.prior, it.receipt)
    file.write_text(old)
    filed.admin("ACL", "LOAD")
    await system.close()
    again = filed.build()
    assert isinstance(again, RedisAcl)
    [back] = [each for each in await again.list_access() if each.native == it.order.subject.native]
    assert back.order == it.order.id
    assert (await again.close_orphan(back)).presence is Presence.ABSENT
    assert back.native not in filed.kept
    await again.close()


async def test_a_copy_of_the_aclfile_on_another_server_does_not_make_it_the_same(
    filed: AclFileBench, brand: str
) -> None:
    with redis_server(binary=binary(brand)) as probe:
        until(lambda: _age(probe) >= 3, "a server to be older than the grant")
        system = filed.build()
        assert isinstance(system, RedisAcl)
        it = await opened(filed, system)
        instance = it.receipt.facts["server"]["instance"]
        assert it.order.target == instance
        with redis.Redis.from_url(probe.socket_url) as admin:
            admin.execute_command("ACL", "SETUSER", f"jit-target-{instance}", "reset", "off")
        filed.furnish(probe)
        after = filed.build(probe.port)
        with pytest.raises(Refused, match="may remain on"):
            await after.revoke(it.order, it.prior, it.receipt)
        await shut(filed, system, it.order, it.prior, it.receipt)
        await after.close()
        await system.close()


def _age(server: RedisServer) -> int:
    with redis.Redis.from_url(server.socket_url) as admin:
        return int(admin.info("server")["uptime_in_seconds"])


def _dir(server: RedisServer) -> Path:
    """Where the server itself lives; a bench may have its own directory."""
    return Path(server.socket_url.removeprefix("unix://").partition("?")[0]).parent
