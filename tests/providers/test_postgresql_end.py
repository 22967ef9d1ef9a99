"""What somebody else puts in the way of an end: it comes all the same, and what is left is named."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bot.cli.doctor import systems as doctor_systems
from bot.cli.doctor.checks import gathered
from bot.redaction import Secrets
from providers.systems.base import Capabilities, Presence, Refused, Unsure
from providers.systems.postgresql.params import REVEALING, PostgresConfig
from providers.systems.postgresql.provider import PostgreSQL
from tests.house import POLICY, catalog
from tests.providers.postgres_bench import (
    BOT,
    PASSWORD,
    PostgresBench,
    SharedPostgresBench,
    let_bot_grant,
    run,
    version,
)
from tests.providers.test_postgresql_hostile import Access, opened
from tests.servers import PostgresServer


@pytest.fixture
async def own(postgres: PostgresServer) -> AsyncIterator[Access]:
    """An order's own login."""
    found = await opened(PostgresBench(postgres), "own")
    yield found
    await found.holder.leave()


@pytest.fixture
async def existing(postgres: PostgresServer) -> AsyncIterator[Access]:
    """A person's own login."""
    found = await opened(SharedPostgresBench(postgres), "existing")
    yield found
    await found.holder.leave()


async def refused(access: Access) -> str:
    """What a revoke says that cannot be done yet."""
    with pytest.raises((Refused, Unsure)) as told:
        await access.system.revoke(access.order, access.prior, access.receipt)
    return str(told.value)


# who else is in the way


async def test_a_session_of_somebody_else_that_holds_the_lock_is_named_with_what_to_type(
    postgres: PostgresServer, own: Access
) -> None:
    with psycopg.connect(postgres.dsn) as admin:
        admin.execute(f"ALTER ROLE {own.holder.login} CONNECTION LIMIT 19".encode())
        said = await refused(own)
        assert f"SELECT pg_terminate_backend({admin.info.backend_pid})" in said
        assert "postgres" in said
        admin.rollback()
    assert (await own.revoked()).presence is Presence.ABSENT
    await own.nobody_acts()


async def test_a_login_whose_mark_was_taken_away_is_shut_by_what_the_receipt_proves(
    postgres: PostgresServer, own: Access
) -> None:
    await own.holder.does("SELECT 1")
    run(postgres, f"COMMENT ON ROLE {own.holder.login} IS NULL")
    assert (await own.revoked()).presence is Presence.ABSENT
    await own.nobody_acts()


async def test_a_role_that_was_made_anew_under_our_name_is_left_alone(postgres: PostgresServer, own: Access) -> None:
    run(postgres, f"DROP OWNED BY {own.holder.login}", f"DROP ROLE {own.holder.login}")
    run(postgres, f"CREATE ROLE {own.holder.login}")
    outcome = await own.system.revoke(own.order, own.prior, own.receipt)
    assert outcome.presence is Presence.FOREIGN
    run(postgres, f"DROP ROLE {own.holder.login}")


async def test_an_existing_login_that_others_can_become_is_given_nothing(postgres: PostgresServer) -> None:
    bench = SharedPostgresBench(postgres)
    other = f"other_{secrets.token_hex(4)}"
    run(postgres, f"CREATE ROLE {other} LOGIN", f"GRANT {bench.person} TO {other}")
    system = bench.build()
    order = await bench.order(system)
    with pytest.raises(Refused, match=f"{other} can act as {bench.person}.*REVOKE {bench.person} FROM {other}"):
        await system.inspect(order)


async def test_a_membership_that_another_hand_gave_is_named_with_what_takes_it_away(
    postgres: PostgresServer, existing: Access
) -> None:
    login = existing.holder.login
    if version(postgres) < 160000:
        pytest.skip("before 16 a membership has one row, whoever gave it")
    run(postgres, f"GRANT app_readers TO {login}")
    outcome = await existing.system.revoke(existing.order, existing.prior, existing.receipt)
    assert outcome.presence is Presence.FOREIGN
    assert f'REVOKE "app_readers" FROM "{login}" GRANTED BY "postgres"' in outcome.remains
    run(postgres, f"REVOKE app_readers FROM {login} GRANTED BY postgres")
    assert (await existing.revoked()).presence is Presence.ABSENT


# work that was prepared


