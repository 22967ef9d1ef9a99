"""The books are lost, and real servers are compared with them: what is ours is closed, all else stands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import psycopg
import pytest
import redis as redis_client

from bot.policy.catalog import Catalog
from bot.store.store import Store
from bot.worker.claim import order
from bot.worker.drift import DriftKind
from bot.worker.reconcile import Reconciler
from providers.systems.base import ExistingAccess, Order, Presence, Prior, Receipt, Secret
from providers.systems.conformance.bench import Bench, new_order
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.redis_acl import RedisAcl, RedisConfig
from providers.systems.redis_acl.rules import origin
from tests.house import POLICY, House, catalog
from tests.providers.postgres_bench import PostgresBench, SharedPostgresBench, furnish, run
from tests.providers.redis_bench import RedisBench
from tests.servers import PostgresServer, RedisServer, postgres_server, redis_server


def policy(provider: str, grants: Mapping[str, Any]) -> Catalog:
    """The vault's read-only role, on another provider."""
    where = {"postgresql": "{dsn: 'env:DSN'}", "redis": "{url: 'env:URL'}"}[provider]
    spelled = POLICY.replace("provider: sandbox", f"provider: {provider}\n    config: {where}")
    for theirs in ("{door: vault, secret: true}", "{door: hall, shared: true}", "{door: safe}"):
        spelled = spelled.replace(f"grants: {theirs}", f"grants: {json.dumps(grants)}")
    return catalog(spelled)


async def opened(store: Store, bench: Bench, provider: str) -> House:
    """A house whose vault is a real server."""
    system = bench.build()
    return await House(
        store, policy=policy(provider, bench.params), systems={"vault": system}, timeout_margin=5.0
    ).open()


async def lost(store: Store) -> None:
    """Redis comes back empty."""
    keys: Any = await store.redis.keys(f"jit:{{{store.workspace}}}:*")
    await store.redis.delete(*keys)


async def granted(house: House) -> tuple[Order, Secret]:
    """Open, with its secret."""
    request = await house.granted()
    assert request.state.value == "active", request.legs[0].error
    [leg] = request.legs
    system: Any = house.systems["vault"]
    return order(request, leg), await system.reveal(order(request, leg), Receipt.model_validate(leg.receipt))


async def nothing_is_in_flight(_: float) -> None:
    """The pause for what is in flight, up to 40 s with real timeouts; tests/worker/test_reconcile.py tests it."""


def reconciler(house: House) -> Reconciler:
    return Reconciler(house.store, house.worker.gateways, lambda: house.policy, pause=nothing_is_in_flight)


# Redis


@pytest.fixture(scope="module")
def acl_server() -> Iterator[RedisServer]:
    """One of these tests' own: they look at all that stands on it."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_bench(acl_server: RedisServer) -> RedisBench:
    return RedisBench(acl_server)


async def test_redis_loses_the_user_that_no_record_tells_of_and_keeps_all_others(
    store: Store, redis_bench: RedisBench
) -> None:
    house = await opened(store, redis_bench, "redis")
    known, _ = await granted(house)
    # Opened by a bot whose books are lost.
    orphan = await redis_bench.order(house.systems["vault"])
    system = house.systems["vault"]
    assert isinstance(system, RedisAcl)
    secret = await system.reveal(orphan, await system.grant(orphan, Prior(present=False)))
    lives = await redis_bench.enter(orphan, secret)
    theirs = await redis_bench.order(system)
    await redis_bench.stand(theirs)
    try:
        look = await reconciler(house).reconcile("vault")
        assert sorted(each.kind for each in look.findings) == [DriftKind.CLOSED, DriftKind.FOREIGN]
        assert not await redis_bench.usable(orphan, secret)
        assert not await lives()
        assert await redis_bench.stands(theirs)
        names = {each.native for each in await system.list_access()}
        assert {known.subject.native, theirs.subject.native, "default", "jit-bot"} <= names
        assert orphan.subject.native not in names
    finally:
        await _tidy(redis_bench, theirs.subject.native, known.subject.native)
        await system.close()


async def test_redis_users_from_before_the_mark_of_origin_are_revoked_and_no_orphans(
    redis_bench: RedisBench,
) -> None:
    system = RedisAcl(RedisConfig.model_validate(redis_bench.config()))
    order_ = await redis_bench.order(system)
    receipt = await system.grant(order_, Prior(present=False))
    name = order_.subject.native
    with redis_client.Redis.from_url(redis_bench.running.socket_url, decode_responses=True) as admin:
        admin.execute_command("ACL", "SETUSER", name, f"!{origin(name)}")
    told = ExistingAccess(native=name, entitlement="", order=order_.id)
    outcome = await system.close_orphan(told)
    assert (outcome.presence, bool(outcome.kept)) == (Presence.FOREIGN, True)
    assert (await system.revoke(order_, Prior(present=False), receipt)).presence is Presence.ABSENT
    await system.close()


async def test_a_redis_user_that_was_given_more_since_is_an_orphan_of_ours_still(redis_bench: RedisBench) -> None:
    system = RedisAcl(RedisConfig.model_validate(redis_bench.config()))
    order_ = await redis_bench.order(system)
    await system.grant(order_, Prior(present=False))
    await redis_bench.tamper(order_)
    told = ExistingAccess(native=order_.subject.native, entitlement="", order=order_.id)
    assert (await system.close_orphan(told)).presence is Presence.ABSENT
    assert await system.verify(order_, None) is Presence.ABSENT
    await system.close()


async def _tidy(bench: RedisBench, *names: str) -> None:
    with redis_client.Redis.from_url(bench.running.socket_url) as admin:
        admin.execute_command("ACL", "DELUSER", *names)


# PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One of these tests' own: they look at all that stands on it."""
    with postgres_server() as server:
        furnish(server)
        yield server


