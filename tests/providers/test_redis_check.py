"""What `check` lets no bot begin on a Redis or Valkey, and what keeps nobody in when it comes later."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import ValidationError
from redis.asyncio.connection import AbstractConnection

from providers.systems.base import Presence, Refused, Unsure
from providers.systems.conformance.bench import shut
from providers.systems.redis_acl import RedisAcl, RedisParams
from providers.systems.redis_acl.rules import never
from tests.providers.redis_bench import BOT, RIGHTS, AclFileBench, RedisBench
from tests.providers.test_redis_failover import binary, opened, restarted, with_aclfile
from tests.servers import RedisServer, free_port, redis_server, replica_of, until

SHUTS = {"+acl|getuser", "+acl|setuser", "+acl|deluser"}
"""Without these nobody could shut anything."""


@pytest.fixture(params=["redis", "valkey"])
def brand(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(brand: str) -> Iterator[RedisServer]:
    with redis_server(binary=binary(brand)) as server:
        yield server


async def refused(system: RedisAcl) -> str:
    """What check says."""
    with pytest.raises(Refused) as told:
        await system.check()
    await system.close()
    assert len(str(told.value)) <= 300
    return str(told.value)


# where ACL users would not hold what they promise


async def test_a_node_of_a_cluster_is_refused(brand: str) -> None:
    with redis_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()), binary=binary(brand)) as node:
        with redis.Redis.from_url(node.socket_url) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            until(lambda: admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster to be whole")
        told = await refused(RedisBench(node).system())
        assert "node of a cluster" in told
        assert "point the url at a server that is no cluster's" in told


async def test_a_replica_is_refused(server: RedisServer, brand: str) -> None:
    with replica_of(server, binary=binary(brand)) as replica:
        assert "point the url at the primary" in await refused(RedisBench(replica).system())


async def test_an_aclfile_that_cannot_be_written_is_refused(brand: str, tmp_path: Path) -> None:
    with with_aclfile(brand, tmp_path) as filed:
        bench = AclFileBench(filed)
        await bench.lose_file()
        told = await refused(bench.system())
        assert "let the server write the aclfile and its directory" in told
        await bench.find_file()


async def test_what_works_only_until_a_restart_or_for_everybody_is_warned_of(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    detail = (await system.check()).detail
    assert "no aclfile: a restart takes all access away" in detail
    assert "WARNING: its default user needs no password" in detail
    bench.admin("ACL", "SETUSER", "default", "resetpass", ">long")
    try:
        assert "WARNING" not in (await system.check()).detail
    finally:
        with redis.Redis.from_url(server.socket_url, username="default", password="long") as admin:
            admin.execute_command("ACL", "SETUSER", "default", "nopass")
    await system.close()


async def test_a_server_that_takes_no_writes_grants_nothing_and_says_why(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    for key, bad, good, why in (
        ("min-replicas-to-write", "1", "0", "min-replicas-to-write"),
        ("maxmemory", "1", "0", "maxmemory"),
    ):
        bench.admin("CONFIG", "SET", key, bad)
        with pytest.raises(Unsure, match=f"nothing can be granted just now, though what is open is closed.*{why}"):
            await system.check()
        bench.admin("CONFIG", "SET", key, good)
    await system.check()
    await system.close()


async def test_a_renamed_command_is_refused(brand: str) -> None:
    with redis_server("--rename-command", "CLIENT", "", binary=binary(brand)) as server:
        told = await refused(RedisBench(server).system())
        assert "this server has no CLIENT KILL, CLIENT INFO" in told


async def test_a_url_with_another_database_needs_one_right_more(server: RedisServer) -> None:
    bench = RedisBench(server)
    url = f"redis://{BOT}:{bench.password}@127.0.0.1:{server.port}/1"
    assert f"`ACL SETUSER {BOT} +select`" in await refused(bench.system(url=url))


async def test_a_wrong_password_is_told_as_one(server: RedisServer) -> None:
    told = await refused(RedisBench(server).system(url=f"redis://{BOT}:wrong@127.0.0.1:{server.port}/0"))
    assert f"does not accept the url's user {BOT}" in told


async def test_all_that_is_missing_is_told_at_once(server: RedisServer) -> None:
    bench = RedisBench(server)
    bench.admin("ACL", "SETUSER", BOT, "-client|kill", "-exec", "resetkeys")
    assert f"run `ACL SETUSER {BOT} +client|kill ~jit:* +exec`" in await refused(bench.system())


# what comes later


async def test_whichever_other_right_is_taken_away_the_user_goes(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    for right in bench.rights():
        rule = right.cure.split()[-1].rstrip("`")
        if rule in SHUTS:
            continue
        it = await opened(bench, system)
        lives = await bench.enter(it.order, it.secret)
        await right.take()
        try:
            await system.revoke(it.order, it.prior, it.receipt)
        except (Refused, Unsure):
            pass  # it says so, and is asked again
        finally:
            await right.give()
        assert not await lives(), rule
        assert not await bench.usable(it.order, it.secret), rule
        await shut(bench, system, it.order, it.prior, it.receipt)
    assert set(RIGHTS) > SHUTS
    await system.close()


async def test_without_the_right_to_delete_it_the_user_may_do_nothing_all_the_same(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    it = await opened(bench, system)
    lives = await bench.enter(it.order, it.secret)
    bench.admin("ACL", "SETUSER", BOT, "-acl|deluser")
    with pytest.raises(Refused, match=rf"may do nothing any more.*ACL SETUSER {BOT} \+acl\|deluser"):
        await system.revoke(it.order, it.prior, it.receipt)
    assert not await lives()
    assert not await bench.usable(it.order, it.secret)
    bench.admin("ACL", "SETUSER", BOT, "+acl|deluser")
    await shut(bench, system, it.order, it.prior, it.receipt)
    await system.close()


async def test_a_renamed_client_command_keeps_nobody_in(brand: str, tmp_path: Path) -> None:
    with with_aclfile(brand, tmp_path) as server:
        bench = AclFileBench(server)
        system = bench.system()
        it = await opened(bench, system)
        home = Path(server.socket_url.removeprefix("unix://").partition("?")[0]).parent
        words = ("--aclfile", str(tmp_path / "acl" / "users.acl"), "--rename-command", "CLIENT", "")
        with restarted(brand, server, home, *words):
            anew = bench.system()
            outcome = await anew.revoke(it.order, it.prior, it.receipt)
            await anew.close()
            assert outcome.presence is Presence.ABSENT
            assert "CLIENT KILL did not count the sessions" in outcome.detail
            assert not await bench.usable(it.order, it.secret)
        await system.close()


async def test_a_no_that_comes_after_the_user_was_made_is_no_definite_one(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    order = await bench.order(system)
    prior = await system.inspect(order)
    bench.admin("ACL", "SETUSER", BOT, "-acl|save")
    with pytest.raises(Unsure, match=r"was made, and then: the bot's user lacks \+acl\|save"):
        await system.grant(order, prior)
    assert await system.verify(order, None) is Presence.PRESENT
    bench.admin("ACL", "SETUSER", BOT, "+acl|save")
    await shut(bench, system, order, prior, None)
    await system.close()


async def test_a_fence_that_cannot_be_taken_away_is_told(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    it = await opened(bench, system)
    bench.admin("SET", f"jit:fence:{it.order.subject.native}", "a grant's", "PX", "60000")
    bench.admin("CONFIG", "SET", "min-replicas-to-write", "1")
    outcome = await system.revoke(it.order, it.prior, it.receipt)
    bench.admin("CONFIG", "SET", "min-replicas-to-write", "0")
    assert outcome.presence is Presence.ABSENT
    assert "a grant on its way may land for 20 s more" in outcome.detail
    await system.close()


async def test_a_script_that_keeps_the_server_busy_is_named_and_the_next_try_closes(server: RedisServer) -> None:
    bench = RedisBench(server)
    system = bench.system()
    it = await opened(bench, system)
    bench.admin("CONFIG", "SET", "lua-time-limit", "1")
    running = threading.Thread(target=_spin, args=(server,))
    running.start()
    until(lambda: _is_busy(server), "the server to say that it is busy")
    with pytest.raises(Unsure, match="a script keeps it busy"):
        await system.revoke(it.order, it.prior, it.receipt)
    bench.admin("SCRIPT", "KILL")
    running.join()
    await shut(bench, system, it.order, it.prior, it.receipt)
    await system.close()


def _is_busy(server: RedisServer) -> bool:
    try:
        with redis.Redis.from_url(server.url) as client:
            client.get("app:1")
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


def _spin(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ResponseError):
        client.execute_command("EVAL", "while true do end", "0")


async def test_who_takes_every_connection_of_the_server_is_shut_out_by_the_one_that_the_bot_has(
    server: RedisServer,
) -> None:
    bench = RedisBench(server)
    system = bench.system()
    it = await opened(bench, system)
    bench.admin("CONFIG", "SET", "maxclients", "30")
    taken: list[AbstractConnection] = []
    with contextlib.suppress(redis.ConnectionError):
        while len(taken) < 30:
            taken.append(await bench.connected(it.order, it.secret))
    assert 15 < len(taken) < 30
    outcome = await system.revoke(it.order, it.prior, it.receipt)
    assert outcome.presence is Presence.ABSENT
    assert outcome.killed == len(taken)
    for each in taken:
        await each.disconnect(nowait=True)
    assert not await bench.usable(it.order, it.secret)
    await system.close()


async def test_a_session_that_resets_itself_has_nothing_where_the_default_user_has_a_password(brand: str) -> None:
    with redis_server(binary=binary(brand)) as server:
        bench = RedisBench(server)
        system = bench.system()
        it = await opened(bench, system)
        session = await bench.connected(it.order, it.secret)
        bench.admin("ACL", "SETUSER", "default", "resetpass", ">long")
        await session.send_command("RESET", check_health=False)
        await session.read_response()
        await session.send_command("GET", "app:1", check_health=False)
        with pytest.raises(redis.AuthenticationError):
            await session.read_response()
        await session.disconnect(nowait=True)
        await shut(bench, system, it.order, it.prior, it.receipt)
        await system.close()


# what is never granted


@pytest.mark.parametrize("category", ["admin", "scripting"])
def test_no_command_of_a_category_that_could_outlast_its_end_is_granted_by_name(
    server: RedisServer, category: str
) -> None:
    with redis.Redis.from_url(server.socket_url, decode_responses=True) as admin:
        listed = [str(each) for each in admin.execute_command("ACL", "CAT", category)]
    whole = {each.partition("|")[0] for each in listed}
    assert len(listed) > 5
    granted = [each for each in {*listed, *whole} if not _refused(each, category, listed)]
    assert set(granted) <= {"lastsave", "role"}


def _refused(command: str, category: str, listed: list[str]) -> bool:
    try:
        never(RedisParams.model_validate({"keys": ["a"], "commands": [f"+{command}"]}), category, listed)
    except (ValidationError, Refused):
        return True
    return False


async def test_a_command_that_only_this_server_knows_as_an_administrators_is_refused() -> None:
    params = RedisParams.model_validate({"keys": ["a"], "commands": ["+get", "+novel", "-other"]})
    never(params, "admin", ["other", "novelty"])
    for listed in (["novel"], ["novel|reset"]):
        with pytest.raises(Refused, match=r"\+novel is never granted: this server has it in @admin"):
            never(params, "admin", listed)


@pytest.mark.parametrize(
    "rule",
    [
        "+eval",
        "+evalsha_ro",
        "+fcall",
        "+function|load",
        "+restore-asking",
        "+psync",
        "+monitor",
        "+debug|sleep",
        "+ft.config",
        "+rg.pyexecute",
        "+client|no-evict",
        "+client|reply",
        "+cluster|meet",
        "+module|load",
        "+@all",
    ],
)
def test_what_could_keep_the_end_from_coming_or_outlast_it_is_never_granted(rule: str) -> None:
    for more in ([], ["-acl"], ["+@read", "-@dangerous"]):
        with pytest.raises(ValidationError):
            RedisParams.model_validate({"keys": ["a"], "commands": [rule, *more]})
