"""What is given for an input, on real servers: it names one role, one database, one prefix, and is no command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from pydantic import ValidationError
from redis.exceptions import NoPermissionError

from bot.policy.bindings import bound
from providers.systems.base import Presence, Refused
from providers.systems.mysql.params import MysqlParams
from providers.systems.mysql.statements import add as grants_of_roles
from providers.systems.mysql.statements import create, on_database
from providers.systems.postgresql.params import PostgresConfig, PostgresParams
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.postgresql.statements import add
from providers.systems.redis_acl import RedisAcl, RedisConfig
from providers.systems.redis_acl.rules import RedisParams, rules
from tests.providers.mariadb import MariaDbServer, does
from tests.providers.mysql_bench import MysqlBench
from tests.providers.postgres_bench import PostgresBench, let_bot_grant, run
from tests.providers.redis_bench import RedisBench
from tests.servers import PostgresServer, RedisServer

ODD = 'o"dd; DROP ROLE app_readers; --'
"""A name that would be more than a name, were it put into a statement as it is."""
GRANTS = {"member_of": [{"ask": "group"}], "database": {"ask": "database"}}


def quoted(name: str) -> str:
    """As an administrator types it."""
    return sql.Identifier(name).as_string()


@pytest.fixture
def postgres_bench(postgres: PostgresServer) -> PostgresBench:
    return PostgresBench(postgres)


@pytest.fixture
async def database(postgres_bench: PostgresBench) -> AsyncIterator[PostgreSQL]:
    system = PostgreSQL(PostgresConfig.model_validate(postgres_bench.config()))
    yield system
    await system.close()


@pytest.fixture
def odd(postgres: PostgresServer) -> Iterator[str]:
    """A role and a database of that name, which only its members may connect to."""
    name = quoted(ODD)
    run(postgres, f"CREATE ROLE {name} NOLOGIN", f"CREATE DATABASE {name}")
    run(postgres, f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC", f"GRANT CONNECT ON DATABASE {name} TO {name}")
    let_bot_grant(postgres, ODD)
    yield ODD
    run(postgres, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


async def test_a_role_and_a_database_are_named_to_the_letter(
    postgres_bench: PostgresBench, database: PostgreSQL, odd: str
) -> None:
    params = bound(GRANTS, {"group": odd, "database": odd})
    assert odd in database.consequence(params)
    order = await postgres_bench.order(database, params)
    prior = await database.inspect(order)
    receipt = await database.grant(order, prior)
    secret = await database.reveal(order, receipt)
    assert "DROP ROLE app_readers" in secret.how
    name, password = secret.username, secret.password.get_secret_value()
    async with await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=postgres_bench.running.port, dbname=odd, user=name, password=password
    ) as user:
        row = await (await user.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", (odd,))).fetchone()
        assert row == (True,)
    assert (await database.revoke(order, prior, receipt)).presence is Presence.ABSENT
    assert run(postgres_bench.running, "SELECT count(*) FROM pg_roles WHERE rolname = 'app_readers'") == [(1,)]
    assert not run(postgres_bench.running, f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'")


@given(st.text(max_size=80) | st.text(alphabet="ab\"'; -$\\", max_size=60))
def test_whatever_is_typed_is_one_quoted_name_in_a_statement(typed: str) -> None:
    try:
        wanted = PostgresParams.model_validate(bound({"member_of": [{"ask": "group"}]}, {"group": typed}))
    except ValidationError:
        return
    name = typed.replace('"', '""')
    assert [each.as_string() for each in add("jit_x", wanted.member_of)] == [f'GRANT "{name}" TO "jit_x"']


async def test_the_command_leads_to_the_database_that_was_chosen(
    postgres_bench: PostgresBench, database: PostgreSQL
) -> None:
    for chosen in ("app", "postgres"):
        order = await postgres_bench.order(database, bound(GRANTS, {"group": "app_readers", "database": chosen}))
        receipt = await database.grant(order, await database.inspect(order))
        assert f"dbname={chosen} " in database.connect(order, receipt)
        assert await database.verify(order, receipt) is Presence.PRESENT
        await database.revoke(order, None, receipt)


async def test_a_database_that_is_not_there_or_shut_is_refused_before_anything_is_granted(
    postgres_bench: PostgresBench, database: PostgreSQL, odd: str
) -> None:
    for chosen, why in (("nowhere", "there is no database nowhere"), (odd, "GRANT CONNECT ON DATABASE")):
        params = bound(GRANTS, {"group": "app_readers", "database": chosen})
        order = await postgres_bench.order(database, params)
        with pytest.raises(Refused, match=why):
            await database.inspect(order)
        with pytest.raises(Refused, match=why):
            await database.examine(params)


async def test_who_was_granted_one_role_is_no_member_of_another_choice(
    postgres_bench: PostgresBench, database: PostgreSQL
) -> None:
    order = await postgres_bench.order(database, bound({"member_of": [{"ask": "group"}]}, {"group": "app_writers"}))
    receipt = await database.grant(order, await database.inspect(order))
    found = run(
        postgres_bench.running,
        f"SELECT pg_has_role('{receipt.native}', r, 'MEMBER') FROM unnest('{{app_writers,app_readers}}'::text[]) r",
    )
    await database.revoke(order, None, receipt)
    assert found == [(True,), (False,)]


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "x" * 64, "\u00e9" * 32])
def test_what_is_no_database_is_refused_by_the_provider_too(name: str) -> None:
    with pytest.raises(ValidationError):
        PostgresParams.model_validate({"member_of": ["app_readers"], "database": name})


# MariaDB

ON_ONE = {"privileges": ["SELECT"], "database": {"ask": "database"}}


async def test_on_mariadb_the_database_that_was_chosen_is_the_one_that_is_opened(mariadb: MariaDbServer) -> None:
    bench = MysqlBench(mariadb)
    system = bench.build()
    order = await bench.order(system, bound(ON_ONE, {"database": "app_x"}))
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    user = await bench.as_user(order, await system.reveal(order, receipt))
    assert does(user, "SHOW DATABASES LIKE 'app%'") == [("app_x",)]
    assert (await system.revoke(order, prior, receipt)).presence is Presence.ABSENT
    user.close()


@given(st.text(max_size=80) | st.text(alphabet="ab`'\"; -$\\_%*.", max_size=60))
def test_whatever_is_typed_is_one_database_in_a_statement_and_no_pattern(typed: str) -> None:
    try:
        wanted = MysqlParams.model_validate(bound(ON_ONE, {"database": typed}))
    except ValidationError:
        return
    assert wanted.database == typed
    name = typed.replace("`", "``").replace("_", "\\_").replace("%", "\\%")
    assert "\\" not in typed
    assert on_database(wanted.database) == f"`{name}`.*"
    assert f" ON `{name}`.* TO " in create("x", 1, 1, (), wanted.privileges, wanted.database)


@given(st.text(max_size=140) | st.text(alphabet="ab`'\"; -$\\", max_size=60))
def test_whatever_is_typed_is_one_role_in_a_statement(typed: str) -> None:
    try:
        wanted = MysqlParams.model_validate(bound({"member_of": [{"ask": "group"}]}, {"group": typed}))
    except ValidationError:
        return
    name = typed.replace("`", "``")
    assert grants_of_roles("x", wanted.member_of) == [f"GRANT `{name}` TO x"]


# Redis

READ = {"prefixes": [{"ask": "service"}], "commands": ["+@read"]}


@pytest.fixture
def redis_bench(either_redis: RedisServer) -> RedisBench:
    return RedisBench(either_redis)


@pytest.fixture
async def acl(redis_bench: RedisBench) -> AsyncIterator[RedisAcl]:
    system = RedisAcl(RedisConfig.model_validate(redis_bench.config()))
    yield system
    await system.close()


async def test_a_prefix_opens_the_keys_that_begin_so_and_no_others(redis_bench: RedisBench, acl: RedisAcl) -> None:
    params = bound(READ, {"service": "app:"})
    assert "+@read on app:*" in acl.consequence(params)
    order = await redis_bench.order(acl, params)
    prior = await acl.inspect(order)
    receipt = await acl.grant(order, prior)
    async with redis_bench.as_user(order, await acl.reveal(order, receipt)) as user:
        assert await user.get("app:1") == b"one"
        with pytest.raises(NoPermissionError):
            await user.get("secret:1")
    assert await acl.verify(order, receipt) is Presence.PRESENT
    assert (await acl.revoke(order, prior, receipt)).presence is Presence.ABSENT


@pytest.mark.parametrize("typed", ["*", "a?", "[a-z]", "app: +@all", "app:\n~*", "\\*", "", "\u00e4:", "x" * 201])
def test_a_prefix_is_never_more_than_one(typed: str) -> None:
    with pytest.raises(ValidationError):
        RedisParams.model_validate(bound(READ, {"service": typed}))


@given(st.text(max_size=20) | st.text(alphabet="ab:*?[]^\\~+@&%$# -", max_size=20))
def test_whatever_is_typed_the_rules_have_one_pattern_more_and_nothing_else(typed: str) -> None:
    try:
        wanted = RedisParams.model_validate(bound(READ, {"service": typed}))
    except ValidationError:
        return
    without = rules(RedisParams.model_validate({"commands": ["+@read"]}))
    assert rules(wanted) == (f"~{typed}*", *without)
    assert not set(typed) & set("*?[]\\ \t\r\n\0")