@pytest.fixture
async def pg(server: PostgresServer) -> AsyncIterator[tuple[PostgresBench, PostgreSQL]]:
    bench = PostgresBench(server)
    system = PostgreSQL(PostgresConfig.model_validate(bench.config()))
    yield bench, system
    for row in run(server, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'jit\\_j\\_%'"):
        run(server, f"DROP ROLE IF EXISTS {row[0]}")


async def test_postgresql_loses_the_login_that_no_record_tells_of_and_keeps_all_others(
    store: Store, pg: tuple[PostgresBench, PostgreSQL]
) -> None:
    bench, system = pg
    house = await opened(store, bench, "postgresql")
    order_, secret = await granted(house)
    lives = await bench.enter(order_, secret)
    assert await lives()
    await lost(store)
    theirs = await new_order(system, bench.params)
    await bench.stand(theirs)
    # A copied comment makes nobody a temporary login.
    run(bench.running, "CREATE ROLE an_admin LOGIN", f"COMMENT ON ROLE an_admin IS 'jit-access {order_.id}'")
    try:
        look = await reconciler(house).reconcile("vault")
        assert sorted(each.kind for each in look.findings) == [DriftKind.CLOSED, DriftKind.FOREIGN, DriftKind.FOREIGN]
        assert not await bench.usable(order_, secret)
        assert not await lives()
        assert await bench.stands(theirs)
        assert run(bench.running, "SELECT 1 FROM pg_roles WHERE rolname = 'an_admin'")
        assert {each.native for each in await system.list_access()} == {theirs.subject.native, "an_admin"}
    finally:
        run(bench.running, "DROP ROLE an_admin")


async def test_postgresql_loses_what_an_orphan_made_to_its_owner_and_no_object_is_gone(
    store: Store, pg: tuple[PostgresBench, PostgreSQL]
) -> None:
    bench, _ = pg
    bench.params = {"member_of": ["app_readers", "app_writers"]}
    house = await opened(store, bench, "postgresql")
    order_, secret = await granted(house)
    async with bench.as_user(order_, secret) as user:
        await user.execute("CREATE TABLE made_by_an_orphan AS SELECT 1 AS one")
    await lost(store)
    [closed] = (await reconciler(house).reconcile("vault")).findings
    assert closed.kind is DriftKind.CLOSED
    assert "1 objects in app belong to jit_leftovers now" in closed.sentence
    assert run(bench.running, "SELECT one FROM made_by_an_orphan", dbname="app") == [(1,)]
    run(bench.running, "DROP TABLE made_by_an_orphan", dbname="app")


async def test_postgresql_keeps_memberships_of_logins_that_stood_before(store: Store, server: PostgresServer) -> None:
    bench = SharedPostgresBench(server)
    spelled = policy("postgresql", bench.params)
    house = await House(store, policy=spelled, systems={"vault": bench.build()}, timeout_margin=5.0).open()
    request = await house.granted(bench.person, "vault/shared")
    assert request.state.value == "active", request.legs[0].error
    look = await reconciler(house).reconcile("vault")
    assert [each for each in look.findings if bench.person in each.what] == []
    await lost(store)
    look = await reconciler(house).reconcile("vault")
    [mine] = [each for each in look.findings if bench.person in each.what]
    assert (mine.kind, mine.wrong) == (DriftKind.UNMANAGED, False)
    assert run(server, f"SELECT pg_has_role('{bench.person}', 'app_readers', 'MEMBER')") == [(True,)]
    run(server, f"REVOKE app_readers FROM {bench.person}")


async def test_a_login_that_is_gone_is_told_and_one_that_was_changed_too(
    store: Store, pg: tuple[PostgresBench, PostgreSQL]
) -> None:
    bench, _ = pg
    house = await opened(store, bench, "postgresql")
    first, _ = await granted(house)
    second = await house.granted("kim")
    run(bench.running, f"DROP ROLE {first.subject.native}")
    run(bench.running, f"GRANT app_writers TO jit_{second.order_id(0).lower().replace('-', '_').replace('.', '_')}")
    look = await reconciler(house).reconcile("vault")
    assert sorted((each.kind, each.request) for each in look.findings) == [
        (DriftKind.FOREIGN, second.id),
        (DriftKind.GONE, first.id.partition(".")[0]),
    ]


async def test_a_server_that_cannot_be_reached_is_not_taken_for_an_empty_one(
    store: Store, server: PostgresServer
) -> None:
    bench = PostgresBench(server)
    house = await opened(store, bench, "postgresql")
    await granted(house)
    house.worker.gateways["vault"].system = bench.build(port=1)
    house.worker.gateways["vault"].target = ""
    [unseen] = (await reconciler(house).reconcile("vault")).findings
    assert unseen.kind is DriftKind.UNSEEN
    with psycopg.connect(server.dsn) as admin:
        assert admin.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'jit\\_j\\_%'").fetchone() == (1,)