async def test_every_prepared_transaction_of_an_existing_login_is_named_and_what_was_made_besides(
    postgres: PostgresServer, existing: Access
) -> None:
    login, view = existing.holder.login, f"leak_{secrets.token_hex(4)}"
    gids = [f"{kind}_{login}" for kind in ("one", "two")]
    await existing.holder.does("SET ROLE app_writers", f"CREATE VIEW {view} AS SELECT 1")
    for gid in gids:
        await existing.holder.does("BEGIN", "CREATE TEMP TABLE IF NOT EXISTS t ()", "ROLLBACK", "BEGIN",
                                   "SELECT txid_current()", f"PREPARE TRANSACTION '{gid}'")  # fmt: skip
    said = await refused(existing)
    for gid in gids:
        assert f"ROLLBACK PREPARED '{gid}'" in said
    assert f"view public.{view}" in said
    for gid in gids:
        run(postgres, f"ROLLBACK PREPARED '{gid}'", dbname="app")
    outcome = await existing.revoked()
    assert view in outcome.remains
    await existing.nobody_acts()


# what was left behind under a group's name


@pytest.mark.parametrize(
    ("kind", "made"),
    {
        "function": "CREATE FUNCTION {}() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT word FROM data'",
        "view": "CREATE VIEW {} AS SELECT 1",
        "table": "CREATE TABLE {} ()",
        "type": "CREATE TYPE {} AS ENUM ('a')",
        "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    }.items(),
)
async def test_what_was_made_in_a_groups_name_is_named_at_the_end(own: Access, kind: str, made: str) -> None:
    name = f"left_{secrets.token_hex(4)}"
    await own.holder.does("SET ROLE app_writers", made.format(name))
    outcome = await own.revoked()
    assert outcome.presence is Presence.ABSENT
    assert (name in outcome.remains) if "{}" in made else ("default privileges" in outcome.remains), kind
    assert "app_writers" in outcome.remains


async def test_what_stood_before_is_not_told_as_left_behind(postgres: PostgresServer) -> None:
    name = f"before_{secrets.token_hex(4)}"
    run(postgres, f"CREATE TABLE {name} ()", f"ALTER TABLE {name} OWNER TO app_writers", dbname="app")
    access = await opened(PostgresBench(postgres), "own")
    try:
        assert name not in (await access.revoked()).remains
    finally:
        await access.holder.leave()


def test_that_members_can_leave_objects_behind_is_said_beforehand() -> None:
    params = {"member_of": ["app_writers"]}
    assert "may leave objects in their name" in PostgreSQL.consequence(params)
    assert "app_writers" in PostgreSQL.capabilities(params).remains


async def test_check_says_how_names_are_resolved_and_what_outlives_an_end(postgres: PostgresServer) -> None:
    system = PostgresBench(postgres).build()
    detail = (await system.check()).detail
    assert "resolves names in pg_catalog" in detail
    assert "prepared transactions" in detail
    assert ("a session that became it in between goes on" in detail) == (version(postgres) < 150000)


async def test_a_role_of_the_policy_is_looked_at_on_the_live_server(postgres: PostgresServer) -> None:
    makers, owners, nobodys = (f"{kind}_{secrets.token_hex(4)}" for kind in ("makers", "owners", "nobodys"))
    run(postgres, *(f"CREATE ROLE {role}" for role in (makers, owners, nobodys)))
    run(postgres, f"GRANT CREATE ON SCHEMA public TO {makers}", f"CREATE SCHEMA {owners} AUTHORIZATION {owners}",
        dbname="app")  # fmt: skip
    let_bot_grant(postgres, makers)
    let_bot_grant(postgres, owners)
    system = PostgresBench(postgres).build()
    try:
        told = await system.examine({"member_of": [makers, owners]})
        assert f"members of {makers} can leave objects behind in app: it may create in public" in told
        assert f"members of {owners} can leave objects behind in app: it owns {owners}" in told
        if version(postgres) >= 150000:  # before, everybody may create in `public`
            assert await system.examine({"member_of": ["app_readers"]}) == []
        if version(postgres) >= 160000:
            with pytest.raises(Refused, match=f"may not grant {nobodys}: GRANT .* WITH ADMIN TRUE"):
                await system.examine({"member_of": [nobodys]})
        with pytest.raises(Refused, match="never granted"):
            await system.examine({"member_of": ["through_deployers"]})
    finally:
        run(postgres, f"DROP OWNED BY {makers}, {owners}", dbname="app")
        run(postgres, *(f"DROP ROLE {role}" for role in (makers, owners, nobodys)))


DATABASE = """
  db:
    title: Orders
    provider: postgresql
    config: {dsn: "env:DSN"}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      writer: {grants: {member_of: [app_writers]}, max: 1h, may_ask: [everyone]}
      deployer: {grants: {member_of: [through_deployers]}, max: 1h, may_ask: [everyone]}
templates:
"""


async def test_the_doctor_says_what_each_role_would_grant_on_the_live_server(postgres: PostgresServer) -> None:
    policy = catalog(POLICY.replace("templates:\n", DATABASE.lstrip("\n"), 1))
    dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    found = await gathered(doctor_systems.checks(policy, {"DSN": dsn}, known := Secrets()), known)
    said = {finding.check: finding.found for finding in found}
    assert "may create in public" in said["system db, role writer"]
    assert "never granted" in said["system db, role deployer"]
    assert PASSWORD not in repr(found)


# what reveals secrets


@pytest.mark.parametrize("role", REVEALING)
def test_a_role_that_reveals_secrets_says_so(role: str) -> None:
    able: Capabilities = PostgreSQL.capabilities({"member_of": [role]})
    assert role in able.reveals
    assert able.reveals in PostgreSQL.consequence({"member_of": [role]})


# settings of others


@contextmanager
def set_for(server: PostgresServer, where: str) -> Iterator[None]:
    """Nobody may write by default: on the server, in the bot's database, or as the bot."""
    ways = {
        "server": ("ALTER SYSTEM SET {}", "ALTER SYSTEM RESET {}"),
        "database": ("ALTER DATABASE postgres SET {}", "ALTER DATABASE postgres RESET {}"),
        "role": (f"ALTER ROLE {BOT} SET {{}}", f"ALTER ROLE {BOT} RESET {{}}"),
    }
    set_, reset = ways[where]
    names = {"default_transaction_read_only": "on", "search_path": "public"}
    run(server, *(set_.format(f"{name} = {value}") for name, value in names.items()), "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with psycopg.connect(server.dsn, autocommit=True, options="-c default_transaction_read_only=off") as admin:
            for name in names:
                admin.execute(reset.format(name).encode())
            admin.execute(b"SELECT pg_reload_conf()")


@pytest.mark.parametrize("where", ["server", "database", "role"])
async def test_access_is_opened_and_ends_where_others_set_that_nobody_writes(
    postgres: PostgresServer, where: str
) -> None:
    with set_for(postgres, where):
        access = await opened(PostgresBench(postgres), "own")
        try:
            assert (await access.revoked()).presence is Presence.ABSENT
        finally:
            await access.holder.leave()


@pytest.mark.parametrize("options", ["-c search_path=public", "-c statement_timeout=0", "-csearch_path=x", "--role=x"])
async def test_options_of_the_dsn_that_the_bot_sets_itself_are_refused(postgres: PostgresServer, options: str) -> None:
    system = with_options(postgres, options)
    with pytest.raises(Refused, match="which the bot sets itself: take it out of the dsn"):
        await system.check()


async def test_other_options_of_the_dsn_are_used(postgres: PostgresServer) -> None:
    assert (await with_options(postgres, "-c work_mem=8MB").check()).target
    with pytest.raises(Unsure, match="work_mem"):
        await with_options(postgres, "-c work_mem=nonsense").check()


def with_options(postgres: PostgresServer, options: str) -> PostgreSQL:
    """The bot, whose dsn has options."""
    quoted = options.replace(" ", "%20").replace("=", "%3D")
    dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres?options={quoted}"
    return PostgreSQL(PostgresConfig.model_validate({"dsn": dsn, "timeout": 1.0}))


# traps

TRAPS = (
    "CREATE FUNCTION {s}.shobj_description(oid, text) RETURNS text LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.shobj_description(oid, name) RETURNS text LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.pg_terminate_backend(integer) RETURNS boolean LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.starts_with(text, text) RETURNS boolean LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.current_setting(text) RETURNS text LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $${b}$$",
    "CREATE FUNCTION {s}.equal(name, text) RETURNS boolean LANGUAGE plpgsql AS $${b}$$",
    "CREATE OPERATOR {s}.= (LEFTARG = name, RIGHTARG = text, FUNCTION = {s}.equal)",
    "CREATE FUNCTION {s}.equal_oid(oid, bigint) RETURNS boolean LANGUAGE plpgsql AS $${b}$$",
    "CREATE OPERATOR {s}.= (LEFTARG = oid, RIGHTARG = bigint, FUNCTION = {s}.equal_oid)",
    "CREATE TABLE {s}.pg_roles (oid oid, rolname name)",
    "CREATE TABLE {s}.pg_auth_members (roleid oid, member oid)",
    "CREATE TABLE {s}.pg_stat_activity (pid int, usesysid oid)",
    "CREATE DOMAIN {s}.oid AS text",
)
"""What the bot's queries would find first where names were resolved in a schema that others may write to."""


async def test_nothing_that_others_made_is_resolved_by_the_bot(postgres: PostgresServer) -> None:
    """In every schema that a careless search path has: ``public``, and one with the bot's own name."""
    caught = f"caught_{secrets.token_hex(4)}"
    body = f"BEGIN EXECUTE 'CREATE ROLE {caught}'; RETURN NULL; END"
    run(postgres, f"CREATE SCHEMA {BOT}", f"GRANT USAGE ON SCHEMA {BOT} TO PUBLIC")
    traps = [trap.format(s=schema, b=body) for schema in ("public", BOT) for trap in TRAPS]
    run(postgres, *traps, *(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO PUBLIC" for schema in ("public", BOT)))
    run(postgres, f"ALTER ROLE {BOT} SET search_path = {BOT}, public, pg_catalog")
    try:
        for bench, login in ((PostgresBench(postgres), "own"), (SharedPostgresBench(postgres), "existing")):
            access = await opened(bench, login)
            await access.system.check()
            await access.system.list_access()
            assert await access.system.verify(access.order, access.receipt) is Presence.PRESENT
            assert (await access.revoked()).presence is Presence.ABSENT
            await access.nobody_acts()
            await access.holder.leave()
        assert run(postgres, f"SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = '{caught}'") == [(0,)]
    finally:
        run(postgres, f"ALTER ROLE {BOT} RESET search_path", f"DROP SCHEMA {BOT} CASCADE", "DROP SCHEMA public CASCADE")
        run(postgres, "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC")


# what stands in the way of dropping a login


async def test_a_schema_of_ones_own_and_a_privilege_of_another_hand_are_named_or_gone(
    postgres: PostgresServer, own: Access
) -> None:
    table = f"theirs_{secrets.token_hex(4)}"
    run(postgres, f"CREATE TABLE {table} ()", f"GRANT SELECT ON {table} TO {own.holder.login}", dbname="app")
    await own.holder.does("SELECT 1")
    said = await refused(own)
    assert table in said
    assert f'REVOKE ALL ON TABLE public.{table} FROM "{own.holder.login}"' in said
    assert "is shut and its sessions are ended" in said
    assert not await own.holder.can_enter()
    run(postgres, f"REVOKE ALL ON {table} FROM {own.holder.login}", dbname="app")
    assert (await own.revoked()).presence is Presence.ABSENT


async def test_six_thousand_tables_are_worked_off_and_nobody_is_in_meanwhile(
    postgres: PostgresServer, own: Access
) -> None:
    made = "DO $$BEGIN FOR n IN 1..6000 LOOP EXECUTE format('CREATE TABLE public.many_%s ()', n); END LOOP; END$$"
    connection = await own.holder.enter()
    for start in range(1, 6001, 500):  # a transaction holds a lock for each
        await connection.execute(made.replace("1..6000", f"{start}..{start + 499}").encode())
    outcome = None
    try:
        async with asyncio.timeout(100):
            while outcome is None:
                said = ""
                try:
                    outcome = await own.system.revoke(own.order, own.prior, own.receipt)
                except (Refused, Unsure) as error:
                    said = str(error)
                assert not await own.holder.can_enter()
                if "GRANT CREATE ON SCHEMA" in said:
                    run(postgres, "GRANT CREATE ON SCHEMA public TO jit_leftovers", dbname="app")
        assert outcome.presence is Presence.ABSENT
        await own.nobody_acts()
    finally:
        gone = made.replace("CREATE TABLE public.many_%s ()", "DROP TABLE IF EXISTS public.many_%s")
        run(postgres, *(gone.replace("1..6000", f"{n}..{n + 499}") for n in range(1, 6001, 500)), dbname="app")
